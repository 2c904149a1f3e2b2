"""The logs of a run: what is in them, and that a run that goes on adds to them without a gap."""

import csv
import json

import numpy as np
import torch
from safetensors.torch import load_file
from support import ParityTest, main
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

NET = {
    "layers": [
        {"name": "hidden", "type": "Linear", "in_features": 4, "out_features": 16},
        {"name": "act", "type": "ReLU"},
        {"name": "head", "type": "Linear", "in_features": 16, "out_features": 3},
    ],
}


class LogsTest(ParityTest):
    def config(self, **train):
        torch.manual_seed(5)
        rows = {"input": torch.rand(30, 4), "labels": torch.randint(3, (30,))}
        path = self.workspace.write_tensors(rows)
        return {
            "model": NET,
            "adapter": {"target_modules": ["hidden"], "r": 2},
            "data": {"train": path, "eval": path},
            "train": {
                "learning_rate": 0.01,
                "steps": 12,
                "batch_size": 8,
                "eval_steps": 4,
                "lr_scheduler_type": "linear",
                **train,
            },
            "output": {"directory": self.workspace.new_path(), "log_steps": 3, "save_steps": 5},
        }

    def lines(self, directory):
        return [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]

    def test_each_log_has_every_number(self):
        config = self.config(max_grad_norm=1.0)
        report = self.workspace.tenon_json("run", self.workspace.write_config(config))
        directory = config["output"]["directory"]
        lines = self.lines(directory)
        self.assertEqual([line["step"] for line in lines], [0, 3, 4, 6, 8, 9, 12, 12])
        for line in lines:
            if "loss" not in line:
                self.assertIn("eval_loss", line)
                self.assertIn("eval_accuracy", line)
                continue
            step = line["step"]
            self.assertAlmostEqual(line["loss"], sum(report["losses"][step - 3 : step]) / 3, 12)
            self.assertEqual(line["learning_rate"], report["learning_rates"][step - 1])
            self.assertEqual(line["grad_norm"], report["grad_norms"][step - 1])
            self.assertAlmostEqual(line["epoch"], step / 4)
            self.assertGreater(line["rows_per_second"], 0)
            self.assertGreater(line["memory_mb"], 1)
        self.assertEqual(lines[0]["eval_loss"], report["eval"]["before"]["loss"])
        self.assertEqual(lines[-1]["eval_loss"], report["eval"]["after"]["loss"])

        with open(directory / "log.csv", newline="") as file:
            table = list(csv.DictReader(file))
        self.assertEqual(len(table), len(lines))
        for row, line in zip(table, lines):
            self.assertEqual({k: float(v) for k, v in row.items() if v}, line)

        events = EventAccumulator(str(directory / "tensorboard")).Reload()
        self.assertIn("config", events.Tags()["tensors"])
        [text] = events.Tensors("config")
        self.assertIn(b"log_steps = 3", text.tensor_proto.string_val[0])
        loss = events.Scalars("train/loss")
        self.assertEqual([event.step for event in loss], [3, 6, 9, 12])
        for event, line in zip(loss, [line for line in lines if "loss" in line]):
            self.assertAlmostEqual(event.value, line["loss"], 5)
        self.assertEqual([e.step for e in events.Scalars("eval/loss")], [0, 4, 8, 12])

    def test_a_run_that_goes_on_leaves_no_gap_and_no_line_twice(self):
        config = self.config()
        path = self.workspace.write_config(config)
        directory = config["output"]["directory"]
        self.workspace.tenon_ok("run", path)
        whole = self.lines(directory)
        self.workspace.tenon_ok("run", path, "--resume", directory / "checkpoint-5")
        again = self.lines(directory)
        changing = ("rows_per_second", "memory_mb")
        for line in whole + again:
            for name in changing:
                line.pop(name, None)
        self.assertEqual(again, whole)
        [file] = (directory / "tensorboard").iterdir()
        events = EventAccumulator(str(file)).Reload()
        self.assertEqual([e.step for e in events.Scalars("train/loss")], [3, 6, 9, 12])
        self.assertEqual(len((directory / "log.csv").read_text().splitlines()), len(whole) + 1)

    def test_a_metric_that_came_later_is_in_the_log_and_leaves_the_tables_columns(self):
        path = self.workspace.write_config(config := self.config())
        directory = config["output"]["directory"]
        self.workspace.tenon_ok("run", path)
        [header, *before] = (directory / "log.csv").read_text().splitlines()
        config["train"]["metrics"] = ["cohen_kappa"]
        path = self.workspace.write_config(config)
        done = self.workspace.tenon_ok("run", path, "--resume", directory / "checkpoint-5")
        self.assertIn(
            "log.csv keeps the columns that it began with, which eval_cohen_kappa is not among: "
            "log.jsonl has it",
            done.stderr,
        )
        [same_header, *after] = (directory / "log.csv").read_text().splitlines()
        self.assertEqual(same_header, header)
        self.assertEqual({row.count(",") for row in after}, {header.count(",")})
        self.assertEqual([row.split(",")[0] for row in after], [row.split(",")[0] for row in before])
        self.assertIn("eval_cohen_kappa", self.lines(directory)[-1])

    def test_histograms_are_of_the_trained_tensors(self):
        config = self.config()
        config["output"] |= {"log_histograms": True, "log_steps": 6}
        config["adapter"]["modules_to_save"] = ["head"]
        self.workspace.tenon_ok("run", self.workspace.write_config(config))
        directory = config["output"]["directory"]
        every = {"histograms": 0}  # all of them, not the last one alone
        events = EventAccumulator(str(directory / "tensorboard"), size_guidance=every).Reload()
        trained = {
            name.removeprefix("base_model.model."): tensor.double().flatten().numpy()
            for name, tensor in load_file(directory / "adapter_model.safetensors").items()
        }
        self.assertEqual(set(events.Tags()["histograms"]), {f"weights/{name}" for name in trained})
        for name, values in trained.items():
            [first, last] = events.Histograms(f"weights/{name}")
            self.assertEqual([first.step, last.step], [6, 12])
            found = last.histogram_value
            counts, edges = np.histogram(values, bins=30)
            self.assertEqual(found.num, len(values))
            self.assertAlmostEqual(found.min, values.min(), delta=1e-12)
            self.assertAlmostEqual(found.max, values.max(), delta=1e-12)
            self.assertAlmostEqual(found.sum, values.sum(), delta=1e-9)
            self.assertAlmostEqual(found.sum_squares, (values**2).sum(), delta=1e-9)
            np.testing.assert_allclose(found.bucket_limit, edges[1:], atol=1e-12)
            # A value on an edge may be counted on either side of it.
            self.assertLessEqual(np.abs(np.array(found.bucket) - counts).sum(), 2)
        del config["output"]["log_steps"]
        done = self.workspace.tenon("run", self.workspace.write_config(config))
        self.assertEqual(done.returncode, 2)
        self.assertIn("`output.log_histograms` needs `output.log_steps`", done.stderr)

    def test_logs_go_where_log_dir_says_and_nowhere_without_log_steps(self):
        config = self.config()
        config["output"]["log_dir"] = self.workspace.new_path()
        self.workspace.tenon_ok("run", self.workspace.write_config(config))
        self.assertTrue((config["output"]["log_dir"] / "log.jsonl").exists())
        self.assertFalse((config["output"]["directory"] / "log.jsonl").exists())
        config["output"] = {"directory": self.workspace.new_path()}
        self.workspace.tenon_ok("run", self.workspace.write_config(config))
        self.assertEqual(len(list(config["output"]["directory"].iterdir())), 3)


if __name__ == "__main__":
    main()
