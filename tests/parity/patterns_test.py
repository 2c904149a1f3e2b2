"""rank_pattern and alpha_pattern give each layer the rank and the scaling that PEFT gives it."""

import warnings

from peft import LoraConfig, PeftModel, get_peft_model
from support import ParityTest, main
from torch import nn

# Names that lie in one another, at three depths.
PATHS = [
    *("foo", "bar", "module.foo", "module.foobar", "module.module.foo", "module.module.barfoo"),
    "layers.1.foo",
    "layers.11.foo",
]
# Expressions in the order in which they stand in the config.
PATTERNS = [
    ["foo"],
    ["bar"],
    ["foobar"],
    ["barfoo"],
    ["^foo"],
    ["^bar"],
    ["module.foo"],
    ["^module.foo"],
    ["module.module.foo"],
    ["^module.module.foo"],
    ["module.module.barfoo"],
    ["foo", "module.foo"],
    ["module.foo", "foo"],
    ["^foo", "module.module.foo", "bar"],
    ["module.foo", "module.module.foo", "foo"],
    [".*foo"],
    [".*foo", "foo"],
    ["foo.*"],
    [r"module\..*"],
    [r"(module\.)+foo", "bar|foo"],
    ["foo|bar"],
    [r"layers\.1\.foo", "layers.11.foo"],
    [r"layers\.\d+\.foo"],
    [r"[a-f]+oo"],
    [r"^(?!module).*foo"],
]
SIZE = 24


class PatternsTest(ParityTest):
    def test_each_layer_has_pefts_rank_and_scaling(self):
        warnings.simplefilter("ignore")
        for number, patterns in enumerate(PATTERNS):
            ranks = {pattern: 11 + i for i, pattern in enumerate(patterns)}
            alphas = {pattern: 21.5 + i for i, pattern in enumerate(reversed(patterns))}
            with self.subTest(patterns=patterns):
                self.check(rank_pattern=ranks, alpha_pattern=alphas, use_rslora=number % 2 == 1)

    def check(self, **keys):
        lora = {"r": 3, "lora_alpha": 5, "target_modules": r".*(foo|bar|barfoo)", **keys}
        peft_model = get_peft_model(nested(PATHS), LoraConfig(**lora))
        layers = peft_layers(peft_model)
        self.assertEqual(set(layers), set(PATHS))

        # As a config says it, in the order of the file.
        plan = self.workspace.tenon_json("plan", self.config(lora))
        self.assertEqual(
            {layer["name"]: layer["parameters"][0]["shape"][0] for layer in plan["layers"]},
            {path: rank for path, (rank, _) in layers.items()},
        )
        # As PEFT saved it: with the expressions sorted, as PEFT reads them again.
        folder = self.workspace.new_path()
        peft_model.save_pretrained(folder)
        inspected = self.workspace.tenon_json("inspect", folder)
        self.assertEqual(len(inspected["layers"]), len(PATHS))
        try:
            loaded = peft_layers(PeftModel.from_pretrained(nested(PATHS), folder))
        except RuntimeError:  # another order, other ranks: PEFT cannot load what it saved itself
            return
        for layer in inspected["layers"]:
            rank, scaling = loaded[layer["name"]]
            self.assertEqual(layer["r"], rank, layer["name"])
            self.assertAlmostEqual(layer["scaling"], scaling, 12, layer["name"])

    def config(self, lora):
        layers = [
            {"name": path, "type": "Linear", "in_features": SIZE, "out_features": SIZE}
            for path in PATHS
        ]
        return self.workspace.write_config(
            {"model": {"name": "Outer", "layers": layers}, "adapter": {"method": "lora", **lora}}
        )


def nested(paths):
    root = nn.Module()
    for path in paths:
        *parents, name = path.split(".")
        module = root
        for parent in parents:
            if not hasattr(module, parent):
                setattr(module, parent, nn.Module())
            module = getattr(module, parent)
        setattr(module, name, nn.Linear(SIZE, SIZE))
    return root


def peft_layers(peft_model):
    """Rank and scaling of each adapted layer."""
    layers = {}
    for name, module in peft_model.base_model.model.named_modules():
        if hasattr(module, "scaling"):
            layers[name] = (module.r["default"], module.scaling["default"])
    return layers


if __name__ == "__main__":
    main()
