"""Prints the CMake folder of this Python's torch if it is 2.11 or newer; else exits with 1.

torch itself is not imported: that takes seconds and says nothing more.
"""

import importlib.util
import pathlib
import re
import sys

OLDEST = (2, 11)


def main():
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return 1
    package = pathlib.Path(spec.origin).parent
    folder = package / "share" / "cmake" / "Torch"
    version_file = package / "version.py"
    if not (folder / "TorchConfig.cmake").is_file() or not version_file.is_file():
        return 1
    found = re.search(r"__version__ = ['\"](\d+)\.(\d+)", version_file.read_text())
    if not found or tuple(map(int, found.groups())) < OLDEST:
        version = ".".join(found.groups()) if found else "of unknown version"
        print(f"set-up: {package} is torch {version}, not 2.11 or newer: not used", file=sys.stderr)
        return 1
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
