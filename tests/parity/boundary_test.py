"""The plugin boundary as a third party uses it: a method of their own, options, a state, a start from
the base, each in a small plugin built with the SDK's headers and one compiler call."""

import json
import warnings

import torch
import torch.nn.functional as F
from peft import PeftModel, VeraConfig, get_peft_model
from plugins_test import build
from safetensors.torch import load_file, save_file
from support import ParityTest, main

LAYERS = [
    {"name": "first", "type": "Linear", "in_features": 6, "out_features": 8},
    {"name": "act", "type": "ReLU"},
    {"name": "last", "type": "Linear", "in_features": 8, "out_features": 3},
]


class BoundaryTest(ParityTest):
    """One plugin of SOURCE in a folder, on two Linears."""

    SOURCE = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plugins = cls.workspace.new_folder()
        build(cls.SOURCE, cls.plugins / "plugin.so")
        torch.manual_seed(5)
        cls.weights = {
            "first.weight": torch.randn(8, 6),
            "first.bias": torch.randn(8),
            "last.weight": torch.randn(3, 8),
            "last.bias": torch.randn(3),
        }
        path = cls.workspace.write_tensors(cls.weights)
        cls.model = {"name": "Net", "weights": path, "layers": LAYERS}

    def config(self, output=None, **adapter):
        torch.manual_seed(4)
        rows = {"input": torch.randn(32, 6), "labels": torch.randint(3, (32,))}
        return self.workspace.write_config(
            {
                "model": self.model,
                "adapter": adapter,
                "data": {"train": self.workspace.write_tensors(rows)},
                "train": {
                    "loss": "cross_entropy",
                    "optimizer": "sgd",
                    "learning_rate": 0.1,
                    "steps": 8,
                    "batch_size": 16,
                },
                "output": {"directory": output or self.workspace.new_path()},
            }
        )

    def with_plugins(self, *arguments):
        return self.workspace.tenon_ok(*arguments, "--plugin-dir", self.plugins)

    def refusal(self, **adapter):
        """Standard error of a run that the config makes impossible."""
        done = self.workspace.tenon("run", self.config(**adapter), "--plugin-dir", self.plugins)
        self.assertEqual(done.returncode, 2, done.stderr)
        return done.stderr

    def output_of(self, adapter, inputs):
        outputs = self.workspace.new_path(".safetensors")
        config = self.workspace.write_config({"model": self.model})
        self.with_plugins(
            *("predict", config, "--adapter", adapter, "--outputs", outputs),
            *("--inputs", self.workspace.write_tensors({"input": inputs})),
        )
        return load_file(outputs)["output_0"]

    def forward(self, inputs, **changed):
        weights = {**self.weights, **changed}
        hidden = F.linear(inputs, weights["first.weight"], weights["first.bias"]).relu()
        return F.linear(hidden, weights["last.weight"], weights["last.bias"])


