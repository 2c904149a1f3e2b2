"""What an export in eval() lost, and one in train() left in: told by `plan` and `run`, as text and as
JSON; and what both carry, switched by Tenon."""

import torch
from safetensors.torch import load_file
from support import ParityTest, main
from torch import nn

LOST_ATTENTION = "the dropout of attention, if it had any, is not in this export"
LOST_DEPTH = "stochastic depth is not in this export, so that training goes without: `drop_path`"
DRAWN = "random numbers are drawn in every forward, in evaluation too, by `drop_path`"


class DropPath(nn.Module):
    def forward(self, x):
        if not self.training:
            return x
        return x * torch.bernoulli(torch.full((x.shape[0], 1, 1), 0.8)) / 0.8


class Net(nn.Module):
    def __init__(self, drops_path):
        super().__init__()
        self.projection = nn.Linear(8, 24)
        self.dropout = nn.Dropout(0.3)
        self.drop_path = DropPath() if drops_path else nn.Identity()
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        q, k, v = self.projection(self.dropout(x)).chunk(3, -1)
        rate = 0.2 if self.training else 0.0
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=rate)
        return self.head(x + self.drop_path(mixed))


class ModesTest(ParityTest):
    def export(self, training, drops_path):
        torch.manual_seed(0)
        net = Net(drops_path).train(training)
        shapes = ({0: torch.export.Dim("rows", min=2)},)
        path = self.workspace.new_path(".pt2")
        torch.export.save(
            torch.export.export(net, (torch.randn(3, 5, 8),), dynamic_shapes=shapes), path
        )
        return net, path

    def config(self, path, **train):
        torch.manual_seed(1)
        data = {"x": torch.randn(8, 5, 8), "labels": torch.randn(8, 5, 4)}
        output = self.workspace.new_path()
        config = self.workspace.write_config(
            {
                "model": {"path": path},
                "adapter": {"method": "lora", "target_modules": ["projection"]},
                "data": {"train": self.workspace.write_tensors(data)},
                "train": {"loss": "mse", "steps": 2, "batch_size": 4, "learning_rate": 0.1, **train},
                "output": {"directory": output},
            }
        )
        return config, output

    def told(self, path):
        """What `plan` and `run` say, once they were seen to say the same."""
        config, _ = self.config(path)
        notes = self.workspace.tenon_json("plan", config)["notes"]
        for done in (
            self.workspace.tenon_ok("plan", config),
            self.workspace.tenon_ok("run", config),
            self.workspace.tenon_ok("run", config, "--json", "--force"),
        ):
            for note in notes:
                self.assertIn(note, done.stdout + done.stderr)
        return "\n".join(notes)

    def test_an_export_in_eval_lost_the_attentions_dropout_and_stochastic_depth(self):
        told = self.told(self.export(training=False, drops_path=True)[1])
        self.assertIn(LOST_ATTENTION, told)
        self.assertIn(LOST_DEPTH, told)
        self.assertIn("training switches its dropout on, as train() does: `dropout`", told)
        self.assertNotIn(DRAWN, told)

    def test_an_export_in_train_draws_its_stochastic_depth_for_ever(self):
        path = self.export(training=True, drops_path=True)[1]
        told = self.told(path)
        self.assertIn(DRAWN, told)
        config, adapter = self.config(path)
        self.workspace.tenon_ok("run", config)
        for verb in (
            ("predict", config, "--inputs", self.workspace.write_tensors({"x": torch.randn(3, 5, 8)}),
             "--outputs", self.workspace.new_path(".safetensors")),
            ("merge", config, "--adapter", adapter, "--output", self.workspace.new_path(".pt2")),
        ):
            self.assertIn(DRAWN, self.workspace.tenon_ok(*verb).stderr, verb[0])
        self.assertNotIn(LOST_ATTENTION, told)
        self.assertNotIn(LOST_DEPTH, told)

    def test_an_export_in_train_with_flags_alone_needs_no_note_and_is_switched(self):
        net, path = self.export(training=True, drops_path=False)
        self.assertEqual(self.told(path), "")
        x = torch.randn(6, 5, 8)
        with torch.no_grad():
            expected = net.eval()(x)
        self.assert_within(self.workspace.predict({"path": path}, {"x": x}), expected, 1e-6)

        def trained(seed):
            config, output = self.config(path, seed=seed, shuffle=False)
            done = self.workspace.tenon_ok("run", config, "--set", "model.seed=7")
            self.assertIn("[model] seed does nothing here: it draws the weights", done.stderr)
            return load_file(output / "adapter_model.safetensors")

        first, again, other = trained(1), trained(1), trained(2)
        for name, tensor in first.items():
            self.assertTrue(torch.equal(tensor, again[name]), name)
        self.assertTrue(any(not torch.equal(t, other[name]) for name, t in first.items()))


if __name__ == "__main__":
    main()
