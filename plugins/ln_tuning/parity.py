"""LayerNorm tuning, for tests/parity/method_test.py."""

from peft import LNTuningConfig as CONFIG  # noqa: F401
from torch import nn

ADAPTERS = {
    "all": {},
    "one": {"target_modules": ["norm"]},
    "others": {"target_modules": "(group|rms)"},
}
ROWS = [
    ("mlp_layernorm", {"target_modules": "layernorm0"}),
    ("mlp_layernorm", {"target_modules": ["layernorm0"], "modules_to_save": ["layernorm1"]}),
]


def layers():
    return {
        "norm": (nn.LayerNorm(6), (5, 6)),
        "bare": (nn.LayerNorm(4, bias=False), (2, 4)),
        "group": (nn.GroupNorm(2, 6), (6, 3)),
        "rms": (nn.RMSNorm(8), (8,)),
    }
