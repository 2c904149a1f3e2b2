"""`tenon plugin check` passes for every built-in plugin, on every type that it serves."""

import json
import warnings

import torch
from support import ParityTest, main, models
from torch import nn

BATCH = {0: torch.export.Dim("batch")}


class Norm(nn.Module):
    """What the RMSNorms of transformers' models compute."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6))

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


def norm_of(name):
    return type(name, (Norm,), {"__doc__": Norm.__doc__})()


class Holder(nn.Module):
    """Calls one layer by some of the inputs."""

    def __init__(self, layer, call):
        super().__init__()
        self.layer = layer
        self.call = call

    def forward(self, x, y):
        output = self.call(self.layer, x, y)
        return output[0] if isinstance(output, tuple) else output


def layer_of(base_type):
    """A layer of a type that a config cannot declare, and how it is called."""
    from transformers.pytorch_utils import Conv1D

    makers = {
        # Large enough for every method's default keys.
        "torch.nn.Linear": lambda: (nn.Linear(64, 64), lambda f, x, y: f(x.repeat(1, 1, 11)[..., :64])),
        "torch.nn.Conv2d": lambda: (
            nn.Conv2d(4, 4, 2),
            lambda f, x, y: f(x.unsqueeze(-1).expand(-1, -1, -1, 3)),
        ),
        "torch.nn.Bilinear": lambda: (nn.Bilinear(6, 6, 3), lambda f, x, y: f(x, y)),
        "torch.nn.GRUCell": lambda: (nn.GRUCell(6, 6), lambda f, x, y: f(x[:, 0], y[:, 0])),
        "torch.nn.RNNCell": lambda: (nn.RNNCell(6, 6), lambda f, x, y: f(x[:, 0], y[:, 0])),
        "torch.nn.LSTMCell": lambda: (
            nn.LSTMCell(6, 6),
            lambda f, x, y: f(x[:, 0], (y[:, 0], y[:, 1])),
        ),
        "torch.nn.MultiheadAttention": lambda: (
            nn.MultiheadAttention(6, 2, batch_first=True),
            lambda f, x, y: f(x, y, y, need_weights=False),
        ),
        "torch.nn.GroupNorm": lambda: (nn.GroupNorm(2, 6), lambda f, x, y: f(x[:, 0])),
        "torch.nn.RMSNorm": lambda: (nn.RMSNorm(6), lambda f, x, y: f(x)),
        "transformers.pytorch_utils.Conv1D": lambda: (Conv1D(40, 30), lambda f, x, y: f(x.repeat(1, 1, 5))),
    }
    if base_type in makers:
        return makers[base_type]()
    if base_type.startswith("*.") and ("Norm" in base_type):
        return norm_of(base_type.removeprefix("*.")), lambda f, x, y: f(x)
    raise AssertionError(f"there is no layer of {base_type} to check plugins on: add one")


# What divides the sizes of these layers, where a plugin's own value does not.
SETTINGS = {"tenon.vblora": ("--set", "vector_length=2")}


class BuiltInPluginsTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        warnings.simplefilter("ignore")
        cls.programs = {}

    def program(self, base_type):
        if base_type not in self.programs:
            torch.manual_seed(0)
            inputs = {"x": torch.randn(3, 4, 6), "y": torch.randn(3, 4, 6)}
            example = models.Example(
                Holder(*layer_of(base_type)).eval(), inputs, {name: BATCH for name in inputs}
            )
            path = self.workspace.new_path(".pt2")
            models.export_to(path, example)
            self.programs[base_type] = path
        return self.programs[base_type]

    def check(self, plugin, *options):
        """What the check found, by layer type and the type that it serves; "" for the file."""
        done = self.workspace.tenon("plugin", "check", plugin["path"], "--json", *options)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.assertTrue(done.stdout, done.stderr)
        found = {}
        for rule in json.loads(done.stdout)["rules"]:
            found.setdefault((rule["layer_type"], rule["type"]), []).append(rule)
        return found

    def assert_passes(self, rules, what):
        failed = [f"{rule['id']}: {rule['detail']}" for rule in rules if rule["status"] == "failed"]
        self.assertFalse(failed, what)

    def test_every_built_in_plugin_passes_on_every_type_it_serves(self):
        plugins = self.workspace.tenon_json("plugins")["plugins"]
        built_in = [plugin for plugin in plugins if plugin["origin"] == "built-in"]
        self.assertGreaterEqual(len(built_in), 14)
        for plugin in built_in:
            for (layer, base_type), rules in self.check(plugin).items():
                with self.subTest(plugin=plugin["id"], layer=layer, type=base_type):
                    self.assert_passes(rules, plugin["id"])
                    if any(rule["status"] == "passed" for rule in rules):
                        continue
                    model = ("--model", self.program(base_type), "--layer", "layer")
                    settings = SETTINGS.get(plugin["id"], ())
                    tried = self.check(plugin, *model, *settings)[layer, base_type]
                    self.assert_passes(tried, plugin["id"])
                    passed = {rule["id"] for rule in tried if rule["status"] == "passed"}
                    merges = not any("cannot be merged" in (rule["detail"] or "") for rule in tried)
                    wanted = {"runs", "gradients"} | ({"merge"} if merges else set())
                    self.assertLessEqual(wanted, passed, tried)


if __name__ == "__main__":
    main()
