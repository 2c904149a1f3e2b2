"""One kind of layers for layers_test.py: the model, the adapter, and PEFT on the same model."""

from dataclasses import dataclass, field, replace
from functools import partial

import torch
import torch.nn.functional as F
from effective_weights import AdaptedWeights
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.tuners.lora.layer import MultiheadAttention, _ConvNd
from torch import nn

STEPS = 20
ROWS = 40
BATCH_SIZE = 8
LEARNING_RATE = 0.02


@dataclass
class Zoo:
    name: str
    make: type  # of tests/export/layers.py
    inputs: object  # rows -> named tensors
    lora: dict = field(default_factory=lambda: {"r": 2, "lora_alpha": 3})
    targets: dict | None = None  # PEFT's keys; default: target_modules with all children
    rule: dict | None = None  # what Tenon's config says instead
    peft: bool = True  # has such layers
    unmergeable: tuple = ()  # layers that merging refuses by name

    def build(self):
        torch.manual_seed(0)
        model = self.make()
        with torch.no_grad():  # away from starts that hide a mistake, such as zero biases
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
        return model.eval()

    def data(self, rows, seed=1):
        torch.manual_seed(seed)
        return self.inputs(rows)

    def config(self, **changes):
        children = [name for name, _ in self.build().named_children()]
        return {**self.lora, **(self.targets or {"target_modules": children}), **changes}

    def tenon_config(self, **changes):
        return {**self.lora, **(self.rule or self.config()), **changes}

    @property
    def scaling(self):
        return self.lora["lora_alpha"] / self.lora["r"]

    def mergeable(self):
        """The same without the layers that cannot be merged."""
        if not self.unmergeable:
            return self
        names = [n for n in self.config()["target_modules"] if n not in self.unmergeable]
        lora = {
            key: {n: v for n, v in value.items() if n in names} if isinstance(value, dict) else value
            for key, value in self.lora.items()
        }
        return replace(self, targets={"target_modules": names}, lora=lora)


def recurrent_weights(model):
    """What a layer of the LSTM's family is adapted in: no bias, no projection."""
    return [
        name
        for name, _ in model.named_parameters()
        if name.split(".")[-1].startswith(("weight_ih", "weight_hh"))
    ]


def peft_model(zoo, **changes):
    """A random adapter, as after some training."""
    torch.manual_seed(3)
    config = LoraConfig(**zoo.config(init_lora_weights=False, **changes))
    return corrected(get_peft_model(zoo.build(), config)).eval()


def load_by_peft(zoo, folder, trainable=False):
    return corrected(PeftModel.from_pretrained(zoo.build(), folder, is_trainable=trainable))


def corrected(model):
    """PEFT 0.21.2 gives lora_A of a convolution neither the base's dilation, without which it
    crashes, nor its padding_mode, without which merging changes the output; here it gets both.

    It adds the update of an attention's out_proj twice and differentiates one of the two; here the
    gradient is that of what it computes.
    """
    for module in model.modules():
        if isinstance(module, _ConvNd):
            base = module.get_base_layer()
            for conv in module.lora_A.values():
                for name in ("dilation", "padding_mode", "_reversed_padding_repeated_twice"):
                    setattr(conv, name, getattr(base, name))
        if isinstance(module, MultiheadAttention):
            module.get_base_layer().out_proj.merge = partial(_merge, module.get_base_layer().out_proj)
    return model


def _merge(linear, adapter_names):
    """Linear.merge on a weight that is already a tensor with a gradient."""
    for name in adapter_names:
        base = linear.get_base_layer()
        base.weight = base.weight + linear.get_delta_weight(name)
        linear.merged_adapters.append(name)


def predict(model, inputs):
    with torch.no_grad():
        return model(*inputs.values())


def load_by_peer(zoo, folder, trainable=False):
    """The model with an adapter, by PEFT or, where it refuses the layers, by their weights."""
    if zoo.peft:
        return load_by_peft(zoo, folder, trainable)
    return AdaptedWeights(zoo.build(), folder, zoo.scaling)


def train_by_peer(zoo, start, inputs, target):
    """Trains an adapter and returns its tensors as they are saved."""
    model = load_by_peer(zoo, start, trainable=True).train()
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=LEARNING_RATE, momentum=0.9)
    for step in range(STEPS):
        rows = slice(step * BATCH_SIZE % ROWS, step * BATCH_SIZE % ROWS + BATCH_SIZE)
        outputs = model(*(tensor[rows] for tensor in inputs.values()))
        optimizer.zero_grad()
        F.mse_loss(outputs, target[rows]).backward()
        optimizer.step()
    return get_peft_model_state_dict(model) if zoo.peft else model.tensors()
