"""Exports a model and writes down what PyTorch and PEFT compute with it, for check.py to compare."""

import copy
import json
import re
import sys
import warnings
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora.layer import LoraLayer
from peft.tuners.lora.layer import _ConvNd as PeftConv
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import nn
from torch.export.graph_signature import InputKind, TensorArgument
from torch.utils import _pytree as pytree
from transformers.pytorch_utils import Conv1D

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "parity"))

from example import BATCH, LENGTH, OTHER_BATCH, OTHER_LENGTH  # noqa: E402
from zoo import corrected  # noqa: E402

RANK = 4
STEPS = 5
OPTIMIZERS = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}
ADAPTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, Conv1D, nn.MultiheadAttention)


class CannotExport(Exception):
    """Stock PyTorch refuses: nothing that Tenon could read."""


# What becomes of an exported program before it is saved.
FORMS = {
    "exported": lambda program: program,
    "functional": lambda program: program.run_decompositions({}),
    "core": lambda program: program.run_decompositions(),  # core ATen
}


def prepare(example, folder, form="exported"):
    """Fills `folder` and returns what it holds, as check.py wants it."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    pristine = copy.deepcopy(example.model)  # a forward leaves caches behind in some models
    program = _export(example, folder / "model.pt2", form)
    names = [
        spec.arg.name
        for spec in program.graph_signature.input_specs
        if spec.kind == InputKind.USER_INPUT and isinstance(spec.arg, TensorArgument)
    ]
    record = {
        "nodes": len(program.graph.nodes),
        "modules": _modules_that_run(example, pristine, program),
        "predicts": [],
        "loses_backward": example.loses_backward,
    }
    for label, batch, length in (
        ("as exported", BATCH, LENGTH),
        ("another batch", OTHER_BATCH, LENGTH),
        ("another length", BATCH, OTHER_LENGTH),
    ):
        # Its own for each: buffers may change.
        module = torch.export.load(folder / "model.pt2").module()
        _predict(example, module, names, batch, length, label, folder, record)
    if example.trains:
        _gradients(example, pristine, names, form, folder, record)
        _lora(example, pristine, folder, record)
        _merges(example, pristine, folder, record)
    (folder / "record.json").write_text(json.dumps(record))
    return record


def _export(example, file, form):
    args, kwargs = example.inputs()
    shapes = torch.export.ShapesCollection()
    for tensor in _tensors((args, kwargs)):
        dimensions = range(tensor.dim()) if example.dynamic is None else example.dynamic
        shapes[tensor] = {d: torch.export.Dim.AUTO for d in dimensions if d < tensor.dim()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = torch.export.export(example.model, args, kwargs, dynamic_shapes=shapes)
            program = FORMS[form](program)
            torch.export.save(program, file)
            torch.export.load(file)  # not all that it saves
        except Exception as refusal:
            raise CannotExport(f"{type(refusal).__name__}: {str(refusal).strip()[:200]}")
    return program


def _modules_that_run(example, pristine, program):
    """[name, class, is the class shown by an operator] of each module whose forward is called."""
    shown = {
        path.split("@")[0]
        for node in program.graph.nodes
        for path, _ in node.meta.get("nn_module_stack", {}).values()
    }
    model = copy.deepcopy(pristine)
    called = set()
    for module in model.modules():
        module.register_forward_pre_hook(lambda module, _: called.add(module))
    args, kwargs = example.inputs()
    with torch.no_grad():
        model(*args, **kwargs)
    return [
        [name, f"{type(module).__module__}.{type(module).__qualname__}", name in shown]
        for name, module in model.named_modules()
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


def _gradients(example, pristine, names, form, folder, record):
    """The gradient of every parameter, as [train] full does it: BatchNorm by the batch."""
    model = copy.deepcopy(pristine)
    args, kwargs = example.inputs()
    with torch.no_grad():
        output = _first(copy.deepcopy(pristine)(*args, **kwargs))
    target = torch.randn(output.shape, generator=torch.Generator().manual_seed(2))
    inputs = dict(zip(names, _tensors((args, kwargs)), strict=True))
    _write({**inputs, "labels": target}, folder / "data.st")
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and form == "exported":
            module.train()  # decompositions leave evaluation's
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    loss = _loss(_first(model(*args, **kwargs)), target)
    if not loss.isfinite():
        raise ValueError("the model's own output is not finite")
    loss.backward()
    gradients = {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in model.named_parameters()
        if p.is_floating_point()
    }
    _write(gradients, folder / "gradients.st")
    _write(dict(model.named_parameters()), folder / "weights.st")
    record["inputs"] = list(inputs)
    record["shared"] = list(example.shared)
    record["rows"] = next(len(t) for name, t in inputs.items() if name not in example.shared)


def _choose_targets(example, pristine, record):
    """The layers that LoRA adapts, and those left out with the reason."""
    modules = dict(pristine.named_modules())
    needed = _needed_modules(example, pristine)
    called = {name for name, _, _ in record["modules"]}
    targets, left_out = [], {}
    for name, module in modules.items():
        if not isinstance(module, ADAPTED):
            continue
        owner = modules[name.rpartition(".")[0]]
        if re.search(example.not_adapted, name):
            left_out[name] = "PEFT, or the model around it, cannot"
        elif RANK % getattr(module, "groups", 1) != 0:
            left_out[name] = "PEFT refuses groups that do not divide the rank"
        elif isinstance(owner, nn.MultiheadAttention):
            left_out[name] = "the attention around it reads its weight, past PEFT's layer"
        elif name not in called:
            left_out[name] = "its forward is not called, so that PEFT's layer is bypassed"
        elif name not in needed:
            left_out[name] = "no output needs it"
        else:
            targets.append(name)
    return targets, left_out


def _needed_modules(example, pristine):
    """Those whose weight has a gradient from some output."""
    model = copy.deepcopy(pristine)
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    args, kwargs = example.inputs()
    outputs = [t for t in _tensors(model(*args, **kwargs)) if t.requires_grad]
    sum(t.double().sum() for t in outputs).backward()
    return {
        name
        for name, module in model.named_modules()
        if any(p.grad is not None for p in module.parameters(recurse=False))
    }


def _exactly(targets, model):
    """As names, or as one expression where a name is also the end of another layer's."""
    ends = {f".{name}" for name in targets}
    others = {name for name, _ in model.named_modules()} - set(targets)
    if not any(other.endswith(end) for other in others for end in ends):
        return targets
    return "|".join(map(re.escape, targets))


