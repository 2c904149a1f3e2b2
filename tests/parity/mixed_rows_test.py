"""Batches whose rows have different adapters (PEFT: adapter_names) against PEFT, and against each
row alone where PEFT has no such batch."""

import warnings
from copy import deepcopy

import torch
from layers_test import ZOOS
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from support import ParityTest, main, models
from torch import nn

BATCH = 5
LENGTH = 5  # as long as the batch is large: sizes do not tell which is which


class Mixture(nn.Module):
    """Layers that see the batch as it is, and one that sees it flattened."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 6)
        self.conv = nn.Conv1d(6, 6, 3, padding=1)
        self.lin = nn.Linear(6, 8)
        self.flat = nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, tokens):
        h = torch.tanh(self.conv(self.words(tokens).transpose(1, 2)).transpose(1, 2))
        h = torch.tanh(self.lin(h))
        return self.head(torch.tanh(self.flat(h.reshape(-1, 8)).reshape(h.shape)).mean(1))


class TimeFirst(nn.Module):
    """The batch is the second dimension of what `lin` and `lstm` read."""

    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 6)
        self.lstm = nn.LSTM(6, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        h = self.lin(x.transpose(0, 1))
        return self.head(self.lstm(torch.tanh(h))[0][-1])


class Positions(nn.Module):
    """`places` reads what no row has a part in."""

    def __init__(self):
        super().__init__()
        self.places = nn.Embedding(LENGTH, 4)
        self.lin = nn.Linear(4, 3)

    def forward(self, x):
        return self.lin(x + self.places(torch.arange(LENGTH)))


def restless(model):
    """Adapters that change the output."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.add_(torch.randn_like(parameter), alpha=0.3)


