"""Runs of several processes, for the tests of them."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
from resume_test import NET
from safetensors.torch import load_file
from support import ParityTest

TORCHRUN = Path(sys.executable).with_name("torchrun")
ROWS = 37


def launched(count, rank, port):
    """The variables of a process of a run without a launcher."""
    return {
        **os.environ,
        **{"RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_RANK": str(rank)},
        **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
    }


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class RankedTest(ParityTest):
    def rows(self):
        torch.manual_seed(5)
        inputs = {"input": torch.rand(ROWS, 4), "labels": torch.randint(3, (ROWS,))}
        return self.workspace.write_tensors(inputs)

    def config(self, **changes):
        rows = self.rows()
        config = {
            "model": {**NET, "layers": [one for one in NET["layers"] if one["name"] != "drop"]},
            "adapter": {"target_modules": ["hidden"], "r": 2, "modules_to_save": ["head"]},
            "data": {"train": rows, "eval_fraction": 0.3},
            "train": {
                "optimizer": "adamw",
                "learning_rate": 0.01,
                "epochs": 4,
                "batch_size": 8,
                "lr_scheduler_type": "cosine",
                "max_grad_norm": 0.5,
                "metrics": ["f1_macro", "log_loss", "roc_auc_ovr"],
            },
            "output": {"directory": self.workspace.new_path()},
        }
        for table, keys in changes.items():
            config[table] = {**config[table], **keys}
        return config

    def run_config(self, config, *words, launcher=()):
        """The JSON of the run and its adapter."""
        path = self.workspace.write_config(config)
        command = self.workspace.command("run", path, "--json", *words)
        done = subprocess.run([*launcher, *command], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        folder = config["output"]["directory"]
        return json.loads(done.stdout), load_file(folder / "adapter_model.safetensors")

    def start(self, config, rank, count, port, **variables):
        """Process `rank` of a run without a launcher."""
        command = self.workspace.command("run", self.workspace.write_config(config))
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**launched(count, rank, port), **variables},
        )

    def end(self, process, seconds=60):
        """Its exit status and what it printed."""
        output, errors = process.communicate(timeout=seconds)
        return process.returncode, output + errors

    def endless(self, **train):
        return self.config(train={"epochs": 100_000, **train})

    def wait_for_steps(self, process):
        for line in process.stdout:
            if line.startswith("step"):
                return
        self.fail("no step was taken: " + process.stderr.read())
