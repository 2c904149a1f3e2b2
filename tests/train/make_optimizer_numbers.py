"""Prints the table of optimizer_test.cpp: parameters after 20 steps of torch.optim.

Made with torch 2.13.0. The loss is sum((w * c - t)^2) with fixed c and t, so that each element has
its own curvature; the second parameter gets its first gradient at the third step.
"""

import torch

STEPS = 20
CASES = {
    "AdamW": (torch.optim.AdamW, dict(lr=0.05)),
    "AdamWDecayAmsgrad": (torch.optim.AdamW, dict(lr=0.05, weight_decay=0.1, amsgrad=True)),
    "AdamWMaximize": (torch.optim.AdamW, dict(lr=0.05, betas=(0.8, 0.95), maximize=True)),
    "Adam": (torch.optim.Adam, dict(lr=0.05)),
    "AdamDecayEps": (torch.optim.Adam, dict(lr=0.05, weight_decay=0.1, eps=1e-3)),
    "AdamAmsgrad": (torch.optim.Adam, dict(lr=0.2, amsgrad=True)),
    "Sgd": (torch.optim.SGD, dict(lr=0.01)),
    "SgdDecay": (torch.optim.SGD, dict(lr=0.01, weight_decay=0.1)),
    "SgdMomentum": (torch.optim.SGD, dict(lr=0.01, momentum=0.9)),
    "SgdMomentumDampening": (torch.optim.SGD, dict(lr=0.01, momentum=0.9, dampening=0.5)),
    "SgdNesterovDecay": (
        torch.optim.SGD,
        dict(lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.1),
    ),
    "SgdMaximize": (torch.optim.SGD, dict(lr=0.001, momentum=0.5, maximize=True)),
}


def run(optimizer_class, arguments):
    first = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
    second = torch.tensor([[1.5], [-0.25]], requires_grad=True)
    optimizer = optimizer_class([first, second], foreach=False, **arguments)
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = ((first * torch.tensor([1.0, 2.0, 0.5]) - torch.tensor([1.0, 0.5, -1.0])) ** 2).sum()
        if step >= 2:
            loss = loss + ((second * torch.tensor([[3.0], [1.0]]) - 1.0) ** 2).sum()
        loss.backward()
        optimizer.step()
    return first.tolist() + second.flatten().tolist()


for name, (optimizer_class, arguments) in CASES.items():
    print(name, ", ".join(f"{value:.7g}" for value in run(optimizer_class, arguments)))
