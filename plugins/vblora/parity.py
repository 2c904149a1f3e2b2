"""VB-LoRA, for tests/parity/method_test.py."""

from peft import VBLoRAConfig as CONFIG  # noqa: F401
from torch import nn
from transformers.pytorch_utils import Conv1D

STARTS_AS_BASE = False
ADAPTERS = {
    "plain": {"r": 3, "num_vectors": 7, "vector_length": 2},
    "one vector": {"r": 2, "num_vectors": 5, "vector_length": 1, "topk": 1},
    "biases": {"r": 2, "num_vectors": 4, "vector_length": 2, "topk": 3, "bias": "vblora_only"},
}
LOADED = [
    {"r": 3, "num_vectors": 7, "vector_length": 2, "topk": 3, "save_only_topk_weights": True},
    {"r": 3, "num_vectors": 300, "vector_length": 1, "topk": 1, "save_only_topk_weights": True},
]
DROPOUTS = [{"r": 3, "num_vectors": 7, "vector_length": 2, "vblora_dropout": 0.5}]
ROWS = [
    ("mlp", {"target_modules": "lin0", "vector_length": 1, "num_vectors": 5}),
    ("mlp", {"target_modules": ["lin0", "lin1"], "vector_length": 2, "num_vectors": 5}),
    ("mlp", {"target_modules": ["lin0"], "r": 2, "vector_length": 5, "modules_to_save": ["lin1"]}),
    ("emb_conv1d", {"target_modules": ["conv1d"], "vector_length": 1, "num_vectors": 2}),
]


def layers():
    return {
        "lin": (nn.Linear(6, 8), (5, 6)),
        "bare": (nn.Linear(10, 4, bias=False), (10,)),
        "gpt": (Conv1D(4, 6), (4, 6)),
    }
