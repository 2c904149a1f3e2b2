"""The SDK's public headers, by a C and a C++ compiler: each compiles alone, and twice, as strictly as an
author may ask for; the layout of what crosses the boundary is what it was; a plugin builds in seconds.

    headers_test.py C_COMPILER CXX_COMPILER
"""

import resource
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
INCLUDE = TESTS.parent / "sdk" / "include"
STRICT = ["-pedantic", "-Wall", "-Wextra", "-Werror"]
C11 = ["-x", "c", "-std=c11"]
CXX20 = ["-x", "c++", "-std=c++20"]
SECONDS = 4  # of processor time, for one plugin, optimised

c_compiler = cxx_compiler = None


def compile_file(compiler, language, source, *flags):
    command = [compiler, *language, *STRICT, "-I", INCLUDE, *flags, source]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


class HeadersTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def assert_compiles(self, compiler, language, text, name):
        source = self.folder / "unit"
        source.write_text(text)
        done = compile_file(compiler, language, source, "-fsyntax-only")
        self.assertEqual(done.returncode, 0, f"{name} by {compiler}:\n{done.stderr}")

    def headers(self, pattern):
        found = sorted(str(path.relative_to(INCLUDE)) for path in INCLUDE.glob(pattern))
        self.assertTrue(found, pattern)
        return found

    def c_headers(self):
        drafts = INCLUDE.glob("tenon/draft/*.h")
        return [*self.headers("tenon/*.h"), *self.headers("tenon/ext/*.h"),
                *(str(path.relative_to(INCLUDE)) for path in sorted(drafts))]

    def test_each_c_header_stands_alone_and_twice(self):
        for header in self.c_headers():
            text = f'#include "{header}"\n' * 2 + "int unit;\n"
            self.assert_compiles(c_compiler, C11, text, header)
            self.assert_compiles(cxx_compiler, CXX20, text, header)

    def test_each_cpp_header_stands_alone_and_twice(self):
        for header in [*self.headers("tenon/*.hpp"), *self.headers("tenon/cpp/*.hpp")]:
            text = f'#include "{header}"\n' * 2 + "int unit;\n"
            self.assert_compiles(cxx_compiler, CXX20, text, header)

    def test_every_size_offset_and_value_is_what_it_was(self):
        for compiler, language in ((c_compiler, C11), (cxx_compiler, CXX20)):
            done = compile_file(compiler, language, TESTS / "sdk" / "layout.c", "-fsyntax-only")
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_field_out_of_place_is_caught(self):
        layout = (TESTS / "sdk" / "layout.c").read_text()
        moved = layout.replace("FIELD(tenon_call, n_inputs, 32)", "FIELD(tenon_call, n_inputs, 36)")
        self.assertNotEqual(moved, layout)
        source = self.folder / "moved.c"
        source.write_text(moved)
        done = compile_file(c_compiler, C11, source, "-fsyntax-only")
        self.assertIn("n_inputs", done.stderr)

    def test_every_field_and_value_stands_in_the_layout(self):
        layout = (TESTS / "sdk" / "layout.c").read_text()
        for struct, fields in self.declared_structs():
            self.assertIn(f"SIZE({struct}, ", layout)
            self.assertEqual(layout.count(f"FIELD({struct}, "), fields, struct)

    def declared_structs(self):
        """Each struct of the C headers with the number of its fields."""
        for header in self.c_headers():
            name = None
            for line in self.code_lines((INCLUDE / header).read_text()):
                if line.startswith("typedef struct ") and line.endswith("{"):
                    name, fields = line.split()[2], 0
                elif name and line.startswith(f"}} {name};"):
                    yield name, fields
                    name = None
                elif name and line.startswith("  ") and not line.startswith("   "):
                    fields += line.rstrip().endswith(";") or line.rstrip().endswith(",")

    @staticmethod
    def code_lines(text):
        """Without comments."""
        while "/*" in text:
            before, _, rest = text.partition("/*")
            text = before + rest.partition("*/")[2]
        return [line.rstrip() for line in text.splitlines()]

    def test_a_plugin_builds_in_seconds_without_a_warning(self):
        source = TESTS / "plugins_of_others" / "vera.cpp"
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = compile_file(
            cxx_compiler,
            CXX20,
            source,
            *("-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-o", self.folder / "vera.so"),
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLess(after.ru_utime - before.ru_utime, SECONDS)


if __name__ == "__main__":
    c_compiler, cxx_compiler = sys.argv[1:3]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
