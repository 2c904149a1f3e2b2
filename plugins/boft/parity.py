"""BOFT on every layer type that it has, for tests/parity/method_test.py."""

import torch
import torch.nn.functional as F
from peft import BOFTConfig as CONFIG  # noqa: F401
from peft.tuners.boft import layer as peft_layer
from torch import nn

ADAPTERS = {
    "plain": {"boft_block_size": 4},
    "by number": {"boft_block_size": 0, "boft_block_num": 2},
    "butterfly": {"boft_block_size": 2, "boft_n_butterfly_factor": 3},
    "butterfly of larger blocks": {"boft_block_size": 4, "boft_n_butterfly_factor": 2},
    "biases": {"boft_block_size": 4, "bias": "all"},
}
DROPOUTS = [{"boft_block_size": 4, "boft_dropout": 0.5}]
ROWS = [
    ("mlp", {"target_modules": "lin1"}),
    ("mlp", {"target_modules": ["lin0"], "boft_block_size": 2}),
    ("mlp", {"target_modules": ["lin0"], "boft_block_size": 2, "modules_to_save": ["lin1"]}),
    ("mlp", {"target_modules": ["lin1"], "boft_block_size": 2, "boft_n_butterfly_factor": 2}),
    ("conv2d", {"target_modules": ["conv"], "boft_block_size": 45}),
    ("conv2d", {"target_modules": ["conv", "lin0"], "boft_block_size": 5}),
    ("conv2d_1x1", {"target_modules": ["conv"], "boft_block_size": 1}),
]


def layers():
    return {
        "lin": (nn.Linear(16, 8), (5, 16)),
        "bare": (nn.Linear(8, 4, bias=False), (8,)),
        "conv2": (nn.Conv2d(8, 6, 3, stride=2, padding=1), (8, 7, 7)),
        "dilated": (nn.Conv2d(16, 4, 1, stride=(1, 2), padding=(2, 1)), (16, 3, 3)),
    }


class BlockDiagonal:
    """In place of PEFT's CUDA kernel, without which it takes one butterfly factor whatever the
    config says."""

    @staticmethod
    def apply(blocks):
        return torch.stack([torch.block_diag(*factor) for factor in blocks])


peft_layer.get_fbd_cuda = lambda: True
peft_layer.FastBlockDiag = BlockDiagonal


def corrected(model):
    """PEFT gives the rotated convolution the first of the base's strides and paddings for both
    directions, and neither its dilation; here it gets what the base has."""
    for module in model.modules():
        if isinstance(module, peft_layer.Conv2d):
            module.forward = lambda x, module=module: _convolve(module, x)
    return model


def _convolve(module, x):
    base = module.get_base_layer()
    weight = base.weight.flatten(1)
    for name in module.active_adapters:
        rotation, factors = module.get_delta_weight(name)
        weight = (rotation @ weight.T).T * factors
    weight = weight.view_as(base.weight)
    return F.conv2d(x, weight, base.bias, base.stride, base.padding, base.dilation)
