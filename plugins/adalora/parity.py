"""AdaLoRA with its allocator, for tests/parity/method_test.py."""

import torch
from peft import AdaLoraConfig as CONFIG  # noqa: F401
from torch import nn
from transformers.pytorch_utils import Conv1D

BUDGET = {"init_r": 4, "target_r": 2, "total_step": 20}
ADAPTERS = {
    "plain": {**BUDGET, "tinit": 3, "tfinal": 5, "lora_alpha": 6},
    "seldom": {**BUDGET, "tinit": 2, "tfinal": 4, "deltaT": 5, "orth_reg_weight": 0},
    "unpruned": {"init_r": 3, "target_r": 2, "total_step": 100, "tinit": 50},
}
STARTS_AS_BASE = False  # its loss has a term of its own
DROPOUTS = [{**BUDGET, "tinit": 18, "lora_dropout": 0.5}]
ROWS = [
    ("mlp", {**BUDGET, "tinit": 19, "target_modules": ["lin0"]}),
    ("mlp", {**BUDGET, "tinit": 19, "target_modules": ["lin0"], "modules_to_save": ["lin1"]}),
    ("conv2d", {**BUDGET, "tinit": 19, "target_modules": ["conv", "lin0"]}),
    ("emb_conv1d", {**BUDGET, "tinit": 19, "target_modules": ["conv1d"]}),
]


def layers():
    return {
        "lin": (nn.Linear(6, 8), (5, 6)),
        "bare": (nn.Linear(10, 4, bias=False), (10,)),
        "gpt": (Conv1D(5, 6), (4, 6)),
        "conv2": (nn.Conv2d(3, 8, (3, 2), stride=(1, 2), padding=1), (3, 6, 6)),
    }


def added_loss(model):
    """What PEFT adds to the loss of models that give one."""
    weight = model.peft_config["default"].orth_reg_weight
    terms = []
    for name, p in model.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            square = p @ p.T if "lora_A" in name else p.T @ p
            terms.append(torch.norm(square - torch.eye(len(square)), p="fro"))
    return weight * sum(terms) / len(terms)


def after_step(model, step):
    model.base_model.update_and_allocate(step)


def uncounted(model):
    """PEFT keeps the first rank of each layer as a parameter that it does not save."""
    return sum("ranknum" in name for name, _ in model.named_parameters())
