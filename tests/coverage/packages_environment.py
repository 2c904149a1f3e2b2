"""The packages of packages-requirements.txt, in a folder of their own beside the peers' environment:

    python tests/coverage/packages_environment.py     # makes build/venv/packages where it is missing

Each is installed without what it asks for: many ask for another torch, and what they do need is listed.
"""

import subprocess
import shutil
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent / "packages-requirements.txt"
FOLDER = Path(__file__).resolve().parents[2] / "build" / "venv" / "packages"


def make_packages_environment():
    """Installs what is missing and returns the folder to import from."""
    made_from = f"{sys.version}\n{REQUIREMENTS.read_text()}"
    stamp = FOLDER / "made-from"
    if stamp.exists() and stamp.read_text() == made_from:
        return FOLDER
    print(f"installing the packages of {REQUIREMENTS.name} into {FOLDER}", file=sys.stderr, flush=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--target", FOLDER, "--requirement", REQUIREMENTS], check=True)
    stamp.write_text(made_from)
    return FOLDER


if __name__ == "__main__":
    make_packages_environment()
