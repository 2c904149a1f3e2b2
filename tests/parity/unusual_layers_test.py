"""Layers that are not what their class says: subclasses, computed weights, parts of an attention."""

import warnings

import torch
from peft import LoraConfig, get_peft_model
from support import ParityTest, layers, main, models

BATCH = {0: torch.export.Dim("batch")}


class UnusualLayersTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        warnings.simplefilter("ignore")
        cls.paths = {make: cls.export(make) for make in (layers.Unusual, layers.Computed, layers.CellLoop)}

    @classmethod
    def export(cls, make):
        path = cls.workspace.new_path(".pt2")
        example = models.Example(cls.build(make), cls.data(3), {name: BATCH for name in cls.data(3)})
        models.export_to(path, example)
        return path

    @staticmethod
    def build(make):
        torch.manual_seed(0)
        return make().eval()

    @staticmethod
    def data(rows):
        torch.manual_seed(rows)
        return {"x": torch.randn(rows, 4, 6), "ids": torch.randint(0, 5, (rows, 4))}

    def plan(self, make, **adapter):
        config = {"model": {"path": self.paths[make]}, "adapter": {"method": "lora", **adapter}}
        return self.workspace.tenon("plan", self.workspace.write_config(config))

    def assert_exchanged(self, make=layers.Unusual, **keys):
        """Tenon gives what PEFT gives on a random adapter of PEFT's; returns tenon's log."""
        model = self.build(make)
        torch.manual_seed(1)
        config = LoraConfig(init_lora_weights=False, **keys)
        adapted = get_peft_model(model, config).eval()
        folder = self.workspace.new_path()
        adapted.save_pretrained(folder)
        inputs = self.data(5)
        with torch.no_grad():
            expected = adapted(*inputs.values())
        outputs = self.workspace.new_path(".safetensors")
        config = self.workspace.write_config({"model": {"path": self.paths[make]}})
        files = ("--inputs", self.workspace.write_tensors(inputs), "--outputs", outputs)
        done = self.workspace.tenon_ok("predict", config, "--adapter", folder, *files)
        actual = self.workspace.predict({"path": self.paths[make]}, inputs, folder)
        self.assert_within(actual, expected, 1e-5)
        return done.stdout + done.stderr

    def test_a_subclass_that_is_one_plain_operator_is_adapted_as_what_it_is(self):
        targets = ["linear", "written", "conv", "embedding"]
        self.assert_exchanged(target_modules=targets, lora_dropout=0.1)
        done = self.plan(layers.Unusual, target_modules=targets)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(
            done.stdout + done.stderr,
            r"MyLinear runs aten::linear on its own weight and nothing else; "
            r"it is adapted as torch\.nn\.Linear",
        )

    def test_a_subclass_that_does_more_is_not_supported(self):
        done = self.plan(layers.Unusual, target_modules=["doubled"])
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"DoubledLinear at `doubled` is not supported by method lora")

    def test_all_linear_takes_subclasses_and_skips_an_attentions_projection(self):
        done = self.plan(layers.Unusual, target_modules="all-linear")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("targeted modules: linear, written\n", done.stdout)
        self.assertRegex(
            done.stdout + done.stderr,
            r"all-linear leaves out `doubled`: its class \S+DoubledLinear runs more than the product",
        )

    def test_computed_weights_are_a_clear_error(self):
        for name in ("normed", "parametrized", "spectral", "lstm"):
            with self.subTest(layer=name):
                done = self.plan(layers.Computed, target_modules=[name])
                self.assertEqual(done.returncode, 2, done.stdout)
                self.assertRegex(
                    done.stderr, rf"at `{name}` computes its `weight\w*` in forward from other"
                )

    def test_an_attentions_projection_alone_is_an_error(self):
        done = self.plan(layers.Unusual, target_modules=["attention.out_proj"])
        self.assertEqual(done.returncode, 2)
        self.assertIn("`attention.out_proj` is never run by itself", done.stderr)

    def test_tensors_of_a_projection_that_peft_never_runs_stay_unused(self):
        log = self.assert_exchanged(
            target_modules=["attention.out_proj", "linear"], lora_dropout=0.1
        )
        self.assertIn("tensors for `attention.out_proj` stay unused, as in PEFT", log)

    def test_cells_over_time_are_one_layer(self):
        weights = [f"{cell}.weight_{kind}" for cell in ("cell", "late") for kind in ("ih", "hh")]
        self.assert_exchanged(layers.CellLoop, target_modules=[], target_parameters=weights)
        done = self.plan(layers.CellLoop, target_modules=["cell"])
        self.assertEqual(done.returncode, 0, done.stderr)
        # Its first call makes a state, the others are given one.
        done = self.plan(layers.CellLoop, target_modules=["late"])
        self.assertEqual(done.returncode, 2)
        self.assertIn(
            "torch.nn.GRUCell at `late` is called in different ways; name its weights in "
            "target_parameters instead",
            done.stderr,
        )

    def test_a_module_of_two_names_is_told(self):
        class Twice(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.one = torch.nn.Linear(6, 6)
                self.other = self.one

            def forward(self, x):
                return self.other(torch.tanh(self.one(x)))

        for strict in (False, True):
            path = self.workspace.new_path(".pt2")
            torch.export.save(torch.export.export(Twice(), (torch.rand(2, 6),), strict=strict), path)
            config = {"model": {"path": path}, "adapter": {"target_modules": ["one"]}}
            done = self.workspace.tenon_ok("plan", self.workspace.write_config(config))
            self.assertIn(
                "`one` is `other` too: its adapter runs by whichever name it is called, PEFT's by "
                "the first alone",
                done.stdout,
            )

    def test_dropout_that_has_no_effect_is_told(self):
        for name in ("attention", "embedding"):
            with self.subTest(layer=name):
                done = self.plan(layers.Unusual, target_modules=[name], lora_dropout=0.1)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("lora_dropout has no effect on", done.stderr)


if __name__ == "__main__":
    main()
