"""C++ models, captured, against the same models in Python under PyTorch and PEFT.

Run as `python capture_test.py TENON FOLDER_OF_MODEL_PLUGINS`.
"""

import os
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

import support
from captured_models import CASES, Mlp, sequential

PLUGINS = None


def flat(output):
    """The tensors of a forward's output, in order."""
    if isinstance(output, torch.Tensor):
        return [output]
    return [tensor for part in output for tensor in flat(part)]


class CaptureTest(support.ParityTest):
    def model(self, name, module):
        weights = self.workspace.write_tensors(module.state_dict())
        return {"plugin": f"test.{name}", "weights": weights}

    def predict(self, model, inputs, adapter=None):
        """All outputs in order."""
        names = ["input"] if len(inputs) == 1 else [f"input_{i}" for i in range(len(inputs))]
        outputs = self.workspace.new_path(".safetensors")
        self.workspace.tenon_ok(
            "predict",
            self.workspace.write_config({"model": model}),
            *("--plugin-dir", PLUGINS),
            *(("--adapter", adapter) if adapter else ()),
            *("--inputs", self.workspace.write_tensors(dict(zip(names, inputs)))),
            *("--outputs", outputs),
        )
        tensors = load_file(outputs)
        return [tensors[f"output_{i}"] for i in range(len(tensors))]

    def merged(self, model, adapter, inputs):
        """All outputs of the model with the adapter merged into its weights."""
        weights = self.workspace.new_path(".safetensors")
        self.workspace.tenon_ok(
            "merge",
            self.workspace.write_config({"model": model}),
            *("--plugin-dir", PLUGINS),
            *("--adapter", adapter, "--output", weights),
        )
        return self.predict({**model, "weights": weights}, inputs)

    def assert_same_outputs(self, actual, module, inputs):
        with torch.no_grad():
            expected = flat(module(*inputs))
        self.assertEqual(len(actual), len(expected))
        for one, other in zip(actual, expected):
            self.assert_within(one, other, 1e-5)

    def test_forward_is_pytorchs(self):
        torch.manual_seed(0)
        for name, case in CASES.items():
            module = case.build().eval()
            inputs = case.inputs(7)
            with self.subTest(model=name):
                actual = self.predict(self.model(name, module), inputs)
                self.assert_same_outputs(actual, module, inputs)

    def test_adapter_of_peft_gives_pefts_output(self):
        torch.manual_seed(0)
        for name, case in CASES.items():
            if not case.targets + case.parameters:
                continue
            module = case.build().eval()
            model = self.model(name, module)
            config = LoraConfig(
                r=8,
                lora_alpha=16,
                target_modules=list(case.targets),
                target_parameters=list(case.parameters) or None,
                init_lora_weights=False,
            )
            peft = get_peft_model(module, config).eval()
            folder = self.workspace.new_path()
            peft.save_pretrained(folder)
            inputs = case.inputs(5)
            with self.subTest(model=name):
                actual = self.predict(model, inputs, folder)
                self.assert_same_outputs(actual, peft, inputs)
                if case.merges:
                    self.assert_same_outputs(self.merged(model, folder, inputs), peft, inputs)

    def test_training_gives_an_adapter_that_peft_loads(self):
        torch.manual_seed(0)
        module = Mlp().eval()
        model = self.model("mlp", module)
        x = torch.rand(64, 20)
        data = self.workspace.write_tensors({"input": x, "labels": (x.sum(1) > 10).long()})
        folder = self.workspace.new_path()
        config = {
            "model": model,
            "adapter": {"r": 4, "target_modules": ["first"], "modules_to_save": ["last"]},
            "data": {"train": data},
            "train": {"loss": "nll", "steps": 10, "learning_rate": 0.01, "batch_size": 64},
            "output": {"directory": folder},
        }
        run = self.workspace.tenon_json(
            "run", self.workspace.write_config(config), "--plugin-dir", PLUGINS
        )
        self.assertLess(run["losses"][-1], run["losses"][0])
        peft = PeftModel.from_pretrained(module, folder).eval()
        counts = peft.get_nb_trainable_parameters()
        self.assertEqual(run["all_params"], counts[1])
        with torch.no_grad():
            self.assert_within(self.predict(model, (x,), folder)[0], peft(x), 1e-5)

    def test_both_ways_of_writing_the_mlp_train_alike(self):
        torch.manual_seed(0)
        module = sequential()
        names = {"0": "first", "2": "second", "4": "last"}
        tensors = module.state_dict()
        typed = {f"{names[k[0]]}{k[1:]}": tensor for k, tensor in tensors.items()}
        x = torch.rand(64, 20)
        data = self.workspace.write_tensors({"input": x, "labels": (x.sum(1) > 10).long()})
        declared = {
            "name": "Mlp",
            "layers": [
                {"name": "0", "type": "Linear", "in_features": 20, "out_features": 64},
                {"name": "1", "type": "ReLU"},
                {"name": "2", "type": "Linear", "in_features": 64, "out_features": 64},
                {"name": "3", "type": "ReLU"},
                {"name": "4", "type": "Linear", "in_features": 64, "out_features": 2},
                {"name": "5", "type": "LogSoftmax", "dim": -1},
            ],
            "weights": self.workspace.write_tensors(tensors),
        }
        models = [
            (declared, ["0", "2"], "4"),
            (self.model("sequential", module), ["0", "2"], "4"),
            (
                {"plugin": "test.mlp", "weights": self.workspace.write_tensors(typed)},
                ["first", "second"],
                "last",
            ),
        ]
        losses = []
        for model, targets, saved in models:
            config = {
                "model": model,
                "adapter": {"target_modules": targets, "modules_to_save": [saved]},
                "data": {"train": data},
                "train": {"loss": "nll", "steps": 8, "learning_rate": 0.01, "batch_size": 16},
                "output": {"directory": self.workspace.new_path()},
            }
            run = self.workspace.tenon_json(
                "run", self.workspace.write_config(config), "--plugin-dir", PLUGINS
            )
            losses.append((run["trainable_params"], run["all_params"], run["losses"]))
        for count, all_params, values in losses[1:]:
            self.assertEqual((count, all_params), losses[0][:2])
            for value, expected in zip(values, losses[0][2]):
                self.assertAlmostEqual(value, expected, delta=1e-5)

    def test_tree_names_types_as_pytorch_does(self):
        config = self.workspace.write_config({"model": {"plugin": "test.residual_net"}})
        tree = self.workspace.tenon_json("tree", config, "--plugin-dir", PLUGINS)
        types = {module["name"]: module["type"] for module in tree}
        self.assertEqual(types["blocks.1.fc"], "torch.nn.Linear")
        self.assertEqual(types["blocks"], "torch.nn.ModuleList")
        self.assertEqual(types["blocks.1"], "tenon.Block")
        self.assertTrue(all(module["runs"] for module in tree if module["name"] != "blocks"))

    def refusal(self, model, folder=None):
        done = self.workspace.tenon(
            "tree",
            self.workspace.write_config({"model": model}),
            *("--plugin-dir", folder or PLUGINS),
        )
        self.assertNotEqual(done.returncode, 0)
        return done.stderr

    def test_faults_are_told(self):
        self.assertIn("did you mean `test.mlp`", self.refusal({"plugin": "test.mlpp"}))
        model = {"plugin": "test.mlp", "options": {"hiden": 3}}
        error = self.refusal(model)
        self.assertIn("it has no option `hiden`", error)
        self.assertIn("it has hidden", error)
        model = {"plugin": "test.mlp", "options": {"hidden": "many"}}
        self.assertIn("option `hidden` must be a whole number", self.refusal(model))

    def test_other_libtorch_or_cxx_library_is_refused_before_it_is_opened(self):
        beside = os.path.dirname(PLUGINS)
        error = self.refusal({"plugin": "acme.mlp"}, os.path.join(beside, "wrong_torch"))
        self.assertIn("it needs exactly LibTorch 1.8.1, this Tenon runs on", error)
        error = self.refusal({"plugin": "acme.mlp"}, os.path.join(beside, "wrong_abi"))
        self.assertIn("it was built with the C++ ABI libc++ of another planet", error)


if __name__ == "__main__":
    PLUGINS = os.path.abspath(sys.argv.pop(2))
    support.main()
