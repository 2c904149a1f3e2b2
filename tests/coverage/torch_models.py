"""Plain PyTorch: each module that has parameters or state, and ways of putting modules together."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from example import Example


class Wrapped(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, *inputs):
        return self.layer(*inputs)


# A shape is a string: "b" and "l" are the batch and the length, a number itself; with a leading "i"
# the tensor holds indices below 10.
def _tensor(shape, batch, length):
    sizes = shape.split()
    is_index = sizes[0] == "i"
    sizes = [{"b": batch, "l": length}.get(s) or int(s) for s in sizes[is_index:]]
    return torch.randint(0, 10, sizes) if is_index else torch.randn(sizes)


def _model(make, *shapes, **options):
    def build():
        return Example(
            make(), lambda b, n: (tuple(_tensor(shape, b, n) for shape in shapes), {}), **options
        )

    return build


def _layer(make, *shapes, **options):
    return _model(lambda: Wrapped(make()), *shapes, **options)


class Shared(nn.Module):
    """One layer under two names and called three times, with inputs of two lengths."""

    def __init__(self):
        super().__init__()
        self.one = nn.Sequential(nn.Linear(8, 8), nn.GELU())
        self.two = self.one

    def forward(self, x):
        return self.two(self.one(x)) + self.one(x[:, :1])


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 8)
        self.middle = nn.Linear(8, 8)
        self.head = nn.Linear(8, 10, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids):
        return self.head(self.middle(self.embedding(ids)))


class Functional(nn.Module):
    """Parameters of the model's own in functional calls, and a constant."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 8))
        self.gain = nn.ParameterList([nn.Parameter(torch.ones(6)), nn.Parameter(torch.zeros(6))])
        self.table = nn.ParameterDict({"row": nn.Parameter(torch.randn(6))})
        self.last = nn.Linear(6, 4)

    def forward(self, x):
        x = F.linear(x, self.weight) * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        return self.last(F.layer_norm(x, (6,), *self.gain) + self.table["row"])


