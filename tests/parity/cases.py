"""The models that Tenon and PEFT are compared on, each with its adapter and its data."""

import io
import json
import warnings
from contextlib import redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from support import models


@dataclass
class Case:
    """One model as an exported program and as a Python module."""

    name: str
    built: models.Example
    program: torch.export.ExportedProgram
    table: dict  # [model] of a config
    make_inputs: Callable  # (rows, length) -> named tensors
    make_labels: Callable  # inputs -> the target
    lora: dict  # the keys that LoraConfig and [adapter] share
    loss: str  # [train] loss
    peft_loss: Callable  # (outputs, labels) -> loss, as PEFT's users compute it

    def inputs(self, rows, length=12, seed=1):
        torch.manual_seed(seed)
        return self.make_inputs(rows, length)

    def data(self, rows, length=12, seed=2):
        inputs = self.inputs(rows, length, seed)
        return {**inputs, "labels": self.make_labels(inputs)}

    def forward(self, model, inputs):
        """The first output of the model, or of what PEFT or torch.export made of it."""
        if self.built.by_keyword:
            return model(**inputs)["logits"]
        return model(*inputs.values())

    def predict(self, model, inputs):
        with torch.no_grad():
            return self.forward(model, inputs)

    def adapter_table(self, **changes):
        return {"method": "lora", **self.lora, **changes}

    def peft_model(self, **changes):
        """PEFT's own model, on a copy of this one, in eval mode."""
        torch.manual_seed(3)
        return get_peft_model(deepcopy(self.built.model), LoraConfig(**self.lora, **changes)).eval()

    def save_by_peft(self, folder):
        """An adapter of random tensors, its modules to save off the base's values, saved by PEFT.

        lora_B is small, as after training: at PEFT's full random start training MiniLM is so
        chaotic that PEFT on one thread and on two drift apart by 1e-2 in 20 steps.
        """
        peft_model = self.peft_model(init_lora_weights=False)
        with torch.no_grad():
            for name, parameter in peft_model.named_parameters():
                if ".lora_B." in name:
                    parameter.mul_(0.1)
                elif ".modules_to_save." in name:
                    parameter.add_(torch.randn_like(parameter), alpha=0.02)
        peft_model.save_pretrained(folder)
        return peft_model

    def load_by_peft(self, folder, trainable=False):
        """PEFT's own loading. A key that is missing, which it only warns of, is an error here."""
        base = deepcopy(self.built.model)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            return PeftModel.from_pretrained(base, folder, is_trainable=trainable)


CASES = ("mlp", "minilm", "mistral")


def make_case(name, folder, training=False):
    """Builds and exports a model of CASES. To train, it has no dropout, so that none is drawn."""
    options = {"dropout": 0.0} if training and name == "minilm" else {}
    built = models.example(name, **options)
    path = Path(folder) / f"{name}{'-train' if training else ''}.pt2"
    program = models.export_to(path, built, training)
    built.model.eval()
    return Case(name=name, built=built, program=program, table={"path": path}, **_DETAILS[name])


def declared_mlp(folder, case):
    """The [model] table that declares the MLP of a case, with its weights as safetensors."""
    weights = Path(folder) / "mlp-weights.safetensors"
    save_file(case.built.model.state_dict(), weights)
    hidden = case.built.model.seq[0].out_features
    layers = [
        {"type": "Linear", "in_features": 20, "out_features": hidden},
        {"type": "ReLU"},
        {"type": "Linear", "in_features": hidden, "out_features": hidden},
        {"type": "ReLU"},
        {"type": "Linear", "in_features": hidden, "out_features": 2},
        {"type": "LogSoftmax", "dim": -1},
    ]
    named = [{"name": f"seq.{index}", **layer} for index, layer in enumerate(layers)]
    return {"name": "MLP", "weights": weights, "layers": named}


def trainable_line(peft_model):
    text = io.StringIO()
    with redirect_stdout(text):
        peft_model.print_trainable_parameters()
    return text.getvalue().strip()


def saved_config(folder):
    """adapter_config.json, the lists that PEFT keeps as sets in one order."""
    config = json.loads((Path(folder) / "adapter_config.json").read_text())
    for key in ("target_modules", "modules_to_save"):
        if isinstance(config[key], list):
            config[key].sort()
    return config


def _tokens(vocabulary):
    """Token ids whose odd rows are padded at the end."""

    def make_inputs(rows, length):
        mask = torch.ones(rows, length, dtype=torch.int64)
        mask[1::2, length * 2 // 3 :] = 0
        return {"input_ids": torch.randint(0, vocabulary, (rows, length)), "attention_mask": mask}

    return make_inputs


def _causal_loss(outputs, labels):
    return F.cross_entropy(outputs[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


_DETAILS = {
    "mlp": {
        "make_inputs": lambda rows, length: {"x": torch.rand(rows, 20)},
        "make_labels": lambda inputs: (inputs["x"].sum(1) > 10).long(),
        "lora": {
            "r": 8,
            "lora_alpha": 8,
            "target_modules": ["seq.0", "seq.2"],
            "modules_to_save": ["seq.4"],
        },
        "loss": "nll",
        "peft_loss": F.nll_loss,
    },
    "minilm": {
        "make_inputs": _tokens(vocabulary=30522),
        "make_labels": lambda inputs: inputs["input_ids"][:, 0] % 2,
        "lora": {
            "r": 8,
            "lora_alpha": 16,
            "target_modules": ["query", "value"],
            "modules_to_save": ["classifier"],
            "use_rslora": True,
        },
        "loss": "cross_entropy",
        "peft_loss": F.cross_entropy,
    },
    "mistral": {
        "make_inputs": _tokens(vocabulary=97),
        "make_labels": lambda inputs: inputs["input_ids"].masked_fill(
            inputs["attention_mask"] == 0, -100
        ),
        "lora": {
            "r": 4,
            "lora_alpha": 8,
            "target_modules": ["q_proj", "v_proj"],
            "rank_pattern": {r"layers\.1\.self_attn\.q_proj": 2},
            "alpha_pattern": {"v_proj": 16},
        },
        "loss": "causal_lm",
        "peft_loss": _causal_loss,
    },
}
_DETAILS |= dict.fromkeys(("mistral_tied", "gemma2", "gemma3"), _DETAILS["mistral"])
