"""MiSS in its three forms, for tests/parity/method_test.py."""

from peft import MissConfig as CONFIG  # noqa: F401
from torch import nn

RATE = 0.05
ADAPTERS = {
    "plain": {"r": 4},
    "groups that do not fill the inputs": {"r": 5, "target_modules": ["lin", "long"]},
    "mini": {"r": 4, "mini_r": 2, "init_weights": "mini"},
    "bat": {"r": 2, "init_weights": "bat", "bias": "all"},
    "biases of its layers": {"r": 3, "bias": "miss_only"},
}
DROPOUTS = [{"r": 4, "miss_dropout": 0.5}]
ROWS = [
    ("mlp", {"target_modules": ["lin0"], "r": 2}),
    ("mlp", {"target_modules": ["lin0"], "modules_to_save": ["lin1"], "r": 2}),
    ("mlp", {"target_modules": ["lin0"], "r": 5, "init_weights": "bat"}),
    ("mlp", {"target_modules": ["lin0"], "r": 2, "mini_r": 10, "init_weights": "mini"}),
]


def layers():
    return {
        "lin": (nn.Linear(6, 8), (5, 6)),
        "bare": (nn.Linear(12, 4, bias=False), (12,)),
        "long": (nn.Linear(18, 36), (18,)),
    }
