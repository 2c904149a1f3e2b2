"""Projects that `tenon plugin new` writes, for methods and types that it cannot know; and what `tenon plugin
check` says of files that are no plugin at all."""

import re
import subprocess
import sys

from plugins_test import SDK, SOURCES
from support import ParityTest, main

FANCY = """
import torch
from torch import nn


class Fancy(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(features, features) / features**0.5)
        self.shift = nn.Parameter(torch.zeros(features))

    def forward(self, x):
        return torch.tanh(x) @ self.kernel + self.shift
"""


class NewPluginTest(ParityTest):
    def project(self, kind, method):
        folder = self.workspace.new_path()
        self.workspace.tenon_ok("plugin", "new", folder, "--type", kind, "--method", method)
        return folder

    def build(self, folder):
        """By the command in the project's README."""
        command = re.search(r"^    (c\+\+ .*)$", (folder / "README.md").read_text(), re.MULTILINE)[1]
        subprocess.run(command, shell=True, check=True, cwd=folder)
        return next(folder.glob("*.so"))

    def run_there(self, folder, *arguments):
        return self.workspace.tenon_ok(*arguments, cwd=folder)

    def test_a_type_and_a_method_of_ones_own(self):
        for method in ("lora", "shiftwise"):
            with self.subTest(method=method):
                folder = self.project("acme.Fancy", method)
                (folder / "acme.py").write_text(FANCY)
                subprocess.run([sys.executable, "export_model.py"], check=True, cwd=folder)
                library = self.build(folder)
                model = ("--model", "model.pt2", "--layer", "layer")
                self.run_there(folder, "plugin", "check", library.name, *model)
                self.run_there(folder, "run", "try.toml", "--plugin-dir", ".")
                self.assertTrue((folder / "adapter" / "adapter_model.safetensors").exists())

    def test_methods_that_other_plugins_have(self):
        folder = self.project("torch.nn.LSTM", "ia3")
        self.assertNotIn("tenon::Method", (folder / "ia3_lstm.cpp").read_text())
        library = self.build(folder)
        self.run_there(folder, "plugin", "check", library.name)
        self.run_there(folder, "run", "try.toml", "--plugin-dir", ".")


class HostileFileTest(ParityTest):
    """Each is told what it is; none takes the checker down."""

    def check(self, path):
        return self.workspace.tenon("plugin", "check", path)

    def library(self, source, *flags):
        folder = self.workspace.new_folder()
        (folder / "plugin.c").write_text(source)
        command = ["cc", "-std=gnu11", "-shared", "-fPIC", "-fvisibility=hidden", *flags]
        bad = SOURCES.parent / "bad_plugins"
        library = folder / "plugin.so"
        subprocess.run([*command, "-I", SDK, "-I", bad, folder / "plugin.c", "-o", library], check=True)
        return library

    def test_what_is_no_library(self):
        folder = self.workspace.new_folder()
        empty = folder / "empty.so"
        empty.write_bytes(b"")
        text = folder / "text.so"
        text.write_text("int main;\n")
        foreign = folder / "foreign.so"
        data = bytearray(self.library('#include "additive.h"\n').read_bytes())
        data[18:20] = (183).to_bytes(2, "little")  # e_machine: EM_AARCH64
        foreign.write_bytes(data)
        for path, told in (
            (empty, "it is not a shared library"),
            (text, "it is not a shared library"),
            (folder, "is a folder"),
            (folder / "missing.so", "missing.so"),
            (foreign, "it was built for another processor architecture"),
        ):
            with self.subTest(file=path.name):
                done = self.check(path)
                self.assertIn(done.returncode, (1, 2), done.stdout)
                self.assertIn(told, done.stdout + done.stderr)

    def test_what_happens_in_init(self):
        for name, body, told in (
            ("aborts", "abort();", "init"),
            ("forks", "if (fork() == 0) for (;;) pause();", "opening it started a process"),
            ("kills itself", "raise(SIGKILL);", "init"),
            ("jumps", "*(volatile int *)0 = 1;", "init"),
        ):
            with self.subTest(init=name):
                head = "#include <signal.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
                head_of = "(const tenon_plugin *p, const tenon_host *h, tenon_error *e)"
                init = f"{head_of} {{ (void)p; (void)h; (void)e; {body} return 0; }}\n"
                source = f'{head}#define INIT init\n#include "additive.h"\n'
                done = self.check(self.library(f"{source}static tenon_status init{init}"))
                self.assertEqual(done.returncode, 1, f"{done.stdout}{done.stderr}")
                self.assertIn(told, done.stdout)


if __name__ == "__main__":
    main()
