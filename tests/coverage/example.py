"""A model to try, with the inputs that it is exported and run with."""

from dataclasses import dataclass
from typing import Callable

import torch
from torch import nn

BATCH, LENGTH = 3, 10  # at export
OTHER_BATCH, OTHER_LENGTH = 5, 13


@dataclass
class Example:
    model: nn.Module
    make_inputs: Callable  # (batch, length) -> (positional arguments, keyword arguments)
    # What a user would not adapt with LoRA, as one regular expression on module names.
    not_adapted: str = "$^"
    dynamic: tuple | None = None  # the dimensions of each input that may vary; None is all
    trains: bool = True  # the first output is differentiable, and all inputs have the batch's rows

    def inputs(self, batch=BATCH, length=LENGTH):
        torch.manual_seed(batch * 1000 + length)
        return self.make_inputs(batch, length)


def settle(model):
    """Eval mode, nothing random, and no weight at a special value where it would hide a fault: a
    scale of zero makes every gradient behind it zero."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        for name, value in list(vars(module).items()):
            if isinstance(value, float) and "drop" in name:
                setattr(module, name, 0.0)
    for tensor in model.parameters():
        if tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator)
            tensor.data.add_(noise.to(tensor.dtype), alpha=0.03)
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            noise = torch.rand(buffer.shape, generator=generator)
            buffer.data.add_(noise.to(buffer.dtype), alpha=0.1)
    return model.eval()
