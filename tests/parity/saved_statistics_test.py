"""BatchNorm among the modules to save: its statistics are trained, kept and used as PEFT's are."""

import copy

import torch
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file
from support import ParityTest, main
from torch import nn

LORA = {"r": 2, "lora_alpha": 4, "target_modules": ["head"], "modules_to_save": ["norm"]}
STEPS, ROWS = 4, 6


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.other = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = self.other(self.norm(self.conv(x)).relu())
        return self.head(x.mean((2, 3)))


def build():
    torch.manual_seed(0)
    net = Net()
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(8, 3, 6, 6))
        for norm in (net.norm, net.other):
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
    return net


def data():
    torch.manual_seed(1)
    return torch.randn(STEPS * ROWS, 3, 6, 6), torch.randn(STEPS * ROWS, 5)


class SavedStatisticsTest(ParityTest):
    def train_peft(self, **changes):
        model = get_peft_model(build(), LoraConfig(**{**LORA, **changes}, init_lora_weights=False))
        start = self.workspace.new_path()
        model.save_pretrained(start)
        model.train()
        for name, module in model.named_modules():  # as [train] batch_norm = "frozen" has it
            if isinstance(module, nn.BatchNorm2d) and "modules_to_save" not in name:
                module.eval()
        optimizer = torch.optim.SGD(
            [p for p in model.parameters() if p.requires_grad], lr=0.05
        )
        x, target = data()
        for step in range(STEPS):
            rows = slice(step * ROWS, (step + 1) * ROWS)
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x[rows]), target[rows]).backward()
            optimizer.step()
        return start, model.eval()

    def export(self, training, decompose):
        net = build().train(training)
        shapes = ({0: torch.export.Dim("rows", min=2)},)
        # The example's rows are none of the data's, so that nothing is fixed by chance.
        program = torch.export.export(net, (torch.randn(5, 3, 6, 6),), dynamic_shapes=shapes)
        path = self.workspace.new_path(".pt2")
        torch.export.save(program.run_decompositions({}) if decompose else program, path)
        return path

    def run_tenon(self, path, start, **process):
        x, target = data()
        output = self.workspace.new_path()
        config = {
            "model": {"path": path},
            "adapter": {"method": "lora", "init_from": start},
            "data": {"train": self.workspace.write_tensors({"x": x, "labels": target})},
            "train": {"loss": "mse", "optimizer": "sgd", "learning_rate": 0.05, "epochs": 1,
                      "batch_size": ROWS, "shuffle": False},
            "output": {"directory": output},
        }
        return output, self.workspace.tenon("run", self.workspace.write_config(config), **process)

    def test_statistics_are_trained_and_saved_as_pefts(self):
        start, model = self.train_peft()
        expected = get_peft_model_state_dict(model)
        self.assertIn("base_model.model.norm.running_mean", expected)
        x, _ = data()
        for training in (False, True):
            with self.subTest(exported="train" if training else "eval"):
                path = self.export(training, decompose=False)
                output, done = self.run_tenon(path, start)
                self.assertEqual(done.returncode, 0, done.stderr)
                trained = load_file(output / "adapter_model.safetensors")
                self.assertEqual(trained.keys(), expected.keys())
                for name, tensor in expected.items():
                    # An export in eval() does not count; nothing reads the count.
                    if training or not name.endswith("num_batches_tracked"):
                        self.assert_within(trained[name].float(), tensor.float(), 1e-5)
                begun = load_file(start / "adapter_model.safetensors")
                name = "base_model.model.norm.running_mean"
                self.assertGreater((trained[name] - begun[name]).abs().max().item(), 1e-2)
                predicted = self.workspace.predict({"path": path}, {"x": x}, output)
                with torch.no_grad():
                    self.assert_within(predicted, model(x), 1e-5)
                loaded = get_peft_model(build(), LoraConfig(**LORA)).eval()
                set_peft_model_state_dict(loaded, copy.copy(trained))
                with torch.no_grad():
                    self.assert_within(loaded(x), predicted, 1e-5)

    def test_a_decomposed_export_in_eval_says_that_its_statistics_are_fixed(self):
        start, _ = self.train_peft()
        _, done = self.run_tenon(self.export(False, decompose=True), start)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("fixed BatchNorm to evaluation", done.stdout + done.stderr)

    def test_a_decomposed_export_in_train_cannot_save_the_module_but_trains_others(self):
        start, _ = self.train_peft()
        path = self.export(True, decompose=True)
        _, done = self.run_tenon(path, start)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("the program writes its `running_mean` at the end of each", done.stderr)
        start, model = self.train_peft(modules_to_save=None)
        output, done = self.run_tenon(path, start)
        self.assertEqual(done.returncode, 0, done.stderr)
        trained = load_file(output / "adapter_model.safetensors")
        for name, tensor in get_peft_model_state_dict(model).items():
            self.assert_within(trained[name], tensor, 1e-5)


if __name__ == "__main__":
    main()
