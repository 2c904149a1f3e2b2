"""Plugins of people who have nothing but an installed Tenon and sdk/README.md: each is built by one compiler
call, passes `tenon plugin check`, trains, merges, is saved, and is loaded by a fresh process.

    authors_test.py CMAKE BUILD_FOLDER
"""

import json
import os
import re
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

from support import TESTS, SdkTest, build, read_floats, run, write_project

SOURCES = TESTS / "sdk" / "authors"
README = TESTS.parent / "sdk" / "README.md"

cmake = build_folder = None
installed = None


def setUpModule():
    global installed
    installed = Path(tempfile.mkdtemp(prefix="tenon-installed-"))
    run(cmake, "--install", build_folder, "--prefix", installed)
    SdkTest.tenon_program = installed / "bin" / "tenon"


def tearDownModule():
    shutil.rmtree(installed)


class AuthorsTest(SdkTest):
    def setUp(self):
        super().setUp()
        self.plugins = self.folder / "plugins"
        self.plugins.mkdir()

    def install_plugin(self, source):
        build(source, self.plugins / "plugin.so", installed / "include")

    def assert_serves(self, source, plugin, method="lora", options=""):
        self.install_plugin(source)
        self.tenon("plugin", "check", self.plugins / "plugin.so")
        config = write_project(self.folder, method, options)
        here = ("--plugin-dir", self.plugins)
        losses = self.train(config, *here)["losses"]
        self.assertLess(losses[-1], losses[0])
        recorded = json.loads((self.folder / "adapter" / "tenon.json").read_text())["layers"]
        self.assertEqual([layer["plugin"] for layer in recorded], [plugin] * 2)

        base = self.predict(config, *here)
        adapted = self.predict(config, "--adapter", "adapter", *here)
        self.assertGreater(max(abs(a - b) for a, b in zip(adapted, base)), 1e-3)
        self.tenon("merge", config, "--adapter", "adapter", "--output", "merged.safetensors", *here)
        merged = write_project(self.folder, weights="merged.safetensors")
        self.assert_close(self.predict(merged), adapted)
        return recorded

    def test_additive(self):
        self.assert_serves(SOURCES / "additive.cpp", "author.additive")

    def test_multiplicative_with_a_method_of_its_own(self):
        self.assert_serves(SOURCES / "multiplicative.cpp", "author.gate", "gate")

    def test_state_made_in_prepare(self):
        self.assert_serves(SOURCES / "prepared.cpp", "author.prepared")

    def test_parameter_that_layers_of_different_sizes_share(self):
        self.assert_serves(SOURCES / "shared.cpp", "author.common", "common")

    def test_options_of_its_own(self):
        options = "[adapter.options]\nlimit = 0.5"
        recorded = self.assert_serves(SOURCES / "options.cpp", "author.limited", options=options)
        self.assertEqual(recorded[0]["options"], {"curve": "tanh", "limit": 0.5})
        config = write_project(self.folder, options="[adapter.options]\ncurve = 'tanj'\nlimit = -1")
        shutil.rmtree(self.folder / "adapter")
        done = self.tenon("run", config, "--plugin-dir", self.plugins, status=2)
        self.assertIn("tanj", done.stderr)
        self.assertIn("limit", done.stderr)

    def test_plain_c(self):
        source = self.folder / "my_offset.c"
        source.write_text(re.search(r"```c\n(.*?)```", README.read_text(), re.DOTALL)[1])
        self.assert_serves(source, "my.offset")

    def test_custom_gradient(self):
        self.assert_serves(SOURCES / "gradient.cpp", "author.rank-one")

    def test_a_plugin_that_ends_the_program_is_named_and_the_status_is_not_0(self):
        build(TESTS / "bad_plugins" / "exits.c", self.plugins / "plugin.so", installed / "include")
        config = write_project(self.folder)
        done = self.tenon("run", config, "--plugin-dir", self.plugins, status=1)
        self.assertIn("the plugin acme.additive-layer ended the program (exit) in forward", done.stderr)

    def test_a_method_that_takes_part_in_training(self):
        """Its gradients, what follows a step, the loss, what it keeps, and keys that differ by layer."""
        self.install_plugin(SOURCES / "trained.cpp")
        self.tenon("plugin", "check", self.plugins / "plugin.so")
        options = 'limit = 0.05\nlimit_pattern = {first = 0.002}\nstill_modules = ["last"]'
        config = write_project(self.folder, "held", options)
        losses = self.train(config, "--plugin-dir", self.plugins)["losses"]
        self.assertGreater(min(losses), 100)  # its own term
        offsets = self.folder / "adapter" / "adapter_model.safetensors"
        first = read_floats(offsets, "base_model.model.first.offset")
        self.assertEqual(len(first), 4)  # what it writes is smaller than what was trained
        self.assertAlmostEqual(max(abs(value) for value in first), 0.002, places=6)
        last = read_floats(offsets, "base_model.model.last.offset")
        self.assertLess(max(abs(value) for value in last), 1e-8)
        saved = json.loads((self.folder / "adapter" / "adapter_config.json").read_text())
        self.assertEqual((saved["limit"], saved["limit_pattern"]), (0.05, {"first": 0.002}))
        self.assertEqual(saved["kept_pattern"], {"first": 4})
        self.predict(config, "--adapter", "adapter", "--plugin-dir", self.plugins)
        told = self.tenon("plan", config, "--plugin-dir", self.plugins, "--set",
                          "adapter.limit_pattern={nowhere = 1}", status=2)
        self.assertIn('`nowhere` in limit_pattern matches no targeted module', told.stderr)

    def test_a_second_adapter_on_a_gate_is_summed_or_refused_never_lost(self):
        """What `max_active` and `scaling` say of a method is kept to."""
        text = (SOURCES / "multiplicative.cpp").read_text()
        source = self.folder / "single.cpp"
        source.write_text(text.replace('.doc = "Trained factors."', ".max_active = 1"))
        self.install_plugin(source)
        config = write_project(self.folder, "gate")
        here = ("--plugin-dir", self.plugins)
        self.train(config, *here)
        two = ("--adapter", "one=adapter", "--adapter", "two=adapter")
        self.predict(config, *two, "--active", "two", *here)
        done = self.tenon("predict", config, "--inputs", "in.safetensors", "--outputs", "o", *two,
                          *here, status=2)
        self.assertIn("the method gate runs at most 1 adapter at once", done.stderr)


