"""Several processes train what one does with their batches together."""

import json

import torch
from ranked import ROWS, TORCHRUN, RankedTest, free_port
from safetensors.torch import load_file
from support import main, relative_norm

TOLERANCE = 1e-6


class DistributedTest(RankedTest):
    def assert_same(self, actual, expected):
        (run, adapter), (run_of_one, adapter_of_one) = actual, expected
        self.assertEqual(len(run["losses"]), len(run_of_one["losses"]))
        for loss, wanted in zip(run["losses"], run_of_one["losses"]):
            self.assertLessEqual(abs(loss - wanted), TOLERANCE * abs(wanted))
        for when in ("before", "after"):
            self.assertEqual(run["eval"][when].keys(), run_of_one["eval"][when].keys())
            for name, value in run_of_one["eval"][when].items():
                if isinstance(value, float):
                    self.assertAlmostEqual(run["eval"][when][name], value, delta=1e-5, msg=name)
                else:
                    self.assertEqual(run["eval"][when][name], value, name)
        self.assertEqual(adapter.keys(), adapter_of_one.keys())
        for name, tensor in adapter_of_one.items():
            self.assertLessEqual(relative_norm(adapter[name], tensor), TOLERANCE, name)

    def test_processes_train_what_one_does(self):
        for changes in (
            {},
            {"optimizer": "sgd", "momentum": 0.9, "gradient_accumulation_steps": 2},
        ):
            expected = self.run_config(self.config(train=changes))
            for count in (2, 4):
                with self.subTest(processes=count, **changes):
                    config = self.config(train={**changes, "batch_size": 8 // count})
                    self.assert_same(self.run_config(config, "--processes", count), expected)

    def test_torchrun_starts_them_too(self):
        expected = self.run_config(self.config())
        launcher = [TORCHRUN, "--no-python", "--nproc-per-node", "2"]
        config = self.config(train={"batch_size": 4})
        self.assert_same(self.run_config(config, launcher=launcher), expected)

    def test_rows_and_outputs_are_shared_by_eval_and_predict(self):
        config = self.config()
        self.run_config(config)
        path = self.workspace.write_config(config)
        adapter = ("--adapter", config["output"]["directory"])
        data = ("--data", config["data"]["train"])
        one = self.workspace.tenon_json("eval", path, *adapter, *data)
        two = self.workspace.tenon_json("eval", path, *adapter, *data, "--processes", 2)
        self.assertEqual(one.keys(), two.keys())
        for name, value in one.items():
            self.assertAlmostEqual(two[name], value, delta=1e-6, msg=name)
        inputs = self.workspace.write_tensors(
            {"input": load_file(config["data"]["train"])["input"]}
        )
        outputs = []
        for words in ((), ("--processes", 3), ("--processes", 2, "--batch-size", 5)):
            outputs.append(self.workspace.new_path(".safetensors"))
            self.workspace.tenon_ok(
                *("predict", path, *adapter, "--inputs", inputs, "--outputs", outputs[-1], *words)
            )
        expected = load_file(outputs[0])["output_0"]
        for file in outputs[1:]:
            self.assert_equal_forward(load_file(file)["output_0"], expected)

    def test_ranks_that_would_not_run_the_same_are_told_before_they_start(self):
        port = free_port()
        other = torch.rand(ROWS, 4)
        rows = self.workspace.write_tensors(
            {"input": other, "labels": torch.randint(3, (ROWS,))}
        )
        for changes, problem in (
            (
                {"train": {"learning_rate": 0.5}},
                "`train.learning_rate` is 0.01 on rank 0 and 0.5 on rank 1",
            ),
            ({"data": {"train": rows}}, "the content of `data.train` is "),
            ({"model": {"seed": 2}}, "`model.seed` is 1 on rank 0 and 2 on rank 1"),
        ):
            config = self.config()
            started = [
                self.start(config, 0, 2, port),
                self.start({**self.config(**changes), "output": config["output"]}, 1, 2, port),
            ]
            ends = [self.end(process) for process in started]
            with self.subTest(changes=str(changes)):
                self.assertIn(problem, ends[0][1] + ends[1][1])
                self.assertNotIn("saved in", ends[0][1])
                for status, text in ends:
                    self.assertNotEqual(status, 0, text)

    def test_a_rank_that_fails_ends_all_with_its_own_error(self):
        config = self.config()
        file = self.workspace.new_path(".json")
        port = free_port()
        broken = {**config, "data": {**config["data"], "train": "missing.safetensors"}}
        first = self.start(config, 0, 2, port)
        second = self.start(broken, 1, 2, port, TORCHELASTIC_ERROR_FILE=str(file))
        status, text = self.end(second)
        self.assertEqual(status, 1, text)
        self.assertIn("rank 1: ", text)
        self.assertIn("missing.safetensors", text)
        self.assertIn("missing.safetensors", json.loads(file.read_text())["message"]["message"])
        status, text = self.end(first)
        self.assertEqual(status, 1, text)
        self.assertIn("rank 1 failed: ", text)
        self.assertIn("missing.safetensors", text)

    def test_running_statistics_are_refused(self):
        done = self.workspace.tenon(
            "run", self.workspace.write_config(self.config(train={"batch_norm": "train"})),
            *("--processes", 2),
        )
        self.assertEqual(done.returncode, 2)
        self.assertIn('[train] batch_norm = "train" means that running statistics', done.stderr)

    def test_another_number_of_processes_goes_on_from_a_checkpoint(self):
        """Half an epoch by four processes, the rest by two or one: every row once in the epoch."""
        expected, _ = self.run_config(self.config(train={"shuffle": False, "max_grad_norm": 1}))
        for count in (1, 2):
            config = self.config(train={"shuffle": False, "max_grad_norm": 1, "batch_size": 2})
            config["output"]["save_steps"] = 2
            folder = config["output"]["directory"]
            self.run_config({**config, "train": {**config["train"], "epochs": 1}}, "--processes", 4)
            for late in folder.glob("checkpoint-[3-9]"):
                for file in late.iterdir():
                    file.unlink()
                late.rmdir()
            self.assertTrue((folder / "checkpoint-2").is_dir())
            run, _ = self.run_config(
                {**config, "train": {**config["train"], "epochs": 1}},
                *("--resume", "--processes", count),
            )
            rows = 25  # that are not held out, 16 of them in the two steps before
            self.assertEqual(len(run["losses"]), 2 + -(-(rows - 16) // (2 * count)))
            for loss, wanted in zip(run["losses"][:2], expected["losses"]):
                self.assertLessEqual(abs(loss - wanted), TOLERANCE * wanted)



if __name__ == "__main__":
    main()
