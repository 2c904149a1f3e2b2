"""HiRA on every layer type that it has, for tests/parity/method_test.py."""

from peft import HiraConfig as CONFIG  # noqa: F401
from peft.tuners.hira.layer import Embedding
from torch import nn
from transformers.pytorch_utils import Conv1D

RATE = 0.005
ADAPTERS = {
    "plain": {"r": 3},
    "gaussian": {"r": 4, "init_weights": "gaussian"},
}
DROPOUTS = [{"r": 3, "hira_dropout": 0.5}]
ROWS = [
    ("mlp", {"target_modules": "lin0"}),
    ("mlp", {"target_modules": ["lin0", "lin1"], "r": 4}),
    ("mlp", {"target_modules": ["lin0"], "modules_to_save": ["lin1"]}),
    ("emb_conv1d", {"target_modules": ["emb"]}),
    ("emb_conv1d", {"target_modules": ["conv1d"]}),
    ("emb_conv1d", {"target_modules": ["emb", "conv1d"]}),
    ("conv1d", {"target_modules": ["conv"]}),
    ("conv2d", {"target_modules": ["conv"]}),
    ("conv2d", {"target_modules": ["conv", "lin0"]}),
    ("conv2d_1x1", {"target_modules": ["conv"]}),
    ("conv3d", {"target_modules": ["conv"]}),
]


def layers():
    return {
        "lin": (nn.Linear(6, 8), (5, 6)),
        "gpt": (Conv1D(5, 6), (4, 6)),
        "emb": (nn.Embedding(10, 6, padding_idx=3), ()),
        "conv1": (nn.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2), (4, 12)),
        "conv2": (nn.Conv2d(3, 8, (3, 2), stride=(1, 2), padding=1, bias=False), (3, 6, 6)),
        "conv3": (nn.Conv3d(2, 3, 2, padding=1), (2, 3, 3, 3)),
    }


def corrected(model):
    """PEFT looks up the update without the base's padding_idx, and so trains the padding row; here
    it is looked up as the base does."""
    for module in model.modules():
        if isinstance(module, Embedding):
            module.forward = lambda ids, module=module: _embed(module, ids)
    return model


def _embed(module, ids):
    base = module.get_base_layer()
    result = base(ids)
    for name in module.active_adapters:
        result = result + module._embed(ids, base.weight * module.get_delta_weight(name))
    return result
