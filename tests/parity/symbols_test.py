"""Numbers in an exported program: every operator on sizes that the exporter can write, numbers
among the inputs, and what is told where an export took or lost something."""

import json
import math
import operator
import zipfile

import torch
from safetensors.torch import load_file
from support import ParityTest, main
from torch._export.serde import serialize

ROWS = 6
# What each operator is tried with, `ROWS` first; two numbers where it is not said here.
OPERANDS = {
    1: (ROWS,),
    2: (ROWS, 3),
    3: (True, ROWS, 3),
}
ONE = {operator.neg, operator.pos, math.trunc, torch.sym_not, torch.sym_int, torch.sym_float}
ONE |= {torch.sym_sqrt}
THREE = {torch.sym_ite}


class Filled(torch.nn.Module):
    """Its output holds a number that is computed from a size."""

    def forward(self, x):
        return x.new_full((2,), x.shape[0] * 3)


class Scaled(torch.nn.Module):
    def forward(self, x, n):
        return x * n + x.shape[0]


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Rounded(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(4, 4)

    def forward(self, x):
        return Straight.apply(self.fc(x))


class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(4, 3, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0]


class SymbolsTest(ParityTest):
    def export(self, module, *inputs):
        automatic = tuple(
            {d: torch.export.Dim.AUTO for d in range(x.dim())}
            if torch.is_tensor(x)
            else torch.export.Dim.DYNAMIC
            for x in inputs
        )
        path = self.workspace.new_path(".pt2")
        program = torch.export.export(module.eval(), inputs, dynamic_shapes=automatic)
        torch.export.save(program, path)
        return path

    def changed(self, path, change):
        """The archive with `change` made to its program."""
        written = self.workspace.new_path(".pt2")
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(written, "w") as new:
            for name in old.namelist():
                data = old.read(name)
                if name.endswith("models/model.json"):
                    program = json.loads(data)
                    change(program["graph_module"]["graph"])
                    data = json.dumps(program)
                new.writestr(name, data)
        return written

    def run_on(self, path, inputs):
        outputs = self.workspace.new_path(".safetensors")
        done = self.workspace.tenon(
            "predict",
            self.workspace.write_config({"model": {"path": path}}),
            *("--inputs", self.workspace.write_tensors(inputs)),
            *("--outputs", outputs),
        )
        return done, load_file(outputs) if done.returncode == 0 else None

    def test_every_operator_on_sizes_that_the_exporter_writes_is_known(self):
        path = self.export(Filled(), torch.zeros(4, 1))
        for function in serialize._SYM_OPS:
            count = 1 if function in ONE else 3 if function in THREE else 2
            operands = OPERANDS[count]

            def use(graph, function=function, operands=operands):
                node = next(n for n in graph["nodes"] if n["target"] == "_operator.mul")
                size = node["inputs"][0]
                node["target"] = f"{function.__module__}.{function.__name__}"
                node["inputs"] = [
                    size
                    if value == ROWS
                    else {**size, "arg": {"as_bool" if value is True else "as_int": value}}
                    for value in operands
                ]

            with self.subTest(operator=function.__name__):
                done, outputs = self.run_on(
                    self.changed(path, use), {"x": torch.zeros(ROWS, 1)}
                )
                self.assertEqual(done.returncode, 0, done.stderr)
                expected = torch.full((2,), float(function(*operands)))
                self.assertTrue(torch.equal(outputs["output_0"], expected), outputs)

    def test_a_number_among_the_inputs_may_vary(self):
        path = self.export(Scaled(), torch.zeros(4, 2), 5)
        x = torch.randn(3, 2)
        _, outputs = self.run_on(path, {"x": x, "n": torch.tensor(7)})
        self.assertTrue(torch.equal(outputs["output_0"], x * 7 + 3))
        done, _ = self.run_on(path, {"x": x, "n": torch.tensor([7, 8])})
        self.assertIn("the model's input `n` has 0 dimensions", done.stderr)

    def test_a_size_that_an_operator_holds_is_told_with_its_layer(self):
        path = self.export(torch.nn.Sequential(torch.nn.Flatten(0)), torch.zeros(4, 2))

        def fix(graph):
            node = graph["nodes"][-1]
            node["target"] = "torch.ops.aten.view.default"
            node["inputs"] = [
                {**node["inputs"][0], "name": "self"},
                {"name": "size", "arg": {"as_ints": [8]}, "kind": 1},
            ]

        done, _ = self.run_on(self.changed(path, fix), {"input": torch.zeros(3, 2)})
        self.assertEqual(done.returncode, 1)
        self.assertIn("the operator aten::view in `0` (torch.nn.Flatten) cannot run", done.stderr)
        self.assertIn("dimension 0 of `input` is 3", done.stderr)

    def test_a_length_that_the_exporter_fixed_is_told(self):
        path = self.export(Recurrent(), torch.zeros(4, 5, 4))
        done, _ = self.run_on(path, {"x": torch.zeros(4, 6, 4)})
        self.assertIn(
            "dimension 1 of `x` was fixed to 5 when this model was exported, and is 6; export it "
            "with a dynamic dimension, where the exporter can: it fixes the length of LSTM",
            done.stderr,
        )

    def test_a_backward_that_the_export_lost_is_told(self):
        path = self.export(Rounded(), torch.zeros(4, 4))
        done, _ = self.run_on(path, {"x": torch.zeros(3, 4)})
        self.assertIn("the backward of a torch.autograd.Function is lost by the export", done.stderr)


if __name__ == "__main__":
    main()
