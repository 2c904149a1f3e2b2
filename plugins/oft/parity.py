"""OFT on every layer type that it has, for tests/parity/method_test.py."""

import torch
import torch.nn.functional as F
from peft import OFTConfig as CONFIG  # noqa: F401
from peft.tuners.oft.layer import Conv2d
from torch import nn

ADAPTERS = {
    "plain": {"r": 0, "oft_block_size": 3},
    "Cayley": {"r": 2, "oft_block_size": 0, "use_cayley_neumann": False},
    "shared": {"r": 3, "oft_block_size": 0, "block_share": True},
    "three terms": {"oft_block_size": 6, "num_cayley_neumann_terms": 3},
    "two terms": {"oft_block_size": 6, "num_cayley_neumann_terms": 2},
    "constrained": {"oft_block_size": 3, "coft": True, "eps": 0.5},
    "constrained, shared": {"oft_block_size": 3, "coft": True, "eps": 0.3, "block_share": True},
    "eight terms": {"oft_block_size": 5, "num_cayley_neumann_terms": 8},
    "biases": {"oft_block_size": 3, "bias": "all"},
}
DROPOUTS = [{"oft_block_size": 3, "module_dropout": 0.5}]
ROWS = [
    ("mlp", {"target_modules": "lin0", "r": 2, "oft_block_size": 0}),
    ("mlp", {"target_modules": ["lin0", "lin1"], "r": 5, "oft_block_size": 0}),
    ("mlp", {"target_modules": ["lin0"], "oft_block_size": 2, "modules_to_save": ["lin1"]}),
    ("mlp", {"target_modules": ["lin0"], "oft_block_size": 2, "block_share": True}),
    ("mlp", {"target_modules": ["lin0"], "oft_block_size": 2, "use_cayley_neumann": False}),
    ("conv2d", {"target_modules": ["conv"], "r": 5, "oft_block_size": 0}),
    ("conv2d", {"target_modules": ["conv"], "oft_block_size": 5, "block_share": True}),
    ("conv2d_1x1", {"target_modules": ["lin0"], "oft_block_size": 5}),
    ("emb_conv1d", {"target_modules": ["emb"], "r": 1, "oft_block_size": 0}),
]


def layers():
    return {
        "lin": (nn.Linear(6, 8), (5, 6)),
        "bare": (nn.Linear(12, 4, bias=False), (12,)),
        "emb": (nn.Embedding(10, 6), ()),
        "conv2": (nn.Conv2d(4, 6, 3, stride=2, padding=1), (4, 7, 7)),
        "pointwise": (nn.Conv2d(6, 5, 1), (6, 3, 3)),
    }


def corrected(model):
    """PEFT's convolution rotates patches and folds them back, which counts a pixel as often as it is
    in a patch: with no rotation it is not the base. Here it runs on the weight that PEFT merges."""
    for module in model.modules():
        if isinstance(module, Conv2d):
            module.forward = lambda x, module=module: _convolve(module, x)
    return model


def _convolve(module, x):
    base = module.get_base_layer()
    weight = base.weight.flatten(1)
    for name in reversed(module.active_adapters):
        weight = (_rotation(module.oft_R[name]) @ weight.T).T
    weight = weight.view_as(base.weight)
    return F.conv2d(x, weight, base.bias, base.stride, base.padding, base.dilation)


def _rotation(part):
    """As get_weight makes it, which loses the gradient with coft."""
    if part.coft:
        with torch.no_grad():
            part.weight.copy_(part._project_batch(part.weight, eps=part.eps))
    blocks = part._cayley_batch(
        part.weight, part.block_size, part.use_cayley_neumann, part.num_cayley_neumann_terms
    )
    return part._block_diagonal(blocks, part.in_features // part.block_size)
