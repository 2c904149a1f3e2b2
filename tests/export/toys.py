"""Small models, one for each layer type and arrangement that PEFT's own tests adapt.

Each takes one integer tensor of shape (9, 10), `example_input()`, and gives log-probabilities or
features. Exported once, as they are, so the nine rows are fixed.
"""

import torch
import torch.nn.functional as F
from torch import nn
from transformers.pytorch_utils import Conv1D

ROWS = 9


def example_input():
    return torch.arange(90).view(ROWS, 10)


class Toy(nn.Module):
    """Casts its input as its own precision asks for, and ends in log-probabilities."""

    def forward(self, X):
        return F.log_softmax(self.logits(X.to(torch.float32) / 30), dim=-1)


class Mlp(Toy):
    def __init__(self, bias=True):
        super().__init__()
        self.lin0 = nn.Linear(10, 20, bias=bias)
        self.lin1 = nn.Linear(20, 2, bias=bias)

    def logits(self, x):
        return self.lin1(F.relu(self.lin0(x)))


class MlpLayerNorm(Toy):
    def __init__(self):
        super().__init__()
        self.layernorm0 = nn.LayerNorm(10)
        self.lin0 = nn.Linear(10, 20)
        self.layernorm1 = nn.LayerNorm(20)
        self.lin1 = nn.Linear(20, 2)

    def logits(self, x):
        return self.lin1(self.layernorm1(F.relu(self.lin0(self.layernorm0(x)))))


class MlpGru(Toy):
    def __init__(self):
        super().__init__()
        self.lin0 = nn.Linear(10, 20)
        self.gru = nn.GRU(20, 20, batch_first=True)
        self.fc = nn.Linear(20, 2)

    def logits(self, x):
        return self.fc(self.gru(F.relu(self.lin0(x)).unsqueeze(1))[0].squeeze(1))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin0 = nn.Linear(10, 10)
        self.lin1 = nn.Linear(10, 10)

    def forward(self, x):
        return torch.tanh(self.lin1(F.relu(self.lin0(x))))


class DeepMlp(Toy):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Block() for _ in range(12)])
        self.out = nn.Linear(10, 2)

    def logits(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.out(x)


class EmbConv1D(Toy):
    """An embedding and transformers' Conv1D, a Linear whose weight is transposed."""

    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(100, 5)
        self.conv1d = Conv1D(1, 5)
        self.lin0 = nn.Linear(10, 2)

    def forward(self, X):
        return F.log_softmax(self.lin0(F.relu(self.conv1d(self.emb(X))).squeeze(-1)), dim=-1)


class Convolved(Toy):
    """A convolution `conv` on the input in the shape that it takes, then a Linear `lin0`."""

    def __init__(self, conv, shape, copies=1):
        super().__init__()
        self.conv = conv
        self.shape = shape
        self.copies = copies
        with torch.no_grad():
            features = self.features(torch.zeros(ROWS, 10)).shape[1]
        self.lin0 = nn.Linear(features, 2)

    def features(self, x):
        x = x.reshape(-1, *self.shape)
        x = torch.cat([x] * self.copies, dim=1) if self.copies > 1 else x
        return F.relu(self.conv(x)).flatten(1)

    def logits(self, x):
        return self.lin0(self.features(x))


class LinearThenConv(Toy):
    """A convolution between two Linears."""

    def __init__(self, conv, shape):
        super().__init__()
        self.lin0 = nn.Linear(10, shape[0] * shape[1] * shape[2])
        self.conv = conv
        self.shape = shape
        with torch.no_grad():
            features = self.conv(torch.zeros(1, *shape)).numel()
        self.lin1 = nn.Linear(features, 2)

    def logits(self, x):
        x = F.relu(self.lin0(x)).reshape(-1, *self.shape)
        return self.lin1(F.relu(self.conv(x)).flatten(1))


class Attention(Toy):
    def __init__(self):
        super().__init__()
        self.mha = nn.MultiheadAttention(10, 2)
        self.lin0 = nn.Linear(10, 2)

    def logits(self, x):
        return self.lin0(self.mha(x, x, x)[0])


class Matrix(nn.Module):
    def __init__(self, rows, columns):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(rows, columns) / rows**0.5)
        self.bias = nn.Parameter(torch.zeros(columns))

    def forward(self, x):
        return x @ self.weight + self.bias


class Matrices(Toy):
    """Plain parameters where others have Linears."""

    def __init__(self):
        super().__init__()
        self.lin0 = Matrix(10, 20)
        self.lin1 = Matrix(20, 2)

    def logits(self, x):
        return self.lin1(F.relu(self.lin0(x)))


class Branch(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn = nn.ModuleDict({"q_proj": nn.Linear(8, 8), "v_proj": nn.Linear(8, 8)})
        self.mlp = nn.Sequential()
        self.mlp.add_module("fc1", nn.Linear(8, 12))
        self.mlp.add_module("fc2", nn.Linear(12, 8))

    def forward(self, x):
        return x + self.mlp(torch.tanh(self.attn["q_proj"](x)) * self.attn["v_proj"](x))


class Tower(Toy):
    """Nested as large models are: names at several depths, layers in a list, a head."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(100, 8)
        self.model = nn.Module()
        self.model.layers = nn.ModuleList([Branch() for _ in range(3)])
        self.model.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 2)

    def forward(self, X):
        x = self.embed(X).mean(1)
        for layer in self.model.layers:
            x = layer(x)
        return F.log_softmax(self.head(self.model.norm(x)), dim=-1)


TOYS = {
    "tower": Tower,
    "mlp": Mlp,
    "mlp_no_bias": lambda: Mlp(bias=False),
    "mlp_layernorm": MlpLayerNorm,
    "mlp_gru": MlpGru,
    "deep_mlp": DeepMlp,
    "emb_conv1d": EmbConv1D,
    "conv1d": lambda: Convolved(nn.Conv1d(1, 1, 2), (1, 10)),
    "conv1d_bigger": lambda: Convolved(nn.Conv1d(64, 16, 2), (1, 10), copies=64),
    "conv1d_groups": lambda: Convolved(nn.Conv1d(8, 8, 3, groups=2), (1, 10), copies=8),
    "conv1d_kernel1": lambda: Convolved(nn.Conv1d(1, 10, 1), (1, 10)),
    "conv2d": lambda: LinearThenConv(nn.Conv2d(5, 10, 3), (5, 3, 3)),
    "conv2d_1x1": lambda: Convolved(nn.Conv2d(1, 10, 1), (1, 2, 5)),
    "conv2d_groups": lambda: LinearThenConv(nn.Conv2d(16, 16, 3, groups=8), (16, 6, 3)),
    "conv2d_groups2": lambda: Convolved(
        nn.Conv2d(16, 32, 3, padding=1, groups=2), (1, 2, 5), copies=16
    ),
    "conv3d": lambda: Convolved(nn.Conv3d(1, 10, (1, 2, 3)), (1, 1, 2, 5)),
    "conv3d_1x1": lambda: Convolved(nn.Conv3d(1, 10, 1), (1, 1, 2, 5)),
    "attention": Attention,
    "matrices": Matrices,
}


def toy(name, seed=0):
    """Builds a model of TOYS in eval mode, the same one for the same seed."""
    torch.manual_seed(seed)
    return TOYS[name]().eval()
