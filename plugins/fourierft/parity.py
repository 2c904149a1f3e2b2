"""FourierFT on every layer type that it has, for tests/parity/method_test.py."""

from peft import FourierFTConfig as CONFIG  # noqa: F401
from torch import nn
from transformers.pytorch_utils import Conv1D

ADAPTERS = {
    "plain": {"n_frequency": 20, "scaling": 20, "init_weights": True},
    "another seed": {"n_frequency": 9, "scaling": 30, "random_loc_seed": 123456789},
    "biases": {"n_frequency": 7, "scaling": 20, "bias": "all"},
}
ROWS = [
    ("mlp", {"n_frequency": 10, "target_modules": "lin0", "scaling": 20}),
    ("mlp", {"n_frequency": 10, "target_modules": ["lin0", "lin1"], "scaling": 20}),
    ("mlp", {"n_frequency": 10, "target_modules": ["lin0"], "modules_to_save": ["lin1"]}),
    ("deep_mlp", {"n_frequency": 9, "n_frequency_pattern": {r"[0-5]\.lin0": 4}, "target_modules": ["lin0"], "scaling": 40}),
    ("emb_conv1d", {"n_frequency": 5, "target_modules": ["conv1d"], "scaling": 20}),
]


def layers():
    return {
        "lin": (nn.Linear(6, 8), (5, 6)),
        "bare": (nn.Linear(10, 4, bias=False), (10,)),
        "gpt": (Conv1D(5, 6), (4, 6)),
    }
