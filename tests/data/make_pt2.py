"""Writes the exported programs that tests/model reads. Run in a folder: python make_pt2.py FOLDER."""

import pathlib
import sys

import torch
from torch import nn
from torch.export import Dim, export, save


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.seq = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))

    def forward(self, X):
        return self.seq(X)


class Shared(nn.Module):
    """One module under two names, one called twice, tied, strided and offset weights, buffers."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.again = self.block
        self.twice = nn.Linear(4, 4)
        self.tied = nn.Linear(4, 4, bias=False)
        self.tied.weight = self.twice.weight
        self.unused = nn.Identity()
        self.turned = nn.Parameter(torch.arange(24.0).reshape(6, 4).t())
        self.offset = nn.Parameter(torch.arange(24.0)[10:14])
        self.register_buffer("steps", torch.zeros(4))
        self.register_buffer("mask", torch.arange(4.0), persistent=False)
        self.constant = torch.ones(4)

    def forward(self, x, flag, extra):
        y = self.again(self.block(x))
        y = self.twice(self.twice(y)) + self.tied(y)
        y = self.block(self.unused(y))
        self.steps.add_(1)
        with torch.no_grad():
            scale = torch.sigmoid(self.mask)
        if flag:
            y = y * scale + self.constant + self.offset + extra["bias"]
        first, second = torch.split(y @ self.turned, [2, 4], dim=1)
        indexed = second[:, [0, 1]].masked_fill(first > 0, float("inf"))
        return {"first": first.reshape(x.shape[0] * 2, 1), "indexed": indexed}, None, x.shape[0]


def without_traces(program):
    """Stack traces name files of the machine that exported."""
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)
    return program


def fill(module):
    """The same weights everywhere: ramps."""
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if name not in ("turned", "offset"):
                tensor.copy_(torch.arange(tensor.numel()).reshape(tensor.shape) / 8)
    return module


def main(folder):
    mlp = export(fill(Mlp()), (torch.ones(3, 4),), dynamic_shapes=({0: Dim("batch", max=64)},))
    save(without_traces(mlp), folder / "mlp.pt2")
    arguments = (torch.ones(3, 4), True, {"bias": torch.ones(4)})
    shared = export(
        fill(Shared()), arguments, dynamic_shapes=({0: Dim.DYNAMIC}, None, {"bias": None})
    )
    save(without_traces(shared), folder / "shared.pt2")


main(pathlib.Path(sys.argv[1]))
