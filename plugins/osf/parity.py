"""OSF, for tests/parity/method_test.py."""

from peft import OSFConfig as CONFIG  # noqa: F401
from torch import nn

ADAPTERS = {
    "a number": {"effective_rank": 3},
    "a share": {"effective_rank": 0.3, "rank_pattern": {"bare": 2, "square": 0.8}},
    "half": {},
}
ROWS = [
    ("mlp", {"target_modules": ["lin0"], "effective_rank": 4}),
    ("mlp", {"target_modules": ["lin0", "lin1"], "effective_rank": 1}),
]


def layers():
    return {
        "lin": (nn.Linear(6, 8), (5, 6)),
        "bare": (nn.Linear(10, 4, bias=False), (10,)),
        "square": (nn.Linear(7, 7), (2, 7)),
    }
