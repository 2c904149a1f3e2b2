"""What the tests of a device share: small models of each kind, and what a run waits for."""

import copy
import os
import sys
import unittest
from pathlib import Path

import torch
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "parity"))

from support import DEVICE_LIBRARY, ParityTest  # noqa: E402

STEPS = 12
FEWER_STEPS = 6

on_test_device = unittest.skipUnless(DEVICE_LIBRARY, "counted by the test's own device alone")

MLP = [
    {"name": "first", "type": "Linear", "in_features": 6, "out_features": 16},
    {"name": "norm", "type": "LayerNorm", "normalized_shape": [16]},
    {"name": "act", "type": "ReLU"},
    {"name": "drop", "type": "Dropout", "p": 0.2},
    {"name": "head", "type": "Linear", "in_features": 16, "out_features": 3},
]
TAGGER = [
    {"name": "words", "type": "Embedding", "num_embeddings": 20, "embedding_dim": 8},
    {"name": "lstm", "type": "LSTM", "input_size": 8, "hidden_size": 8, "batch_first": True},
    {"name": "gru", "type": "GRU", "input_size": 8, "hidden_size": 8, "batch_first": True},
    {"name": "head", "type": "Linear", "in_features": 8, "out_features": 3},
]
IMAGES = [
    {"name": "conv", "type": "Conv2d", "in_channels": 3, "out_channels": 8, "kernel_size": 3},
    {"name": "norm", "type": "BatchNorm2d", "num_features": 8},
    {"name": "act", "type": "ReLU"},
    {"name": "pool", "type": "MaxPool2d", "kernel_size": 2},
    {"name": "flat", "type": "Flatten"},
    {"name": "head", "type": "Linear", "in_features": 72, "out_features": 3},
]


def rows_of(kind, rows=24):
    torch.manual_seed(5)
    inputs = {
        "mlp": torch.rand(rows, 6),
        "tagger": torch.randint(20, (rows, 5)),
        "images": torch.rand(rows, 3, 8, 8),
    }[kind]
    labels = torch.randint(3, (rows, 5) if kind == "tagger" else (rows,))
    return {"input": inputs, "labels": labels}


MODELS = {
    "mlp": (MLP, ["first", "head"]),
    "tagger": (TAGGER, ["words", "lstm", "gru", "head"]),
    "images": (IMAGES, ["conv", "head"]),
}


class DeviceCase(ParityTest):
    def config(self, kind, adapter=None, **train):
        layers, targets = copy.deepcopy(MODELS[kind])
        return {
            "model": {"name": kind, "seed": 1, "layers": layers},
            "adapter": {"target_modules": targets, "r": 2, **(adapter or {})},
            "data": {"train": self.workspace.write_tensors(rows_of(kind))},
            "train": {
                "optimizer": "adamw",
                "learning_rate": 0.01,
                "steps": STEPS,
                "batch_size": 8,
                "threads": 1,
                **train,
            },
            "output": {"directory": self.workspace.new_path()},
        }

    def run_config(self, config, *options, **process):
        """What the run told, and the tensors of its adapter."""
        told = self.workspace.tenon_json(
            "run", self.workspace.write_config(config), *options, **process
        )
        return told, load_file(config["output"]["directory"] / "adapter_model.safetensors")

    def on_cpu(self, config):
        model = {**config["model"], "device": "cpu"}
        return {**config, "model": model, "output": {"directory": self.workspace.new_path()}}

    def waits(self, config, *options):
        """Lines of what the host waited for or copied in a run, by the test's own device."""
        log = self.workspace.new_path()
        self.run_config(config, *options, env={**os.environ, "TENON_TEST_DEVICE_LOG": str(log)})
        lines = log.read_text().splitlines()
        return [line for line in lines if line.startswith(("wait", "slow"))]

    def assert_one_wait_a_step(self, make_config):
        counts = []
        for steps in (FEWER_STEPS, STEPS):
            config = make_config()
            config["train"]["steps"] = steps
            counts.append(self.waits(config))
        more = len(counts[1]) - len(counts[0])
        self.assertLessEqual(more, STEPS - FEWER_STEPS, counts[1][-more:])

    def assert_same_tensors(self, actual, expected, tolerance=1e-5):
        self.assertEqual(actual.keys(), expected.keys())
        for name, tensor in expected.items():
            self.assert_within(actual[name], tensor, tolerance * max(1, tensor.abs().max().item()))
