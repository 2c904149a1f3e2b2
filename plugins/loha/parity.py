"""LoHa on every layer type that it has, for tests/parity/method_test.py."""

import torch
from peft import LoHaConfig as CONFIG  # noqa: F401
from peft.tuners.loha import layer as peft_layer
from torch import nn

ADAPTERS = {
    "plain": {"r": 3, "alpha": 5},
    "patterns": {"r": 3, "alpha": 5, "rank_pattern": {"lin": 2, "conv.*": 4}, "alpha_pattern": {"^conv2": 7}},
    "with cores": {"r": 2, "alpha": 4, "use_effective_conv2d": True},
}
DROPOUTS = [{"r": 3, "rank_dropout": 0.5}, {"r": 3, "module_dropout": 0.5}]
ROWS = [
    ("mlp", {"target_modules": "lin0"}),
    ("mlp", {"target_modules": ["lin0", "lin1"]}),
    ("mlp", {"target_modules": ["lin0"], "modules_to_save": ["lin1"]}),
    ("conv1d", {"target_modules": ["conv"]}),
    ("conv1d_kernel1", {"target_modules": ["conv"], "use_effective_conv2d": True}),
    ("conv2d", {"target_modules": ["conv", "lin0"]}),
    ("conv2d", {"target_modules": ["conv", "lin0"], "use_effective_conv2d": True}),
    ("conv2d_1x1", {"target_modules": ["conv"]}),
    ("conv2d_groups2", {"target_modules": ["conv"]}),
]


def layers():
    return {
        "lin": (nn.Linear(6, 8), (5, 6)),
        "conv1": (nn.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2), (4, 12)),
        "conv2": (nn.Conv2d(3, 8, (3, 2), stride=(1, 2), padding=1, bias=False), (3, 6, 6)),
        "grouped": (nn.Conv2d(4, 6, 3, groups=2), (4, 4, 4)),
        "pointwise": (nn.Conv2d(3, 5, 1), (3, 4, 4)),
    }


def corrected(model):
    """PEFT's gradient of w1 takes the second factor's core for the first's (as LyCORIS does); here
    it is what autograd makes of the same formula."""

    def make_weight_cp(t1, w1a, w1b, t2, w2a, w2b, scale):
        factor = lambda t, a, b: torch.einsum("ijkl,jr,ip->prkl", t, b, a)
        return factor(t1, w1a, w1b) * factor(t2, w2a, w2b) * scale

    peft_layer.make_weight_cp = make_weight_cp
    return model
