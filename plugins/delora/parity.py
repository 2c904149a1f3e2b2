"""DeLoRA, for tests/parity/method_test.py."""

from peft import DeloraConfig as CONFIG  # noqa: F401
from torch import nn

ADAPTERS = {
    "plain": {"r": 3, "delora_lambda": 4},
    "patterns": {"r": 3, "rank_pattern": {"lin": 2}, "delora_lambda": 4, "lambda_pattern": {"bare": 6}},
    "random start": {"r": 2, "delora_lambda": 2, "init_weights": False},
    "biases": {"r": 2, "delora_lambda": 3, "bias": "delora_only"},
}
DROPOUTS = [{"r": 3, "module_dropout": 0.5}]
ROWS = [
    ("mlp", {"target_modules": "lin0"}),
    ("mlp", {"target_modules": ["lin0", "lin1"], "delora_lambda": 12}),
    ("mlp", {"target_modules": ["lin0"], "modules_to_save": ["lin1"]}),
]


def layers():
    return {
        "lin": (nn.Linear(6, 8), (5, 6)),
        "bare": (nn.Linear(10, 4, bias=False), (10,)),
    }
