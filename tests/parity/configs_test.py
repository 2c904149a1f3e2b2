"""The configs that ship, run as they stand but for where they save: their printed figures, their
accuracies, and a base whose weights no adapter changes."""

import json
import re
from pathlib import Path

import torch
from safetensors.torch import load_file
from support import ParityTest, main, models

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


class ConfigsTest(ParityTest):
    def run_config(self, name, *arguments):
        return self.workspace.tenon_ok("run", CONFIGS / name, *arguments)

    def run_as_its_head_says(self, name, *arguments):
        """The counts and the accuracy that the comment at a config's head promises."""
        text = (CONFIGS / f"{name}.toml").read_text()
        head = text[: text.index("\n\n")]
        counts = re.search(r"trainable params: ([\d,]+) \|\| all params: ([\d,]+) \|\|", head)
        rises = re.search(r"rises from about (\S+) to about\s+\S+, and is at least (\d\.\d+)\.", head)
        adapter = self.workspace.new_path()
        done = self.run_config(f"{name}.toml", "--set", f"output.directory={adapter}", *arguments, "--json")
        result = json.loads(done.stdout)
        promised = [int(count.replace(",", "")) for count in counts.groups()]
        self.assertEqual([result["trainable_params"], result["all_params"]], promised)
        before, after = (result["eval"][when]["accuracy"] for when in ("before", "after"))
        self.assertAlmostEqual(before, float(rises[1]), delta=0.15)
        self.assertGreaterEqual(after, float(rises[2]))
        self.assertGreater(after, before)
        for tensor_name, tensor in load_file(adapter / "adapter_model.safetensors").items():
            self.assertTrue(torch.isfinite(tensor).all(), tensor_name)
        return adapter

    def test_exported_models_train_as_the_heads_of_their_configs_say(self):
        for name, model in (
            ("lstm_tagger", "lstm"),
            ("gru_classifier", "gru_classifier"),
            ("text_conv", "text_conv"),
            ("tied", "mistral_tied"),
        ):
            with self.subTest(config=name):
                text = (CONFIGS / f"{name}.toml").read_text()
                self.assertIn(f"#   ./tests/export/run {model} ", text)
                self.assertIn(f'path = "../build/out/{model}.pt2"', text)
                path = self.workspace.new_path(".pt2")
                models.export_to(path, models.example(model))
                self.run_as_its_head_says(name, "--set", f"model.path={path}")

    def test_vision_trains_as_the_head_of_its_config_says(self):
        tensors = load_file(self.run_as_its_head_says("vision") / "adapter_model.safetensors")
        for layer in ("features.1", "features.5"):
            mean = tensors[f"base_model.model.{layer}.running_mean"]
            self.assertGreater(mean.abs().max().item(), 0, layer)

    def test_watched_trains_goes_on_and_tells_what_it_did(self):
        adapter = self.run_as_its_head_says("watched")
        report = self.workspace.new_path(".html")
        self.workspace.tenon_ok("report", adapter, "--output", report)
        for curve in ("f1_macro", "learning_rate", "grad_norm"):
            self.assertIn(curve, report.read_text())
        self.assertLessEqual(len(list(adapter.glob("checkpoint-*"))), 2)
        again = self.run_config("watched.toml", "--set", f"output.directory={adapter}", "--resume")
        self.assertIn("going on after step", again.stdout)

    def test_mlp_trains_the_guides_example(self):
        output = self.workspace.new_path()
        done = self.run_config("mlp.toml", "--set", f"output.directory={output}")
        self.assertIn(
            "trainable params: 52,162 || all params: 4,100,164 || trainable%: 1.2722\n",
            done.stdout,
        )
        self.assertRegex(done.stdout, r"plugin tenon\.lora-linear \S+")
        self.assertRegex(done.stdout, r"adapted +seq\.0 ")
        self.assertIn("step 390/390  loss ", done.stdout)
        before, after = (
            float(accuracy) for accuracy in re.findall(r"accuracy (\d\.\d+)", done.stdout)
        )
        self.assertGreater(after, 0.85)
        self.assertGreater(after, before)
        self.assertIn(f"saved in {output}", done.stdout)
        names = load_file(output / "adapter_model.safetensors").keys()
        self.assertEqual(
            sorted(names),
            [
                "base_model.model.seq.0.lora_A.weight",
                "base_model.model.seq.0.lora_B.weight",
                "base_model.model.seq.2.lora_A.weight",
                "base_model.model.seq.2.lora_B.weight",
                "base_model.model.seq.4.bias",
                "base_model.model.seq.4.weight",
            ],
        )

    def test_a_profile_tells_where_the_steps_went(self):
        steps = ("--set", "train.epochs=1", "--set", f"output.directory={self.workspace.new_path()}")
        profile = json.loads(self.run_config("mlp.toml", "--profile", "--json", *steps).stdout)[
            "profile"
        ]
        self.assertEqual(profile["steps"], 13)
        calls = {layer["type"]: layer["calls"] for layer in profile["layers"]}
        self.assertEqual(
            calls, {"torch.nn.Linear (tenon.lora-linear)": 2, "modules_to_save": 1}
        )
        parts = [value for key, value in profile.items() if key.endswith("_ms")]
        layers = sum(layer["forward_ms"] + layer["backward_ms"] for layer in profile["layers"])
        self.assertAlmostEqual(sum(parts) - profile["step_ms"] + layers, profile["step_ms"])
        done = self.run_config("mlp.toml", "--profile", *steps[:2], *("--set", "output.force=true"),
                               *steps[2:])
        self.assertRegex(done.stdout, r"torch\.nn\.Linear \(tenon\.lora-linear\) x2, forward +\d")

    def test_digits_adapts_a_base_of_five_digits_to_ten_and_leaves_it_as_it_was(self):
        base = self.workspace.new_path(".safetensors")
        adapter = self.workspace.new_path()
        done = self.run_config("digits_base.toml", "--set", f"output.model={base}", "--json")
        self.assertAlmostEqual(json.loads(done.stdout)["eval"]["after"]["accuracy"], 0.5, delta=0.03)
        before = base.read_bytes()
        done = self.run_config(
            "digits.toml",
            *("--set", f"model.weights={base}", "--set", f"output.directory={adapter}", "--json"),
        )
        result = json.loads(done.stdout)["eval"]
        self.assertAlmostEqual(result["before"]["accuracy"], 0.5, delta=0.03)
        self.assertGreaterEqual(result["after"]["accuracy"], 0.93)
        self.assertEqual(base.read_bytes(), before)
        for name, tensor in load_file(adapter / "adapter_model.safetensors").items():
            self.assertTrue(torch.isfinite(tensor).all(), name)


if __name__ == "__main__":
    main()
