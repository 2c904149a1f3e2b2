"""What Tenon says of models that it cannot adapt and of files that are no exported program."""

import json

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from support import ParityTest, main, models


class ErrorsTest(ParityTest):
    def export(self, name):
        path = self.workspace.new_path(".pt2")
        models.export_to(path, models.example(name))
        return path

    def plan(self, model, *arguments, **adapter):
        config = {"model": {"path": model}, "adapter": {"method": "lora", **adapter}}
        return self.workspace.tenon("plan", self.workspace.write_config(config), *arguments)

    def check_refused(self, model, *fragments, **adapter):
        """Exit status 2 and the same message as text and as JSON."""
        done = self.plan(model, **adapter)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        error = json.loads(self.plan(model, "--json", **adapter).stdout)["error"]
        self.assertEqual(error.keys(), {"stage", "message", "hint", "location"})
        for fragment in fragments:
            self.assertIn(fragment, done.stderr)
            self.assertIn(fragment, error["message"] + (error["hint"] or ""))

    def test_unsupported_layer_type_names_what_is_supported_and_where_plugins_go(self):
        self.check_refused(
            self.export("normed"),
            "torch.nn.LayerNorm at `norm` is not supported by method lora",
            "supported here: ",
            "torch.nn.Linear",
            "; a plugin for it goes into ",
            target_modules=["norm", "head"],
        )

    def test_unsupported_class_of_a_user_is_named_in_full(self):
        self.check_refused(
            self.export("my_scale"),
            "acme.MyScale at `scale` is not supported by method lora",
            "supported here: ",
            "; a plugin for it goes into ",
            target_modules=["scale"],
        )

    def test_unsupported_layers_are_left_out_where_the_config_says_so(self):
        done = self.plan(
            self.export("normed"), "--json", target_modules=["norm", "head"], skip_unsupported=True
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["targeted_module_names"], ["head"])

    def test_layer_that_never_runs_is_refused(self):
        self.check_refused(self.export("bypass"), "`idle`", target_modules=["used", "idle"])

    def test_layer_of_which_only_the_weight_is_used_is_refused(self):
        path = self.export("bypass")
        self.check_refused(path, "`weight_only`", target_modules=["used", "weight_only"])

    def test_module_to_save_of_which_only_the_weight_is_used_is_used_as_by_pefts_wrapper(self):
        built = models.example("bypass")
        keys = {"target_modules": ["used"], "modules_to_save": ["weight_only"]}
        adapted = get_peft_model(built.model, LoraConfig(init_lora_weights=False, **keys)).eval()
        x = torch.rand(3, 8)
        with torch.no_grad():
            for name, parameter in adapted.named_parameters():
                if "modules_to_save" in name:
                    parameter.add_(1)
            expected = adapted(x)
        folder = self.workspace.new_path()
        adapted.save_pretrained(folder)
        table = {"path": self.export("bypass")}
        self.assert_within(self.workspace.predict(table, {"x": x}, folder), expected, 1e-5)

    def test_a_first_config_replaces_no_file_of_another_kind(self):
        model = self.export("mlp")
        before = model.read_bytes()
        other = self.workspace.new_path(".safetensors")
        other.write_bytes(b"weights")
        for place in (model, other):
            done = self.workspace.tenon("init", model, "--output", place, "--force")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(f"--output {place} must be a .toml: a config is written", done.stderr)
        self.assertEqual(model.read_bytes(), before)
        self.assertEqual(other.read_bytes(), b"weights")

    def test_a_name_that_is_too_long_is_told_with_its_path(self):
        name = "n" * 300
        for words in (("tree", name), ("inspect", name), ("plugin", "install", name)):
            done = self.workspace.tenon(*words)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(f"{name}", done.stderr)
            self.assertIn("the path cannot be used: File name too long", done.stderr)

    def test_layers_beside_the_bypassed_ones_are_adapted(self):
        done = self.plan(self.export("bypass"), "--json", target_modules=["used"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["targeted_module_names"], ["used"])

    def test_other_kinds_of_file_are_refused_by_what_they_are(self):
        model = models.example("my_scale").model
        folder = self.workspace.folder
        torch.jit.trace(model, torch.rand(2, 8)).save(folder / "script.pt2")
        torch.save(model.state_dict(), folder / "checkpoint.pt2")
        torch.save(model.state_dict(), folder / "old.pt2", _use_new_zipfile_serialization=False)
        save_file(model.state_dict(), folder / "weights.pt2")
        whole = self.export("my_scale").read_bytes()
        (folder / "cut.pt2").write_bytes(whole[: len(whole) * 3 // 4])
        (folder / "text.pt2").write_text("not a model")
        for name, fragment in {
            "script.pt2": "this is a TorchScript model (torch.jit.save), not an exported program",
            "checkpoint.pt2": "this is a torch.save checkpoint (pickled), not an exported program",
            "old.pt2": "this is a Python pickle (an old torch.save file), which is never read",
            "weights.pt2": "this is a safetensors file: weights only, not an exported program",
            "cut.pt2": "the archive is truncated",
            "text.pt2": "this is not an exported program: it is not a zip archive",
        }.items():
            with self.subTest(file=name):
                done = self.workspace.tenon("tree", folder / name)
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertIn(fragment, done.stderr)
                self.assertIn(name, done.stderr)


if __name__ == "__main__":
    main()
