"""What a device of its own asks of the host: the CPU's numbers, one wait a step, clear errors.

Run on tests/device/backend, a device on the CPU that is as strict as a GPU is, or with TENON_DEVICE=cuda
on a GPU, where what only the former counts is left out:

    TENON_DEVICE=testdevice TENON_DEVICE_LIBRARY=libtest_device.so python device_test.py TENON
"""

import json
import os
import sys
import unittest
from pathlib import Path

import torch
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "parity"))

from method_cases import case_of  # noqa: E402
from method_test import read_table  # noqa: E402
from support import DEVICE, DEVICE_LIBRARY, ParityTest, main  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
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


class DeviceTest(ParityTest):
    def config(self, kind, adapter=None, **train):
        layers, targets = MODELS[kind]
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

    def test_training_gives_the_cpus_numbers(self):
        for kind in MODELS:
            for changes in ({}, {"max_grad_norm": 0.1, "gradient_accumulation_steps": 2}):
                with self.subTest(model=kind, **changes):
                    config = self.config(kind, **changes)
                    for layer in config["model"]["layers"]:
                        if layer["type"] == "Dropout":
                            layer["p"] = 0.0
                    told, tensors = self.run_config(config)
                    expected, wanted = self.run_config(self.on_cpu(config))
                    for one, other in zip(told["losses"], expected["losses"], strict=True):
                        self.assertAlmostEqual(one, other, delta=1e-5 * max(1, abs(other)))
                    self.assert_same_tensors(tensors, wanted, 1e-4)

    @on_test_device
    def test_a_step_waits_for_the_device_once(self):
        for kind in MODELS:
            for name, changes in {
                "plain": {},
                "clipped": {"max_grad_norm": 0.1},
                "accumulated": {"gradient_accumulation_steps": 3, "batch_size": 4},
                "sgd": {"optimizer": "sgd", "momentum": 0.9},
                "weighted classes": {"class_weight": [1.0, 2.0, 0.5]},
            }.items():
                with self.subTest(model=kind, training=name):
                    self.assert_one_wait_a_step(
                        lambda: self.config(kind, {"lora_dropout": 0.1}, **changes)
                    )

    @on_test_device
    def test_a_step_of_every_method_waits_once(self):
        for folder in sorted((ROOT / "plugins").glob("*/parity.py")):
            table = read_table(folder.parent)
            case = case_of(table.layers)
            path = case.export_to(self.workspace.new_path(".pt2"))
            data = self.workspace.write_tensors(case.tensors())
            keys = next(iter(table.ADAPTERS.values()))
            if "target_modules" not in keys:
                keys = {**keys, "target_modules": list(table.layers())}

            def config():
                return {
                    "model": {"path": path},
                    "adapter": {"method": getattr(table, "METHOD", folder.parent.name), **keys},
                    "data": {"train": data},
                    "train": {"loss": case.loss, "batch_size": case.batch, "learning_rate": 0.01},
                    "output": {"directory": self.workspace.new_path()},
                }

            with self.subTest(method=folder.parent.name):
                self.assert_one_wait_a_step(config)

    def test_what_was_trained_is_evaluated_merged_and_predicted(self):
        for kind in MODELS:
            with self.subTest(model=kind):
                config = self.config(kind)
                self.run_config(config)
                adapter = config["output"]["directory"]
                rows = rows_of(kind)
                data = self.workspace.write_tensors(rows)
                outputs = {}
                for place in (config, self.on_cpu(config)):
                    path = self.workspace.write_config(place)
                    merged = self.workspace.new_path(".safetensors")
                    evaluated = self.workspace.tenon_json(
                        "eval", path, "--adapter", adapter, "--data", data
                    )
                    self.workspace.tenon_ok(
                        "merge", path, "--adapter", adapter, "--output", merged
                    )
                    predicted = self.workspace.predict(place["model"], rows, adapter)
                    outputs[len(outputs)] = evaluated["loss"], load_file(merged), predicted
                self.assertAlmostEqual(outputs[0][0], outputs[1][0], delta=1e-5)
                self.assert_same_tensors(outputs[0][1], outputs[1][1])
                self.assert_within(outputs[0][2], outputs[1][2], 1e-5)

    def test_a_run_that_goes_on_gives_the_same_bits(self):
        """Dropout draws on the device, whose generator is in the checkpoint."""
        whole = self.config("mlp", {"lora_dropout": 0.2})
        _, expected = self.run_config(whole)
        parts = self.config("mlp", {"lora_dropout": 0.2})
        parts["output"]["save_steps"] = 5
        parts["data"] = whole["data"]
        parts["train"]["steps"] = 10
        self.run_config(parts)
        parts["train"]["steps"] = STEPS
        _, tensors = self.run_config(parts, "--resume")
        for name, tensor in expected.items():
            self.assertTrue(torch.equal(tensors[name], tensor), name)

    def test_dropout_is_drawn_by_the_seed(self):
        losses = []
        for seed in (1, 1, 2):
            told, _ = self.run_config(self.config("mlp", {"lora_dropout": 0.5}, seed=seed))
            losses.append(told["losses"])
        self.assertEqual(losses[0], losses[1])
        self.assertNotEqual(losses[0], losses[2])

    def test_autocast_and_checkpointing_run_there(self):
        exact, _ = self.run_config(self.config("mlp"))
        for changes in ({"autocast": "bfloat16"}, {"checkpoint": ["first", "norm"]}):
            with self.subTest(**changes):
                told, _ = self.run_config(self.config("mlp", **changes))
                for one, other in zip(told["losses"], exact["losses"], strict=True):
                    self.assertAlmostEqual(one, other, delta=0.05)

    def test_rows_of_several_adapters_run_together(self):
        config = self.config("mlp")
        adapters = []
        for seed in (1, 2):
            other = self.config("mlp", {"init_lora_weights": False}, seed=seed)
            self.run_config(other)
            adapters += ["--adapter", f"a{seed}={other['output']['directory']}"]
        names = ["a1", "__base__", "a2"] * 8
        outputs = []
        for place in (config, self.on_cpu(config)):
            file = self.workspace.new_path(".safetensors")
            self.workspace.tenon_ok(
                "predict", self.workspace.write_config({"model": place["model"]}), *adapters,
                "--adapter-names", ",".join(names),
                "--inputs", self.workspace.write_tensors({"input": rows_of("mlp")["input"]}),
                "--outputs", file,
            )
            outputs.append(load_file(file)["output_0"])
        self.assert_within(outputs[0], outputs[1], 1e-5)

    @on_test_device
    def test_the_second_device_is_one_too(self):
        config = self.config("tagger")
        config["model"]["device"] = f"{DEVICE}:1"
        told, tensors = self.run_config(config)
        config["model"]["device"] = f"{DEVICE}:0"
        config["output"] = {"directory": self.workspace.new_path()}
        expected, wanted = self.run_config(config)
        self.assertEqual(told["losses"], expected["losses"])
        self.assert_same_tensors(tensors, wanted, 0)

    def refused(self, device):
        config = self.config("mlp")
        config["model"]["device"] = device
        done = self.workspace.tenon("run", self.workspace.write_config(config), "--json")
        self.assertNotEqual(done.returncode, 0)
        error = json.loads(done.stdout)["error"]
        return f"{error['message']}; {error['hint']}"

    def test_devices_that_are_not_there_are_told(self):
        self.assertIn("there is no such device", self.refused("graphics"))
        self.assertIn("there is no such device", self.refused("meta"))
        self.assertIn("LibTorch sees", self.refused(f"{DEVICE}:7"))
        if not torch.cuda.is_available():
            text = self.refused("cuda")
            self.assertIn('[model] device = "cuda"', text)
            self.assertIn('device = "cpu" runs on the processor', text)

    @on_test_device
    def test_memory_that_does_not_do_is_told_and_what_was_trained_is_kept(self):
        config = self.config("mlp")
        path = self.workspace.write_config(config)
        limit = {**os.environ, "TENON_TEST_DEVICE_BYTES": "40000"}
        done = self.workspace.tenon("run", path, "--json", env=limit)
        self.assertEqual(done.returncode, 1)
        error = json.loads(done.stdout)["error"]
        self.assertIn("out of memory", error["message"])

    def test_a_plan_asks_for_no_device(self):
        config = self.config("mlp")
        config["model"]["device"] = "cuda:6"
        self.workspace.tenon_ok("plan", self.workspace.write_config(config))


if __name__ == "__main__":
    main()
