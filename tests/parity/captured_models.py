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
        h = self.gru(x, self.rnn(x, torch.ones(len(x), 4)))
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


class CausalBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(8)
        self.norm2 = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Linear(8, 8)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8), nn.Dropout(0.1))

    def forward(self, x):
        batch, length, _ = x.shape
        query, key, value = (
            part.view(batch, length, 2, 4).transpose(1, 2)
            for part in self.qkv(self.norm1(x)).chunk(3, -1)
        )
        scores = query @ key.transpose(-2, -1) / 2
        mask = torch.ones(length, length, dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(mask, -1e9).softmax(-1) @ value
        y = x + self.out(mixed.transpose(1, 2).reshape(batch, length, -1))
        return y + self.mlp(self.norm2(y))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(13, 8)
        self.positions = nn.Embedding(16, 8)
        self.blocks = nn.ModuleList(CausalBlock() for _ in range(2))

    def forward(self, ids):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return x @ self.tokens.weight.t()


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(BasicBlock(3, 3, 1), BasicBlock(3, 6, 2))
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        return self.fc(self.layers(x).mean((2, 3)))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter = nn.Conv2d(2, 4, 3, padding=1)
        self.middle = nn.Conv2d(4, 4, 3, padding=1)
        self.leave = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        top = torch.relu(self.enter(x))
        bottom = torch.relu(self.middle(torch.max_pool2d(top, 2)))
        up = F.interpolate(bottom, size=top.shape[2:], mode="bilinear", align_corners=False)
        return self.leave(torch.cat((top, up), 1))


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))

    def forward(self, a, b):
        return torch.cosine_similarity(self.encoder(a), self.encoder(b))


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(5, 3)
        self.experts = nn.ModuleList(nn.Linear(5, 4) for _ in range(3))

    def forward(self, x):
        outputs = torch.stack([expert(x) for expert in self.experts], 1)
        return torch.einsum("be,beo->bo", self.gate(x).softmax(-1), outputs)


class Squeeze(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3)
        self.fc1 = nn.Linear(6, 2)
        self.fc2 = nn.Linear(2, 6)

    def forward(self, x):
        y = self.conv(x)
        scale = self.fc2(torch.relu(self.fc1(y.mean((2, 3))))).sigmoid()
        return (y * scale[:, :, None, None]).sum((2, 3))


class Seq2Seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.GRU(3, 5, batch_first=True)
        self.decoder = nn.GRUCell(2, 5)
        self.project = nn.Linear(5, 2)

    def forward(self, source, target):
        state = self.encoder(source)[1][0]
        step = torch.zeros_like(target[:, 0])
        outputs = []
        for _ in range(target.shape[1]):
            state = self.decoder(step, state)
            step = self.project(state)
            outputs.append(step)
        return torch.stack(outputs, 1)


class Translator(nn.Module):
    def __init__(self):
        super().__init__()
        self.transformer = nn.Transformer(8, 2, 1, 1, dim_feedforward=12)

    def forward(self, source, target):
        mask = nn.Transformer.generate_square_subsequent_mask(len(target))
        return self.transformer(source, target, tgt_mask=mask)


class Rotary(nn.Module):
    def __init__(self):
        super().__init__()
        self.query = nn.Linear(8, 8)
        self.key = nn.Linear(8, 8)
        self.value = nn.Linear(8, 8)
        self.out = nn.Linear(8, 8)

    @staticmethod
    def rotate(x):
        half = x.shape[-1] // 2
        frequencies = 10000.0 ** (-torch.arange(half) / half)
        angles = torch.outer(torch.arange(x.shape[-2]), frequencies)
        a, b = x.split(half, -1)
        return torch.cat(
            (a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()), -1
        )

    def forward(self, x):
        def heads(y):
            return y.view(len(x), -1, 2, 4).transpose(1, 2)

        mixed = F.scaled_dot_product_attention(
            self.rotate(heads(self.query(x))),
            self.rotate(heads(self.key(x))),
            heads(self.value(x)),
            is_causal=True,
        )
        return self.out(mixed.transpose(1, 2).reshape(x.shape)) + x