class MethodTest(BoundaryTest):
    SOURCE = "split.cpp"

    ADAPTER = {"method": "split", "target_modules": ["first", "last"]}

    def test_keys_and_options_are_listed(self):
        listed = json.loads(self.with_plugins("plugins", "--load", "--json").stdout)["plugins"]
        plugin = next(each for each in listed if each["id"] == "acme.split")
        method = plugin["methods"][0]
        self.assertEqual(method["name"], "split")
        self.assertIsNone(method["peft_type"])
        self.assertEqual(method["max_active"], 1)
        fraction = method["keys"][0]
        self.assertEqual(fraction["key"], "fraction")
        self.assertEqual(fraction["type"], "a number of at least 0 and at most 1")
        self.assertEqual(fraction["default"], 0.5)
        self.assertEqual(fraction["help"], "How much of the weight is trained.")
        options = plugin["layer_types"][0]["options"]
        self.assertEqual([option["key"] for option in options], ["power", "pattern"])

    def test_a_start_from_the_base_changes_nothing_and_trains(self):
        output = self.workspace.new_path()
        config = self.config(output, **self.ADAPTER, halved_modules=["last"], options={"power": 2})
        before = torch.randn(5, 6)
        run = json.loads(
            self.with_plugins(
                *("run", config, "--json", "--set", "train.learning_rate=1e-30"),
                *("--set", "train.steps=1"),
            ).stdout
        )
        self.assertEqual(run["trainable_params"], 8 * 6 + 3 * 8)
        part = load_file(output / "adapter_model.safetensors")
        self.assert_within(
            part["base_model.model.first.split_part"], 0.25 * self.weights["first.weight"], 1e-7
        )
        self.assert_within(
            part["base_model.model.last.split_part"], 0.125 * self.weights["last.weight"], 1e-7
        )
        self.assert_within(self.output_of(output, before), self.forward(before), 1e-6)

        self.with_plugins("run", config, "--force")
        part = load_file(output / "adapter_model.safetensors")
        first = part["base_model.model.first.split_part"]
        self.assertGreater((first - 0.25 * self.weights["first.weight"]).abs().max(), 1e-3)
        trained = self.forward(
            before,
            **{
                "first.weight": 0.75 * self.weights["first.weight"] + first,
                "last.weight": 0.875 * self.weights["last.weight"]
                + part["base_model.model.last.split_part"],
            },
        )
        self.assert_within(self.output_of(output, before), trained, 1e-5)

    def test_the_adapter_remembers_keys_and_options(self):
        output = self.workspace.new_path()
        self.with_plugins(
            "run", self.config(output, **self.ADAPTER, fraction=1, options={"pattern": [True]})
        )
        config = json.loads((output / "adapter_config.json").read_text())
        self.assertEqual(config["peft_type"], "SPLIT")
        self.assertEqual(config["fraction"], 1.0)
        self.assertIsNone(config["halved_modules"])
        self.assertEqual(config["start"], "base")
        self.assertNotIn("r", config)
        record = json.loads((output / "tenon.json").read_text())
        self.assertEqual(record["layers"][0]["options"], {"pattern": [True], "power": 1})

        resumed = self.config(**self.ADAPTER, init_from=output)
        self.with_plugins("run", resumed)
        refused = self.refusal(**self.ADAPTER, init_from=output, fraction=0.25)
        self.assertIn("[adapter] fraction differ from the adapter in init_from", refused)
        refused = self.refusal(**self.ADAPTER, init_from=output, options={"power": 3})
        self.assertIn("option `power` of `first` (and `last`) is 1 in the saved adapter", refused)
        refused = self.refusal(method="lora", target_modules=["first"], init_from=output)
        self.assertIn("the adapter is of type SPLIT, which method lora cannot load", refused)

    def test_every_wrong_key_has_its_place_and_the_nearest_name(self):
        text = self.refusal(**self.ADAPTER, fraktion=0.5, start="bas", halved_modules=7)
        self.assertIn("3 problems in ", text)
        self.assertRegex(text, r"\.toml:\d+:\d+: `adapter.fraktion` is not a key of method split")
        self.assertIn("did you mean `fraction`?", text)
        self.assertRegex(text, r"\.toml:\d+:\d+: `adapter.start` must be one of `base`, `zeros`")
        self.assertIn("did you mean `base`?", text)
        self.assertIn("must be a regular expression or a list of module names, not 7", text)

    def test_keys_of_lora_are_no_keys_of_another_method(self):
        self.assertIn("`adapter.r` is not a key of method split", self.refusal(**self.ADAPTER, r=4))

    def test_options_are_checked_with_their_place(self):
        text = self.refusal(**self.ADAPTER, options={"power": 0, "patern": [True]})
        self.assertRegex(
            text, r"\.toml:\d+:\d+: `adapter.options.power` must be an integer of at least 1, not 0"
        )
        self.assertIn("`adapter.options.patern` is no option of acme.split-linear", text)
        self.assertIn("did you mean `pattern`?", text)

    def test_options_that_no_layer_has_are_not_ignored(self):
        text = self.refusal(method="lora", target_modules=["first"], options={"power": 2})
        self.assertIn("`adapter.options.power` is no option of tenon.lora-linear", text)

    def test_a_rule_that_means_no_layer_is_an_error(self):
        text = self.refusal(**self.ADAPTER, halved_modules=["lost"])
        self.assertIn("halved_modules", text)
        self.assertIn("`last`", text)

    def test_unknown_methods_are_told_with_the_nearest(self):
        text = self.refusal(method="splt", target_modules=["first"])
        self.assertIn("there is no method `splt`", text)
        self.assertIn("did you mean `split`?", text)
        self.assertIn("methods here: ", text)

    def test_an_adapter_of_a_type_that_no_plugin_has_is_refused(self):
        folder = self.workspace.new_folder()
        text = {"peft_type": "GLORA", "target_modules": ["first"]}
        (folder / "adapter_config.json").write_text(json.dumps(text))
        save_file({"base_model.model.first.glora_A": torch.ones(1)}, folder / "adapter_model.safetensors")
        config = self.workspace.write_config({"model": self.model})
        done = self.workspace.tenon(
            *("predict", config, "--adapter", folder, "--outputs", folder / "out"),
            *("--inputs", self.workspace.write_tensors({"input": torch.randn(2, 6)})),
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn('`peft_type` "GLORA" is no method of a plugin that is here', done.stderr)
        self.assertIn("merge it into the model where PEFT can (merge_and_unload)", done.stderr)


class SharedParameterTest(BoundaryTest):
    """VeRA, whose projections all layers share: exchanged with PEFT's own."""

    SOURCE = "vera.cpp"

    KEYS = {"target_modules": ["first", "last"], "r": 4}

    def peft_base(self):
        net = torch.nn.Module()
        net.first, net.act, net.last = torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)
        net.forward = lambda input: net.last(net.act(net.first(input)))
        net.load_state_dict(self.weights)
        return net

    def test_the_shared_tensor_is_as_large_as_the_largest_layer_and_counts_once(self):
        config = self.config(method="vera", **self.KEYS)
        plan = json.loads(self.with_plugins("plan", config, "--json").stdout)
        self.assertEqual(plan["trainable_params"], (8 + 4) + (3 + 4))
        output = self.workspace.new_path()
        config = self.config(output, method="vera", **self.KEYS)
        self.with_plugins("run", config)
        tensors = load_file(output / "adapter_model.safetensors")
        self.assertEqual(tensors["base_model.vera_A"].shape, (4, 8))
        self.assertEqual(tensors["base_model.vera_B"].shape, (8, 4))
        self.assertNotIn("base_model.model.first.vera_A", tensors)
        self.assertGreater(tensors["base_model.model.last.vera_lambda_b"].abs().max(), 1e-4)

        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Found missing|Unexpected keyword")
            model = PeftModel.from_pretrained(self.peft_base(), output)
        inputs = torch.randn(5, 6)
        with torch.no_grad():
            expected = model(input=inputs)
        self.assertGreater((expected - self.forward(inputs)).abs().max(), 1e-4)
        self.assert_within(self.output_of(output, inputs), expected, 1e-5)

    def test_tenon_applies_what_peft_saved(self):
        torch.manual_seed(6)
        model = get_peft_model(self.peft_base(), VeraConfig(**self.KEYS))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "vera_lambda" in name:
                    parameter.add_(torch.randn_like(parameter))
        folder = self.workspace.new_path()
        model.save_pretrained(folder)
        inputs = torch.randn(5, 6)
        with torch.no_grad():
            expected = model(input=inputs)
        self.assert_within(self.output_of(folder, inputs), expected, 1e-5)


