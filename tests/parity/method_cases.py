"""What the folders of plugins say to method_test.py: a model of many layers and PEFT's keys."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from support import models, toys
from torch import nn

ROWS = 40
BATCH = 8


class SideBySide(nn.Module):
    """Layers of one model, each on a part of the input in the shape that it takes; the outputs stand
    side by side. Embeddings take the ids."""

    def __init__(self, layers):
        super().__init__()
        self.shapes = {name: shape for name, (_, shape) in layers.items()}
        for name, (layer, _) in layers.items():
            self.add_module(name, layer)

    def forward(self, x, ids):
        parts = []
        for name, shape in self.shapes.items():
            layer = getattr(self, name)
            size = torch.Size(shape).numel()
            part = ids if _takes_ids(layer) else x[:, :size].reshape(-1, *shape).contiguous()
            parts.append(layer(part).flatten(1))
        return torch.cat(parts, dim=1)


def _takes_ids(layer):
    base = layer.get_base_layer() if hasattr(layer, "get_base_layer") else layer
    return isinstance(base, nn.Embedding)


@dataclass
class Case:
    """A model with its data, and how it is trained."""

    build: object  # () -> the model, the same each time
    inputs: dict
    labels: torch.Tensor
    loss: str
    batch: int
    is_dynamic: bool = True
    rate: float = 0.02

    def export_to(self, path):
        rows = {0: torch.export.Dim("batch")} if self.is_dynamic else None
        inputs = {
            name: tensor[:3] if self.is_dynamic else tensor for name, tensor in self.inputs.items()
        }
        models.export_to(path, models.Example(self.build(), inputs, dict.fromkeys(inputs, rows)))
        return path

    def loss_of(self, outputs, labels):
        return {"mse": F.mse_loss, "nll": F.nll_loss}[self.loss](outputs, labels)

    def parts(self, steps):
        """The batches of these steps."""
        rows = len(self.labels)
        for step in range(steps):
            part = slice(step * self.batch % rows, step * self.batch % rows + self.batch)
            yield {name: tensor[part] for name, tensor in self.inputs.items()}, self.labels[part]

    def tensors(self):
        return {**self.inputs, "labels": self.labels}


def case_of(layers):
    """Of a function that makes named layers, with the shape that each takes."""

    def build():
        torch.manual_seed(0)
        model = SideBySide(layers())
        with torch.no_grad():  # away from starts that hide a mistake, such as zero biases
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
        return model.eval()

    torch.manual_seed(1)
    width = max(torch.Size(shape).numel() for _, shape in layers().values())
    inputs = {"x": torch.randn(ROWS, width), "ids": torch.randint(0, 10, (ROWS, 6))}
    with torch.no_grad():
        outputs = build()(**inputs)
    return Case(build, inputs, torch.randn_like(outputs), "mse", BATCH)


def toy_case(name):
    """A small model of PEFT's own tests."""
    labels = torch.arange(toys.ROWS) % 2
    inputs = {"x": toys.example_input()}

    def build():
        model = toys.toy(name)
        forward = model.forward
        model.forward = lambda x: forward(x)
        return model

    return Case(build, inputs, labels, "nll", toys.ROWS, is_dynamic=False, rate=0.1)
