"""Layers that get no gradient though the output depends on them are named, and what is in the way."""

import torch
from support import ParityTest, main
from torch import nn

BATCH = {0: torch.export.Dim("batch")}
LOST = "the backward of a torch.autograd.Function is lost by the export"


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return (x > 0).float()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def spike(x):
    return Spike.apply(x)


class Forward:
    """No module, and no Function either."""

    def forward(self, x):
        return x.relu()


WAYS = {
    "direct": lambda model, x: Spike.apply(x),
    "helper": lambda model, x: spike(x),
    "variable": lambda model, x: model.function(x),
    "method": lambda model, x: model.spiking(x),
    "rounded": lambda model, x: x.round() / 4,
    "floored": lambda model, x: torch.div(x, 0.5, rounding_mode="floor"),
    "detached": lambda model, x: x.detach(),
    "whole": lambda model, x: (10 * x).to(torch.int64).float(),
    "places": lambda model, x: x.argsort(1).float(),
    "straight": lambda model, x: x + (x.round() - x).detach(),
}


class Net(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(8, 12), Act(way), nn.Linear(12, 3)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


class Act(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.way = way
        self.plain = Forward()
        self.function = Spike.apply

    def forward(self, x):
        if self.way == "plain":
            return self.plain.forward(x)
        return WAYS[self.way](self, x)

    def spiking(self, x):
        return spike(x)


class LostGradientsTest(ParityTest):
    def run_way(self, way, targets=("fc1", "fc2"), strict=False, status=0):
        torch.manual_seed(0)
        x = torch.randn(16, 8)
        path = self.workspace.new_path(".pt2")
        program = torch.export.export(Net(way), (x,), dynamic_shapes={"x": BATCH}, strict=strict)
        torch.export.save(program, path)
        config = {
            "model": {"path": path},
            "adapter": {"target_modules": list(targets)},
            "data": {
                "train": self.workspace.write_tensors({"x": x, "labels": torch.arange(16) % 3})
            },
            "train": {"optimizer": "sgd", "learning_rate": 0.1, "steps": 2, "batch_size": 16},
            "output": {"directory": self.workspace.new_path()},
        }
        done = self.workspace.tenon("run", self.workspace.write_config(config))
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr

    def test_a_functions_lost_backward_is_told_however_it_is_called(self):
        for way in ("direct", "helper", "variable", "method"):
            with self.subTest(way):
                log = self.run_way(way)
                self.assertIn(LOST, log)
                self.assertIn(
                    "`fc1` gets no gradient and is not trained, though the output depends on it: "
                    "the gradient ends at aten::gt in `act`, a comparison, in a "
                    "torch.autograd.Function whose backward the export lost",
                    log,
                )
                self.assertNotIn("`fc2` gets", log)

    def test_a_strict_export_too(self):
        log = self.run_way("helper", strict=True)
        self.assertIn("`fc1` gets no gradient and is not trained", log)

    def test_the_operator_at_which_gradients_end_is_named(self):
        for way, operator in {
            "rounded": "aten::round in `act`, which rounds",
            "floored": "aten::div in `act`, which rounds",
            "detached": "aten::detach in `act`, which cuts it off",
            "whole": "aten::to in `act`, a cast to whole numbers",
            "places": "aten::argsort in `act`, which gives places, not values",
        }.items():
            with self.subTest(way):
                log = self.run_way(way)
                self.assertIn(f"the gradient ends at {operator}", log)
                self.assertNotIn(LOST, log)

    def test_nothing_is_told_where_gradients_come_back(self):
        for way in ("straight", "plain"):
            with self.subTest(way):
                log = self.run_way(way)
                self.assertNotIn("no gradient", log)
                self.assertNotIn(LOST, log)

    def test_where_nothing_is_trained_the_operator_is_the_reason(self):
        log = self.run_way("detached", targets=["fc1"], status=1)
        self.assertIn("the loss depends on no trained parameter", log)
        self.assertIn("the gradient ends at aten::detach in `act`", log)


if __name__ == "__main__":
    main()
