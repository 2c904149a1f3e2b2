"""The tables of what host_bench times inside a process, beside its peers in Python."""

import json
import math
import statistics
from pathlib import Path

from cases import data_name

FOLDER = Path(__file__).resolve().parent

# The first training case of each of these models, and what it is called.
MODELS = {"mlp": "MLP, batch 64", "minilm": "MiniLM 4x16", "poolformer": "PoolFormer m36"}
# key of both sides' JSON -> what it is.
WHATS = {
    "inject_ms": "putting the adapter on, ms",
    "load_ms": "reading its file, ms",
    "swap_us": "swapping it, µs",
    "base_ms": "forward of the base, ms",
    "adapted_ms": "forward with the adapter, ms",
    "merged_ms": "forward after merging, ms",
}


SERVING = {
    "memory_ratio": "memory over the sum of the files",
    "load_ms": "loading one more, ms",
    "read_ms": "of that, reading its files, ms",
    "one_adapter_ms": "forward with one for all rows, ms",
    "mixed_ms": "forward with one for each row, ms",
    "mixed_over_one": "the second over the first",
    "swap_active_us": "swapping the one that is active, µs",
    "swap_idle_us": "swapping another, µs",
}


def median_of(runs):
    """Key by key; a key that is missing stays missing."""
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def measure_adapters(bench):
    """Prints the table and returns the figures."""
    print("\nAn adapter on a model. PEFT's swap reads a folder, Tenon's takes what was read before.\n")
    print("| model | | Tenon | PEFT | Tenon / PEFT |\n|---|---|---:|---:|---:|")
    figures = {}
    for model, title in MODELS.items():
        case = next((case for case in bench.cases.values() if case["model"] == model), None)
        if case is None:
            continue  # --only left it out
        runs = {"tenon": [], "peft": []}
        for _ in range(bench.rounds):
            runs["tenon"].append(adapter_by_tenon(bench, case))
            runs["peft"].append(adapter_by_peft(bench, case))
        figures[title] = {side: median_of(of_side) for side, of_side in runs.items()}
        ours, theirs = figures[title]["tenon"], figures[title]["peft"]
        for key, what in WHATS.items():
            cells = ("", "") if key not in theirs else (
                f"{theirs[key]:.1f}", f"{ours[key] / theirs[key]:.3g}")
            print(f"| {title} | {what} | {ours[key]:.1f} | {' | '.join(cells)} |")
    return figures


def adapter_by_tenon(bench, case):
    config = bench.folder / "tenon.toml"
    config.write_text(bench.tenon_config(case, 1))
    adapter = bench.folder / f"{case['model']}-adapter"
    return json.loads(bench.run_process([bench.host_bench, "adapter", config, adapter])[0])


def adapter_by_peft(bench, case):
    task = {"folder": str(bench.folder), "model": case["model"], "data": data_name(case),
            "batch_size": case["batch"], "threads": bench.threads}
    command = [bench.python, "-B", FOLDER / "time_adapter.py", json.dumps(task)]
    return json.loads(bench.run_process(command)[0])


def measure_serving(bench):
    """A thousand adapters on MiniLM, of which PEFT, whose loading takes longer, gets 64: as many as the
    batch has rows. Prints the table and returns the figures."""
    if not any(case["model"] == "minilm" for case in bench.cases.values()):
        return {}  # --only left it out
    adapter = bench.folder / "minilm-adapter"
    ours = [bench.host_bench.with_name("serving_bench"), bench.folder / "minilm.pt2", adapter,
            "1000", "64", "16"]
    theirs = [bench.python, "-B", FOLDER / "serve_by_peft.py", "minilm", adapter, "64", "64", "16"]
    figures = {"tenon": json.loads(bench.run_process(ours)[0]),
               "peft": json.loads(bench.run_process(theirs)[0])}
    print("\nMany adapters on MiniLM, a batch of 64 rows of 16 tokens with an adapter each.\n")
    print("| | Tenon, 1,000 adapters | PEFT, 64 |\n|---|---:|---:|")
    for key, what in SERVING.items():
        cells = (f"{figures[side][key]:.4g}" if key in figures[side] else "" for side in figures)
        print(f"| {what} | {' | '.join(cells)} |")
    return figures


def measure_interpreter(bench):
    """Prints the table and returns the figures."""
    operator = [json.loads(bench.run_process([bench.host_bench, "operator"])[0])
                for _ in range(bench.rounds)]
    figures = {"operator": median_of(operator)}
    command = [bench.python, "-B", FOLDER / "time_interpreter.py", bench.folder, bench.host_bench,
               str(bench.rounds)]
    figures["models"] = json.loads(bench.run_process(command)[0])
    print("\nModels of few rows: PyTorch eager, the exported program's module, Tenon.\n")
    print("| model | threads | | eager, ms | module, ms | Tenon, ms | Tenon / eager |")
    print("|---|---:|---|---:|---:|---:|---:|")
    ratios = {}
    for model, by_threads in figures["models"].items():
        for threads, whats in by_threads.items():
            for key, name in (("forward_ms", "forward"), ("gradient_ms", "and gradients")):
                eager, module, ours = (whats[key][side] for side in ("eager", "module", "tenon"))
                ratios.setdefault((threads, name), []).append(ours / eager)
                print(f"| {model} | {threads} | {name} | {eager:.3f} | {module:.3f} | {ours:.3f} "
                      f"| {ours / eager:.2f} |")
    print()
    for (threads, name), values in ratios.items():
        mean = math.exp(statistics.fmean(map(math.log, values)))
        print(f"{threads} threads, {name}: {mean:.2f} of eager's time in the geometric mean, "
              f"{max(values):.2f} at most.")
    print("Over a plain call from C++ an operator of a graph takes "
          f"{figures['operator']['without_gradient_us']:.3f} µs, with gradients "
          f"{figures['operator']['with_gradient_us']:.3f} µs.")
    return figures
