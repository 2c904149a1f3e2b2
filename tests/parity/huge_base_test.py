"""A base of 7.2 billion parameters is quantised to NF4, planned and trained in a small part of its size."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch
from support import ParityTest, main

STEPS = 2


class HugeBaseTest(ParityTest):
    def measured(self, *words):
        """Seconds, and the peak of the process's memory in MB, of a verb."""
        begin = time.monotonic()
        command = self.workspace.command(*words)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        told = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
        self.assertEqual(process.returncode, 0, told)
        peak = usage.ru_maxrss / 1024
        print(f"{words[0]}: {time.monotonic() - begin:.0f} s, {peak:.0f} MB", flush=True)
        return peak

    def test_memory_of_quantize_plan_and_run(self):
        folder = self.workspace.new_path()
        folder.mkdir()
        self.addCleanup(shutil.rmtree, folder)
        script = Path(__file__).with_name("huge_base.py")
        subprocess.run([sys.executable, "-B", script, folder], check=True, capture_output=True)
        program, packed = folder / "base.pt2", folder / "packed.safetensors"
        self.assertGreater(program.stat().st_size, 14e9)
        # Of the words whose rows are not zero.
        ids = torch.randint(0, 500, (4, 16), generator=torch.Generator().manual_seed(1))
        data = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids.clone()}
        config = {
            "model": {"path": program},
            "adapter": {"target_modules": ["q_proj", "v_proj"]},
            "data": {"train": self.workspace.write_tensors(data)},
            "train": {
                "loss": "causal_lm",
                "learning_rate": 1e-4,
                "steps": STEPS,
                "batch_size": 1,
                "threads": 1,
                "checkpoint": r"model\.layers\.\d+",
            },
            "output": {"directory": folder / "adapter"},
        }
        quantized = self.measured("quantize", program, "--to", "nf4", "--output", packed, "-q")
        self.assertLess(quantized, 6000)
        config["model"]["weights"] = packed
        path = self.workspace.write_config(config)
        self.assertLess(self.measured("plan", path, "-q"), 12000)
        self.assertLess(self.measured("run", path, "-q"), 12000)
        self.assertTrue((folder / "adapter" / "adapter_model.safetensors").exists())


if __name__ == "__main__":
    main()
