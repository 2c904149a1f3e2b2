"""What a device of its own asks of the host: the CPU's numbers, one wait a step, clear errors.

Run on tests/device/backend, a device on the CPU that is as strict as a GPU is, or with TENON_DEVICE=cuda
on a GPU, where what only the former counts is left out:

    TENON_DEVICE=testdevice TENON_DEVICE_LIBRARY=libtest_device.so python device_test.py TENON
"""

import json
import os

import torch
from device_case import MODELS, STEPS, DeviceCase, on_test_device, rows_of
from safetensors.torch import load_file
from support import DEVICE, main


class DeviceTest(DeviceCase):
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
                    # An adapter that changes weights, as an LSTM's does, drops nothing out.
                    dropout = 0.0 if kind == "tagger" else 0.1
                    self.assert_one_wait_a_step(
                        lambda: self.config(kind, {"lora_dropout": dropout}, **changes)
                    )

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
    def test_memory_that_does_not_do_is_told_with_what_would_help(self):
        told = []
        for limit in range(2000, 40000, 2000):
            path = self.workspace.write_config(self.config("mlp"))
            limited = {**os.environ, "TENON_TEST_DEVICE_BYTES": str(limit)}
            done = self.workspace.tenon("run", path, "--json", env=limited)
            if done.returncode == 0:
                break
            told.append(json.loads(done.stdout)["error"])
            self.assertIn("out of memory", told[-1]["message"])
        in_training = [error for error in told if "batches of 8 rows" in error["message"]]
        self.assertTrue(in_training, told)
        self.assertIn("GB at most", in_training[-1]["message"])
        self.assertIn("batch_size", in_training[-1]["hint"])

    def test_a_plan_asks_for_no_device(self):
        config = self.config("mlp")
        config["model"]["device"] = "cuda:6"
        self.workspace.tenon_ok("plan", self.workspace.write_config(config))


if __name__ == "__main__":
    main()
