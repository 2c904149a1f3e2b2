"""Methods that are not LoRA, each a plugin of which the host knows nothing: (IA)^3 and LayerNorm
tuning exchange their files with PEFT, train as PEFT does, and are refused as plugins say."""

import json
import warnings
from copy import deepcopy

import torch
import torch.nn.functional as F
from peft import IA3Config, LNTuningConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file
from support import ParityTest, main, models, relative_norm
from torch import nn
from transformers.pytorch_utils import Conv1D

STEPS = 20
BATCH = 8


class Convolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(8, 12, 3, stride=2, groups=4, padding=1, padding_mode="circular")
        self.up = nn.Linear(12, 16)
        self.gpt = Conv1D(10, 16)
        self.down = nn.Linear(10, 4)

    def forward(self, x):
        h = self.conv2(torch.tanh(self.conv1(x))).mean((2, 3))
        return self.down(torch.tanh(self.gpt(torch.tanh(self.up(h)))))


class Norms(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(6)
        self.lin = nn.Linear(6, 8)
        self.norm2 = nn.LayerNorm(8, bias=False)
        self.norm3 = nn.RMSNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.norm3(self.norm2(torch.tanh(self.lin(self.norm1(x))))))


class MethodTest:
    """What holds for every method; a subclass names its model and PEFT's config."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        cls.base = cls.Model()
        with torch.no_grad():  # away from starts that hide a mistake, such as zero biases
            for parameter in cls.base.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.2)
        cls.base.eval()
        cls.path = cls.workspace.new_path(".pt2")
        dimensions = {"x": {0: torch.export.Dim("batch")}}
        models.export_to(cls.path, models.Example(deepcopy(cls.base), cls.data(3), dimensions))

    @classmethod
    def data(cls, rows, seed=1):
        torch.manual_seed(seed)
        return {"x": torch.randn(rows, *cls.SHAPE)}

    def peft_config(self, **changes):
        return self.Config(**{**self.KEYS, **changes})

    def peft_model(self):
        """PEFT's model with parameters off their start."""
        torch.manual_seed(2)
        model = get_peft_model(deepcopy(self.base), self.peft_config()).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter), alpha=0.3)
        return model

    def train(self, start=None, learning_rate=0.02, **adapter):
        """An adapter that Tenon trained."""
        rows = {**self.data(40, seed=5), "labels": torch.randn(40, self.OUT)}
        output = self.workspace.new_path()
        keys = {"init_from": start} if start else {**self.KEYS, **adapter}
        self.workspace.tenon_ok(
            "run",
            self.workspace.write_config(
                {
                    "model": {"path": self.path},
                    "adapter": {"method": self.METHOD, **keys},
                    "data": {"train": self.workspace.write_tensors(rows)},
                    "train": {
                        "loss": "mse",
                        "optimizer": "sgd",
                        "momentum": 0.9,
                        "learning_rate": learning_rate,
                        "steps": STEPS,
                        "batch_size": BATCH,
                        "shuffle": False,
                    },
                    "output": {"directory": output},
                }
            ),
        )
        return output

    def load_by_peft(self, folder, **options):
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Found missing|Unexpected keyword")
            return PeftModel.from_pretrained(deepcopy(self.base), folder, **options)

    def test_tenon_applies_what_peft_saved(self):
        peft_model = self.peft_model()
        folder = self.workspace.new_path()
        peft_model.save_pretrained(folder)
        inputs = self.data(5)
        with torch.no_grad():
            expected = peft_model(**inputs)
            self.assertGreater((expected - self.base(**inputs)).abs().max(), 1e-2)
        actual = self.workspace.predict({"path": self.path}, inputs, folder)
        self.assert_within(actual, expected, 1e-5)

    def test_peft_applies_what_tenon_trained(self):
        folder = self.train()
        inputs = self.data(5)
        with torch.no_grad():
            expected = self.load_by_peft(folder)(**inputs)
            self.assertGreater((expected - self.base(**inputs)).abs().max(), 1e-3)
        actual = self.workspace.predict({"path": self.path}, inputs, folder)
        self.assert_within(actual, expected, 1e-5)

    def test_both_train_alike(self):
        start = self.workspace.new_path()
        self.peft_model().save_pretrained(start)
        trained = load_file(self.train(start) / "adapter_model.safetensors")
        model = self.load_by_peft(start, is_trainable=True).train()
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.SGD(parameters, lr=0.02, momentum=0.9)
        inputs = self.data(40, seed=5)["x"]
        labels = torch.randn(40, self.OUT)
        for step in range(STEPS):
            rows = slice(step * BATCH % 40, step * BATCH % 40 + BATCH)
            optimizer.zero_grad()
            F.mse_loss(model(inputs[rows]), labels[rows]).backward()
            optimizer.step()
        expected = get_peft_model_state_dict(model)
        self.assertEqual(trained.keys(), expected.keys())
        for name, tensor in expected.items():
            self.assertLess(relative_norm(trained[name], tensor), 1e-4, name)

    def test_a_fresh_adapter_has_pefts_names_shapes_and_config(self):
        folder = self.workspace.new_path()
        fresh = get_peft_model(deepcopy(self.base), self.peft_config())
        fresh.save_pretrained(folder)
        ours = self.train()
        ours_tensors = load_file(ours / "adapter_model.safetensors")
        peft_tensors = load_file(folder / "adapter_model.safetensors")
        shapes = lambda tensors: {name: tensor.shape for name, tensor in tensors.items()}
        self.assertEqual(shapes(ours_tensors), shapes(peft_tensors))
        read = lambda path: json.loads((path / "adapter_config.json").read_text())
        ours, pefts = read(ours), read(folder)
        self.assertEqual(list(ours), sorted(ours))
        self.assertEqual(ours.keys(), pefts.keys())
        for key in ours.keys() - {"auto_mapping", "base_model_name_or_path"}:
            as_set = lambda value: sorted(value) if isinstance(value, list) else value
            self.assertEqual(as_set(ours[key]), as_set(pefts[key]), key)

    def test_counts_are_pefts(self):
        plan = self.workspace.tenon_json(
            "plan",
            self.workspace.write_config(
                {"model": {"path": self.path}, "adapter": {"method": self.METHOD, **self.KEYS}}
            ),
        )
        trainable, total = get_peft_model(
            deepcopy(self.base), self.peft_config()
        ).get_nb_trainable_parameters()
        self.assertEqual((plan["trainable_params"], plan["all_params"]), (trainable, total))

    def refusal(self, **adapter):
        config = {"model": {"path": self.path}, "adapter": {"method": self.METHOD, **adapter}}
        done = self.workspace.tenon("plan", self.workspace.write_config(config))
        self.assertEqual(done.returncode, 2, done.stdout)
        return done.stderr


