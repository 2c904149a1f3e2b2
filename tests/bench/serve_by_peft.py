"""Times a batch of mixed rows by PEFT's adapter_names, with the names of serving_bench. Prints JSON.

    python serve_by_peft.py MODEL ADAPTER_DIR ADAPTERS ROWS LENGTH
"""

import json
import sys
import time

import torch
from peft import PeftModel
from time_interpreter import median_ms
from train_by_peft import build


def main():
    name, folder, n, rows, length = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
    torch.set_num_threads(1)
    built = build(name)
    model = PeftModel.from_pretrained(built.model.eval(), folder, adapter_name="a0").eval()
    loads = []
    for i in range(1, n):
        begin = time.perf_counter()
        model.load_adapter(folder, adapter_name=f"a{i}")
        loads.append(1e3 * (time.perf_counter() - begin))
    model.eval()
    torch.manual_seed(1)
    ids = torch.randint(0, 30522, (rows, length))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    names = [f"a{i % n}" for i in range(rows)]
    with torch.no_grad():
        one = median_ms(lambda: model(**batch))
        mixed = median_ms(lambda: model(**batch, adapter_names=names))
    print(json.dumps({"adapters": n, "load_ms": sorted(loads)[len(loads) // 2],
                      "one_adapter_ms": one, "mixed_ms": mixed, "mixed_over_one": mixed / one}))


if __name__ == "__main__":
    main()