class MixedRowsTest(ParityTest):
    def export(self, model, inputs, dynamic=True):
        path = self.workspace.new_path(".pt2")
        shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
        torch.export.save(torch.export.export(model, (inputs,), dynamic_shapes=shapes), path)
        return {"path": path}

    def predict(self, model, inputs, *arguments):
        outputs = self.workspace.new_path(".safetensors")
        self.workspace.tenon_ok(
            "predict",
            self.workspace.write_config({"model": model}),
            *("--inputs", self.workspace.write_tensors(inputs)),
            *("--outputs", outputs),
            *arguments,
        )
        return load_file(outputs)["output_0"]

    def adapters_of(self, base, **configs):
        """The model with adapters of PEFT's, and their folders for tenon."""
        warnings.simplefilter("ignore")
        names = list(configs)
        adapted = get_peft_model(deepcopy(base), configs[names[0]], adapter_name=names[0])
        for name in names[1:]:
            adapted.add_adapter(name, configs[name])
        restless(adapted)
        folder = self.workspace.new_folder()
        adapted.save_pretrained(folder)
        return adapted.eval(), [
            argument for name in names for argument in ("--adapter", f"{name}={folder / name}")
        ]

    def assert_rows_alone(self, model, inputs, folders, names):
        """Row i of the mixed batch is row i of the batch with that adapter."""
        mixed = self.predict(model, inputs, *folders, "--adapter-names", ",".join(names))
        for i, name in enumerate(names):
            active = () if name == "__base__" else (*folders, "--active", name)
            alone = self.predict(model, inputs, *active)
            self.assert_within(mixed[i], alone[i], 1e-5)
        return mixed

    def test_rows_are_those_of_peft(self):
        torch.manual_seed(0)
        base = Mixture().eval()
        everything = ["words", "conv", "lin", "head"]
        adapted, folders = self.adapters_of(
            base,
            a=LoraConfig(r=4, target_modules=everything),
            b=LoraConfig(r=8, target_modules=["lin", "head"], lora_alpha=3),
            c=LoraConfig(r=2, target_modules=["conv", "lin"], use_rslora=True),
        )
        tokens = torch.randint(20, (BATCH, LENGTH))
        model = self.export(base, tokens)
        names = ["b", "__base__", "a", "c", "b"]
        with torch.no_grad():
            expected = adapted(tokens, adapter_names=names)
        inputs = {"tokens": tokens}
        mixed = self.predict(model, inputs, *folders, "--adapter-names", ",".join(names))
        self.assert_within(mixed, expected, 1e-5)
        split = self.predict(
            model, inputs, *folders, "--adapter-names", ",".join(names), "--batch-size", 2
        )
        self.assert_within(split, expected, 1e-5)

    def test_modules_to_save_are_those_of_peft(self):
        torch.manual_seed(1)
        base = Mixture().eval()
        adapted, folders = self.adapters_of(
            base,
            a=LoraConfig(r=4, target_modules=["lin"], modules_to_save=["head"]),
            b=LoraConfig(r=4, target_modules=["lin"], modules_to_save=["head"]),
        )
        with torch.no_grad():
            for name, parameter in adapted.named_parameters():
                if "modules_to_save" in name:
                    parameter.add_(torch.randn_like(parameter))
        adapted.save_pretrained(folders[1].removeprefix("a=").removesuffix("/a"))
        tokens = torch.randint(20, (BATCH, LENGTH))
        names = ["a", "b", "__base__", "b", "a"]
        with torch.no_grad():
            expected = adapted(tokens, adapter_names=names)
        mixed = self.predict(
            self.export(base, tokens),
            {"tokens": tokens},
            *folders,
            *("--adapter-names", ",".join(names)),
        )
        self.assert_within(mixed, expected, 1e-5)

    def test_rows_of_a_flattened_batch_are_told_apart(self):
        torch.manual_seed(2)
        base = Mixture().eval()
        _, folders = self.adapters_of(
            base,
            a=LoraConfig(r=4, target_modules=["flat"]),
            b=LoraConfig(r=4, target_modules=["flat", "conv"], use_dora=True),
        )
        tokens = torch.randint(20, (BATCH, LENGTH))
        names = ["a", "b", "__base__", "b", "a"]
        self.assert_rows_alone(self.export(base, tokens), {"tokens": tokens}, folders, names)

    def test_rows_are_found_in_another_dimension_than_the_first(self):
        torch.manual_seed(3)
        base = TimeFirst().eval()
        _, folders = self.adapters_of(
            base,
            a=LoraConfig(r=2, target_modules=["lin"]),
            b=LoraConfig(r=2, target_modules=["lin", "head"]),
        )
        same_rows = torch.ones(BATCH, LENGTH, 4)
        for x in (torch.randn(BATCH, LENGTH, 4), same_rows):
            self.assert_rows_alone(
                self.export(base, x, dynamic=False),
                {"x": x},
                folders,
                ["b", "a", "__base__", "a", "b"],
            )

    def test_layers_that_peft_does_not_mix_are_mixed_too(self):
        """Two adapters on every layer of a kind."""
        for zoo in (zoo for zoo in ZOOS if zoo.name in ("conv1d", "attentions", "recurrents")):
            with self.subTest(layers=zoo.name):
                _, folders = self.adapters_of(
                    zoo.build(),
                    a=LoraConfig(**zoo.config()),
                    b=LoraConfig(**zoo.config(r=4, use_rslora=True)),
                )
                inputs = zoo.data(BATCH)
                path = self.workspace.new_path(".pt2")
                batch = {name: {0: torch.export.Dim("batch")} for name in inputs}
                models.export_to(path, models.Example(zoo.build(), zoo.data(3), batch))
                names = ["a", "b", "__base__", "b", "a"]
                self.assert_rows_alone({"path": path}, inputs, folders, names)

    def test_a_layer_that_sees_no_rows_is_refused(self):
        torch.manual_seed(4)
        base = Positions().eval()
        _, folders = self.adapters_of(
            base,
            a=LoraConfig(r=2, target_modules=["places"]),
            b=LoraConfig(r=2, target_modules=["lin"]),
        )
        x = torch.randn(2, LENGTH, 4)
        model = self.export(base, x)
        done = self.workspace.tenon(
            "predict",
            self.workspace.write_config({"model": model}),
            *folders,
            *("--inputs", self.workspace.write_tensors({"x": x})),
            *("--outputs", self.workspace.new_path(".safetensors")),
            *("--adapter-names", "a,b"),
        )
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("`places` cannot run other adapters for other rows", done.stderr)


if __name__ == "__main__":
    main()