def _leave_fast_path(model):
    """In evaluation these read the weights of their layers and bypass what PEFT put there."""
    readers = (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.MultiheadAttention)
    for module in model.modules():
        if isinstance(module, readers):
            module.training = True  # its dropout is 0, or a module of its own


def _lora(example, pristine, folder, record):
    targets, record["left_out"] = _choose_targets(example, pristine, record)
    record["targets"] = targets
    if not targets:
        return
    torch.manual_seed(4)
    model = _adapted(pristine, targets)
    # Else it copies the base's embeddings into the file.
    model.save_pretrained(folder / "adapter", save_embedding_layers=False)
    _adapt_all_names(model)
    args, kwargs = example.inputs()
    _write(_named_outputs(model, args, kwargs), folder / "lora_outputs.st")
    target = load_file(folder / "data.st")["labels"]
    record["rates"] = _stable_rates(copy.deepcopy(model), args, kwargs, target)
    record["rounding"] = {}
    for optimizer, rate in record["rates"].items():
        trained = []
        for nudge in (0.0, 1e-7):
            copied = copy.deepcopy(model)  # buffers that change start anew
            _nudge(_trained(copied), nudge)
            nudged = copy.deepcopy((args, kwargs))
            _nudge([t for t in _tensors(nudged) if t.is_floating_point()], nudge)
            _train(copied, *nudged, target, OPTIMIZERS[optimizer], rate)
            trained.append(_adapter_state(copied))
        _write(trained[0], folder / f"lora_{optimizer}.st")
        record["rounding"][optimizer] = {
            name: ((trained[1][name] - tensor).norm() / tensor.norm()).item()
            for name, tensor in trained[0].items()
        }


def _lora_config(pristine, targets):
    return LoraConfig(
        r=RANK,
        lora_alpha=RANK,
        target_modules=_exactly(targets, pristine),
        init_lora_weights=False,
    )


