"""VeRA with its projections saved, for tests/parity/method_test.py."""

from peft import VeraConfig as CONFIG  # noqa: F401
from torch import nn
from transformers.pytorch_utils import Conv1D

ADAPTERS = {
    "plain": {"r": 5},
    "not saved": {"r": 4, "save_projection": False},
    "another key": {"r": 3, "projection_prng_key": 4000000000, "d_initial": 0.5},
    "biases": {"r": 3, "bias": "vera_only"},
}
DROPOUTS = [{"r": 5, "vera_dropout": 0.5}]
ROWS = [
    ("mlp", {"target_modules": "lin0"}),
    ("mlp", {"target_modules": ["lin0", "lin1"], "r": 16}),
    ("mlp", {"target_modules": ["lin0"], "modules_to_save": ["lin1"]}),
    ("emb_conv1d", {"target_modules": ["conv1d"]}),
]


def layers():
    return {
        "lin": (nn.Linear(6, 8), (5, 6)),
        "bare": (nn.Linear(10, 4, bias=False), (10,)),
        "gpt": (Conv1D(5, 6), (4, 6)),
    }