class CustomGradientTest(BoundaryTest):
    SOURCE = "clipped.cpp"

    LAYERS = [{"name": "square", "type": "Linear", "in_features": 6, "out_features": 6}]

    def test_the_plugins_backward_is_what_trains(self):
        """With a limit of 0 the output never changes, yet the straight-through gradient moves the
        factor just as a limit of infinity would at its first step."""
        torch.manual_seed(8)
        weight = torch.randn(6, 6)
        model = {
            "name": "Net",
            "layers": self.LAYERS,
            "weights": self.workspace.write_tensors(
                {"square.weight": weight, "square.bias": torch.zeros(6)}
            ),
        }
        rows = {"input": torch.randn(16, 6), "labels": torch.randn(16, 6)}
        output = self.workspace.new_path()
        config = {
            "model": model,
            "adapter": {
                "method": "clipped",
                "target_modules": ["square"],
                "options": {"limit": 0},
            },
            "data": {"train": self.workspace.write_tensors(rows)},
            "train": {"loss": "mse", "optimizer": "sgd", "learning_rate": 0.5},
            "output": {"directory": output},
        }
        config["train"].update({"steps": 1, "batch_size": 16, "shuffle": False})
        self.with_plugins("run", self.workspace.write_config(config))
        factor = torch.zeros(6, requires_grad=True)
        loss = F.mse_loss(rows["input"] @ weight.T + factor * rows["input"], rows["labels"])
        loss.backward()
        saved = load_file(output / "adapter_model.safetensors")["base_model.model.square.factor"]
        self.assert_within(saved, -0.5 * factor.grad, 1e-6)


if __name__ == "__main__":
    main()
