"""Where pip put Tenon. The program itself is no Python: `tenon` starts it in its own place."""

import os
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

_ROOT = Path(__file__).resolve().parent


def cmake_prefix_path() -> str:
    """For CMAKE_PREFIX_PATH: find_package(tenon) and find_package(tenon-sdk) look there."""
    return str(_ROOT)


def include_dir() -> str:
    """The folder of <tenon/sdk.hpp> and <tenon/adapt.h>."""
    return str(_ROOT / "include")


def _problem():
    """Why the torch that is here cannot serve, in a sentence; None if it can."""
    built = version("tenon-adapters").partition("+torch")[2]
    try:
        here = version("torch")
    except PackageNotFoundError:
        return f"there is no torch here: pip install 'torch=={built}.*'"
    if here.split(".")[:2] == built.split("."):
        return None
    return (
        f"this tenon-adapters was built for torch {built}, and torch {here} is here: "
        f"pip install 'torch=={built}.*', or the tenon-adapters for your torch"
    )


def main():
    problem = _problem()
    if problem:
        sys.exit(f"error: {problem}")
    # The program looks for LibTorch in the torch beside this package; torch may lie elsewhere, in
    # the system's folder while this is in the user's.
    libraries = Path(find_spec("torch").origin).parent / "lib"
    if not (_ROOT.parent / "torch" / "lib").exists():
        paths = [str(libraries), os.environ.get("LD_LIBRARY_PATH", "")]
        os.environ["LD_LIBRARY_PATH"] = ":".join(path for path in paths if path)
    program = str(_ROOT / "bin" / "tenon")
    os.execv(program, [program, *sys.argv[1:]])
