"""Writes VERSION/{exported,decomposed}.pt2 and what they give, for the torch that runs it.

    python make_archives.py FOLDER    # with each version of torch in turn; then FOLDER/VERSION is there
"""

import pathlib
import sys

import torch
from safetensors.torch import save_file
from torch import nn


class Mixer(nn.Module):
    """One of each kind of node that versions write differently: a gradient mode, attention, a
    recurrent layer, normalisation with statistics, a computed size, a constant, a tied weight."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.BatchNorm1d(8)
        self.conv = nn.Conv1d(8, 8, 3, padding=1)
        self.rnn = nn.LSTM(8, 6, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Dropout(0.5))
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("frequencies", torch.arange(4.0), persistent=False)

    def forward(self, tokens, scale):
        x = self.embedding(tokens)
        with torch.no_grad():
            positions = torch.arange(tokens.shape[1]).outer(self.frequencies)
            angles = torch.cat([positions.sin(), positions.cos()], dim=-1)
        x = x + angles * scale["angles"]
        x = x + self.attention(x, x, x, need_weights=False)[0]
        x = self.conv(self.norm(x.transpose(1, 2))).transpose(1, 2)
        x = self.rnn(x)[0]
        x = self.mlp(x.reshape(tokens.shape[0] * tokens.shape[1], 6))
        return {"logits": self.head(x), "rows": x.masked_fill(x < 0, float("-inf"))}


def fill(module):
    """The same weights with every version."""
    with torch.no_grad():
        for tensor in {id(t): t for t in module.state_dict().values()}.values():
            steps = torch.arange(tensor.numel()).reshape(tensor.shape)
            tensor.copy_((steps * 7 % 23 - 11) / 29 if tensor.is_floating_point() else steps)
        module.norm.running_var.abs_()
    return module


def without_traces(program):
    """Stack traces name files of the machine that exported; a node's history is long."""
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                for key in ("stack_trace", "from_node"):
                    node.meta.pop(key, None)
    return program


def main(folder):
    model = fill(Mixer()).eval()
    inputs = {"tokens": torch.arange(6).reshape(3, 2) * 2, "angles": torch.tensor([0.25])}
    arguments = (inputs["tokens"], {"angles": inputs["angles"]})
    shapes = ({0: torch.export.Dim("batch", max=64)}, {"angles": None})
    program = torch.export.export(model, arguments, dynamic_shapes=shapes)
    target = folder / torch.__version__.split("+")[0]
    target.mkdir(exist_ok=True)
    torch.export.save(without_traces(program), target / "exported.pt2")
    decomposed = program.run_decompositions()
    torch.export.save(without_traces(decomposed), target / "decomposed.pt2")
    outputs = {f"output_{name}": value.detach().contiguous() for name, value in
               model(*arguments).items()}
    save_file({**inputs, **outputs}, target / "expected.safetensors")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
