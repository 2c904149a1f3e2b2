"""Trains an adapter by PEFT, as its users do, and prints the time of each step. With "floor" in the
task it runs the frozen model alone: forward, and the gradient back to its first adapted layer.

    python train_by_peft.py TASK_AS_JSON

The imports and the loading of the model are part of what is measured, so they stand where a user's
script has them and hold no more than it needs.
"""

import json
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "export"))

import models  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from peft import LoraConfig, PeftModel  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

def causal_lm(logits, labels):
    """Each token judged by the one that follows it, as in transformers."""
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


LOSSES = {"nll": F.nll_loss, "cross_entropy": F.cross_entropy, "causal_lm": causal_lm}
# Without dropout both sides compute the same.
OPTIONS = {"minilm": {"dropout": 0.0}, "mistral": {"words": 32000}}


def build(name):
    return models.example(name, **OPTIONS.get(name, {}))


def forward(built, model, batch):
    return model(**batch)["logits"] if built.by_keyword else model(*batch.values())


def frozen(model, config):
    """No parameter is trained; gradients are computed down to the first targeted layer."""
    owners = [name.rpartition(".")[0] for name in config.target_parameters or []]
    target_modules = config.target_modules or owners
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    def is_target(name):
        if isinstance(target_modules, str):
            return re.fullmatch(target_modules, name)
        return name.split(".")[-1] in target_modules or name in target_modules

    first = next(module for name, module in model.named_modules() if is_target(name))

    def start_here(_, inputs):
        return tuple(tensor.detach().requires_grad_(True) for tensor in inputs)

    first.register_forward_pre_hook(start_here)
    return model


def main():
    task = json.loads(sys.argv[1])
    torch.set_num_threads(task["threads"])
    folder = Path(task["folder"])
    built = build(task["model"])
    config = LoraConfig.from_pretrained(folder / f"{task['model']}-adapter")
    config.lora_dropout = task["lora_dropout"]
    if task["floor"]:
        model = frozen(built.model.train(), config)
    else:
        model = PeftModel.from_pretrained(
            built.model, folder / f"{task['model']}-adapter", is_trainable=True, config=config
        ).train()
    device = torch.device(task["device"])
    model = model.to(device)
    run = torch.compile(model) if task["compile"] else model
    dtype = getattr(torch, task["autocast"] or "bfloat16")
    data = load_file(folder / task["data"])
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=task["learning_rate"]) if trainable else None
    compute_loss = LOSSES[task["loss"]]
    rows, size = len(data["labels"]), task["batch_size"]

    losses, step_ms, first_step_end = [], [], None
    for step in range(task["steps"]):
        begin = time.perf_counter()
        first = step * size % rows
        batch = {name: tensor[first : first + size].to(device) for name, tensor in data.items()}
        labels = batch.pop("labels")
        with torch.autocast(device.type, dtype, enabled=task["autocast"] is not None):
            outputs = forward(built, run, batch)
        loss = compute_loss(outputs.float(), labels)
        if optimizer:
            optimizer.zero_grad()
        loss.backward()
        if optimizer:
            optimizer.step()
        losses.append(loss.item())
        step_ms.append(1e3 * (time.perf_counter() - begin))
        first_step_end = first_step_end or time.time()
    report = {"losses": losses, "step_ms": step_ms, "first_step_end": first_step_end}
    if device.type == "cuda":
        report["peak_device_mb"] = torch.cuda.max_memory_allocated() / 1024**2
    print(json.dumps(report))


if __name__ == "__main__":
    main()
