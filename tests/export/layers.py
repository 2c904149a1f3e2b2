"""Models that hold many layers of one kind, each in all the ways its type can be set up.

Every layer works on the same input, and the outputs stand side by side in one tensor, so that one
export and a few runs of tenon serve the whole kind.
"""

import torch
import torch.nn.functional as F
from torch import nn


class Convolutions(nn.Module):
    """Conv1d, Conv2d and Conv3d by stride, padding, dilation, groups and kernel."""

    def __init__(self):
        super().__init__()
        self.plain1 = nn.Conv1d(4, 6, 3)
        self.same1 = nn.Conv1d(4, 6, 4, padding="same", dilation=2)
        self.circular1 = nn.Conv1d(4, 6, 3, padding=2, padding_mode="circular", bias=False)
        self.replicate1 = nn.Conv1d(4, 6, 4, padding="same", padding_mode="replicate")
        self.pointwise1 = nn.Conv1d(4, 6, 1)
        self.grouped1 = nn.Conv1d(4, 6, 3, groups=2)
        self.strided2 = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.reflect2 = nn.Conv2d(3, 4, (3, 2), stride=(1, 2), padding=1, padding_mode="reflect")
        self.dilated2 = nn.Conv2d(3, 4, 3, padding="valid", dilation=(1, 2), bias=False)
        self.pointwise2 = nn.Conv2d(3, 5, 1)
        self.depthwise2 = nn.Conv2d(3, 6, 3, padding=1, padding_mode="circular", groups=3)
        self.plain3 = nn.Conv3d(3, 4, 2, padding=1)
        self.flat3 = nn.Conv3d(3, 4, (1, 1, 3), stride=(1, 1, 2))
        self.pointwise3 = nn.Conv3d(3, 4, 1)

    def forward(self, x):
        shapes = {"1": (4, 48), "2": (3, 8, 8), "3": (3, 4, 4, 4)}
        parts = [
            layer(x.reshape(-1, *shapes[name[-1]])).flatten(1)
            for name, layer in self.named_children()
        ]
        return torch.cat(parts, dim=1)


class ScaledWordEmbedding(nn.Embedding):
    """As transformers' BART has it."""

    embed_scale = 1.7

    def forward(self, ids):
        return super().forward(ids) * self.embed_scale


class BufferedEmbedding(nn.Embedding):
    """As transformers' Gemma has it."""

    def __init__(self, rows, size):
        super().__init__(rows, size, padding_idx=0)
        self.register_buffer("embed_scale", torch.tensor(size**0.5), persistent=False)

    def forward(self, ids):
        return super().forward(ids) * self.embed_scale.to(self.weight.dtype)


class Embeddings(nn.Module):
    """Embedding by its arguments that change forward or backward."""

    def __init__(self):
        super().__init__()
        self.plain = nn.Embedding(11, 5)
        self.padded = nn.Embedding(11, 4, padding_idx=2)
        self.by_frequency = nn.Embedding(11, 3, scale_grad_by_freq=True)
        self.normed = nn.Embedding(11, 4, max_norm=1.5, norm_type=1.0)
        self.scaled = ScaledWordEmbedding(11, 3)
        self.buffered = BufferedEmbedding(11, 5)

    def forward(self, ids):
        return torch.cat([layer(ids).flatten(1) for layer in self.children()], dim=1)


class TransposedLinears(nn.Module):
    """transformers' Conv1D, on inputs of two and three dimensions."""

    def __init__(self):
        super().__init__()
        from transformers.pytorch_utils import Conv1D

        self.first = Conv1D(7, 6)
        self.second = Conv1D(3, 7)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x))).flatten(1)


class Attentions(nn.Module):
    """MultiheadAttention by layout, masks, what it returns, and self or cross attention."""

    def __init__(self):
        super().__init__()
        self.self_first = nn.MultiheadAttention(8, 2, batch_first=True)
        self.self_second = nn.MultiheadAttention(8, 4)
        self.masked = nn.MultiheadAttention(8, 2, batch_first=True, bias=False)
        self.cross = nn.MultiheadAttention(8, 2, batch_first=True)
        self.extended = nn.MultiheadAttention(8, 2, add_bias_kv=True, add_zero_attn=True)

    def forward(self, x, memory):
        turned = x.transpose(0, 1)
        padding = memory[:, :, 0] < -1
        causal = torch.ones(6, 6, dtype=torch.bool).triu(1)
        parts = [
            *self.self_first(x, x, x),
            self.self_second(turned, turned, turned, need_weights=False)[0].transpose(0, 1),
            self.masked(x, x, x, attn_mask=causal, need_weights=False)[0],
            self.cross(x, memory, memory, key_padding_mask=padding)[0],
            self.extended(turned, turned, turned)[0].transpose(0, 1),
        ]
        return torch.cat([part.flatten(1) for part in parts], dim=1)


