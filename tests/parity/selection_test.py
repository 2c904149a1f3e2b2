"""What was saved loads: for names that are tails of one another, of one letter, digits or unicode, every
method and every key that selects layers. A fresh process starts at the last evaluation's loss bit for
bit, and PEFT loads the folder to the same output.

    selection_test.py TENON [--models N] [unittest options]
"""

import json
import random
import sys
import warnings

import torch
from peft import PeftModel
from safetensors.torch import load_file
from support import ParityTest, main
from torch import nn

WIDTH, CLASSES = 6, 3
NAMES = ["a", "b", "1", "17", "head", "lm_head", "x_head", "ad", "lin", "in", "übung", "classifier",
         "aux_classifier", "fc", "xfc", "proj", "v_proj"]


class Block(nn.Module):
    """Layers one after the other, in the order they were added."""

    def __init__(self, children):
        super().__init__()
        for name, child in children:
            self.add_module(name, child)

    def forward(self, x):
        for child in self.children():
            if isinstance(child, nn.ModuleList):
                for inner in child:
                    x = x + inner(x)
            else:
                x = child(x)
        return x


def layers_of(random_names, kinds):
    names = random_names.sample(NAMES, len(kinds))
    return list(zip(names, kinds, strict=True))


def linear():
    return nn.Linear(WIDTH, WIDTH)


def build(seed):
    draw = random.Random(seed)
    torch.manual_seed(seed)

    def block():
        return Block(layers_of(draw, [linear(), nn.LayerNorm(WIDTH), linear()]))

    names = draw.sample(NAMES, 7)
    model = Block(
        [
            (names[0], linear()),
            ("layers", nn.ModuleList([block(), block(), block()])),
            (names[1], Block(layers_of(draw, [linear(), nn.LayerNorm(WIDTH)]))),
            (names[2], nn.LayerNorm(WIDTH)),
            (names[3], linear()),
            (names[4], nn.BatchNorm1d(WIDTH)),
            (names[5], nn.Linear(WIDTH, CLASSES)),
        ]
    )
    return model.eval(), draw


def of_type(model, *types):
    return [name for name, module in model.named_modules() if isinstance(module, types) and name]


def suffix(draw, path):
    parts = path.split(".")
    return ".".join(parts[draw.randrange(len(parts)) :])


def draw_config(draw, model, method):
    kinds = (nn.LayerNorm,) if method == "ln_tuning" else (nn.Linear,)
    paths = of_type(model, *kinds)
    chosen = draw.sample(paths, min(len(paths), draw.randint(1, 4)))
    config = {"method": method}
    form = draw.choice(["list", "regex", "layers", "pattern", "skip"])
    if form == "regex":
        config["target_modules"] = "|".join(path.replace(".", r"\.") for path in chosen)
    else:
        config["target_modules"] = sorted({suffix(draw, path) for path in chosen})
    inside = [path for path in paths if path.startswith("layers.")]
    if form in ("layers", "pattern"):
        config["target_modules"] = sorted({draw.choice(inside).split(".")[-1] for _ in range(2)})
        config["layers_to_transform"] = sorted(draw.sample(range(3), draw.randint(1, 2)))
        config["layers_pattern"] = "layers"
    if form == "skip":
        config["target_modules"].append(suffix(draw, draw.choice(of_type(model, nn.BatchNorm1d))))
        config["skip_unsupported"] = True
    if draw.random() < 0.4:
        config["exclude_modules"] = [draw.choice(paths)]
    if draw.random() < 0.6:
        config["modules_to_save"] = [
            suffix(draw, draw.choice(of_type(model, nn.Linear, nn.BatchNorm1d)))
        ]
    if method == "lora":
        config |= {"r": 2, "lora_alpha": 4}
        if draw.random() < 0.3:
            config["bias"] = draw.choice(["all", "lora_only"])
    if method == "ia3" and isinstance(config["target_modules"], list) and draw.random() < 0.5:
        config["feedforward_modules"] = config["target_modules"][:1]
    return config


