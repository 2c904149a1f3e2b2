"""Every file that Tenon writes is an input of Tenon's: a chain of verbs gives what PEFT's gives."""

from copy import deepcopy

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from support import ParityTest, main
from torch import nn

LORA = {"target_modules": ["first", "last"], "r": 2, "lora_alpha": 4}
STEPS, RATE = 3, 0.05


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


class ChainTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        torch.manual_seed(0)
        cls.model = Net().eval()
        cls.x, cls.labels = torch.randn(16, 4), torch.randint(0, 2, (16,))
        cls.path = cls.workspace.new_path(".pt2")
        batch = {"x": {0: torch.export.Dim("batch")}}
        program = torch.export.export(cls.model, (cls.x,), dynamic_shapes=batch)
        torch.export.save(program, cls.path)

    def run_tenon(self, path, start):
        output = self.workspace.new_path()
        data = self.workspace.write_tensors({"x": self.x, "labels": self.labels})
        config = {
            "model": {"path": path},
            "adapter": {"init_from": start},
            "data": {"train": data},
            "train": {
                "loss": "cross_entropy",
                "optimizer": "sgd",
                "learning_rate": RATE,
                "steps": STEPS,
                "batch_size": 16,
                "shuffle": False,
            },
            "output": {"directory": output},
        }
        self.workspace.tenon_ok("run", self.workspace.write_config(config))
        return output

    def start_on(self, model, seed):
        """A random adapter of PEFT's, and PEFT's model trained from it."""
        torch.manual_seed(seed)
        peft_model = get_peft_model(deepcopy(model), LoraConfig(**LORA, init_lora_weights=False))
        folder = self.workspace.new_path()
        peft_model.save_pretrained(folder)
        optimizer = torch.optim.SGD((p for p in peft_model.parameters() if p.requires_grad), lr=RATE)
        for _ in range(STEPS):
            optimizer.zero_grad()
            nn.functional.cross_entropy(peft_model(self.x), self.labels).backward()
            optimizer.step()
        return folder, peft_model.eval()

    def merge(self, path, folder, suffix=".pt2"):
        merged = self.workspace.new_path(suffix)
        config = self.workspace.write_config({"model": {"path": path}})
        self.workspace.tenon_ok("merge", config, "--adapter", folder, "--output", merged)
        return merged

    def assert_output(self, path, model, folder=None):
        with torch.no_grad():
            expected = model(self.x)
        actual = self.workspace.predict({"path": path}, {"x": self.x}, folder)
        self.assert_within(actual, expected, 1e-5 * max(1, expected.abs().max().item()))

    def test_merged_models_are_trained_and_merged_again(self):
        path, model = self.path, self.model
        for seed in (1, 2, 3):
            start, peft_model = self.start_on(model, seed)
            folder = self.run_tenon(path, start)
            self.assert_output(path, peft_model, folder)
            path, model = self.merge(path, folder), peft_model.merge_and_unload().eval()
            self.assert_output(path, model)
            with torch.no_grad():
                self.assert_within(torch.export.load(path).module()(self.x), model(self.x), 1e-5)
            state = load_file(self.merge(path, folder, ".safetensors"))
            self.assertEqual(state.keys(), model.state_dict().keys())

    def test_what_is_converted_and_combined_on_a_merged_model_is_used_again(self):
        start, peft_model = self.start_on(self.model, 4)
        path = self.merge(self.path, self.run_tenon(self.path, start))
        model = peft_model.merge_and_unload().eval()
        starts = [self.start_on(model, seed) for seed in (5, 6)]
        folders = [self.run_tenon(path, folder) for folder, _ in starts]
        config = self.workspace.write_config({"model": {"path": path}})
        converted = self.workspace.new_path()
        self.workspace.tenon_ok(
            *("adapter", "convert", config, "--adapter", folders[0]),
            *("--rank", 2, "--output", converted),
        )
        self.assert_output(path, starts[0][1], converted)
        combined = self.workspace.new_path()
        self.workspace.tenon_ok(
            *("adapter", "combine", converted, folders[1], "--weights", "0.5,2"),
            *("--combination-type", "cat", "--output", combined),
        )
        both = PeftModel.from_pretrained(deepcopy(model), converted, "one")
        both.load_adapter(folders[1], "two")
        both.add_weighted_adapter(["one", "two"], [0.5, 2], "both", "cat")
        both.set_adapter("both")
        self.assert_output(path, both.eval(), combined)
        self.assert_output(self.merge(path, combined), both)


if __name__ == "__main__":
    main()
