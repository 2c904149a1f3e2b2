"""Writes hf.safetensors with Hugging Face's own library: every dtype whose bytes Tenon reads, an empty
tensor, a scalar, a name that JSON escapes."""
import pathlib

import torch
from safetensors.torch import save_file

FLOATS = ["float64", "float32", "float16", "bfloat16"]
INTEGERS = ["int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"]
EIGHT_BIT = ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"]

tensors = {name: torch.arange(6).reshape(2, 3).to(getattr(torch, name)) for name in FLOATS + INTEGERS}
for name in EIGHT_BIT:
    tensors[name] = torch.arange(56, 62, dtype=torch.uint8).view(getattr(torch, name))
tensors["bool"] = torch.tensor([True, False, True])
tensors["complex64"] = torch.tensor([1 + 2j, 3 - 4j], dtype=torch.complex64)
tensors["empty"] = torch.empty(0, 3)
tensors["scalar"] = torch.tensor(2.5)
tensors['größe "a/b"\n'] = torch.tensor([1, 2, 3], dtype=torch.int8)

target = pathlib.Path(__file__).parent / "hf.safetensors"
save_file(tensors, target, metadata={"format": "pt"})
