"""Configs drawn at random over all rules that choose layers: targets and counts are PEFT's.

    random_configs_test.py TENON [--configs N] [unittest options]

Where PEFT fails Tenon must fail, and where only Tenon fails, `stricter` must say why.
"""

import json
import random
import re
import sys
import warnings
from copy import deepcopy
from dataclasses import dataclass
from typing import Callable

from peft import LoraConfig, get_peft_model
from support import ParityTest, main, models, toys



@dataclass
class Drawn:
    """A model, and what configs say of it."""

    make: Callable  # a fresh copy
    example: Callable  # for its export
    names: list
    expressions: list  # the last one is no regular expression
    patterns: list
    saved: list
    tokens: list
    parameters: list
    output: str  # the layer that all-linear leaves out
    embedding: str
    ties: bool = False

    def paths(self):
        return [name for name, _ in self.make().named_modules() if name]


def tower_example():
    return models.Example(toys.toy("tower"), {"X": toys.example_input()}, {"X": None})


TOWER = Drawn(
    make=lambda: toys.toy("tower"),
    example=tower_example,
    names=[
        *("q_proj", "v_proj", "fc1", "fc2", "attn.q_proj", "mlp.fc1", "head", "embed", "norm"),
        *("layers.1.mlp.fc1", "model.layers.0.attn.q_proj", "1.mlp.fc2", "nope", "proj", ".*fc1"),
    ],
    expressions=[
        *(r".*\.(q|v)_proj", r"model\.layers\.[0-1]\..*fc\d", r".*fc[12]", "head", "q_proj"),
        *(r"(?P<all>.*)_proj", r"(?i).*FC1", r".*\.(?!attn)\w+\.fc2", r"nothing.*", "all-linear"),
    ],
    patterns=["q_proj", "^head", r"layers\.[01]\..*", "fc1", r".*\.2\.mlp\.fc2", "zz", "^q_proj"],
    saved=["head", "norm", "mlp", "model.norm", "fc2", "nope", "orm"],
    tokens=[{"embed": [1, 5, 7]}, {"embed": [100]}, {"fc1": [2, 0]}, {"head": [1], "embed": [3]}],
    parameters=[
        *("q_proj.weight", "fc2.weight", "layers.1.attn.v_proj.weight", "embed.weight", "fc1.bias"),
        *("norm.weight", "nope.weight", "weight"),
    ],
    output="head",
    embedding="embed",
)
# Its lm_head's weight is that of embed_tokens.
TIED = Drawn(
    make=lambda: models.example("mistral_tied").model,
    example=lambda: models.example("mistral_tied"),
    names=["embed_tokens", "lm_head", "q_proj", "model.embed_tokens", "0.mlp.up_proj", "o_proj"],
    expressions=[
        *(r".*(lm_head|v_proj)", r".*embed_tokens", r".*(embed_tokens|lm_head)"),
        *(r".*\.1\..*k_proj", "lm_head", "all-linear"),
    ],
    patterns=["q_proj", "lm_head", "embed_tokens", "^lm_head", r"model\..*"],
    saved=["lm_head", "embed_tokens", "model.norm", "model.embed_tokens", "o_proj"],
    tokens=[[1, 5, 96], {"embed_tokens": [0, 3]}, {"lm_head": [1]}, {"model.embed_tokens": [2]}],
    parameters=["q_proj.weight", "embed_tokens.weight", "lm_head.weight", "0.mlp.down_proj.weight"],
    output="lm_head",
    embedding="model.embed_tokens",
    ties=True,
)
STARTS = [False, "gaussian", "orthogonal", "olora", "pissa", "pissa_niter_4"]

count = 40


