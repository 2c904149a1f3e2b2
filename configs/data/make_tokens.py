"""Writes the token tasks, NAME_train.safetensors and NAME_eval.safetensors, ids as int16:

- tags: the tag of a token is the token before it, modulo 5, so that it takes a memory of one step;
  the first token and padding (0) have none (-100)
- majority: are more of the 12 tokens below 20 than above?
- pairs: does a token below 8 stand right before one above 31? In half of the rows one does
- steps: each token is the one before plus the row's step, 1 to 4, modulo 97

Run: build/venv/peers/bin/python configs/data/make_tokens.py
"""

import pathlib

import torch
from safetensors.torch import save_file

ROWS = {"train": 1024, "eval": 128}
IGNORED = -100


def tags(rows):
    ids = torch.randint(1, 50, (rows, 7))
    labels = torch.full_like(ids, IGNORED)
    labels[:, 1:] = ids[:, :-1] % 5
    padded = torch.arange(7) >= torch.randint(4, 8, (rows, 1))
    return {"ids": ids.masked_fill(padded, 0), "labels": labels.masked_fill(padded, IGNORED)}


def majority(rows):
    ids = torch.randint(0, 40, (rows, 12))
    low = (ids < 20).sum(1)
    tied = low == 6
    ids[tied, 0] = torch.where(ids[tied, 0] < 20, ids[tied, 0], ids[tied, 0] - 20)
    return {"ids": ids, "labels": ((ids < 20).sum(1) > 6).long()}


def pairs(rows):
    ids = torch.randint(8, 32, (rows, 12))  # neither kind
    for row in range(rows):
        low, high = torch.randint(0, 8, (1,)), torch.randint(32, 40, (1,))
        place = torch.randint(0, 11, (1,))
        # The same two tokens are there either way, only their order differs.
        ids[row, place : place + 2] = torch.cat([low, high] if row % 2 else [high, low])
    return {"ids": ids, "labels": torch.arange(rows) % 2}


def steps(rows):
    first = torch.randint(0, 97, (rows, 1))
    ids = (first + torch.randint(1, 5, (rows, 1)) * torch.arange(16)) % 97
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def main():
    torch.manual_seed(0)
    folder = pathlib.Path(__file__).parent
    for make in (tags, majority, pairs, steps):
        for split, rows in ROWS.items():
            tensors = {name: tensor.to(torch.int16) for name, tensor in make(rows).items()}
            save_file(tensors, folder / f"{make.__name__}_{split}.safetensors")


if __name__ == "__main__":
    main()