class Containers(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(
            [nn.ModuleDict({"fc": nn.Linear(8, 8), "act": nn.PReLU()}) for _ in range(3)]
        )

    def forward(self, x):
        for block in self.blocks:
            x = x + block["act"](block["fc"](x))
        return x


class Counting(nn.Module):
    """A buffer that changes in forward."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(8))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64), persistent=False)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        self.mean.mul_(0.9).add_(x.mean((0, 1)), alpha=0.1)
        self.calls += 1
        return self.fc(x - self.mean) * self.calls


class OnBuffer(nn.Module):
    """A layer whose input is a buffer of the model: a bias computed from a fixed table."""

    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.randn(6, 3), persistent=False)
        self.mlp = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 6))
        self.fc = nn.Linear(8, 6)

    def forward(self, x):
        return self.fc(x) + self.mlp(self.table).mean(0)


class SeveralOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left = nn.Linear(8, 4)
        self.right = nn.Linear(6, 4)

    def forward(self, x, pair, *, scale=2.0, options=None):
        y = self.left(x) * scale
        z = self.right(pair["a"]) + self.right(pair["b"][0])
        return {"sum": y + z, "parts": (y, [z, None]), "size": x.shape[0], "x": x}


def _several_outputs():
    def inputs(b, n):
        pair = {"a": torch.randn(b, n, 6), "b": (torch.randn(b, n, 6),)}
        return (torch.randn(b, n, 8), pair), {"scale": 3.0, "options": None}

    return Example(SeveralOutputs(), inputs)


class Sizes(nn.Module):
    """Arithmetic on sizes, slices, and shapes that depend on the input's."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.positions = nn.Embedding(64, 8)

    def forward(self, x):
        batch, length, width = x.shape
        x = self.fc(x) + self.positions(torch.arange(length))
        x = torch.cat([x, x.new_zeros(batch, length // 2 + 1, width)], 1)
        mask = torch.ones(x.shape[1], x.shape[1]).tril().bool()
        scores = (x @ x.mT / width**0.5).masked_fill(~mask, float("-inf")).softmax(-1)
        return (scores @ x)[:, -length:].reshape(batch * length, width)


class MySub(nn.Linear):
    pass


def _attention(**options):
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True, **options)

        def forward(self, x):
            return self.attention(x, x, x)

    return Attention()


class CrossAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, kdim=6, vdim=4, batch_first=True)

    def forward(self, query, key, value):
        return self.attention(query, key, value, need_weights=False)[0]


def _transformer():
    return nn.Transformer(8, 2, 1, 1, 16, dropout=0.0, batch_first=True)


def _convolutions(rank):
    size = {1: "11", 2: "11 9", 3: "7 6 5"}[rank]
    conv = getattr(nn, f"Conv{rank}d")
    transposed = getattr(nn, f"ConvTranspose{rank}d")
    return {
        f"Conv{rank}d": _layer(lambda: conv(3, 6, 3, stride=2, padding=1), f"b 3 {size}"),
        f"Conv{rank}d_same": _layer(
            lambda: conv(4, 4, 3, padding="same", groups=2, dilation=2), f"b 4 {size}"
        ),
        f"Conv{rank}d_circular": _layer(
            lambda: conv(3, 6, 3, padding=1, padding_mode="circular"), f"b 3 {size}"
        ),
        f"ConvTranspose{rank}d": _layer(
            lambda: transposed(3, 6, 3, stride=2, padding=1, output_padding=1), f"b 3 {size}"
        ),
    }


def _norms(rank):
    size = {1: "9", 2: "6 5", 3: "4 3 3"}[rank]
    batch_norm = getattr(nn, f"BatchNorm{rank}d")
    instance_norm = getattr(nn, f"InstanceNorm{rank}d")
    return {
        f"BatchNorm{rank}d": _layer(lambda: batch_norm(4), f"b 4 {size}"),
        f"BatchNorm{rank}d_stateless": _layer(
            lambda: batch_norm(4, track_running_stats=False), f"b 4 {size}"
        ),
        f"InstanceNorm{rank}d": _layer(lambda: instance_norm(4, affine=True), f"b 4 {size}"),
        f"InstanceNorm{rank}d_tracked": _layer(
            lambda: instance_norm(4, affine=True, track_running_stats=True), f"b 4 {size}"
        ),
    }


def _recurrent(name):
    kind = getattr(nn, name)
    return {
        name: _layer(lambda: kind(8, 6, batch_first=True), "b 7 8"),
        f"{name}_deep": _layer(lambda: kind(8, 6, 2, bidirectional=True, dropout=0.0), "7 b 8", trains=False),
        f"{name}Cell": _layer(lambda: getattr(nn, f"{name}Cell")(8, 6), "b 8"),
    }


MODELS = {
    "Linear": _layer(lambda: nn.Linear(8, 5), "b l 8"),
    "Linear_subclass": _layer(lambda: MySub(8, 5), "b l 8"),
    "Bilinear": _layer(lambda: nn.Bilinear(8, 6, 5), "b l 8", "b l 6"),
    **_convolutions(1),
    **_convolutions(2),
    **_convolutions(3),
    **_norms(1),
    **_norms(2),
    **_norms(3),
    "LayerNorm": _layer(lambda: nn.LayerNorm(8), "b l 8"),
    "GroupNorm": _layer(lambda: nn.GroupNorm(2, 8), "b 8 l"),
    "RMSNorm": _layer(lambda: nn.RMSNorm(8), "b l 8"),
    "LocalResponseNorm": _layer(
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.LocalResponseNorm(3)), "b 3 7 7"
    ),
    "PReLU": _layer(lambda: nn.PReLU(4), "b 4 l"),
    "RReLU": _layer(lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.RReLU()), "b l 8"),
    "Embedding": _layer(lambda: nn.Embedding(10, 8, padding_idx=1), "i b l"),
    "EmbeddingBag": _layer(lambda: nn.EmbeddingBag(10, 8, mode="mean"), "i b l"),
    **_recurrent("RNN"),
    **_recurrent("LSTM"),
    **_recurrent("GRU"),
    "LSTM_projected": _layer(lambda: nn.LSTM(8, 6, proj_size=4, batch_first=True), "b 7 8"),
    "MultiheadAttention": _model(_attention, "b l 8"),
    "MultiheadAttention_bias_kv": _model(lambda: _attention(add_bias_kv=True), "b l 8"),
    "MultiheadAttention_cross": _model(
        CrossAttention, "b l 8", "b 5 6", "b 5 4", not_adapted="attention"
    ),
    "TransformerEncoder": _layer(
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), 2
        ),
        "b l 8",
    ),
    "TransformerDecoderLayer": _layer(
        lambda: nn.TransformerDecoderLayer(8, 2, 16, dropout=0.0, batch_first=True), "b l 8", "b 5 8"
    ),
    "Transformer": _layer(_transformer, "b l 8", "b 5 8"),
    "AdaptiveLogSoftmax": _layer(
        lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 10, [4, 7]).head, "b 8"
    ),
    "weight_norm": _layer(lambda: parametrizations.weight_norm(nn.Linear(8, 5)), "b l 8", not_adapted="."),
    "spectral_norm": _layer(lambda: parametrizations.spectral_norm(nn.Linear(8, 5)), "b l 8", not_adapted="."),
    "orthogonal": _layer(lambda: parametrizations.orthogonal(nn.Linear(8, 5)), "b l 8", not_adapted="."),
    "upsample": _layer(
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.Upsample(scale_factor=2, mode="bilinear"),
                              nn.PixelShuffle(2), nn.Conv2d(2, 4, 1)), "b 3 6 6"
    ),
    "pools": _layer(
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.MaxPool2d(2), nn.LPPool2d(2, 2),
                              nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 4)), "b 3 14 14"
    ),
    "paddings": _layer(
        lambda: nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(3, 8, 3), nn.ZeroPad2d(1),
                              nn.ReplicationPad2d(1)), "b 3 6 8"
    ),
    "shared": _model(Shared, "b l 8"),
    "tied": _model(Tied, "i b l"),
    "functional": _model(Functional, "b l 8"),
    "containers": _model(Containers, "b l 8"),
    "counting": _model(Counting, "b l 8"),
    "on_buffer": _model(OnBuffer, "b l 8"),
    "several_outputs": _several_outputs,
    "sizes": _model(Sizes, "b l 8", trains=False),
}
