"""Every layer type as PEFT has it: outputs, merging, exchange of files, 20 steps of training."""

import warnings

import torch
import zoo as zoos
from safetensors.torch import load_file
from support import ParityTest, layers, main, models, relative_norm
from zoo import Zoo

BATCH = {0: torch.export.Dim("batch")}

# A rank is a multiple of the groups.
GROUPS = {
    "r": 2,
    "lora_alpha": 3,
    "rank_pattern": {"depthwise2": 3},
    "alpha_pattern": {"depthwise2": 4.5},
}

PARAMETERS = {
    "target_parameters": ["experts.up", "experts.down", "bare", "last.weight"],
    "target_modules": ["first"],
}

ZOOS = (
    Zoo(
        "convolutions",
        layers.Convolutions,
        lambda rows: {"x": torch.randn(rows, 192)},
        GROUPS,
        unmergeable=("grouped1", "depthwise2"),
    ),
    Zoo(
        "transposed convolutions",
        layers.TransposedConvolutions,
        lambda rows: {"x": torch.randn(rows, 48)},
        GROUPS,
        peft=False,
    ),
    Zoo(
        "embeddings",
        layers.Embeddings,
        lambda rows: {"ids": torch.randint(0, 11, (rows, 6))},
        unmergeable=("normed",),
    ),
    Zoo(
        "bags and pairs",
        layers.BagsAndPairs,
        lambda rows: {"ids": torch.randint(0, 11, (rows, 4))},
        peft=False,
    ),
    Zoo("conv1d", layers.TransposedLinears, lambda rows: {"x": torch.randn(rows, 5, 6)}),
    Zoo(
        "attentions",
        layers.Attentions,
        lambda rows: {"x": torch.randn(rows, 6, 8), "memory": torch.randn(rows, 5, 8)},
    ),
    # PEFT adapts these weight by weight, Tenon as layers; the files are the same.
    Zoo(
        "recurrents",
        layers.Recurrents,
        lambda rows: {"x": torch.randn(rows, 6, 5)},
        targets={"target_parameters": zoos.recurrent_weights(layers.Recurrents())},
        rule={"target_modules": [name for name, _ in layers.Recurrents().named_children()]},
    ),
    Zoo(
        "parameters",
        layers.Parameters,
        lambda rows: {"x": torch.randn(rows, 6)},
        targets=PARAMETERS,
    ),
    Zoo(
        "parameters of different ranks",
        layers.Parameters,
        lambda rows: {"x": torch.randn(rows, 6)},
        {
            "r": 2,
            "lora_alpha": 3,
            "rank_pattern": {r".*\.down": 4, "last.weight": 1},
            "alpha_pattern": {"bare": 4, "up": 5},
        },
        targets=PARAMETERS,
    ),
    Zoo(
        "parameters of different ranks, with rslora",
        layers.Parameters,
        lambda rows: {"x": torch.randn(rows, 6)},
        {"r": 2, "lora_alpha": 3, "rank_pattern": {"up": 4}, "use_rslora": True},
        targets=PARAMETERS,
    ),
)


def for_each_zoo(check):
    """A test that runs `check` for each kind of layers."""

    def test(self):
        for zoo in ZOOS:
            with self.subTest(layers=zoo.name):
                check(self, zoo, self.programs[zoo.name])

    return test


class LayersTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        warnings.simplefilter("ignore")
        cls.programs = {}
        for zoo in ZOOS:
            path = cls.workspace.folder / f"{zoo.name}.pt2"
            example = models.Example(zoo.build(), zoo.data(3), {name: BATCH for name in zoo.data(3)})
            models.export_to(path, example)
            cls.programs[zoo.name] = {"path": path}

    @for_each_zoo
    def test_tenon_applies_what_peft_saved(self, zoo, table):
        adapter = self.random_adapter(zoo, table)
        inputs = zoo.data(5)
        expected = zoos.predict(zoos.load_by_peer(zoo, adapter), inputs)
        self.assertGreater((expected - zoos.predict(zoo.build(), inputs)).abs().max(), 1e-2)
        self.assert_within(self.workspace.predict(table, inputs, adapter), expected, 1e-5)

    @for_each_zoo
    def test_merged_layers_give_what_the_adapter_gives(self, zoo, table):
        zoo = zoo.mergeable()
        adapter = self.random_adapter(zoo, table)
        program = self.workspace.new_path(".pt2")
        config = self.workspace.write_config({"model": table})
        self.workspace.tenon_ok("merge", config, "--adapter", adapter, "--output", program)
        inputs = zoo.data(5)
        merged = self.workspace.predict({"path": program}, inputs)
        self.assert_within(merged, self.workspace.predict(table, inputs, adapter), 1e-5)
        self.assert_within(merged, zoos.predict(zoos.load_by_peer(zoo, adapter), inputs), 1e-5)

    @for_each_zoo
    def test_merging_refuses_by_name_what_has_no_merged_weight(self, zoo, table):
        if not zoo.unmergeable:
            return
        adapter = self.random_adapter(zoo, table)
        config = self.workspace.write_config({"model": table})
        output = self.workspace.new_path(".pt2")
        done = self.workspace.tenon("merge", config, "--adapter", adapter, "--output", output)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertFalse(output.exists())
        self.assertRegex(done.stderr, "`(" + "|".join(zoo.unmergeable) + ")`")

    @for_each_zoo
    def test_an_adapter_changes_nothing_before_it_is_trained(self, zoo, table):
        adapter = self.train(zoo, table, steps=1, learning_rate=1e-30)
        inputs = zoo.data(5)
        base = self.workspace.predict(table, inputs)
        self.assert_within(self.workspace.predict(table, inputs, adapter), base, 0)

    @for_each_zoo
    def test_twenty_steps_give_the_same_adapter_and_peft_loads_it(self, zoo, table):
        start = self.random_adapter(zoo, table)
        inputs, target = self.training_data(zoo)
        expected = zoos.train_by_peer(zoo, start, inputs, target)
        adapter = self.train(zoo, table, init_from=start)
        trained = load_file(adapter / "adapter_model.safetensors")
        self.assertEqual(trained.keys(), expected.keys())
        before = load_file(start / "adapter_model.safetensors")
        for name, tensor in expected.items():
            self.assertLessEqual(relative_norm(trained[name], tensor), 1e-4, name)
            moved = relative_norm(trained[name] - before[name], tensor - before[name])
            self.assertLessEqual(moved, 2e-3, name)

        inputs = zoo.data(5)
        predicted = self.workspace.predict(table, inputs, adapter)
        loaded = zoos.load_by_peer(zoo, adapter)
        self.assert_within(predicted, zoos.predict(loaded, inputs), 1e-5)

    def random_adapter(self, zoo, table):
        """The folder of an adapter as after some training, by PEFT where it has such layers."""
        if not zoo.peft:
            return self.train(zoo, table, steps=1, learning_rate=1e-30, init_lora_weights=False)
        folder = self.workspace.new_path()
        zoos.peft_model(zoo).save_pretrained(folder)
        return folder

    def training_data(self, zoo):
        inputs = zoo.data(zoos.ROWS, seed=2)
        outputs = zoos.predict(zoo.build(), inputs)
        return inputs, torch.randn_like(outputs)

    def train(self, zoo, table, init_from=None, steps=zoos.STEPS, learning_rate=None, **adapter):
        """Trains by tenon and returns the adapter's folder."""
        output = self.workspace.new_path()
        inputs, target = self.training_data(zoo)
        start = {"init_from": init_from} if init_from else {}
        config = {
            "model": table,
            "adapter": {"method": "lora", **zoo.tenon_config(**start, **adapter)},
            "data": {"train": self.workspace.write_tensors({**inputs, "labels": target})},
            "train": {
                "loss": "mse",
                "optimizer": "sgd",
                "learning_rate": learning_rate or zoos.LEARNING_RATE,
                "momentum": 0.9,
                "steps": steps,
                "batch_size": zoos.BATCH_SIZE,
                "shuffle": False,
            },
            "output": {"directory": output},
        }
        self.workspace.tenon_ok("run", self.workspace.write_config(config))
        return output


if __name__ == "__main__":
    main()
