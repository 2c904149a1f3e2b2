"""Times ten models on small batches, in turn: PyTorch eager, the exported program's own module, and
Tenon. Forward alone, and forward with the gradient of all parameters. Prints JSON:
{model: {threads: {what: {side: ms}}}}.

    python time_interpreter.py FOLDER HOST_BENCH ROUNDS
"""

import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "export"))
sys.path.insert(0, str(TESTS / "coverage"))

import models  # noqa: E402
import timm_models  # noqa: E402
import torch  # noqa: E402
import transformers_models  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402

OWN = ("mlp", "lstm", "text_conv", "minilm", "mistral")
SHRUNK = {
    transformers_models: ("gpt2", "t5"),
    timm_models: ("test_resnet", "test_vit2", "mobilenetv3_small_050"),
}
THREADS = (1, 2)
WHATS = ("forward_ms", "gradient_ms")


def built_models():
    """name -> model in eval mode, positional arguments, keyword arguments."""
    for name in OWN:
        built = models.example(name)
        by_keyword = built.by_keyword
        args = () if by_keyword else tuple(built.inputs.values())
        yield name, built.model, args, built.inputs if by_keyword else {}
    for module, names in SHRUNK.items():
        for name in names:
            torch.manual_seed(0)
            example = module.MODELS[name]()
            yield name, example.model.eval(), *example.inputs()


def median_ms(action):
    """As host_bench: over half a second, ten runs at least, after three that do not count."""
    for _ in range(3):
        action()
    times = []
    while sum(times) < 500 or len(times) < 10:
        begin = time.perf_counter()
        action()
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times)


def first_output(output):
    return next(leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor))


def time_python(run, parameters):
    with torch.no_grad():
        forward = median_ms(run)

    def with_gradient():
        first_output(run()).float().square().mean().backward()
        for parameter in parameters:
            parameter.grad = None

    return {"forward_ms": forward, "gradient_ms": median_ms(with_gradient)}


def time_tenon(host_bench, program, inputs, threads):
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [host_bench, "forward", program, inputs]
    return json.loads(subprocess.check_output(command, env=environment))


def time_model(name, model, args, kwargs, folder, host_bench, rounds):
    program, inputs = folder / f"{name}.pt2", folder / f"{name}.safetensors"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(model, args, kwargs)
        torch.export.save(exported, program)
    names = exported.graph_signature.user_inputs
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    save_file({key: value.contiguous() for key, value in zip(names, tensors)}, inputs)
    module = exported.module()
    sides = {
        "eager": lambda: time_python(lambda: model(*args, **kwargs), list(model.parameters())),
        "module": lambda: time_python(lambda: module(*args, **kwargs), list(module.parameters())),
        "tenon": lambda: time_tenon(host_bench, program, inputs, torch.get_num_threads()),
    }
    times = {}
    for threads in THREADS:
        torch.set_num_threads(threads)
        runs = {side: [] for side in sides}
        for _ in range(rounds):
            for side, measure in sides.items():
                runs[side].append(measure())
        times[threads] = {
            what: {side: statistics.median(run[what] for run in runs[side]) for side in sides}
            for what in WHATS
        }
    return times


def main():
    folder, host_bench, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    times = {}
    for name, model, args, kwargs in built_models():
        print(f"interpreter: {name}", file=sys.stderr)
        times[name] = time_model(name, model, args, kwargs, folder, host_bench, rounds)
    print(json.dumps(times))


if __name__ == "__main__":
    main()