class GuideTest(SdkTest):
    """PEFT's guide to custom layers, by sdk/README.md alone: an LSTM that no plugin knows, then one does."""

    def setUp(self):
        super().setUp()
        # A Tenon whose own plugins know Linear only, and a user who has none yet.
        self.tree = self.folder / "tree"
        shutil.copytree(installed, self.tree, symlinks=True)
        for plugin in (self.tree / "lib" / "tenon" / "plugins").iterdir():
            if plugin.name != "lora_linear.so":
                plugin.unlink()
        self.tenon_program = self.tree / "bin" / "tenon"
        self.home = self.folder / "home"
        self.home.mkdir()
        self.user_plugins = self.home / ".local" / "share" / "tenon" / "plugins"
        kept = {name: os.environ.get(name) for name in ("HOME", "XDG_DATA_HOME", "PATH")}
        self.addCleanup(self.restore, kept)
        os.environ["HOME"] = str(self.home)
        os.environ.pop("XDG_DATA_HOME", None)
        os.environ["PATH"] = f"{self.tree / 'bin'}:{os.environ['PATH']}"

    @staticmethod
    def restore(variables):
        for name, value in variables.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value

    def test_the_readme_leads_from_an_empty_folder_to_a_trained_adapter(self):
        text = README.read_text()
        part = text.partition("## From an empty folder")[2].partition("## The parts of a layer")[0]
        source = re.search(r"```cpp\n(.*?)```", part, re.DOTALL)[1]
        commands = re.findall(r"^    ((?:tenon|c\+\+|cd|mkdir|cp) .*)$", part, re.MULTILINE)
        self.assertEqual(len(commands), 8, commands)
        commands = [line.replace("PREFIX", str(self.tree)) for line in commands]
        shell = lambda lines, folder: run("sh", "-e", "-c", "\n".join(lines), folder=folder)

        shell(commands[:1], self.folder)  # tenon plugin new
        project = self.folder / "my_lstm"
        refused = run(self.tenon_program, "run", "try.toml", folder=project, status=2)
        said = "torch.nn.LSTM at `layer` is not supported by method lora"
        self.assertIn(said, refused.stderr)
        self.assertIn(said, part)
        self.assertIn("torch.nn.Linear", refused.stderr)  # what is supported
        self.assertIn(str(self.user_plugins), refused.stderr)  # and where a plugin goes

        (project / "my_lora_lstm.cpp").write_text(source)
        shell(commands[2:4], project)  # c++, plugin check
        plan = shell(commands[4:5], project)
        self.assertIn("lora.MyLSTM", plan.stdout)
        shell(commands[5:6], project)
        self.assertTrue((project / "adapter" / "adapter_model.safetensors").exists())

        shell(commands[6:7], project)  # into the user's folder: the same config, without a word of it
        trained = json.loads(run(self.tenon_program, "run", "try.toml", "--json", folder=project).stdout)
        self.assertLess(trained["losses"][-1], trained["losses"][0])
        shell(commands[7:], project)
        self.assertTrue((project / "out.safetensors").exists())

    def test_a_users_linear_replaces_the_built_in_one_and_the_log_says_so(self):
        self.user_plugins.mkdir(parents=True)
        build(SOURCES / "additive.cpp", self.user_plugins / "mine.so", self.tree / "include")
        config = write_project(self.folder)
        done = self.tenon("run", config, "-v")
        self.assertIn("author.additive-linear", done.stderr)
        self.assertIn("in place of tenon.lora-linear", done.stderr)
        recorded = json.loads((self.folder / "adapter" / "tenon.json").read_text())["layers"]
        self.assertEqual(recorded[0]["plugin"], "author.additive")
        # A fresh process finds it without being told, and says what is missing once it is gone.
        self.predict(config, "--adapter", "adapter")
        shutil.rmtree(self.user_plugins)
        done = self.tenon("predict", config, "--adapter", "adapter", "--inputs", "in.safetensors",
                          "--outputs", "o", status=2)
        self.assertIn("made by plugin author.additive 1.0.0, which is not here", done.stderr)

    def test_the_second_layer_of_the_readme_builds(self):
        blocks = re.findall(r"```cpp\n(.*?)```", README.read_text(), re.DOTALL)
        whole = [block for block in blocks if "TENON_PLUGIN" in block]
        self.assertEqual(len(whole), 2)
        source = self.folder / "my_scale.cpp"
        source.write_text(whole[1])
        build(source, self.folder / "my_scale.so", self.tree / "include")


if __name__ == "__main__":
    cmake, build_folder = sys.argv[1:3]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