def _adapted(pristine, targets):
    model = get_peft_model(copy.deepcopy(pristine), _lora_config(pristine, targets))
    return _calmed(model, "default")


def _calmed(model, adapter):
    """With an update that does not drown the model's own numbers."""
    _answer_for_layers(corrected(model).eval())
    _leave_fast_path(model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if f".lora_B.{adapter}." in name:
                parameter.mul_(0.1)
    return model


def _adapt_all_names(model):
    """PEFT replaces a module under its first name; the forward may call it by another. Once the adapter
    is saved, since it would be under all names."""
    layers = {id(m.get_base_layer()): m for m in model.modules() if isinstance(m, LoraLayer)}
    for module in list(model.modules()):
        for name, child in list(module._modules.items()):
            layer = layers.get(id(child), module)
            if layer is not module:
                setattr(module, name, layer)


def _answer_for_layers(model):
    """PEFT's layer hides what a model may ask of its convolution."""
    for module in model.modules():
        if isinstance(module, PeftConv):
            for name in ("kernel_size", "stride", "padding", "dilation", "groups"):
                if not hasattr(module, name):
                    setattr(module, name, getattr(module.get_base_layer(), name))


def _named_outputs(model, args, kwargs):
    with torch.no_grad():
        outputs = _tensors(copy.deepcopy(model)(*args, **kwargs))
    return {f"output_{i}": t for i, t in enumerate(outputs)}


def _merges(example, pristine, folder, record):
    """What a merged model gives, and what an adapter on it gives and becomes. Both of PEFT's adapters
    run beside each other: their changes add up, whether the first one is merged or not."""
    modules = dict(pristine.named_modules())
    targets = [
        name for name in record.get("targets", []) if getattr(modules[name], "groups", 1) == 1
    ]  # PEFT's change of a grouped convolution is none of a grouped convolution
    record["merges"] = bool(targets)
    if not targets:
        return
    torch.manual_seed(6)
    model = _adapted(pristine, targets)
    model.add_adapter("second", _lora_config(pristine, targets))
    _calmed(model, "second")
    # PEFT puts all but "default" in a folder of its name.
    model.save_pretrained(folder / "first", save_embedding_layers=False)
    _adapt_all_names(model)
    args, kwargs = example.inputs()
    model.base_model.set_adapter(["default"])
    _write(_named_outputs(model, args, kwargs), folder / "first_outputs.st")
    model.base_model.set_adapter(["default", "second"])
    _write(_named_outputs(model, args, kwargs), folder / "second_outputs.st")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".second." in name)
    target = load_file(folder / "data.st")["labels"]
    rate = record["merge_rate"] = _stable_rates(copy.deepcopy(model), args, kwargs, target)["sgd"]
    _train(model, args, kwargs, target, torch.optim.SGD, rate)
    _write(_adapter_state(model, "second"), folder / "second_trained.st")


def _adapter_state(model, adapter="default"):
    state = get_peft_model_state_dict(model, adapter_name=adapter, save_embedding_layers=False)
    once = {tensor.data_ptr(): name for name, tensor in reversed(state.items())}
    return {name: state[name].detach().clone() for name in once.values()}


def _trained(model):
    return [p for p in model.parameters() if p.requires_grad]


def _stable_rates(model, args, kwargs, target):
    """A step of SGD that is no longer than the weights are, whatever the gradient of a network
    with random weights."""
    _loss(_first(model(*args, **kwargs)), target).backward()
    size = sum(p.grad.double().norm() ** 2 for p in _trained(model) if p.grad is not None) ** 0.5
    return {"sgd": min(1e-2, 0.1 / float(size)), "adamw": 1e-3}


def _nudge(tensors, size):
    """By as much as float32 rounds."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for tensor in tensors:
            tensor.mul_(1 + size * torch.randn(tensor.shape, generator=generator))


def _train(model, args, kwargs, target, make, rate):
    steps = make(_trained(model), lr=rate)
    for _ in range(STEPS):
        steps.zero_grad()
        _loss(_first(model(*args, **kwargs)), target).backward()
        steps.step()
