"""Plugins of other versions of the interface: those that were built with an older SDK and kept as files, and
one that a newer SDK would build.

    kept_test.py TENON
"""

import json
import platform
import re
import shutil
import sys
import unittest
from pathlib import Path

from support import TESTS, SdkTest, build, unpack, write_project

KEPT = TESTS / "sdk" / "kept"
INCLUDE = TESTS.parent / "sdk" / "include"
METHODS = {"additive_c": "lora", "vera": "vera", "vera_clang": "vera", "vera_libcxx": "vera"}


class KeptTest(SdkTest):
    def load(self, packed):
        plugins = self.folder / "plugins"
        plugins.mkdir(exist_ok=True)
        unpack(packed, plugins / packed.name.removesuffix(".xz"))
        return plugins

    @unittest.skipUnless(platform.machine() == "x86_64", "the kept binaries are of x86-64")
    def test_every_kept_plugin_is_loaded_adapts_trains_and_is_loaded_again(self):
        losses = {}
        for packed in sorted(KEPT.glob("1.*.xz")):
            with self.subTest(file=packed.name):
                name = packed.name.split("-", 1)[1].removesuffix(".so.xz")
                plugins = self.load(packed)
                config = write_project(self.folder, METHODS[name])
                done = self.train(config, "--plugin-dir", plugins)
                self.assertLess(done["losses"][-1], done["losses"][0])
                losses[name] = done["losses"]
                adapted = self.predict(config, "--adapter", "adapter", "--plugin-dir", plugins)
                self.assertNotEqual(adapted, self.predict(config))
                shutil.rmtree(plugins)
                shutil.rmtree(self.folder / "adapter")
        self.assertEqual(set(losses), set(METHODS))
        # Another compiler and another C++ library make no difference.
        self.assert_close(losses["vera_libcxx"], losses["vera"])
        self.assert_close(losses["vera_clang"], losses["vera"])

    @unittest.skipUnless(platform.machine() == "x86_64", "the kept binaries are of x86-64")
    def test_plugins_of_the_drafts_are_refused_by_name_from_their_stamp(self):
        drafts = sorted(KEPT.glob("0.*.xz"))
        self.assertEqual(len(drafts), 3)
        for packed in drafts:
            with self.subTest(file=packed.name):
                plugins = self.load(packed)
                done = json.loads(self.tenon("plugins", "--json", "--plugin-dir", plugins).stdout)
                (refused,) = [each for each in done["refused"] if each["path"].startswith(str(plugins))]
                self.assertEqual(refused["rule"], "abi-major")
                self.assertRegex(refused["reason"],
                                 r"acme\.\w+ was built for plugin ABI 0\.2, this Tenon offers 1\.0; "
                                 r"rebuild it with SDK 1\.0")
                shutil.rmtree(plugins)

    def test_a_plugin_of_the_next_minor_version_runs_if_it_needs_nothing_of_it(self):
        """Its structs are longer than this host's; it says that an older host will do."""
        include = self.folder / "include"
        shutil.copytree(INCLUDE, include)
        for header, struct in (
            ("layer_type.h", "tenon_layer_type"),
            ("parameter.h", "tenon_parameter"),
            ("plugin.h", "tenon_plugin"),
            ("stamp.h", "tenon_stamp"),
        ):
            path = include / "tenon" / header
            text = path.read_text()
            longer = text.replace(f"\n}} {struct};", f"\n  uint64_t of_the_next_minor[3];\n}} {struct};")
            self.assertNotEqual(longer, text)
            path.write_text(longer)
        version = include / "tenon" / "version.h"
        minor = int(re.search(r"MINOR (\d+)u", version.read_text())[1])
        version.write_text(version.read_text().replace(f"MINOR {minor}u", f"MINOR {minor + 1}u"))
        plugins = self.folder / "plugins"
        plugins.mkdir()
        build(TESTS / "bad_plugins" / "sound.c", plugins / "newer.so", include)
        self.tenon("plugin", "check", plugins / "newer.so")
        config = write_project(self.folder)
        losses = self.train(config, "--plugin-dir", plugins)["losses"]
        self.assertLess(losses[-1], losses[0])


if __name__ == "__main__":
    SdkTest.tenon_program = Path(sys.argv[1]).resolve()
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
