"""A Mistral-shaped base of 1.1 billion parameters in bfloat16, int8 and NF4: memory, time and losses of a
training, beside PEFT's on the same base.

`TENON_LARGE_BASE=small` takes one of 107 million, whose figures are told and of which only the losses must hold. PEFT
takes a single step where the processor has no bfloat16 instructions: it takes minutes for it.
"""

import json
import os
import statistics
import subprocess
import sys
import warnings
from pathlib import Path

import torch
from large_bases import BATCH, ROWS, TARGETS, base, tokens
from support import ParityTest, main, models
from torch.export import Dim

SIZE = os.environ.get("TENON_LARGE_BASE", "large")
STEPS = 50
HAS_BFLOAT16 = "avx512_bf16" in Path("/proc/cpuinfo").read_text()
PEER_STEPS = 4 if HAS_BFLOAT16 else 1
# What is kept in which format; by default the output layer stays as it is.
FORMS = {
    "bf16": {},
    "int8": {"quantize": "int8"},
    "nf4": {"quantize": "nf4"},
    "nf4 and the output layer": {"quantize": "nf4", "quantize_modules": r".*(_proj|lm_head)"},
}
# Shares of bfloat16's peak. The output layer and what the program takes are most of nf4's.
SHARES = {"int8": 0.6, "nf4": 0.38, "nf4 and the output layer": 0.35}


def write_program(path):
    model = base(SIZE)
    ids = tokens(SIZE)[:2, :32].contiguous()
    shape = {0: Dim("batch"), 1: Dim("sequence", max=512)}
    shapes = {"input_ids": shape, "attention_mask": shape}
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    models.export_to(path, models.Example(model, inputs, shapes, by_keyword=True))


def write_adapter(folder):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    lora = LoraConfig(r=8, target_modules=TARGETS, init_lora_weights=False)
    get_peft_model(base(SIZE), lora).save_pretrained(folder)


class LargeBasesTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        warnings.simplefilter("ignore")
        cls.path = cls.workspace.new_path(".pt2")
        cls.adapter = cls.workspace.new_path()
        for write, target in ((write_program, cls.path), (write_adapter, cls.adapter)):
            child = os.fork()  # whose memory is given back
            if child == 0:
                try:
                    write(target)
                finally:
                    os._exit(0 if target.exists() else 1)
            if os.waitpid(child, 0)[1] != 0:
                raise AssertionError(f"{target} was not written")
        ids = tokens(SIZE)
        cls.data = cls.workspace.write_tensors(
            {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids.clone()}
        )

    def train(self, form):
        output = self.workspace.new_path()
        config = {
            "model": {"path": self.path, **FORMS[form]},
            "adapter": {"init_from": self.adapter},
            "data": {"train": self.data},
            "train": {
                "loss": "causal_lm",
                "steps": STEPS,
                "batch_size": BATCH,
                "shuffle": False,
                "learning_rate": 1e-3,
                "threads": 1,
                "checkpoint": r"model\.layers\.\d+",
            },
            "output": {"directory": output, "log_steps": 1},
        }
        path = self.workspace.write_config(config)
        plan = self.workspace.tenon_json("plan", path, timeout=600)["memory"]["total_mb"]
        told = self.workspace.tenon_json("run", path, timeout=3600)
        log = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
        rates = [line["rows_per_second"] for line in log if "rows_per_second" in line]
        return {
            "losses": told["losses"],
            "seconds_of_step": BATCH / statistics.median(rates),
            "peak_mb": told["peak_rss_mb"],
            "planned_mb": plan,
        }

    def peer(self, form):
        script = Path(__file__).with_name("large_bases.py")
        command = [sys.executable, "-B", str(script), form, SIZE, str(PEER_STEPS), str(self.adapter)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout.splitlines()[-1])
        return {
            "losses": told["losses"],
            "seconds_of_step": statistics.median(told["seconds"]),
            "peak_mb": told["peak_rss_mb"],
        }

    def test_memory_time_and_losses(self):
        runs = {form: self.train(form) for form in FORMS}
        peers = {form: self.peer(form) for form in ("bf16", "nf4")}
        for name, run in [*runs.items(), *((f"PEFT {n}", r) for n, r in peers.items())]:
            figures = {k: round(v, 2) for k, v in run.items() if k != "losses"}
            print(f"{name}: {figures}, losses {run['losses'][0]:.4f} to {run['losses'][-1]:.4f}", flush=True)
        plain = runs["bf16"]
        for form, tolerance in (("int8", 0.03), ("nf4", 0.1), ("nf4 and the output layer", 0.1)):
            losses = runs[form]["losses"]
            self.assertEqual(len(losses), STEPS)
            for found, expected in zip(losses, plain["losses"], strict=True):
                self.assertAlmostEqual(found, expected, delta=tolerance * expected)
        for own, other in (("bf16", "bf16"), ("nf4", "nf4")):
            for found, expected in zip(runs[own]["losses"], peers[other]["losses"]):
                self.assertAlmostEqual(found, expected, delta=0.02 * expected)
        if SIZE != "large":
            return
        for form, share in SHARES.items():
            self.assertLessEqual(runs[form]["peak_mb"] / plain["peak_mb"], share, form)
            self.assertLessEqual(runs[form]["seconds_of_step"] / plain["seconds_of_step"], 1.25, form)
        for form, run in runs.items():
            self.assertLess(abs(run["planned_mb"] - run["peak_mb"]) / run["peak_mb"], 0.2, (form, run))


if __name__ == "__main__":
    main()
