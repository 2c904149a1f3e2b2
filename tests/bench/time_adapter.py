"""Times what PEFT does to put an adapter on a model, and runs it. Prints JSON with the names of
host_bench's `adapter`.

    python time_adapter.py TASK_AS_JSON
"""

import json
import statistics
import sys
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model, load_peft_weights, set_peft_model_state_dict
from peft.utils.hotswap import hotswap_adapter
from safetensors.torch import load_file
from time_interpreter import median_ms
from train_by_peft import build, forward


def milliseconds(action):
    begin = time.perf_counter()
    action()
    return 1e3 * (time.perf_counter() - begin)


def main():
    task = json.loads(sys.argv[1])
    torch.set_num_threads(task["threads"])
    adapter = Path(task["folder"]) / f"{task['model']}-adapter"
    built = build(task["model"])
    data = load_file(Path(task["folder"]) / task["data"])
    batch = {name: x[: task["batch_size"]] for name, x in data.items() if name != "labels"}
    config = LoraConfig.from_pretrained(adapter)
    model = built.model.eval()
    with torch.no_grad():
        times = {"base_ms": median_ms(lambda: forward(built, model, batch))}
        put = []
        times["inject_ms"] = milliseconds(lambda: put.append(get_peft_model(model, config)))
        adapted = put[0].eval()
        times["load_ms"] = milliseconds(
            lambda: set_peft_model_state_dict(adapted, load_peft_weights(adapter))
        )
        times["adapted_ms"] = median_ms(lambda: forward(built, adapted, batch))
        # It reads the folder in each swap and refuses modules_to_save.
        if not config.modules_to_save:
            swap = lambda: hotswap_adapter(adapted, adapter, "default")  # noqa: E731
            times["swap_us"] = 1e3 * statistics.median(milliseconds(swap) for _ in range(5))
        merged = adapted.merge_and_unload()
        times["merged_ms"] = median_ms(lambda: forward(built, merged, batch))
    print(json.dumps(times))


if __name__ == "__main__":
    main()