def draw(source, drawn):
    """A LoraConfig's arguments."""
    lora = {"r": source.choice([1, 2, 4]), "lora_alpha": source.choice([1, 8, 16])}
    is_list = source.random() < 0.6
    if is_list:
        lora["target_modules"] = source.sample(drawn.names, source.randint(1, 3))
    else:
        lora["target_modules"] = source.choice(drawn.expressions)
    if source.random() < 0.3:
        lora["exclude_modules"] = (
            source.sample(drawn.names, 1)
            if source.random() < 0.6
            else source.choice(drawn.expressions[:-1])
        )
    if source.random() < 0.3:
        lora["modules_to_save"] = source.sample(drawn.saved, source.randint(1, 2))
    if source.random() < (0.4 if is_list else 0.05):
        lora["layers_to_transform"] = source.choice([0, [1], [0, 2], [7]])
        if source.random() < 0.5:
            lora["layers_pattern"] = source.choice(["layers", ["layers"], ["blocks"], ["h", "layers"]])
    if source.random() < 0.3:
        keys = source.sample(drawn.patterns, source.randint(1, 2))
        lora["rank_pattern"] = {key: source.choice([1, 3, 6]) for key in keys}
    if source.random() < 0.2:
        lora["alpha_pattern"] = {key: 2 for key in source.sample(drawn.patterns, 1)}
    for key in ("use_rslora", "use_dora"):
        if source.random() < 0.2:
            lora[key] = True
    if source.random() < 0.2:
        lora["bias"] = source.choice(["all", "lora_only"])
    if source.random() < 0.15:
        lora["trainable_token_indices"] = source.choice(drawn.tokens)
    if source.random() < 0.15:
        lora["target_parameters"] = source.sample(drawn.parameters, source.randint(1, 2))
    if source.random() < 0.1:
        lora["lora_bias"] = True
    if source.random() < 0.2:
        lora["init_lora_weights"] = source.choice(STARTS)
    if source.random() < 0.2:
        lora["lora_dropout"] = source.choice([0.1, 0.5])
    if drawn.ties and source.random() < 0.6:
        lora["ensure_weight_tying"] = True
    return lora


def is_named(path, entry):
    return path == entry or path.endswith("." + entry)


def is_meant(pattern, path):
    return re.match(rf"(.*\.)?({pattern})$", path)


def rank_of(lora, path):
    for pattern, rank in lora.get("rank_pattern", {}).items():
        if is_meant(pattern, path):
            return rank
    return lora["r"]


def trains_twice(drawn, lora, targeted):
    saved = lora.get("modules_to_save", [])
    tokens = lora.get("trainable_token_indices", {})
    modules = tokens if isinstance(tokens, dict) else [drawn.embedding]
    return any(
        is_named(path, module) or is_named(module, path)
        for module in modules
        for path in [*targeted, *saved]
    ) or ("mlp" in saved and "fc1" in modules)


def ties_one_alone(drawn, lora, targeted):
    """Whether ensure_weight_tying adapts a layer that another rule is about."""
    tied = [drawn.embedding, drawn.output]
    if not lora.get("ensure_weight_tying") or not set(tied) <= set(targeted):
        return False
    excluded = lora.get("exclude_modules", [])
    if isinstance(excluded, str):
        return any(re.fullmatch(excluded, path) for path in tied)
    parameters = [name.rpartition(".")[0] for name in lora.get("target_parameters", [])]
    return any(is_named(path, entry) for path in tied for entry in [*excluded, *parameters])


def has_bias(drawn, prefixes):
    return any(
        name.endswith("bias") and name.startswith(tuple(prefixes))
        for name, _ in drawn.make().named_parameters()
    )


