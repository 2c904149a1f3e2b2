"""LoKr on every layer type that it has, for tests/parity/method_test.py."""

import torch
from peft import LoKrConfig as CONFIG  # noqa: F401
from peft.tuners.lokr import layer as peft_layer
from torch import nn

ADAPTERS = {
    "plain": {"r": 2, "alpha": 5},
    "patterns": {"r": 2, "alpha": 5, "rank_pattern": {"lin": 1}, "alpha_pattern": {"conv1": 7}},
    "both decomposed": {"r": 1, "alpha": 3, "decompose_both": True, "decompose_factor": 3},
    "with cores": {"r": 1, "alpha": 2, "use_effective_conv2d": True, "decompose_factor": 2},
    "whole": {"r": 8, "alpha": 8, "rank_dropout_scale": True},
    "as LyCORIS": {"r": 2, "init_weights": "lycoris"},
}
DROPOUTS = [
    {"r": 2, "rank_dropout": 0.5},
    {"r": 2, "rank_dropout": 0.5, "rank_dropout_scale": True},
    {"r": 2, "module_dropout": 0.5},
]
ROWS = [
    ("mlp", {"target_modules": "lin0"}),
    ("mlp", {"target_modules": ["lin0", "lin1"]}),
    ("mlp", {"target_modules": ["lin0"], "modules_to_save": ["lin1"]}),
    ("mlp", {"target_modules": ["lin0"], "decompose_both": True, "r": 1}),
    ("mlp", {"target_modules": ["lin0"], "decompose_factor": 2}),
    ("conv1d", {"target_modules": ["conv"]}),
    ("conv1d_kernel1", {"target_modules": ["conv"], "use_effective_conv2d": True}),
    ("conv2d", {"target_modules": ["conv", "lin0"]}),
    ("conv2d", {"target_modules": ["conv", "lin0"], "use_effective_conv2d": True}),
    ("conv2d_1x1", {"target_modules": ["conv"]}),
    ("conv2d_groups2", {"target_modules": ["conv"]}),
]


def layers():
    return {
        "lin": (nn.Linear(12, 10), (5, 12)),
        "prime": (nn.Linear(7, 16), (7,)),
        "conv1": (nn.Conv1d(6, 12, 3, stride=2, padding=1, dilation=2), (6, 12)),
        "conv2": (nn.Conv2d(4, 12, (3, 2), stride=(1, 2), padding=1, bias=False), (4, 6, 6)),
        "grouped": (nn.Conv2d(8, 6, 3, groups=2), (8, 4, 4)),
        "pointwise": (nn.Conv2d(6, 8, 1), (6, 4, 4)),
    }


def corrected(model):
    """PEFT's torch.kron fails on what its einsum gives for some kernels, as it lies in memory."""

    def make_kron(w1, w2, scale=1.0):
        if w2.dim() == 4:
            w1 = w1[:, :, None, None]
        return torch.kron(w1.contiguous(), w2.reshape(-1).clone().reshape(w2.shape)) * scale

    peft_layer.make_kron = make_kron
    return model
