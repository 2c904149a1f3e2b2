"""Exports a model and writes down what PyTorch and PEFT compute with it, for check.py to compare."""

import copy
import json
import re
import warnings

import torch
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import nn
from torch.export.graph_signature import InputKind, TensorArgument
from torch.utils import _pytree as pytree

from example import BATCH, LENGTH, OTHER_BATCH, OTHER_LENGTH

RANK = 4
STEPS = 5
LEARNING_RATES = {"sgd": 1e-2, "adamw": 1e-3}
OPTIMIZERS = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}
ADAPTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class CannotExport(Exception):
    """Stock PyTorch refuses: nothing that Tenon could read."""


def prepare(example, folder):
    """Fills `folder` and returns what it holds, as check.py wants it."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    program = _export(example, folder / "model.pt2")
    names = [
        spec.arg.name
        for spec in program.graph_signature.input_specs
        if spec.kind == InputKind.USER_INPUT and isinstance(spec.arg, TensorArgument)
    ]
    record = {
        "nodes": len(program.graph.nodes),
        "modules": _modules_that_run(example, program),
        "predicts": [],
    }
    module = program.module()
    for label, batch, length in (
        ("as exported", BATCH, LENGTH),
        ("another batch", OTHER_BATCH, LENGTH),
        ("another length", BATCH, OTHER_LENGTH),
    ):
        _predict(example, module, names, batch, length, label, folder, record)
    if example.trains:
        _gradients(example, names, folder, record)
        _lora(example, names, folder, record)
    (folder / "record.json").write_text(json.dumps(record))
    return record


def _export(example, file):
    args, kwargs = example.inputs()
    shapes = torch.export.ShapesCollection()
    for tensor in _tensors((args, kwargs)):
        dimensions = range(tensor.dim()) if example.dynamic is None else example.dynamic
        shapes[tensor] = {d: torch.export.Dim.AUTO for d in dimensions if d < tensor.dim()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = torch.export.export(example.model, args, kwargs, dynamic_shapes=shapes)
            torch.export.save(program, file)
        except Exception as refusal:
            raise CannotExport(f"{type(refusal).__name__}: {str(refusal).strip()[:200]}")
    return program


def _modules_that_run(example, program):
    """[name, class, is the class shown by an operator] of each module whose forward is called."""
    shown = {
        path.split("@")[0]
        for node in program.graph.nodes
        for path, _ in node.meta.get("nn_module_stack", {}).values()
    }
    called = set()
    hooks = [
        module.register_forward_pre_hook(lambda module, _: called.add(module))
        for module in example.model.modules()
    ]
    args, kwargs = example.inputs()
    with torch.no_grad():
        example.model(*args, **kwargs)
    for hook in hooks:
        hook.remove()
    return [
        [name, f"{type(module).__module__}.{type(module).__qualname__}", name in shown]
        for name, module in example.model.named_modules()
        if module in called
    ]


def _tensors(tree):
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _write(tensors, file):
    save_file({name: t.detach().contiguous().clone() for name, t in tensors.items()}, file)


def _predict(example, module, names, batch, length, label, folder, record):
    args, kwargs = example.inputs(batch, length)
    if label != "as exported":
        same = [t.shape for t in _tensors((args, kwargs))] == [
            t.shape for t in _tensors(example.inputs())
        ]
        if same:  # the model has no such size
            return
    count = len(record["predicts"])
    try:
        with torch.no_grad():
            outputs = _tensors(module(*args, **kwargs))
    except (AssertionError, RuntimeError) as refusal:
        if label == "as exported":
            raise
        record["predicts"].append({"label": label, "fixed": str(refusal)[:300], "index": count})
    else:
        _write({f"output_{i}": t for i, t in enumerate(outputs)}, folder / f"outputs_{count}.st")
        record["predicts"].append({"label": label, "index": count})
    _write(dict(zip(names, _tensors((args, kwargs)), strict=True)), folder / f"inputs_{count}.st")


def _first(tree):
    return _tensors(tree)[0]


def _loss(output, target):
    return torch.nn.functional.mse_loss(output, target)


def _gradients(example, names, folder, record):
    """The gradient of every parameter, as [train] full does it: BatchNorm by the batch."""
    model = copy.deepcopy(example.model)
    args, kwargs = example.inputs()
    with torch.no_grad():
        output = _first(model(*args, **kwargs))
    target = torch.randn(output.shape, generator=torch.Generator().manual_seed(2))
    inputs = dict(zip(names, _tensors((args, kwargs)), strict=True))
    _write({**inputs, "labels": target}, folder / "data.st")
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train()
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    _loss(_first(model(*args, **kwargs)), target).backward()
    gradients = {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in model.named_parameters()
        if p.is_floating_point()
    }
    _write(gradients, folder / "gradients.st")
    _write(dict(model.named_parameters()), folder / "weights.st")
    record["inputs"] = list(inputs)
    record["rows"] = BATCH


def _targets(example, record):
    modules = dict(example.model.named_modules())
    return [
        name
        for name, _, shown in record["modules"]
        # The exporter drops what no output needs.
        if shown and _is_adapted(modules[name]) and not re.search(example.not_adapted, name)
    ]


def _is_adapted(module):
    # PEFT refuses a grouped convolution whose groups do not divide the rank.
    return type(module) in ADAPTED and RANK % getattr(module, "groups", 1) == 0


def _lora(example, names, folder, record):
    targets = _targets(example, record)
    record["targets"] = targets
    if not targets:
        return
    torch.manual_seed(4)
    config = LoraConfig(
        r=RANK, lora_alpha=RANK, target_modules=targets, init_lora_weights=False
    )
    model = get_peft_model(copy.deepcopy(example.model), config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_B." in name:
                parameter.mul_(0.1)
    # Else it copies the base's embeddings into the file.
    model.save_pretrained(folder / "adapter", save_embedding_layers=False)
    args, kwargs = example.inputs()
    with torch.no_grad():
        outputs = _tensors(model(*args, **kwargs))
    _write({f"output_{i}": t for i, t in enumerate(outputs)}, folder / "lora_outputs.st")
    target = load_file(folder / "data.st")["labels"]
    start = copy.deepcopy(model.state_dict())
    for optimizer, make in OPTIMIZERS.items():
        model.load_state_dict(start)
        trainable = [p for p in model.parameters() if p.requires_grad]
        steps = make(trainable, lr=LEARNING_RATES[optimizer])
        for _ in range(STEPS):
            steps.zero_grad()
            _loss(_first(model(*args, **kwargs)), target).backward()
            steps.step()
        _write(get_peft_model_state_dict(model, save_embedding_layers=False), folder / f"lora_{optimizer}.st")
