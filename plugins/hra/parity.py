"""HRA on every layer type that it has, for tests/parity/method_test.py."""

import torch.nn.functional as F
from peft import HRAConfig as CONFIG  # noqa: F401
from peft.tuners.hra.layer import HRAConv2d
from torch import nn

ADAPTERS = {
    "plain": {"r": 4},
    "orthogonal": {"r": 3, "apply_GS": True, "init_weights": False},
    "odd": {"r": 3},
    "biases": {"r": 2, "bias": "hra_only"},
}
ROWS = [
    ("mlp", {"target_modules": "lin0"}),
    ("mlp", {"target_modules": ["lin0", "lin1"]}),
    ("mlp", {"target_modules": ["lin0"], "modules_to_save": ["lin1"]}),
    ("conv2d", {"target_modules": ["conv"]}),
    ("conv2d", {"target_modules": ["conv", "lin0"]}),
    ("conv2d_1x1", {"target_modules": ["conv"], "r": 3}),
]


def layers():
    return {
        "lin": (nn.Linear(6, 8), (5, 6)),
        "bare": (nn.Linear(10, 4, bias=False), (10,)),
        "conv2": (nn.Conv2d(3, 8, 3, stride=2, padding=1), (3, 7, 7)),
        "dilated": (nn.Conv2d(3, 4, 3, stride=(1, 2), dilation=(2, 1), padding=(2, 1)), (3, 6, 6)),
    }


def corrected(model):
    """PEFT gives the rotated convolution the first of the base's strides and paddings for both
    directions, and neither its dilation; here it gets what the base has."""
    for module in model.modules():
        if isinstance(module, HRAConv2d):
            module.forward = lambda x, module=module: _convolve(module, x)
    return model


def _convolve(module, x):
    base = module.get_base_layer()
    weight = base.weight.flatten(1)
    for name in module.active_adapters:
        weight = weight @ module.get_delta_weight(name)
    weight = weight.view_as(base.weight)
    return F.conv2d(x, weight, base.bias, base.stride, base.padding, base.dilation)
