"""The models of tests/capture/models.h in Python, with the same names of parameters."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


class Mlp(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.first = nn.Linear(20, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, 2)

    def forward(self, x):
        x = torch.relu(self.second(torch.relu(self.first(x))))
        return torch.log_softmax(self.last(x), -1)


def sequential():
    return nn.Sequential(
        *(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)),
        nn.LogSoftmax(-1),
    )


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8)
        self.head = nn.Linear(32, 5)

    def forward(self, x):
        y = torch.max_pool2d(torch.relu(self.norm(self.conv(x))), 2)
        return self.head(torch.relu(self.depthwise(y)).flatten(1))


class Conv1dNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv1d(4, 6, 3, stride=2)
        self.norm = nn.GroupNorm(2, 6)
        self.up = nn.ConvTranspose1d(6, 4, 3, stride=2)

    def forward(self, x):
        return self.up(F.gelu(self.norm(self.down(x))))


class Conv3dNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv3d(2, 4, 2)
        self.norm = nn.InstanceNorm3d(4, affine=True)
        self.prelu = nn.PReLU(4)
        self.up = nn.ConvTranspose3d(4, 2, 2)

    def forward(self, x):
        return self.up(self.prelu(self.norm(self.down(x)))).mean((2, 3, 4))


class UpsampleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(2, 3, 2, stride=2)

    def forward(self, x):
        return F.interpolate(self.up(x), size=(x.shape[2] * 4, x.shape[3] * 4))


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.lstm = nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(10, 4)

    def forward(self, ids):
        return self.head(self.lstm(self.embedding(ids))[0])


class GruNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 5, batch_first=True)
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        states, last = self.gru(x)
        return self.head(states[:, -1]) + last.sum()


class RnnNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(3, 4, nonlinearity="relu", batch_first=True)

    def forward(self, x):
        return self.rnn(x)


class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNNCell(3, 4)
        self.gru = nn.GRUCell(3, 4)
        self.lstm = nn.LSTMCell(3, 4)

    def forward(self, x):
        h = self.gru(x, self.rnn(x))
        return torch.cat(self.lstm(x, (h, torch.zeros(len(x), 4))), 1)


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2)

    def forward(self, x):
        return self.attention(x, x, x, average_attn_weights=True)


class CrossAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2)
        self.norm = nn.LayerNorm(8)

    def forward(self, query, memory):
        return self.norm(query + self.attention(query, memory, memory)[0])


class TransformerNet(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x):
        return self.encoder(x)


class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(9, 4, mode="mean")
        self.head = nn.Linear(4, 2)

    def forward(self, ids):
        return self.head(self.bag(ids))


class BilinearNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.bilinear = nn.Bilinear(3, 4, 5)

    def forward(self, a, b):
        return torch.tanh(self.bilinear(a, b))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(6)
        self.fc = nn.Linear(6, 6)

    def forward(self, x):
        return x + self.fc(F.dropout(self.norm(x), 0.2, self.training))


class ResidualNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(3))
        self.head = nn.Linear(6, 2, bias=False)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class SharedLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(torch.relu(self.fc(x)))


class ManyWays(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.second = nn.Linear(4, 2)
        self.offset = nn.Parameter(torch.full((1, 2), 0.25))

    def forward(self, x, y):
        a = self.first(x) * torch.tensor([2.0, 2.0, 1.0, 1.0]) + y
        b = torch.stack([a[:, 1], torch.zeros(len(x))], 1)
        return self.second(a) / len(x), b * torch.tensor([0.5, 2.0]) + self.offset, y


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.full((6,), 1.5))

    def forward(self, x):
        return x * self.weight


class OwnTypes(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = Scale()
        self.position = nn.Embedding(4, 6)
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        with torch.no_grad():
            norm = self.scale(x).norm(2, 1, True)
        return self.fc(self.scale(x) / norm + self.position(torch.arange(len(x)) % 4))


@dataclass
class Case:
    build: callable
    inputs: callable  # batch size -> inputs
    targets: tuple  # layers that PEFT adapts too


def ids(count, *shape):
    return (torch.randint(count, shape),)


def reals(*shapes):
    return tuple(torch.randn(shape) for shape in shapes)


CASES = {
    "mlp": Case(Mlp, lambda n: reals((n, 20)), ("first", "second")),
    "sequential": Case(sequential, lambda n: reals((n, 20)), ("0", "2")),
    "conv_net": Case(ConvNet, lambda n: reals((n, 3, 8, 8)), ("conv", "depthwise", "head")),
    "conv1d_net": Case(Conv1dNet, lambda n: reals((n, 4, 9)), ("down",)),
    "conv3d_net": Case(Conv3dNet, lambda n: reals((n, 2, 4, 4, 4)), ("down",)),
    "upsample_net": Case(UpsampleNet, lambda n: reals((n, 2, 3, 3)), ()),
    "tagger": Case(Tagger, lambda n: ids(11, n, 7), ("embedding", "head")),
    "gru_net": Case(GruNet, lambda n: reals((n, 4, 3)), ("head",)),
    "rnn_net": Case(RnnNet, lambda n: reals((n, 4, 3)), ()),
    "cells": Case(Cells, lambda n: reals((n, 3)), ()),
    "self_attention": Case(SelfAttention, lambda n: reals((5, n, 8)), ("attention",)),
    "cross_attention": Case(
        CrossAttention, lambda n: reals((4, n, 8), (6, n, 8)), ("attention",)
    ),
    "transformer_net": Case(
        TransformerNet, lambda n: reals((5, n, 8)), ("self_attn", "linear1", "linear2")
    ),
    "bag": Case(Bag, lambda n: ids(9, n, 4), ("head",)),
    "bilinear_net": Case(BilinearNet, lambda n: reals((n, 3), (n, 4)), ()),
    "residual_net": Case(ResidualNet, lambda n: reals((n, 5, 6)), ("fc", "head")),
    "shared_layer": Case(SharedLayer, lambda n: reals((n, 4)), ("fc",)),
    "many_ways": Case(ManyWays, lambda n: reals((n, 3), (n, 4)), ("first", "second")),
    "own_types": Case(OwnTypes, lambda n: reals((n, 6)), ("position", "fc")),
}
