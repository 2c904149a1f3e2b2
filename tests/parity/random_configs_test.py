"""Configs drawn at random over all rules that choose layers: targets and counts are PEFT's.

    random_configs_test.py TENON [--configs N] [unittest options]

Where PEFT fails Tenon must fail, and where only Tenon fails, `stricter` must say why.
"""

import json
import random
import re
import sys
import warnings

from peft import LoraConfig, get_peft_model
from support import ParityTest, main, models, toys

NAMES = [
    *("q_proj", "v_proj", "fc1", "fc2", "attn.q_proj", "mlp.fc1", "head", "embed", "norm"),
    *("layers.1.mlp.fc1", "model.layers.0.attn.q_proj", "1.mlp.fc2", "nope", "proj", ".*fc1"),
]
EXPRESSIONS = [
    *(r".*\.(q|v)_proj", r"model\.layers\.[0-1]\..*fc\d", r".*fc[12]", "head", "q_proj"),
    *(r"(?P<all>.*)_proj", r"(?i).*FC1", r".*\.(?!attn)\w+\.fc2", r"nothing.*", "all-linear"),
]
PATTERNS = ["q_proj", "^head", r"layers\.[01]\..*", "fc1", r".*\.2\.mlp\.fc2", "zz", "^q_proj"]
SAVED = ["head", "norm", "mlp", "model.norm", "fc2", "nope", "orm"]
TOKENS = [{"embed": [1, 5, 7]}, {"embed": [100]}, {"fc1": [2, 0]}, {"head": [1], "embed": [3]}]
PARAMETERS = [
    *("q_proj.weight", "fc2.weight", "layers.1.attn.v_proj.weight", "embed.weight", "fc1.bias"),
    *("norm.weight", "nope.weight", "weight"),
]
STARTS = [False, "gaussian", "orthogonal", "olora", "pissa", "pissa_niter_4"]

count = 40


def draw(source):
    """A LoraConfig's arguments."""
    lora = {"r": source.choice([1, 2, 4]), "lora_alpha": source.choice([1, 8, 16])}
    is_list = source.random() < 0.6
    if is_list:
        lora["target_modules"] = source.sample(NAMES, source.randint(1, 3))
    else:
        lora["target_modules"] = source.choice(EXPRESSIONS)
    if source.random() < 0.3:
        lora["exclude_modules"] = (
            source.sample(NAMES, 1) if source.random() < 0.6 else source.choice(EXPRESSIONS[:-1])
        )
    if source.random() < 0.3:
        lora["modules_to_save"] = source.sample(SAVED, source.randint(1, 2))
    if source.random() < (0.4 if is_list else 0.05):
        lora["layers_to_transform"] = source.choice([0, [1], [0, 2], [7]])
        if source.random() < 0.5:
            lora["layers_pattern"] = source.choice(["layers", ["layers"], ["blocks"], ["h", "layers"]])
    if source.random() < 0.3:
        keys = source.sample(PATTERNS, source.randint(1, 2))
        lora["rank_pattern"] = {key: source.choice([1, 3, 6]) for key in keys}
    if source.random() < 0.2:
        lora["alpha_pattern"] = {key: 2 for key in source.sample(PATTERNS, 1)}
    for key in ("use_rslora", "use_dora"):
        if source.random() < 0.2:
            lora[key] = True
    if source.random() < 0.2:
        lora["bias"] = source.choice(["all", "lora_only"])
    if source.random() < 0.15:
        lora["trainable_token_indices"] = source.choice(TOKENS)
    if source.random() < 0.15:
        lora["target_parameters"] = source.sample(PARAMETERS, source.randint(1, 2))
    if source.random() < 0.1:
        lora["lora_bias"] = True
    if source.random() < 0.2:
        lora["init_lora_weights"] = source.choice(STARTS)
    if source.random() < 0.2:
        lora["lora_dropout"] = source.choice([0.1, 0.5])
    return lora


def is_named(path, entry):
    return path == entry or path.endswith("." + entry)


def trains_twice(lora, targeted):
    saved = lora.get("modules_to_save", [])
    return any(
        is_named(path, module)
        for module in lora.get("trainable_token_indices", {})
        for path in [*targeted, *saved]
    ) or ("mlp" in saved and "fc1" in lora.get("trainable_token_indices", {}))


