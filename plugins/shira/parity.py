"""SHiRA, for tests/parity/method_test.py."""

from peft import ShiraConfig as CONFIG  # noqa: F401
from torch import nn

ADAPTERS = {
    "plain": {"r": 1, "random_seed": 56},
    "drawn by the run's seed": {"r": 2},
}
ROWS = [
    ("mlp", {"r": 1, "target_modules": "lin0"}),
    ("mlp", {"r": 1, "target_modules": ["lin0", "lin1"], "random_seed": 3}),
    ("mlp", {"r": 1, "target_modules": ["lin0"], "modules_to_save": ["lin1"]}),
]


def layers():
    return {
        "lin": (nn.Linear(6, 8), (5, 6)),
        "bare": (nn.Linear(10, 5, bias=False), (10,)),
    }
