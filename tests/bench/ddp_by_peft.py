"""A base of 1 GB and its training by PEFT under torch's DistributedDataParallel, one of its processes.

    python ddp_by_peft.py FOLDER prepare    exports the base, and writes rows for it
    python ddp_by_peft.py FOLDER STEPS      trains; RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT say who
                                            it is, and rank 0 prints {"step_ms": [...], "losses": [...]}
"""

import json
import os
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

WIDTH, LAYERS, CLASSES, ROWS, BATCH, RANK = 8192, 4, 4, 64, 2, 8
LEARNING_RATE = 1e-4


def base():
    torch.manual_seed(0)
    layers = [torch.nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(LAYERS)]
    return torch.nn.Sequential(*layers, torch.nn.Linear(WIDTH, CLASSES)).eval()


def prepare(folder):
    model = base()
    example = torch.randn(2, WIDTH)
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(model, (example,), dynamic_shapes=shapes)
    torch.export.save(program, folder / "large.pt2")
    rows = {"input": torch.randn(ROWS, WIDTH), "labels": torch.randint(CLASSES, (ROWS,))}
    save_file(rows, folder / "large-rows.safetensors")


def train(folder, steps):
    from peft import LoraConfig, get_peft_model
    from torch.nn.parallel import DistributedDataParallel

    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    targets = [str(i) for i in range(LAYERS)]
    model = get_peft_model(base(), LoraConfig(r=RANK, target_modules=targets)).train()
    run = DistributedDataParallel(model)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE)
    data = load_file(folder / "large-rows.safetensors")
    step_ms, losses = [], []
    for step in range(steps):
        begin = time.perf_counter()
        first = (step * world + rank) * BATCH % ROWS
        outputs = run(data["input"][first : first + BATCH])
        loss = torch.nn.functional.cross_entropy(outputs, data["labels"][first : first + BATCH])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        step_ms.append(1e3 * (time.perf_counter() - begin))
    torch.distributed.barrier()
    if rank == 0:
        print(json.dumps({"step_ms": step_ms, "losses": losses}), flush=True)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    if sys.argv[2] == "prepare":
        prepare(Path(sys.argv[1]))
    else:
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
        train(Path(sys.argv[1]), int(sys.argv[2]))
