"""Plugins as a third party builds them: with the SDK's headers and one compiler call, dropped into
a folder, found, adapted, saved and loaded; and each kind of broken one refused by its own text."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from support import ParityTest, main, models

TESTS = Path(__file__).resolve().parent.parent
SDK = TESTS.parent / "sdk" / "include"
SOURCES = TESTS / "plugins_of_others"


def build(source, library, *flags):
    """What sdk/README.md tells an author to type."""
    command = ["c++", "-std=c++20", "-O2", "-shared", "-fPIC", "-fvisibility=hidden"]
    subprocess.run([*command, *flags, "-I", SDK, SOURCES / source, "-o", library], check=True)


class UsersLayerTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plugins = cls.workspace.new_folder()
        started = time.monotonic()
        build("my_scale.cpp", cls.plugins / "my_scale.so")
        cls.build_seconds = time.monotonic() - started
        cls.model = cls.workspace.new_path(".pt2")
        cls.example = models.example("my_scale")
        models.export_to(cls.model, cls.example)

    def config(self, output, **adapter):
        torch.manual_seed(4)
        rows = {"x": torch.rand(32, 8), "labels": torch.randint(4, (32,))}
        return self.workspace.write_config(
            {
                "model": {"path": self.model},
                "adapter": {"method": "lora", "target_modules": ["scale"], "r": 1, **adapter},
                "data": {"train": self.workspace.write_tensors(rows)},
                "train": {
                    "loss": "cross_entropy",
                    "optimizer": "adamw",
                    "learning_rate": 0.05,
                    "steps": 10,
                    "batch_size": 16,
                },
                "output": {"directory": output},
            }
        )

    def with_plugins(self, *arguments):
        return self.workspace.tenon_ok(*arguments, "--plugin-dir", self.plugins)

    def test_headers_compile_without_libtorch_in_seconds(self):
        # The promise is five seconds on an idle machine; this one may be busy.
        self.assertLess(self.build_seconds, 30)

    def test_plugin_in_a_folder_is_listed_with_what_it_offers(self):
        listed = json.loads(self.with_plugins("plugins", "--json").stdout)["plugins"]
        plugin = next(p for p in listed if p["id"] == "acme.scale")
        self.assertEqual(plugin["version"], "1.0.0")
        self.assertEqual(plugin["path"], str(self.plugins / "my_scale.so"))
        self.assertEqual(plugin["layer_types"][0]["id"], "acme.lora-scale")
        self.assertEqual(plugin["layer_types"][0]["types"], ["*.MyScale"])

    def test_code_of_a_plugin_runs_only_where_something_of_it_is_used(self):
        folder = self.workspace.new_folder()
        build("marked.cpp", folder / "marked.so")
        mark = self.workspace.new_path()
        environment = {**os.environ, "TENON_MARK": str(mark)}
        config = self.config(self.workspace.new_path())
        inputs = self.workspace.write_tensors({"x": torch.rand(3, 8)})
        outputs = self.workspace.new_path(".safetensors")
        for arguments in (
            ("plugins",),
            ("doctor",),
            ("plan", config, "--plugin-dir", self.plugins),
            ("predict", config, "--inputs", inputs, "--outputs", outputs),
        ):
            self.workspace.tenon_ok(*arguments, "--plugin-dir", folder, env=environment)
            self.assertFalse(mark.exists(), arguments)
        listed = self.workspace.tenon_json("plugins", "--plugin-dir", folder, env=environment)
        plugin = next(p for p in listed["plugins"] if p["id"] == "acme.marked")
        self.assertFalse(plugin["loaded"])
        self.assertEqual(plugin["layer_types"][0]["types"], ["acme.Marked", "*.MarkedToo"])
        self.workspace.tenon_ok("plugins", "--load", "--plugin-dir", folder, env=environment)
        self.assertTrue(mark.exists())

    def test_users_class_is_adapted_with_a_word_of_care(self):
        plan = self.with_plugins("plan", self.config(self.workspace.new_path()))
        self.assertIn("lora.MyScale", plan.stdout)
        self.assertIn("note: acme.MyScale is not one of PyTorch's own types", plan.stdout)
        self.assertIn("proceed with care", plan.stdout)

    def test_users_layer_trains_is_saved_and_loads_in_a_fresh_process(self):
        output = self.workspace.new_path()
        config = self.config(output)
        run = json.loads(self.with_plugins("run", config, "--json").stdout)
        self.assertEqual(run["trainable_params"], 16)
        self.assertLess(run["losses"][-1], run["losses"][0])
        offset = load_file(output / "adapter_model.safetensors")[
            "base_model.model.scale.lora_offset"
        ]
        self.assertGreater(offset.abs().max().item(), 0)

        inputs = self.workspace.write_tensors({"x": torch.rand(3, 8)})
        outputs = self.workspace.new_path(".safetensors")
        self.with_plugins(
            *("predict", config, "--adapter", output, "--inputs", inputs, "--outputs", outputs)
        )
        model = self.example.model
        with torch.no_grad():
            saved = model.scale.scale.clone()
            # PEFT's default lora_alpha is 8 and r is 1.
            model.scale.scale += 8 * offset
            expected = model(load_file(inputs)["x"])
            model.scale.scale.copy_(saved)
        self.assert_equal_forward(load_file(outputs)["output_0"], expected)

    def test_adapter_without_its_plugin_names_what_is_missing(self):
        output = self.workspace.new_path()
        config = self.config(output)
        self.with_plugins("run", config)
        inputs = self.workspace.write_tensors({"x": torch.rand(3, 8)})
        done = self.workspace.tenon(
            *("predict", config, "--adapter", output, "--inputs", inputs),
            *("--outputs", self.workspace.new_path(".safetensors")),
        )
        self.assertEqual(done.returncode, 2)
        self.assertIn(
            "the adapter's layers of acme.MyScale were made by plugin acme.scale 1.0.0, which is "
            "not here",
            done.stderr,
        )
        self.assertIn("put it into ", done.stderr)

    def test_preference_of_the_config_overrides_the_record(self):
        output = self.workspace.new_path()
        config = self.config(output)
        self.with_plugins("run", config)
        folder = self.workspace.new_folder()
        text = (SOURCES / "my_scale.cpp").read_text()
        source = folder / "other.cpp"
        source.write_text(text.replace("acme.scale", "acme.heir").replace("acme.lora", "acme.heir"))
        build(source, folder / "other.so")
        inputs = self.workspace.write_tensors({"x": torch.rand(3, 8)})
        arguments = ("predict", config, "--adapter", output, "--plugin-dir", folder)
        files = ("--inputs", inputs, "--outputs", self.workspace.new_path(".safetensors"))
        self.assertEqual(self.workspace.tenon(*arguments, *files).returncode, 2)
        prefer = ("--set", 'plugins.prefer={"lora:*.MyScale" = "acme.heir-scale"}')
        self.workspace.tenon_ok(*arguments, *files, *prefer)

    def test_other_versions_and_builds_of_the_plugin_are_told_apart(self):
        output = self.workspace.new_path()
        config = self.config(output)
        self.with_plugins("run", config)
        text = (SOURCES / "my_scale.cpp").read_text()
        for version, status, told in (
            ("0.9.0", 2, "here it is 0.9.0 ("),
            ("1.10.0", 0, "which is newer; if results differ, install 1.0.0"),
            ("1.0.0", 0, "is another build of that version"),
        ):
            with self.subTest(version=version):
                folder = self.workspace.new_folder()
                source = folder / "scale.cpp"
                source.write_text(text.replace('"1.0.0"', f'"{version}"') + "// another build\n")
                build(source, folder / "scale.so", "-O1")
                done = self.workspace.tenon(
                    *("predict", config, "--adapter", output, "--plugin-dir", folder, "--inputs"),
                    self.workspace.write_tensors({"x": torch.rand(3, 8)}),
                    *("--outputs", self.workspace.new_path(".safetensors")),
                )
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertIn("was made with plugin acme.scale 1.0.0", done.stderr)
                self.assertIn(told, done.stderr)


class BrokenPluginTest(ParityTest):
    """Each fault refuses the file whole, says why in `tenon plugins`, and harms nothing else."""

    FAULTS = {
        "FAILING_INIT": ("init-fails", "its init failed: the licence server does not answer"),
        "SILENT_INIT": ("init-fails", "plugin bug: init failed without a message"),
        "THROWING_INIT": ("init-throws", "its init let an exception out: boom"),
        "OTHER_MAJOR": ("abi-major", "acme.broken was built for plugin ABI 8."),
        "NEWER_MINOR": ("abi-minor", "or newer, this Tenon offers 1."),
        "NO_ENTRY": ("no-entry", "it has a stamp but does not export tenon_plugin_v1"),
        "WRONG_ID": ("bad-table", "its id differs from its stamp's"),
        "NO_FORWARD": ("bad-table", "has neither forward nor merged_weight"),
        "FULL_LIBTORCH": ("full-libtorch", "it needs exactly LibTorch 1"),
    }

    def refusal(self, folder):
        """The only refused file of the folder; Linear is still served."""
        done = self.workspace.tenon_json("plugins", "--load", "--plugin-dir", folder)
        self.assertIn("tenon.lora-linear", [plugin["id"] for plugin in done["plugins"]])
        refused = [each for each in done["refused"] if Path(each["path"]).is_relative_to(folder)]
        self.assertEqual(len(refused), 1, done)
        return refused[0]

    def test_each_fault_has_its_rule_and_its_sentence(self):
        for fault, (rule, reason) in self.FAULTS.items():
            with self.subTest(fault=fault):
                folder = self.workspace.new_folder()
                build("broken.cpp", folder / "broken.so", f"-D{fault}")
                refused = self.refusal(folder)
                self.assertEqual(refused["rule"], rule)
                self.assertIn(reason, refused["reason"])

    def test_text_file_is_no_library(self):
        folder = self.workspace.new_folder()
        (folder / "notes.so").write_text("not a library\n")
        refused = self.refusal(folder)
        self.assertEqual(refused["rule"], "not-a-library")
        self.assertIn("it is not a shared library", refused["reason"])

    def test_library_without_a_stamp_is_no_plugin(self):
        folder = self.workspace.new_folder()
        source = folder / "plain.c"
        source.write_text("int answer(void) { return 42; }\n")
        subprocess.run(["cc", "-shared", "-fPIC", source, "-o", folder / "plain.so"], check=True)
        self.assertIn("it is a shared library but no Tenon plugin", self.refusal(folder)["reason"])

    def test_cut_off_library_is_refused(self):
        folder = self.workspace.new_folder()
        build("my_scale.cpp", folder / "whole.so")
        whole = (folder / "whole.so").read_bytes()
        (folder / "whole.so").unlink()
        (folder / "cut.so").write_bytes(whole[: len(whole) // 2])
        self.assertIn("its section table is damaged or cut off", self.refusal(folder)["reason"])

    def test_file_that_others_may_write_is_refused_with_the_command_to_type(self):
        folder = self.workspace.new_folder()
        build("my_scale.cpp", folder / "scale.so")
        os.chmod(folder / "scale.so", 0o777)
        refused = self.refusal(folder)
        self.assertEqual(refused["rule"], "writable-by-others")
        self.assertIn(f"type: chmod o-w '{folder / 'scale.so'}'", refused["reason"])

    def test_folder_that_others_may_write_is_refused_where_it_was_asked_for(self):
        folder = self.workspace.new_folder()
        build("my_scale.cpp", folder / "scale.so")
        os.chmod(folder, 0o777)
        done = self.workspace.tenon("plugins", "--plugin-dir", folder)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("can be changed by any user of this machine", done.stderr)

    def test_broken_file_that_the_config_names_stops_the_program(self):
        folder = self.workspace.new_folder()
        build("broken.cpp", folder / "broken.so", "-DFAILING_INIT")
        config = self.workspace.write_config(
            {
                "plugins": {"files": [folder / "broken.so"]},
                "model": {"path": "nothing.pt2"},
                "adapter": {"method": "lora", "target_modules": ["x"]},
            }
        )
        done = self.workspace.tenon("plan", config)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is refused: its init failed: the licence server", done.stderr)
        self.assertIn("it is named in [plugins] files", done.stderr)

    def test_refused_plugin_is_named_again_where_its_type_is_missed(self):
        folder = self.workspace.new_folder()
        build("broken.cpp", folder / "broken.so", "-DFAILING_INIT")
        model = self.workspace.new_path(".pt2")
        models.export_to(model, models.example("my_scale"))
        config = self.workspace.write_config(
            {
                "model": {"path": model},
                "adapter": {"method": "lora", "target_modules": ["scale"]},
            }
        )
        done = self.workspace.tenon("plan", config, "--plugin-dir", folder)
        self.assertEqual(done.returncode, 2)
        self.assertIn("acme.MyScale at `scale` is not supported by method lora", done.stderr)
        self.assertIn(f"a plugin was refused: {folder / 'broken.so'}", done.stderr)


class DispatchTest(ParityTest):
    """Who serves a type: the higher place, then the priority; a tie stops the program."""

    SCALE = (SOURCES / "my_scale.cpp").read_text()

    def library(self, folder, name, plugin, layer, base="torch.nn.Linear", weight="weight"):
        text = self.SCALE.replace("acme.scale", plugin).replace("acme.lora-scale", layer)
        text = text.replace("*.MyScale", base).replace('"scale"', f'"{weight}"')
        source = folder / f"{name}.cpp"
        source.write_text(text)
        build(source, folder / f"{name}.so")

    def config(self, **plugins):
        config = {
            "model": {
                "name": "Net",
                "layers": [
                    {"name": "lin", "type": "Linear", "in_features": 4, "out_features": 4}
                ],
            },
            "adapter": {"method": "lora", "target_modules": ["lin"]},
        }
        if plugins:
            config["plugins"] = plugins
        return self.workspace.write_config(config)

    def test_users_linear_wins_over_the_built_in_one_and_says_so(self):
        folder = self.workspace.new_folder()
        self.library(folder, "mine", "acme.linear", "acme.my-linear")
        done = self.workspace.tenon_ok(
            "plan", self.config(), "--json", "-v", "--plugin-dir", folder
        )
        self.assertEqual(json.loads(done.stdout)["layers"][0]["plugin"], "acme.linear")
        self.assertIn("acme.my-linear", done.stderr)
        self.assertIn("in place of tenon.lora-linear", done.stderr)
        listed = self.workspace.tenon_json("plugins", "--plugin-dir", folder)
        self.assertEqual(listed["shadowed"][0]["id"], "tenon.lora-linear")

    def test_tie_names_both_files_and_the_line_that_settles_it(self):
        folder = self.workspace.new_folder()
        self.library(folder, "one", "acme.one", "acme.layer-one")
        self.library(folder, "two", "acme.two", "acme.layer-two")
        done = self.workspace.tenon("plan", self.config(), "--plugin-dir", folder)
        self.assertNotEqual(done.returncode, 0)
        for text in ("one.so", "two.so", "[plugins.prefer]", '"lora:torch.nn.Linear" = "acme.la'):
            self.assertIn(text, done.stderr)
        settled = self.config(prefer={"lora:torch.nn.Linear": "acme.layer-two"})
        plan = self.workspace.tenon_json("plan", settled, "--plugin-dir", folder)
        self.assertEqual(plan["layers"][0]["plugin"], "acme.two")

    def test_folders_come_in_the_documented_order(self):
        """--plugin-dir, [plugins] directories, TENON_PLUGIN_PATH, the user's folder, built-in."""
        folders = {}
        for name in ("command", "config", "path"):
            folders[name] = self.workspace.new_folder()
            self.library(folders[name], name, f"acme.{name}", f"acme.layer-{name}")
        home = self.workspace.new_path()
        user = home / "tenon" / "plugins"
        user.mkdir(parents=True)
        self.library(user, "user", "acme.user", "acme.layer-user")
        def winner(config, *arguments, **variables):
            unset = {"TENON_PLUGIN_PATH": "", "XDG_DATA_HOME": str(home)}
            environment = {**os.environ, **unset, **variables}
            plan = self.workspace.tenon_json("plan", config, *arguments, env=environment)
            return plan["layers"][0]["plugin"]

        path = {"TENON_PLUGIN_PATH": str(folders["path"])}
        config = self.config(directories=[folders["config"]])
        command = ("--plugin-dir", folders["command"])
        self.assertEqual(winner(config, *command, **path), "acme.command")
        self.assertEqual(winner(config, **path), "acme.config")
        self.assertEqual(winner(self.config(), **path), "acme.path")
        self.assertEqual(winner(self.config()), "acme.user")

    def test_pinned_hash_that_differs_refuses_the_file(self):
        folder = self.workspace.new_folder()
        shutil.copy(SOURCES / "my_scale.cpp", folder / "s.cpp")
        build(folder / "s.cpp", folder / "s.so")
        config = self.config(directories=[folder], sha256={"acme.scale": "0" * 64})
        done = self.workspace.tenon("plugins", config, "--json")
        refused = json.loads(done.stdout)["refused"]
        self.assertEqual(refused[0]["rule"], "sha256")
        self.assertIn(f"[plugins.sha256] wants {'0' * 64}", refused[0]["reason"])


if __name__ == "__main__":
    main()
