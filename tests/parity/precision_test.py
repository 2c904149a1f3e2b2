"""Bases in half precision: dtypes in files, outputs and training are PEFT's, within roundings."""

import warnings

import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from support import ParityTest, main, models, off_the_start, toys
from torch import nn

ROWS = [
    {"target_modules": ["lin0"]},
    {"target_modules": ["lin0", "lin1"], "use_dora": True},
    {"target_modules": ["lin0"], "lora_bias": True},
    {"target_modules": ["emb"]},
    {"target_modules": ["emb", "conv"], "use_dora": True},
    {"target_modules": ["conv"]},
    {"target_modules": ["lin0"], "modules_to_save": ["lin1"]},
    {"target_modules": ["lin0"], "bias": "all"},
    {"target_modules": ["lin0"], "trainable_token_indices": {"emb": [3, 20, 21]}},
]
TENSORS = "adapter_model.safetensors"


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(100, 16)
        self.lin0 = nn.Linear(16, 32)
        self.conv = nn.Conv1d(32, 8, 3)
        self.lin1 = nn.Linear(64, 2)

    def forward(self, X):
        x = F.relu(self.lin0(self.emb(X)))
        x = torch.tanh(self.conv(x.transpose(1, 2))).flatten(1)
        return F.log_softmax(self.lin1(x).float(), dim=-1)


def half_model(dtype):
    torch.manual_seed(0)
    return Half().to(dtype).eval()


class PrecisionTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        warnings.simplefilter("ignore")

    def test_bfloat16(self):
        self.check_all(torch.bfloat16)

    def test_float16(self):
        self.check_all(torch.float16)

    def check_all(self, dtype):
        path = self.workspace.new_path(".pt2")
        example = models.Example(half_model(dtype), {"X": toys.example_input()}, {"X": None})
        models.export_to(path, example)
        for lora in ROWS:
            for wide in (True, False):
                with self.subTest(autocast_adapter_dtype=wide, **lora):
                    self.check(path, dtype, {"r": 4, "lora_alpha": 8, **lora}, wide)

    def check(self, path, dtype, lora, wide):
        torch.manual_seed(3)
        config = LoraConfig(init_lora_weights=False, **lora)
        peft_model = get_peft_model(half_model(dtype), config, autocast_adapter_dtype=wide).eval()
        off_the_start(peft_model)
        folder = self.workspace.new_path()
        peft_model.save_pretrained(folder)
        rounding = torch.finfo(dtype).eps

        expected = predict(peft_model)
        actual = self.workspace.predict({"path": path}, {"x": toys.example_input()}, folder)
        self.assert_within(actual, expected, 4 * rounding * max(1, expected.abs().max().item()))

        trained = self.train(path, folder, wide)
        reference = self.train_by_peft(folder, dtype, wide)
        self.assertEqual(kinds(trained), kinds(reference))
        for name, tensor in reference.items():
            own = trained[name].float()
            scale = tensor.float().abs().max().item()
            self.assert_within(own, tensor.float(), 8 * rounding * scale + 1e-4)

    def train(self, path, folder, wide):
        output = self.workspace.new_path()
        data = {"x": toys.example_input(), "labels": torch.arange(toys.ROWS) % 2}
        config = {
            "model": {"path": path},
            "adapter": {"method": "lora", "init_from": folder, "autocast_adapter_dtype": wide},
            "data": {"train": self.workspace.write_tensors(data)},
            "train": {
                "loss": "nll",
                "optimizer": "sgd",
                "learning_rate": 0.05,
                "steps": 2,
                "batch_size": toys.ROWS,
                "shuffle": False,
            },
            "output": {"directory": output},
        }
        self.workspace.tenon_ok("run", self.workspace.write_config(config))
        return load_file(output / TENSORS)

    def train_by_peft(self, folder, dtype, wide):
        model = PeftModel.from_pretrained(
            half_model(dtype), folder, is_trainable=True, autocast_adapter_dtype=wide
        ).train()
        steps = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05)
        for _ in range(2):
            steps.zero_grad()
            F.nll_loss(model(toys.example_input()), torch.arange(toys.ROWS) % 2).backward()
            steps.step()
        output = self.workspace.new_path()
        model.save_pretrained(output)
        return load_file(output / TENSORS)


def predict(model):
    with torch.no_grad():
        return model(toys.example_input())


def kinds(tensors):
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}


if __name__ == "__main__":
    main()
