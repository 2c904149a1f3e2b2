"""A model to try, with the inputs that it is exported and run with."""

import copy
from dataclasses import dataclass
from typing import Callable

import torch
from torch import nn
from torch.utils import _pytree as pytree

BATCH, LENGTH = 3, 10  # at export
OTHER_BATCH, OTHER_LENGTH = 5, 13


@dataclass
class Example:
    model: nn.Module
    make_inputs: Callable  # (batch, length) -> (positional arguments, keyword arguments)
    # What a user would not adapt with LoRA, as one regular expression on module names.
    not_adapted: str = "$^"
    dynamic: tuple | None = None  # the dimensions of each input that may vary; None is all
    loses_backward: bool = False  # it has a torch.autograd.Function, whose gradient no export keeps
    trains: bool = True  # the first output is differentiable, and all inputs have the batch's rows
    shared: tuple = ()  # inputs without rows: the same for the whole batch

    def inputs(self, batch=BATCH, length=LENGTH):
        torch.manual_seed(batch * 1000 + length)
        return self.make_inputs(batch, length)

    def make_double(self):
        """The same numbers with more digits."""
        self.model.double()
        make_inputs = self.make_inputs
        self.make_inputs = lambda batch, length: pytree.tree_map_only(
            torch.Tensor,
            lambda t: t.double() if t.is_floating_point() else t,
            make_inputs(batch, length),
        )


def settle(example):
    """Eval mode, nothing random, statistics that fit the model, and no weight at a special value
    where it would hide a fault: a scale of zero makes every gradient behind it zero."""
    model = example.model
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
    _fit_statistics(example)
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            noise = torch.rand(buffer.shape, generator=generator)
            buffer.data.add_(noise.to(buffer.dtype), alpha=0.1)
    model.eval()


def _fit_statistics(example):
    """Running statistics as the inputs give them, else a deep network's numbers explode. By a copy:
    a forward leaves caches behind in some models."""
    copied = copy.deepcopy(example.model).eval()
    norms = {
        name: module
        for name, module in copied.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats
    }
    if not norms:
        return
    for module in norms.values():
        module.momentum = None  # the average
        module.train()
    args, kwargs = example.inputs()
    with torch.no_grad():
        copied(*args, **kwargs)
    for name, module in norms.items():
        own = example.model.get_submodule(name)
        own.running_mean.data.copy_(module.running_mean)
        own.running_var.data.copy_(module.running_var)
