"""LoRA on layers that PEFT refuses, as plain arithmetic on their weights: W + s * delta(A, B)."""

import torch
from safetensors.torch import load_file
from torch import nn
from torch.func import functional_call

PREFIX = "base_model.model."


def delta(layer, a, b):
    """What a pair adds to the layer's weight."""
    if isinstance(layer, nn.EmbeddingBag):
        return (b @ a).T
    if isinstance(layer, nn.Bilinear):
        return torch.einsum("or,rij->oij", b, a)
    # Transposed convolutions: both matrices have the base's groups.
    groups = layer.groups
    a, kernel = a.flatten(1), b.flatten(1)
    parts = zip(a.chunk(groups), kernel.chunk(groups))
    return torch.cat([down.T @ up for down, up in parts]).reshape(layer.weight.shape)


class AdaptedWeights(nn.Module):
    """The model with an adapter of Tenon's on its layers, of which only the pairs are trained."""

    def __init__(self, model, folder, scaling):
        super().__init__()
        self.base = model.requires_grad_(False)
        self.scaling = scaling
        saved = load_file(folder / "adapter_model.safetensors")
        self.keys = list(saved)
        self.pairs = nn.ParameterList(saved[key] for key in self.keys)

    def tensors(self):
        return {key: pair.detach() for key, pair in zip(self.keys, self.pairs)}

    def pair(self, name):
        """A and B, whatever else their keys say."""
        found = {
            key.removeprefix(f"{PREFIX}{name}."): pair
            for key, pair in zip(self.keys, self.pairs)
            if key.startswith(f"{PREFIX}{name}.")
        }
        a, b = (found[key] for key in sorted(found))
        return a, b

    def weights(self):
        return {
            f"{name}.weight": layer.weight + self.scaling * delta(layer, *self.pair(name))
            for name, layer in self.base.named_children()
        }

    def forward(self, *inputs):
        return functional_call(self.base, self.weights(), inputs)