class Patches(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 6, 4, stride=4)
        self.mix = nn.Conv1d(6, 6, 3, padding=1, groups=2)
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, 3)
        self.token = nn.Parameter(torch.randn(1, 1, 6))
        self.positions = nn.Parameter(torch.randn(1, 5, 6))

    def forward(self, x):
        patches = self.embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat((self.token.expand(len(x), -1, -1), patches), 1) + self.positions
        return self.head(self.norm(self.mix(tokens.transpose(1, 2)).transpose(1, 2))[:, 0])


@dataclass
class Case:
    build: callable
    inputs: callable  # batch size -> inputs
    targets: tuple  # layers that PEFT adapts too
    parameters: tuple = ()  # weights that it adapts by name
    merges: bool = True  # no adapter is on a convolution of groups, which none can merge


def recurrent(layer, layers=1, bidirectional=False):
    return tuple(
        f"{layer}.weight_{kind}_l{number}{direction}"
        for number in range(layers)
        for direction in ("", "_reverse")[: 1 + bidirectional]
        for kind in ("ih", "hh")
    )


def ids(count, *shape):
    return (torch.randint(count, shape),)


def reals(*shapes):
    return tuple(torch.randn(shape) for shape in shapes)


CASES = {
    "mlp": Case(Mlp, lambda n: reals((n, 20)), ("first", "second")),
    "sequential": Case(sequential, lambda n: reals((n, 20)), ("0", "2")),
    "conv_net": Case(
        ConvNet, lambda n: reals((n, 3, 8, 8)), ("conv", "depthwise", "head"), merges=False
    ),
    "conv1d_net": Case(Conv1dNet, lambda n: reals((n, 4, 9)), ("down",)),
    "conv3d_net": Case(Conv3dNet, lambda n: reals((n, 2, 4, 4, 4)), ("down",)),
    "upsample_net": Case(UpsampleNet, lambda n: reals((n, 2, 3, 3)), ()),
    "tagger": Case(
        Tagger, lambda n: ids(11, n, 7), ("embedding", "head"), recurrent("lstm", 2, True)
    ),
    "gru_net": Case(GruNet, lambda n: reals((n, 4, 3)), ("head",), recurrent("gru")),
    "rnn_net": Case(RnnNet, lambda n: reals((n, 4, 3)), (), recurrent("rnn")),
    "cells": Case(
        Cells,
        lambda n: reals((n, 3)),
        (),
        tuple(f"{cell}.weight_{kind}" for cell in ("rnn", "gru", "lstm") for kind in ("ih", "hh")),
    ),
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
    "gpt": Case(
        Gpt,
        lambda n: ids(13, n, 5),
        ("positions", "qkv", "blocks.1.out", "mlp.0", "blocks.0.mlp.2"),
    ),
    "res_net": Case(
        ResNet, lambda n: reals((n, 3, 8, 8)), ("conv1", "layers.1.conv2", "shortcut.0", "fc")
    ),
    "u_net": Case(UNet, lambda n: reals((n, 2, 8, 8)), ("enter", "middle", "leave")),
    "siamese": Case(Siamese, lambda n: reals((n, 5), (n, 5)), ("encoder.0", "encoder.2")),
    "experts": Case(Experts, lambda n: reals((n, 5)), ("gate", "experts.0", "experts.2")),
    "squeeze": Case(Squeeze, lambda n: reals((n, 2, 5, 5)), ("conv", "fc1", "fc2")),
    "seq2seq": Case(
        Seq2Seq,
        lambda n: reals((n, 4, 3), (n, 2, 2)),
        ("project",),
        (*recurrent("encoder"), "decoder.weight_ih", "decoder.weight_hh"),
    ),
    "translator": Case(
        Translator,
        lambda n: reals((5, n, 8), (4, n, 8)),
        ("self_attn", "multihead_attn", "decoder.layers.0.linear2"),
    ),
    "rotary": Case(Rotary, lambda n: reals((n, 5, 8)), ("query", "key", "value", "out")),
    "patches": Case(
        Patches, lambda n: reals((n, 3, 8, 8)), ("embed", "mix", "head"), merges=False
    ),
}
