"""Exports of small modules with branches, loops, contexts: `predict` and gradients as in Python."""

import sys
from copy import deepcopy
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from support import ParityTest, main

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "export"))

import programs  # noqa: E402


class ProgramsTest(ParityTest):
    def check_each_program(self, check):
        for name in programs.PROGRAMS:
            module = programs.make(name)
            path = self.workspace.new_path(".pt2")
            torch.export.save(programs.export(name, module), path)
            for number, inputs in enumerate(programs.inputs(name)):
                with self.subTest(program=name, inputs=number):
                    check(module, path, inputs)

    def test_outputs_are_those_of_the_module(self):
        self.check_each_program(self.check_outputs)

    def test_gradients_are_those_of_the_module(self):
        self.check_each_program(self.check_gradients)

    def test_what_the_export_took_for_granted_of_the_sizes_is_checked(self):
        from_six = programs.export_module(programs.OnlyFromSix())
        self.check_refused(
            from_six, {"x": torch.ones(5, 3)}, "dimension 0 of `x` is 5; the model was exported for 6"
        )
        fours = programs.export_module(programs.WholeFours())
        self.check_refused(
            fours,
            {"x": torch.ones(6, 3)},
            "the model was exported for inputs with ((3 * dimension 0 of `x`) % 4) == 0; "
            "dimension 0 of `x` is 6",
        )
        rows = torch.export.Dim("rows", min=2, max=64)
        twice = torch.export.export(
            programs.RowsTwiceAsMany(),
            (torch.ones(4, 3), torch.ones(9, 3)),
            dynamic_shapes=({0: rows}, {0: 2 * rows + 1}),
        )
        self.check_refused(
            twice,
            {"x": torch.ones(4, 3), "y": torch.ones(8, 3)},
            "dimension 0 of `y` is 8, but must be (2 * dimension 0 of `x`) + 1, which is 9",
        )

    def check_refused(self, program, inputs, message):
        path = self.workspace.new_path(".pt2")
        torch.export.save(program, path)
        done = self.workspace.tenon(
            "predict",
            self.workspace.write_config({"model": {"path": path}}),
            *("--inputs", self.workspace.write_tensors(inputs)),
            *("--outputs", self.workspace.new_path(".safetensors")),
        )
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(message, done.stderr)

    def check_outputs(self, module, path, inputs):
        outputs = self.workspace.new_path(".safetensors")
        self.workspace.tenon_ok(
            "predict",
            self.workspace.write_config({"model": {"path": path}}),
            *("--inputs", self.workspace.write_tensors(inputs)),
            *("--outputs", outputs),
        )
        with torch.no_grad():
            # A copy: the buffers that it writes stay written.
            expected = deepcopy(module)(*deepcopy(inputs).values())
        given = load_file(outputs)
        for index, tensor in enumerate(programs.tensors(expected)):
            self.assert_equal_forward(given[f"output_{index}"].float(), tensor.float())

    def check_gradients(self, module, path, inputs):
        module = deepcopy(module)
        forward = getattr(module, "plain", module)
        output = programs.tensors(forward(*deepcopy(inputs).values()))[0]
        labels = torch.zeros_like(output)
        F.mse_loss(output, labels).backward()

        trained = self.workspace.new_path(".safetensors")
        config = {
            "model": {"path": path},
            "data": {"train": self.workspace.write_tensors({**inputs, "labels": labels})},
            "train": {
                **{"loss": "mse", "optimizer": "sgd", "learning_rate": 1.0, "steps": 1},
                **{"full": True, "batch_size": len(labels), "shuffle": False},
            },
            "output": {"model": trained},
        }
        self.workspace.tenon_ok("run", self.workspace.write_config(config))
        after = load_file(trained)
        for key, parameter in module.named_parameters():
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            self.assert_within(
                parameter.detach() - after[key], gradient, 1e-5 * (1 + gradient.abs().max().item())
            )


if __name__ == "__main__":
    main()
