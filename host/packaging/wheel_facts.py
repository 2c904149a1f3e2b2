"""What the wheel's metadata says of the torch that it is built beside.

ATen's C++ interface holds within a minor release, so a wheel is for one: its version ends in
+torch2.13, and it depends on torch==2.13.*.
"""

import re
from importlib.metadata import version
from pathlib import Path


def dynamic_metadata(*_):
    torch = ".".join(version("torch").split(".")[:2])
    project = (Path(__file__).resolve().parents[2] / "CMakeLists.txt").read_text()
    tenon = re.search(r"project[(]tenon VERSION ([0-9.]+)", project)[1]
    return {"version": f"{tenon}+torch{torch}", "dependencies": [f"torch=={torch}.*"]}