class SelectionTest(ParityTest):
    number_of_models = 3

    def setUp(self):
        torch.manual_seed(1)
        self.x = torch.randn(24, WIDTH)
        rows = {"labels": torch.randint(CLASSES, (24,))}
        self.rows = lambda name: self.workspace.write_tensors({name: self.x, **rows})

    def export(self, model):
        path = self.workspace.new_path(".pt2")
        shapes = ({0: torch.export.Dim("rows", min=2)},)
        torch.export.save(torch.export.export(model, (self.x[:5],), dynamic_shapes=shapes), path)
        return path

    def run_once(self, path, adapter, data, **train):
        folder = self.workspace.new_path()
        config = self.workspace.write_config(
            {
                "model": {"path": path},
                "adapter": adapter,
                "data": {"train": data, "eval": data},
                "train": {"learning_rate": 0.05, "batch_size": 8, "steps": 6, **train},
                "output": {"directory": folder},
            }
        )
        return folder, self.workspace.tenon("run", config, "--json")

    def check(self, model, path, adapter, **train):
        """Whether the config was taken; if so, that what it saved loads everywhere."""
        data = self.rows("x")
        folder, done = self.run_once(path, adapter, data, **train)
        if done.returncode != 0:
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            return False
        after = json.loads(done.stdout)["eval"]["after"]["loss"]
        _, again = self.run_once(path, {"init_from": folder, "method": adapter["method"]}, data)
        self.assertEqual(again.returncode, 0, again.stdout + again.stderr)
        self.assertEqual(json.loads(again.stdout)["eval"]["before"]["loss"], after)
        predicted = self.workspace.predict({"path": path}, {"x": self.x}, folder)
        if "PEFT cannot load this adapter" in done.stderr:
            return True
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            loaded = PeftModel.from_pretrained(model, folder).eval()
        self.assertEqual([w for w in caught if "missing" in str(w.message)], [])
        with torch.no_grad():
            self.assert_within(predicted, loaded(self.x), 2e-5)
        return True

    def test_any_names_methods_and_keys(self):
        taken = 0
        for seed in range(self.number_of_models):
            model, draw = build(seed)
            path = self.export(model)
            for method in ("lora", "ia3", "ln_tuning"):
                adapter = draw_config(draw, model, method)
                with self.subTest(seed=seed, **adapter):
                    taken += self.check(build(seed)[0], path, adapter)
        self.assertGreater(taken, self.number_of_models)

    def test_a_module_to_save_whose_name_ends_anothers(self):
        torch.manual_seed(0)
        model = Block([("body", linear()), ("aux_classifier", linear()),
                       ("classifier", nn.Linear(WIDTH, CLASSES))]).eval()
        base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        path = self.export(model)
        adapter = {"method": "lora", "r": 2, "target_modules": ["body"],
                   "modules_to_save": ["classifier"]}
        self.assertTrue(self.check(model, path, adapter))
        folder, done = self.run_once(path, adapter, self.rows("x"))
        self.assertEqual(done.returncode, 0, done.stderr)
        saved = load_file(folder / "adapter_model.safetensors")
        self.assertTrue(torch.equal(saved["base_model.model.aux_classifier.weight"],
                                    base["aux_classifier.weight"]))

    def test_what_peft_cannot_load_is_told_and_loads_in_tenon(self):
        torch.manual_seed(0)
        model = Block([("body", linear()), ("aux_classifier", linear()),
                       ("classifier", nn.Linear(WIDTH, CLASSES))]).eval()
        path = self.export(model)
        adapter = {"method": "lora", "r": 2, "target_modules": ["body", "aux_classifier"],
                   "modules_to_save": ["classifier"]}
        _, done = self.run_once(path, adapter, self.rows("x"))
        self.assertIn("PEFT cannot load this adapter", done.stderr)
        self.assertIn("`aux_classifier`", done.stderr)
        self.assertTrue(self.check(model, path, adapter))

    def test_statistics_that_training_changes_are_saved(self):
        torch.manual_seed(0)
        model = Block([("body", linear()), ("norm", nn.BatchNorm1d(WIDTH)),
                       ("head", nn.Linear(WIDTH, CLASSES))]).eval()
        base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        path = self.export(model)
        adapter = {"method": "lora", "r": 2, "target_modules": ["body"]}
        self.assertTrue(self.check(model, path, adapter, batch_norm="train"))
        folder, _ = self.run_once(path, adapter, self.rows("x"), batch_norm="train")
        saved = load_file(folder / "adapter_model.safetensors")
        self.assertFalse(torch.equal(saved["base_model.model.norm.running_mean"],
                                     base["norm.running_mean"]))
        self.assertTrue(torch.equal(saved["base_model.model.norm.weight"], base["norm.weight"]))

    def test_a_block_by_its_name(self):
        torch.manual_seed(0)
        model, _ = build(3)
        inside = [name for name in of_type(model, nn.Linear) if name.startswith("layers.2.")]
        path = self.export(model)
        adapter = {"method": "lora", "r": 2, "target_modules": ["layers.2"]}
        _, done = self.run_once(path, adapter, self.rows("x"))
        self.assertEqual(done.returncode, 2)
        self.assertIn('target_modules = [\\"layers.2.*\\"]', done.stdout)
        adapter["target_modules"] = ["layers.2.*"]
        self.assertTrue(self.check(model, path, adapter))
        planned = self.workspace.tenon_json("plan", self.workspace.write_config(
            {"model": {"path": path}, "adapter": adapter}))
        self.assertEqual(planned["targeted_module_names"], inside)


if __name__ == "__main__":
    if "--models" in sys.argv:
        place = sys.argv.index("--models")
        SelectionTest.number_of_models = int(sys.argv[place + 1])
        del sys.argv[place : place + 2]
    main()
