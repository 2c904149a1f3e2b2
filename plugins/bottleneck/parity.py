"""Bottleneck adapters against a module of PyTorch's, for tests/parity/method_test.py: PEFT has none."""

import torch
import torch.nn.functional as F
from torch import nn
from transformers.pytorch_utils import Conv1D

MERGES = False
ADAPTERS = {
    "plain": {"bottleneck_size": 3},
    "scaled": {"bottleneck_size": 2, "scale": 0.5, "non_linearity": "gelu"},
    "tanh": {"bottleneck_size": 2, "non_linearity": "tanh"},
    "silu": {"bottleneck_size": 2, "non_linearity": "silu"},
}
ROWS = [("mlp", {"target_modules": ["lin0"], "bottleneck_size": 4})]


def layers():
    return {
        "lin": (nn.Linear(6, 8), (5, 6)),
        "bare": (nn.Linear(10, 4, bias=False), (10,)),
        "norm": (nn.LayerNorm(6), (5, 6)),
        "gpt": (Conv1D(5, 6), (4, 6)),
    }


class Bottleneck(nn.Module):
    def __init__(self, base_layer, size, keys):
        super().__init__()
        self.base_layer = base_layer.requires_grad_(False)
        self.adapter_down = nn.Linear(size, keys["bottleneck_size"], dtype=torch.float32)
        self.adapter_up = nn.Linear(keys["bottleneck_size"], size, dtype=torch.float32)
        nn.init.zeros_(self.adapter_down.bias)
        nn.init.zeros_(self.adapter_up.weight)
        nn.init.zeros_(self.adapter_up.bias)
        self.activation = getattr(F, keys.get("non_linearity", "relu"))
        self.scale = keys.get("scale", 1)

    def forward(self, x):
        y = self.base_layer(x)
        z = y.to(self.adapter_up.weight.dtype)
        added = self.adapter_up(self.activation(self.adapter_down(z)))
        return (z + self.scale * added).to(y.dtype)


def adapt(model, keys):
    """The model with such modules at the layers that the keys name."""
    model.requires_grad_(False)
    for name in keys["target_modules"]:
        layer = getattr(model, name)
        size = layer.weight.shape[0 if isinstance(layer, nn.Linear) else -1]
        setattr(model, name, Bottleneck(layer, size, keys))
    return model