class BagsAndPairs(nn.Module):
    """EmbeddingBag by mode and Bilinear."""

    def __init__(self):
        super().__init__()
        self.mean = nn.EmbeddingBag(11, 5)
        self.sum = nn.EmbeddingBag(11, 4, mode="sum", padding_idx=3)
        self.max = nn.EmbeddingBag(11, 4, mode="max")
        self.pair = nn.Bilinear(4, 5, 3)
        self.alone = nn.Bilinear(4, 4, 2, bias=False)

    def forward(self, ids):
        mean, total, greatest = self.mean(ids), self.sum(ids), self.max(ids)
        first, second = torch.tanh(total), torch.tanh(mean)
        parts = [mean, total, greatest, self.pair(first, second), self.alone(first, first)]
        return torch.cat(parts, dim=1)


class TransposedConvolutions(nn.Module):
    """ConvTranspose1d, 2d and 3d by stride, paddings, dilation, groups and kernel."""

    def __init__(self):
        super().__init__()
        self.plain1 = nn.ConvTranspose1d(4, 6, 3)
        self.strided1 = nn.ConvTranspose1d(4, 6, 4, stride=2, padding=1, output_padding=1)
        self.grouped1 = nn.ConvTranspose1d(4, 6, 3, groups=2, bias=False)
        self.dilated2 = nn.ConvTranspose2d(3, 4, 3, dilation=(1, 2))
        self.depthwise2 = nn.ConvTranspose2d(3, 3, (3, 2), stride=(1, 2), groups=3)
        self.pointwise2 = nn.ConvTranspose2d(3, 5, 1)
        self.plain3 = nn.ConvTranspose3d(3, 4, 2, padding=1)

    def forward(self, x):
        shapes = {"1": (4, 12), "2": (3, 4, 4), "3": (3, 4, 2, 2)}
        parts = [
            layer(x.reshape(-1, *shapes[name[-1]])).flatten(1)
            for name, layer in self.named_children()
        ]
        return torch.cat(parts, dim=1)


class Recurrents(nn.Module):
    """LSTM, GRU and RNN by layers, directions, layout and what they leave out."""

    def __init__(self):
        super().__init__()
        self.deep = nn.LSTM(5, 4, 2, batch_first=True, bidirectional=True)
        self.projected = nn.LSTM(5, 6, proj_size=3)
        self.without_bias = nn.GRU(5, 4, batch_first=True, bias=False)
        self.both_ways = nn.GRU(5, 3, 2, bidirectional=True)
        self.plain = nn.RNN(5, 4, batch_first=True)
        self.cell = nn.GRUCell(5, 4)

    def forward(self, x):
        turned = x.transpose(0, 1)
        parts = [
            self.deep(x)[0],
            self.projected(turned)[0].transpose(0, 1),
            self.without_bias(x)[0],
            self.both_ways(turned)[1].transpose(0, 1),
            self.plain(x)[0],
            self.cell(x[:, 0], x[:, 1, :4]),
        ]
        return torch.cat([part.flatten(1) for part in parts], dim=1)


class Experts(nn.Module):
    """Stacks of matrices, as mixtures of experts keep them, and a bare matrix."""

    def __init__(self):
        super().__init__()
        self.up = nn.Parameter(torch.randn(3, 7, 5) / 3)
        self.down = nn.Parameter(torch.randn(3, 5, 7) / 3)
        self.bare = nn.Parameter(torch.randn(5, 4) / 3)

    def forward(self, x):
        hidden = torch.tanh(torch.einsum("bi,eoi->ebo", x, self.up))
        return torch.bmm(hidden, self.down.transpose(1, 2)).sum(0) @ self.bare


class Parameters(nn.Module):
    """Parameters that are adapted by name."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 5)
        self.experts = Experts()
        self.last = nn.Linear(4, 3)

    def forward(self, x):
        return self.last(self.experts(self.first(x)))


class MyLinear(nn.Linear):
    """A user's class that is still one plain operator."""


class WrittenLinear(nn.Linear):
    """One in several operators that are the same, as Falcon's."""

    def forward(self, x):
        return x @ self.weight.T + self.bias


class DoubledLinear(nn.Linear):
    """One that is more."""

    def forward(self, x):
        return 2 * super().forward(x)


class CastLinear(nn.Linear):
    """One that casts, as whisper's."""

    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


class PaddedConv(nn.Conv1d):
    """One that pads by itself, as EfficientNet's."""

    def forward(self, x):
        return super().forward(F.pad(x, (1, 1)))


