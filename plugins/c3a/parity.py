"""C3A with a block size for each layer, for tests/parity/method_test.py."""

from peft import C3AConfig as CONFIG  # noqa: F401
from torch import nn

STARTS_AS_BASE = False
RATE = 0.5
ADAPTERS = {
    "plain": {"block_size": 2},
    "patterned": {"block_size": 2, "block_size_pattern": {"long": 9, "bare": 4}},
    "from the base": {"block_size": 1, "init_weights": True},
    "biases": {"block_size": 2, "bias": "all", "init_weights": "gaussian"},
    "biases of its layers": {"block_size": 2, "bias": "c3a_only", "init_weights": False},
}
ROWS = [
    ("mlp", {"target_modules": ["lin0"], "block_size": 2}),
    ("mlp", {"target_modules": ["lin0"], "modules_to_save": ["lin1"], "block_size": 5}),
    ("mlp", {"target_modules": ["lin0", "lin1"], "block_size": 10, "block_size_pattern": {"lin1": 2}}),
]


def layers():
    return {
        "lin": (nn.Linear(6, 8), (5, 6)),
        "bare": (nn.Linear(12, 4, bias=False), (12,)),
        "long": (nn.Linear(18, 36), (18,)),
    }
