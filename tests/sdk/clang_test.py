"""Plugins built by clang, with its own C++ library and with gcc's: the gcc host runs them alike.

    clang_test.py TENON CLANGXX
"""

import sys
import unittest
from pathlib import Path

from support import BUILD, TESTS, SdkTest, run, write_project

INCLUDE = TESTS.parent / "sdk" / "include"
clangxx = None


class ClangTest(SdkTest):
    def losses(self, name, compiler, *flags):
        plugins = self.folder / name
        plugins.mkdir()
        source = TESTS / "plugins_of_others" / "vera.cpp"
        options = BUILD[".cpp"][1:]
        run(compiler, *options, *flags, "-I", INCLUDE, source, "-o", plugins / "vera.so")
        run(self.tenon_program, "plugin", "check", plugins / "vera.so")
        config = write_project(self.folder, "vera")
        output = ("--set", f"output.directory={name}-adapter")
        return self.train(config, "--plugin-dir", plugins, *output)["losses"]

    def test_plugins_of_clang_train_as_those_of_gcc_do(self):
        of_gcc = self.losses("gcc", "g++")
        self.assert_close(self.losses("clang", clangxx), of_gcc)
        self.assert_close(self.losses("libcxx", clangxx, "-stdlib=libc++"), of_gcc)


if __name__ == "__main__":
    SdkTest.tenon_program = Path(sys.argv[1]).resolve()
    clangxx = sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