def stricter(lora, paths, targeted):
    """Why Tenon refuses on purpose what PEFT takes, or nothing."""

    def unmatched(rule):
        if isinstance(rule, str):
            return not any(re.fullmatch(rule, path) for path in paths)
        return any(not any(is_named(path, entry) for path in paths) for entry in rule)

    targets = lora["target_modules"]
    if targets == "all-linear":  # Tenon leaves out the output layer
        targeted = [path for path in targeted if path != "head"]
    if targets != "all-linear" and unmatched(targets):
        return "an entry of target_modules matches nothing"
    if "layers_to_transform" in lora and not all(
        any(is_named(path, entry) for path in targeted) for entry in targets
    ):
        return "layers_to_transform leaves nothing of an entry"
    if unmatched(lora.get("exclude_modules", [])):
        return "an entry of exclude_modules matches nothing"
    if unmatched(lora.get("modules_to_save", [])):
        return "an entry of modules_to_save matches nothing by whole parts of a path"
    if lora.get("bias") == "lora_only" and set(targeted) <= {"embed"}:
        return "none of the adapted layers has a bias"
    if trains_twice(lora, targeted):
        return "rows of a module that is adapted or saved whole"
    if "embed" in targeted and lora.get("init_lora_weights") not in (None, False, "gaussian"):
        return "a start that PEFT ignores for an embedding"
    start = lora.get("init_lora_weights")
    if start in ("olora", "pissa", "pissa_niter_4") and "head" in targeted:
        return "a start from more singular values than the head's weight has"
    for key in ("rank_pattern", "alpha_pattern"):
        for pattern in lora.get(key, {}):
            if not any(re.match(rf"(.*\.)?({pattern})$", path) for path in targeted):
                return f"an expression of {key} matches nothing"
    return ""


class RandomConfigsTest(ParityTest):
    def test_targets_and_counts_are_pefts(self):
        warnings.simplefilter("ignore")
        path = self.workspace.new_path(".pt2")
        example = models.Example(toys.toy("tower"), {"X": toys.example_input()}, {"X": None})
        models.export_to(path, example)
        paths = [name for name, _ in toys.toy("tower").named_modules() if name]
        source = random.Random(5)
        compared = 0
        for number in range(count):
            lora = draw(source)
            with self.subTest(number=number, **lora):
                compared += self.compare(path, lora, paths)
        self.assertGreater(compared, count // 5)

    def compare(self, path, lora, paths):
        """Whether both took the config."""
        config = {"model": {"path": path}, "adapter": {"method": "lora", **lora}}
        done = self.workspace.tenon("plan", self.workspace.write_config(config), "--json")
        try:
            peft_model = get_peft_model(toys.toy("tower"), LoraConfig(**lora))
        except (ValueError, TypeError, IndexError, re.error) as error:
            if (
                lora["target_modules"] == "all-linear"
                and "head" in lora.get("trainable_token_indices", {})
                and "cannot be applied to modules of type" in str(error)
            ):
                return False  # the output layer is left out on purpose, so nothing is wrong with it
            self.assertEqual(done.returncode, 2, f"PEFT: {error}")
            return False
        targeted = peft_model.targeted_module_names
        if done.returncode != 0:
            self.assertEqual(done.returncode, 2)
            self.assertNotEqual(stricter(lora, paths, targeted), "", done.stdout)
            return False
        plan = json.loads(done.stdout)
        if lora["target_modules"] == "all-linear" and "head" in targeted:
            # The output layer is left out on purpose.
            self.assertEqual(plan["targeted_module_names"], [t for t in targeted if t != "head"])
            return False
        # PEFT lists the modules of target_parameters apart.
        owners = [name.rpartition(".")[0] for name in peft_model.targeted_parameter_names]
        self.assertEqual(plan["targeted_module_names"], targeted + owners)
        trainable, all_params = peft_model.get_nb_trainable_parameters()
        self.assertEqual(plan["trainable_params"], trainable)
        self.assertEqual(plan["all_params"], all_params)
        return True


if __name__ == "__main__":
    if "--configs" in sys.argv:
        place = sys.argv.index("--configs")
        count = int(sys.argv[place + 1])
        del sys.argv[place : place + 2]
    main()
