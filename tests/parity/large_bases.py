"""A Mistral-shaped base with random weights in bfloat16, and PEFT training on it.

As a program: `large_bases.py PEER SIZE STEPS DATA` trains in a process of its own and prints losses, seconds of
each step and the peak of its memory; PEER is bf16 or nf4.
"""

import json
import resource
import sys
import time

import torch

ROWS, TOKENS, BATCH = 16, 32, 1
TARGETS = ["q_proj", "v_proj"]
SIZES = {  # parameters: 107 million, 1.1 billion
    "small": {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 8, "vocab_size": 8000},
    "large": {"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "vocab_size": 32000},
}


def base(size):
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    config = MistralConfig(
        **SIZES[size],
        num_attention_heads=SIZES[size]["hidden_size"] // 128,
        num_key_value_heads=4,
        use_cache=False,
    )
    model = MistralForCausalLM(config).eval()
    torch.set_default_dtype(torch.float32)
    # As from_pretrained leaves it.
    rotary = model.model.rotary_emb
    rotary.inv_freq, rotary.original_inv_freq = rotary.inv_freq.float(), rotary.original_inv_freq.float()
    return model


def tokens(size):
    words = SIZES[size]["vocab_size"]
    start = torch.randint(0, words, (ROWS, 1), generator=torch.Generator().manual_seed(5))
    return (start + torch.arange(TOKENS) * 7) % words


def on_bitsandbytes(model):
    import bitsandbytes

    for name, plain in list(model.named_modules()):
        if not isinstance(plain, torch.nn.Linear) or name == "lm_head":
            continue
        layer = bitsandbytes.nn.Linear4bit(
            plain.in_features,
            plain.out_features,
            bias=False,
            compute_dtype=torch.bfloat16,
            quant_type="nf4",
            compress_statistics=True,
        )
        layer.weight = bitsandbytes.nn.Params4bit(
            plain.weight.data, requires_grad=False, quant_type="nf4", compress_statistics=True
        )
        model.set_submodule(name, layer.to("cpu"))
    return model


def main(peer, size, steps, folder):
    from peft import PeftModel

    torch.set_num_threads(1)
    model = base(size)
    if peer == "nf4":
        model = on_bitsandbytes(model)
    model = PeftModel.from_pretrained(model, folder, is_trainable=True)
    ids = tokens(size)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    losses, seconds = [], []
    for step in range(int(steps)):
        rows = ids[step * BATCH % ROWS :][:BATCH]
        begin = time.monotonic()
        optimizer.zero_grad()
        loss = model(input_ids=rows, attention_mask=torch.ones_like(rows), labels=rows).loss
        loss.backward()
        optimizer.step()
        seconds.append(time.monotonic() - begin)
        losses.append(loss.item())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"losses": losses, "seconds": seconds, "peak_rss_mb": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
