"""A user's own module, of a type that neither PEFT nor Tenon knows."""

import torch
from torch import nn


class MyScale(nn.Module):
    """Scales each feature by a learned factor."""

    def __init__(self, size):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return x * self.scale
