"""(IA)^3 on every layer type that PEFT has it for, for tests/parity/method_test.py."""

from peft import IA3Config as CONFIG  # noqa: F401
from torch import nn
from transformers.pytorch_utils import Conv1D

ADAPTERS = {
    "inputs and outputs": {"feedforward_modules": ["lin", "conv3"]},
    "outputs": {"feedforward_modules": []},
    "inputs": {"feedforward_modules": ["lin", "bare", "conv2", "conv3", "gpt"]},
}
ROWS = [
    ("mlp", {"target_modules": "lin0", "feedforward_modules": "lin0"}),
    ("mlp", {"target_modules": ["lin0"], "feedforward_modules": ["lin0"]}),
    ("mlp", {"target_modules": ["lin0", "lin1"], "feedforward_modules": ["lin1"]}),
    (
        "mlp",
        {"target_modules": ["lin0"], "feedforward_modules": [], "modules_to_save": ["lin1"]},
    ),
    ("emb_conv1d", {"target_modules": ["conv1d"], "feedforward_modules": ["conv1d"]}),
    ("conv2d", {"target_modules": ["conv", "lin0"], "feedforward_modules": ["conv"]}),
    ("conv3d", {"target_modules": ["conv", "lin0"], "feedforward_modules": ["lin0"]}),
]


def layers():
    return {
        "lin": (nn.Linear(6, 8), (5, 6)),
        "bare": (nn.Linear(10, 4, bias=False), (10,)),
        "conv2": (nn.Conv2d(3, 4, 3, stride=2, padding=1), (3, 5, 5)),
        "conv3": (nn.Conv3d(2, 3, 2), (2, 3, 3, 3)),
        "gpt": (Conv1D(5, 6), (4, 6)),
    }