class OwnClasses(nn.Module):
    """Classes around one operator."""

    def __init__(self):
        super().__init__()
        self.cast = CastLinear(6, 6)
        self.padded = PaddedConv(4, 4, 3)
        self.doubled = DoubledLinear(6, 6)

    def forward(self, x, ids):
        return self.doubled(self.padded(self.cast(x))) + ids.sum(1)[:, None, None]


def placed(cls, place):
    """A subclass whose bias is added by its caller ("outside") or by nobody ("unused")."""

    class Placed(cls):
        def forward(self, *inputs):
            bias, self.bias = self.bias, None
            try:
                y = super().forward(*inputs)
            finally:
                self.bias = bias
            return (y, bias) if place == "outside" else y

    Placed.__name__ = Placed.__qualname__ = f"{cls.__name__}_{place}"
    return Placed


class WrittenBias(nn.Linear):
    """One that adds its bias behind the operator."""

    def forward(self, x):
        return F.linear(x, self.weight) + self.bias


class BiasPlaces(nn.Module):
    """Layers whose bias is added inside, by their caller, by nobody, or is not there."""

    def __init__(self):
        super().__init__()
        kinds = {
            "linear": (nn.Linear, (6, 5)),
            "conv": (nn.Conv1d, (4, 3, 3)),
            "turned": (nn.ConvTranspose1d, (4, 3, 3)),
            "pair": (nn.Bilinear, (6, 6, 3)),
        }
        for kind, (cls, sizes) in kinds.items():
            self.add_module(f"{kind}_inside", cls(*sizes))
            self.add_module(f"{kind}_outside", placed(cls, "outside")(*sizes))
            self.add_module(f"{kind}_unused", placed(cls, "unused")(*sizes))
            self.add_module(f"{kind}_none", cls(*sizes, bias=False))
        self.linear_written = WrittenBias(6, 5)

    def forward(self, x):
        parts = []
        for name, layer in self.named_children():
            y = layer(x, x) if name.startswith("pair") else layer(x)
            if isinstance(y, tuple):
                y, bias = y
                y = y + (bias[:, None] if name.startswith(("conv", "turned")) else bias)
            parts.append(y.flatten(1))
        return torch.cat(parts, 1)


class Mixer(nn.Module):
    """A parameter that is cast in forward, as Mamba's A_log."""

    def __init__(self):
        super().__init__()
        self.log = nn.Parameter(torch.randn(6, 4))

    def forward(self, x):
        return x @ self.log.float().exp()


class Tower(nn.Module):
    """Of its last layer nothing is used, as of LLaVA's vision tower, of another the weight alone."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
        self.mixer = Mixer()
        self.read = nn.Linear(4, 4, bias=False)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        states = []
        for layer in self.layers:
            x = layer(x).tanh()
            states.append(x)
        return self.head(self.mixer(states[-2]) @ self.read.weight.T)


class MyConv(nn.Conv1d):
    """As MyLinear."""


class MyEmbedding(nn.Embedding):
    """As MyLinear."""


class Unusual(nn.Module):
    """Subclasses of PyTorch's layers, and an attention."""

    def __init__(self):
        super().__init__()
        self.embedding = MyEmbedding(5, 6)
        self.linear = MyLinear(6, 6)
        self.written = WrittenLinear(6, 6)
        self.conv = MyConv(4, 4, 3, padding=1)
        self.doubled = DoubledLinear(6, 6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x, ids):
        x = self.conv(self.written(self.linear(x)) + self.embedding(ids))
        x = self.doubled(x)
        return self.attention(x, x, x, need_weights=False)[0]


class Computed(nn.Module):
    """Layers that compute their weight in forward."""

    def __init__(self):
        super().__init__()
        utils = nn.utils
        self.normed = utils.weight_norm(nn.Linear(6, 6))
        self.parametrized = utils.parametrizations.weight_norm(nn.Linear(6, 6))
        self.spectral = utils.spectral_norm(nn.Linear(6, 6))
        lstm = nn.LSTM(6, 6, batch_first=True)
        self.lstm = utils.parametrizations.weight_norm(lstm, "weight_hh_l0")

    def forward(self, x, ids):
        x = x + ids[..., None]
        return self.lstm(self.spectral(self.parametrized(self.normed(x))))[0]


class CellLoop(nn.Module):
    """A cell over time whose two states start as one tensor, and of which the last leaves one unused."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(6, 5)
        self.late = nn.GRUCell(6, 5)
        self.head = nn.Linear(5, 2)

    def forward(self, x, ids):
        hidden = memory = torch.zeros(x.shape[0], 5)
        last = None
        for step in x.unbind(1):
            hidden, memory = self.cell(step, (hidden, memory))
            last = self.late(step, last)
        return self.head(hidden + last) + ids.sum(1, keepdim=True)
