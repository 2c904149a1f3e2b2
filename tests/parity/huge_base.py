"""Exports a Mistral of 7.2 billion parameters in bfloat16, 14.5 GB, with few of its rows other than zero.

    huge_base.py FOLDER    writes FOLDER/base.pt2

The weights are files that are mapped, mostly holes, so that little memory is needed.
"""

import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "export"))

import models  # noqa: E402
import torch  # noqa: E402
from torch.export import Dim  # noqa: E402
from transformers import MistralConfig, MistralForCausalLM  # noqa: E402
from transformers.models.mistral.modeling_mistral import MistralRotaryEmbedding  # noqa: E402

WORDS = 32000


def main(folder):
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("meta"):
        model = MistralForCausalLM(
            MistralConfig(
                hidden_size=4096,
                intermediate_size=14336,
                num_hidden_layers=32,
                num_attention_heads=32,
                num_key_value_heads=8,
                vocab_size=WORDS,
                use_cache=False,
            )
        ).eval()
    torch.set_default_dtype(torch.float32)
    for number, (name, parameter) in enumerate(list(model.named_parameters())):
        weight = torch.from_file(
            str(folder / f"{number}.bin"), True, parameter.numel(), dtype=torch.bfloat16
        ).view(parameter.shape)
        if weight.dim() == 1:
            weight.fill_(1)
        else:
            weight[: max(1, len(weight) // 64)].normal_(0, 0.02)
        owner, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(owner), leaf, torch.nn.Parameter(weight, requires_grad=False))
    model.model.rotary_emb = MistralRotaryEmbedding(model.config)
    ids = torch.randint(0, WORDS, (2, 16))
    shape = {0: Dim("batch"), 1: Dim("sequence", max=512)}
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    shapes = dict.fromkeys(inputs, shape)
    models.export_to(folder / "base.pt2", models.Example(model, inputs, shapes, by_keyword=True))
    for file in folder.glob("*.bin"):
        file.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
