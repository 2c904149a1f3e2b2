"""What the pages of the built-in plugins say is what the plugins say of themselves.

    pages_test.py TENON SOURCE
"""

import json
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

TENON = SOURCE = None
REFERENCE = "plugins/REFERENCE.md"
IDLE = ("Not supported", "PEFT's; has no effect", "Not here")


def tenon(*arguments):
    alone = {**os.environ, "XDG_DATA_HOME": "/nonexistent", "TENON_PLUGIN_PATH": ""}
    done = subprocess.run([TENON, *arguments], env=alone, capture_output=True, text=True, check=True)
    return done.stdout


class PagesTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.plugins = json.loads(tenon("plugins", "--json"))["plugins"]

    def test_the_reference_is_what_the_program_writes(self):
        self.assertEqual(
            (SOURCE / REFERENCE).read_text(),
            tenon("plugins", "--markdown"),
            f"type: {TENON} plugins --markdown > {REFERENCE}",
        )

    def page_of(self, plugin):
        """Of the folder that its source lies in, or the page of all."""
        (source,) = SOURCE.glob(f"plugins/*/{plugin}.cpp")
        own = source.parent / "README.md"
        return own if own.exists() else SOURCE / "plugins/README.md"

    def test_every_plugin_stands_on_its_page(self):
        for plugin in self.plugins:
            name = Path(plugin["path"]).stem
            page = self.page_of(name)
            known = f"`{name}`" in page.read_text() or page.parent.name == name
            self.assertTrue(known, f"{page} does not name {name}")

    def test_every_key_is_on_the_page_of_its_plugin(self):
        sections = re.split(r"^## ", (SOURCE / REFERENCE).read_text(), flags=re.MULTILINE)[1:]
        self.assertEqual(len(sections), len(self.plugins))
        general = (SOURCE / "configs/README.md").read_text()
        missing = []
        for section in sections:
            name = re.search(r"`(\w+)\.so`", section)[1]
            text = self.page_of(name).read_text() + general
            for key, words in re.findall(r"^\| `(\w+)` .* \| (.*) \|$", section, re.MULTILINE):
                # What PEFT's config has and the method does not heed is in the reference alone.
                if f"`{key}" not in text and not words.startswith(IDLE):
                    missing.append((name, key))
        self.assertEqual(missing, [])


if __name__ == "__main__":
    TENON, SOURCE = Path(sys.argv.pop(1)).resolve(), Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
