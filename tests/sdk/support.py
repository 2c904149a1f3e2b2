"""What the tests of the SDK share. They need compilers and Python, and nothing that is not Python's own."""

import json
import lzma
import random
import shutil
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent

# What sdk/README.md tells an author to type.
BUILD = {
    ".cpp": ["c++", "-std=c++20", "-O2", "-shared", "-fPIC", "-fvisibility=hidden"],
    ".c": ["cc", "-std=c11", "-O2", "-shared", "-fPIC", "-fvisibility=hidden"],
}

CONFIG = """
[model]
name = "Net"
{weights}
[[model.layers]]
name = "first"
type = "Linear"
in_features = 4
out_features = 6

[[model.layers]]
name = "act"
type = "Tanh"

[[model.layers]]
name = "last"
type = "Linear"
in_features = 6
out_features = 3

[adapter]
method = "{method}"
target_modules = ["first", "last"]
{options}

[data]
train = "rows.csv"

[train]
loss = "cross_entropy"
optimizer = "adamw"
learning_rate = 0.02
steps = 40
batch_size = 16

[output]
directory = "adapter"
"""


def run(*command, folder=None, status=0):
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder)
    if done.returncode != status:
        raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def build(source, library, include):
    """One compiler call with the SDK's headers and nothing else."""
    run(*BUILD[source.suffix], "-I", include, source, "-o", library)


def unpack(packed, library):
    library.write_bytes(lzma.decompress(packed.read_bytes()))


def write_project(folder, method="lora", options="", weights=None):
    """A config and rows that it learns from."""
    numbers = random.Random(7)
    rows = ["a,b,c,d,labels"]
    for _ in range(64):
        values = [numbers.uniform(-1, 1) for _ in range(4)]
        label = 0 if values[0] > 0.3 else 1 if values[1] > values[2] else 2
        rows.append(",".join([*(f"{value:.4f}" for value in values), str(label)]))
    (folder / "rows.csv").write_text("\n".join(rows) + "\n")
    weights = f'weights = "{weights}"\n' if weights else ""
    config = folder / "config.toml"
    config.write_text(CONFIG.format(method=method, options=options, weights=weights))
    return config


def write_rows(path, rows, columns):
    """A safetensors file with one float32 tensor, `input`."""
    numbers = random.Random(3)
    data = struct.pack(f"<{rows * columns}f", *(numbers.uniform(-1, 1) for _ in range(rows * columns)))
    head = {"input": {"dtype": "F32", "shape": [rows, columns], "data_offsets": [0, len(data)]}}
    text = json.dumps(head).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def read_floats(path, name):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    begin, end = json.loads(data[8 : 8 + length])[name]["data_offsets"]
    return struct.unpack(f"<{(end - begin) // 4}f", data[8 + length + begin : 8 + length + end])


class SdkTest(unittest.TestCase):
    """A test with a folder of its own, and a program that is installed or stands where it was built."""

    tenon_program = None

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tenon-sdk-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def tenon(self, *arguments, status=0):
        return run(self.tenon_program, *arguments, folder=self.folder, status=status)

    def train(self, config, *arguments):
        return json.loads(self.tenon("run", config, "--json", *arguments).stdout)

    def predict(self, config, *arguments):
        write_rows(self.folder / "in.safetensors", 9, 4)
        self.tenon("predict", config, "--inputs", "in.safetensors", "--outputs", "out.safetensors",
                   "--force", *arguments)
        return read_floats(self.folder / "out.safetensors", "output_0")

    def assert_close(self, actual, expected, tolerance=1e-5):
        self.assertEqual(len(actual), len(expected))
        self.assertLess(max(abs(a - b) for a, b in zip(actual, expected)), tolerance)
