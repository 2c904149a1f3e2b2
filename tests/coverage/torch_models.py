"""Plain PyTorch: each module that has parameters or state, and ways of putting modules together."""

import torch
from torch import nn

from example import Example


class Wrapped(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, *args):
        return self.layer(*args)


def _layer(make, *shapes):
    def build():
        return Example(
            Wrapped(make()),
            lambda batch, length: (tuple(_tensor(shape, batch, length) for shape in shapes), {}),
        )

    return build


def _tensor(shape, batch, length):
    sizes = [{"b": batch, "l": length}.get(size, size) for size in shape]
    return torch.randn(sizes)


MODELS = {
    "Linear": _layer(lambda: nn.Linear(8, 5), ("b", "l", 8)),
    "Conv2d": _layer(lambda: nn.Conv2d(3, 6, 3, padding=1), ("b", 3, "l", 9)),
    "LSTM": _layer(lambda: nn.LSTM(8, 6, batch_first=True), ("b", 7, 8)),
}
