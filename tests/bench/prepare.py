"""Writes what both sides of the benchmark read: programs, adapters to start from, batches.

    python prepare.py FOLDER CASES ADAPTERS    (both as bench.py's JSON)
"""

import json
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from train_by_peft import build

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "export"))

import models  # noqa: E402

BATCHES = 4  # the steps go round these


def main():
    folder, cases, adapters = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
    used = {case["model"] for case in cases.values()}
    for name, lora in adapters.items():
        if name not in used:
            continue
        built = build(name)
        models.export_to(folder / f"{name}.pt2", built, training=True)
        torch.manual_seed(1)
        peft_model = get_peft_model(built.model, LoraConfig(**lora))
        peft_model.save_pretrained(folder / f"{name}-adapter")
    for case in cases.values():
        torch.manual_seed(2)
        file = f"{case['model']}-{case['batch']}x{case['length']}.safetensors"
        save_file(batches(case), folder / file)


def batches(case):
    rows = BATCHES * case["batch"]
    if case["model"] == "mlp":
        x = torch.rand(rows, 20)
        return {"x": x, "labels": (x.sum(1) > 10).long()}
    if case["model"] == "poolformer":
        images = torch.rand(rows, 3, case["length"], case["length"])
        return {"x": images, "labels": torch.arange(rows) % 3}
    if case["model"] in ("large_lstm", "large_gru"):
        return {"x": torch.randn(rows, case["length"], 128), "labels": torch.arange(rows) % 2}
    ids = torch.randint(0, 30522, (rows, case["length"]))
    labels = ids.clone() if case["model"] == "mistral" else ids[:, 0] % 2
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


if __name__ == "__main__":
    main()