def stricter(drawn, lora, targeted):
    """Why Tenon refuses on purpose what PEFT takes, or nothing."""

    paths = drawn.paths()

    def unmatched(rule):
        if isinstance(rule, str):
            return not any(re.fullmatch(rule, path) for path in paths)
        return any(not any(is_named(path, entry) for path in paths) for entry in rule)

    targets = lora["target_modules"]
    if targets == "all-linear":  # Tenon leaves out the output layer
        targeted = [path for path in targeted if path != drawn.output]
    if targets != "all-linear" and unmatched(targets):
        return "an entry of target_modules matches nothing"
    if "layers_to_transform" in lora and not all(
        any(is_named(path, entry) and ".layers." in f".{path}" for path in targeted)
        or entry in targeted
        for entry in targets
    ):
        return "layers_to_transform leaves nothing of an entry"
    if unmatched(lora.get("exclude_modules", [])):
        return "an entry of exclude_modules matches nothing"
    if unmatched(lora.get("modules_to_save", [])):
        return "an entry of modules_to_save matches nothing by whole parts of a path"
    if lora.get("bias") == "lora_only" and not has_bias(drawn, targeted):
        return "none of the adapted layers has a bias"
    if lora.get("bias") == "all" and not has_bias(drawn, [""]):
        return "no layer has a bias"
    if ties_one_alone(drawn, lora, targeted):
        return "a layer that is tied is excluded, or adapted by its parameter"
    if trains_twice(drawn, lora, targeted):
        return "rows of a module that is adapted or saved whole"
    start = lora.get("init_lora_weights")
    if start not in (None, False, "gaussian"):
        if drawn.embedding in targeted or "target_parameters" in lora:
            return "a start that PEFT ignores for an embedding or a parameter"
    if start in ("olora", "pissa", "pissa_niter_4") and "head" in targeted:
        return "a start from more singular values than the head's weight has"
    if lora.get("ensure_weight_tying"):
        ranks = {rank_of(lora, path) for path in (drawn.embedding, drawn.output)}
        if len(ranks) == 2 and {drawn.embedding, drawn.output} <= set(targeted):
            return "tied factors of two ranks, of which PEFT cannot load what it saves"
    for key in ("rank_pattern", "alpha_pattern"):
        for pattern in lora.get(key, {}):
            if not any(is_meant(pattern, path) for path in targeted):
                return f"an expression of {key} matches nothing"
    return ""


class RandomConfigsTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        warnings.simplefilter("ignore")

    def test_targets_and_counts_are_pefts(self):
        self.draw_and_compare(TOWER, count, 5)

    def test_targets_and_counts_of_a_model_with_tied_weights_are_pefts(self):
        self.draw_and_compare(TIED, count // 2, 11)

    def draw_and_compare(self, drawn, number_of_configs, seed):
        path = self.workspace.new_path(".pt2")
        models.export_to(path, drawn.example())
        source = random.Random(seed)
        compared = 0
        for number in range(number_of_configs):
            lora = draw(source, drawn)
            with self.subTest(number=number, **lora):
                compared += self.compare(path, drawn, lora)
        self.assertGreater(compared, number_of_configs // 5)

    def compare(self, path, drawn, lora):
        """Whether both took the config."""
        config = {"model": {"path": path}, "adapter": {"method": "lora", **lora}}
        done = self.workspace.tenon("plan", self.workspace.write_config(config), "--json")
        try:
            peft_model = get_peft_model(drawn.make(), LoraConfig(**deepcopy(lora)))  # which PEFT changes
        except AttributeError:
            return False  # PEFT meant to tie a layer that it had excluded
        except (ValueError, TypeError, IndexError, re.error) as error:
            if (
                lora["target_modules"] == "all-linear"
                and drawn.output in lora.get("trainable_token_indices", {})
                and "cannot be applied to modules of type" in str(error)
            ):
                return False  # the output layer is left out on purpose, so nothing is wrong with it
            self.assertEqual(done.returncode, 2, f"PEFT: {error}")
            return False
        targeted = peft_model.targeted_module_names
        if done.returncode != 0:
            self.assertEqual(done.returncode, 2)
            self.assertNotEqual(stricter(drawn, lora, targeted), "", done.stdout)
            return False
        plan = json.loads(done.stdout)
        if lora["target_modules"] == "all-linear" and drawn.output in targeted:
            # The output layer is left out on purpose.
            self.assertEqual(plan["targeted_module_names"], [t for t in targeted if t != drawn.output])
            return False
        # PEFT lists the modules of target_parameters apart, which lie before tied layers here.
        owners = [name.rpartition(".")[0] for name in peft_model.targeted_parameter_names]
        in_order = sorted if owners else list
        self.assertEqual(in_order(plan["targeted_module_names"]), in_order(targeted + owners))
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
