"""Prints the numbers of loss_test.cpp from torch.nn.functional (torch 2.13.0).

Scores are small fixed numbers: score i is sin(i) in row-major order.
"""

import torch
import torch.nn.functional as F


def sines(*shape):
    count = torch.Size(shape).numel()
    return torch.sin(torch.arange(count, dtype=torch.float32)).reshape(shape)


labels = torch.tensor([2, 0, 1, 2])
tokens = torch.tensor([[1, 4, -100], [0, 3, 2]])
print("nll", F.nll_loss(F.log_softmax(sines(4, 3), 1), labels).item())
print("cross_entropy", F.cross_entropy(sines(4, 3), labels).item())
print("sequence", F.cross_entropy(sines(2, 3, 5).flatten(0, 1), tokens.flatten()).item())
print("image", F.cross_entropy(sines(2, 3, 2, 2), torch.tensor([[[0, 1], [2, 0]], [[1, 1], [0, 2]]])).item())
print("mse", F.mse_loss(sines(4, 1), torch.tensor([[0.5], [1.0], [0.0], [-1.0]])).item())
print("bce", F.binary_cross_entropy_with_logits(sines(4), torch.tensor([0.0, 1.0, 1.0, 0.0])).item())
scores = sines(2, 3, 5)
print("causal_lm", F.cross_entropy(scores[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).item())
print("output", sines(2, 3).mean().item())
print("correct", (sines(4, 3).argmax(1) == labels).sum().item(),
      (scores.argmax(2) == tokens).sum().item(),
      (scores[:, :-1].argmax(2) == tokens[:, 1:]).sum().item())
