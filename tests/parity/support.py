"""What every parity test needs: running tenon, writing configs, comparing tensors.

A test is run as `python x_test.py TENON [unittest options]`.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "export"))

# The tests take these from here, once their folder is on the path.
import layers  # noqa: E402,F401
import models  # noqa: E402,F401
import toys  # noqa: E402,F401

_executable = None

# Where the models of the tests run: by default on the CPU, else on the device that TENON_DEVICE names.
# TENON_DEVICE_LIBRARY brings one that LibTorch does not have by itself (tests/device/backend).
DEVICE = os.environ.get("TENON_DEVICE", "cpu")
DEVICE_LIBRARY = os.environ.get("TENON_DEVICE_LIBRARY")
# On a device that rounds products to fewer bits, such as a GPU with TF32, differences count for less.
TOLERANCE = float(os.environ.get("TENON_TOLERANCE", "1"))


def main():
    """Takes the path of tenon off the command line and runs the tests of the calling script."""
    global _executable
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} TENON [unittest options]")
    _executable = Path(sys.argv.pop(1)).resolve()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    # PEFT's own use of transformers; nothing that these tests could heed.
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`")
    unittest.main(verbosity=2, warnings=False)


class Workspace:
    """A temporary folder with the files of a test, and tenon run on them."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tenon-parity-"))
        self._count = 0

    def remove(self):
        shutil.rmtree(self.folder)

    def new_path(self, suffix=""):
        """A path in the folder that nothing has yet."""
        self._count += 1
        return self.folder / f"{self._count:03d}{suffix}"

    def new_folder(self):
        path = self.new_path()
        path.mkdir()
        return path

    def write_config(self, config, path=None):
        path = path or self.new_path(".toml")
        if DEVICE != "cpu" and "model" in config:
            config = {**config, "model": {"device": DEVICE, **config["model"]}}
        path.write_text(to_toml(config))
        return path

    def write_tensors(self, tensors):
        path = self.new_path(".safetensors")
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
        return path

    @staticmethod
    def command(*arguments):
        return [str(_executable), *map(str, arguments)]

    def tenon(self, *arguments, **process):
        """Runs tenon and returns the finished process, whatever its exit status; `process` are
        further arguments of subprocess.run."""
        command = self.command(*arguments)
        process = {"timeout": 120, **process}
        if DEVICE_LIBRARY:
            env = process.get("env") or os.environ
            process["env"] = {**env, "LD_PRELOAD": DEVICE_LIBRARY}
        return subprocess.run(command, capture_output=True, text=True, **process)

    def tenon_ok(self, *arguments, **process):
        done = self.tenon(*arguments, **process)
        if done.returncode != 0:
            raise AssertionError(
                f"tenon {' '.join(map(str, arguments))}: exit status {done.returncode}\n"
                f"{done.stdout}{done.stderr}"
            )
        return done

    def tenon_json(self, *arguments, **process):
        return json.loads(self.tenon_ok(*arguments, "--json", **process).stdout)

    def predict(self, model, inputs, adapter=None):
        """The first output of `tenon predict` for a [model] table."""
        outputs = self.new_path(".safetensors")
        if "layers" in model:  # a declared model's only input has this name
            inputs = {"input": next(iter(inputs.values()))}
        self.tenon_ok(
            "predict",
            self.write_config({"model": model}),
            *(("--adapter", adapter) if adapter else ()),
            *("--inputs", self.write_tensors(inputs)),
            *("--outputs", outputs),
        )
        return load_file(outputs)["output_0"]


class ParityTest(unittest.TestCase):
    """A test case with one workspace for all its tests."""

    @classmethod
    def setUpClass(cls):
        cls.workspace = Workspace()
        cls.addClassCleanup(cls.workspace.remove)

    def assert_within(self, actual, expected, tolerance):
        """The largest difference of two tensors of one shape and type is at most `tolerance`."""
        self.assertEqual(actual.shape, expected.shape)
        self.assertEqual(actual.dtype, expected.dtype)
        self.assertTrue(torch.isfinite(expected).all())
        self.assertLessEqual((actual - expected).abs().max().item(), tolerance * TOLERANCE)

    def assert_equal_forward(self, actual, expected):
        """Equal, but for the order of sums, which threads and processors may change: PyTorch itself
        is off by 1.4e-6 against float64 where a head gives small numbers.
        """
        self.assert_within(actual, expected, 2e-6 * expected.abs().max().item())


def off_the_start(peft_model):
    """The model with its DoRA magnitudes trained a little: at the norms that they start from, the
    formula is plain LoRA's."""
    with torch.no_grad():
        for name, parameter in peft_model.named_parameters():
            if "lora_magnitude_vector" in name:
                parameter.mul_(1 + 0.3 * torch.rand_like(parameter))
    return peft_model


def relative_norm(actual, expected):
    return ((actual - expected).norm() / expected.norm()).item() / TOLERANCE


def to_toml(config):
    """A config as text: tables of plain values, tables and lists of tables."""
    return "\n".join(_toml_lines(config, prefix=""))


def _toml_lines(table, prefix):
    nested = {key: value for key, value in table.items() if _is_nested(value)}
    lines = [f"{_key(k)} = {_value(v)}" for k, v in table.items() if k not in nested]
    for key, value in nested.items():
        path = prefix + _key(key)
        tables, brackets = ([value], "[{}]") if isinstance(value, dict) else (value, "[[{}]]")
        for each in tables:
            lines += ["", brackets.format(path), *_toml_lines(each, path + ".")]
    return lines


def _is_nested(value):
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and isinstance(value[0], dict)
    )


def _key(key):
    is_bare = key.isascii() and key.replace("_", "").isalnum()
    return key if is_bare else json.dumps(key, ensure_ascii=False)


def _value(value):
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    return json.dumps(str(value))