class Ia3Test(MethodTest, ParityTest):
    Model, Config, METHOD, SHAPE, OUT = Convolutions, IA3Config, "ia3", (3, 6, 6), 4
    KEYS = {
        "target_modules": ["conv1", "conv2", "up", "gpt", "down"],
        "feedforward_modules": ["conv2", "down", "gpt"],
    }

    # PEFT sets it by itself where it meets a Conv1D; what is saved is what the user said.
    def peft_config(self, **changes):
        return super().peft_config(fan_in_fan_out=False, **changes)

    def test_factors_start_at_one_unless_the_config_says_otherwise(self):
        folder = self.train(init_ia3_weights=False, target_modules=["up"], feedforward_modules=[])
        drawn = load_file(folder / "adapter_model.safetensors")["base_model.model.up.ia3_l"]
        self.assertGreater(drawn.std(), 0.3)

    def test_feedforward_modules_must_be_targeted(self):
        text = self.refusal(target_modules=["up"], feedforward_modules=["down"])
        self.assertIn("feedforward_modules", text)

    def test_fan_in_fan_out_is_taken_from_saved_adapters_alone(self):
        text = self.refusal(target_modules=["up"], fan_in_fan_out=True)
        self.assertIn("has no effect: a layer's type says how its weight lies", text)


class LnTuningTest(MethodTest, ParityTest):
    Model, Config, METHOD, SHAPE, OUT = Norms, LNTuningConfig, "ln_tuning", (6,), 3
    KEYS = {"target_modules": ["norm1", "norm2", "norm3"]}

    def test_copies_start_as_the_norms_weights(self):
        config = {"model": {"path": self.path}, "adapter": {"method": self.METHOD, **self.KEYS}}
        plan = self.workspace.tenon_json("plan", self.workspace.write_config(config))
        self.assertEqual(
            [parameter["name"] for parameter in plan["layers"][0]["parameters"]],
            ["ln_tuning_layers.weight", "ln_tuning_layers.bias"],
        )
        folder = self.train(learning_rate=1e-30)
        tensors = load_file(folder / "adapter_model.safetensors")
        for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm3.weight"):
            norm, part = name.split(".")
            copy = tensors[f"base_model.model.{norm}.ln_tuning_layers.{part}"]
            self.assert_within(copy, self.base.state_dict()[name], 0)

    def test_a_linear_is_no_norm(self):
        text = self.refusal(target_modules=["lin"])
        self.assertIn("torch.nn.Linear at `lin` is not supported by method ln_tuning", text)


if __name__ == "__main__":
    main()
