"""Layers that are not what their class says: subclasses, computed weights, parts of an attention."""

import warnings

import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from support import ParityTest, layers, main, models, off_the_start

BATCH = {0: torch.export.Dim("batch")}


class UnusualLayersTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        warnings.simplefilter("ignore")
        kinds = (layers.Unusual, layers.Computed, layers.CellLoop, layers.OwnClasses)
        cls.paths = {make: cls.export(make) for make in kinds}

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
        adapted = off_the_start(get_peft_model(model, config)).eval()
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

    def test_a_subclass_that_casts_or_pads_is_adapted_and_merges(self):
        for make, targets, pefts in (
            (layers.OwnClasses, ["cast"], ["cast"]),
            (layers.OwnClasses, ["cast", "padded"], None),  # PEFT's lora_B would pad too
        ):
            for variant in ({}, {"use_dora": True}):
                with self.subTest(targets=targets, **variant):
                    if pefts:
                        self.assert_exchanged(make, target_modules=pefts, **variant)
                    folder = self.train(make, target_modules=targets, **variant)
                    self.assert_merges(self.paths[make], self.data(5), folder)
        done = self.plan(layers.OwnClasses, target_modules=["cast", "padded"])
        self.assertIn(
            "CastLinear runs the operator of a torch.nn.Linear, with casts or padding; it is "
            "adapted as torch.nn.Linear",
            done.stdout,
        )
        self.assertNotIn("cannot be merged", done.stdout)

    def test_a_padding_convolution_gets_the_low_rank_path_of_its_own_padding(self):
        folder = self.train(layers.OwnClasses, target_modules=["padded"])
        tensors = load_file(folder / "adapter_model.safetensors")
        a, b = (tensors[f"base_model.model.padded.lora_{each}.weight"] for each in "AB")
        model, inputs = self.build(layers.OwnClasses), self.data(5)
        with torch.no_grad():
            x = model.cast(inputs["x"])
            y = model.padded(x) + 4 * F.conv1d(F.conv1d(F.pad(x, (1, 1)), a), b)
            expected = model.doubled(y) + inputs["ids"].sum(1)[:, None, None]
        actual = self.workspace.predict({"path": self.paths[layers.OwnClasses]}, inputs, folder)
        self.assert_within(actual, expected, 1e-5 * expected.abs().max().item())

    def test_a_subclass_that_does_more_is_adapted_beside_it_and_not_merged(self):
        for variant in ({}, {"use_dora": True}, {"lora_bias": True}):
            with self.subTest(**variant):
                self.assert_exchanged(target_modules=["doubled"], **variant)
        done = self.plan(layers.Unusual, target_modules=["doubled"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(
            done.stdout,
            r"DoubledLinear does more than a torch\.nn\.Linear, which is added to its output; it is "
            r"adapted as torch\.nn\.Linear",
        )
        reason = r"the class \S+DoubledLinear does more than a torch\.nn\.Linear"
        self.assertRegex(done.stdout, rf"the adapter on `doubled` cannot be merged: {reason}")
        folder = self.train(layers.Unusual, target_modules=["doubled"])
        self.assertRegex(
            self.merge(self.paths[layers.Unusual], folder, status=1)[1],
            rf"`doubled` cannot be merged: {reason}",
        )

    def train(self, make, **adapter):
        """The folder of an adapter that is not at its start, saved by Tenon."""
        return self.train_on(self.paths[make], self.data(5), **adapter)

    def train_on(self, path, inputs, log=None, **adapter):
        output = self.workspace.new_path()
        labels = torch.zeros_like(self.workspace.predict({"path": path}, inputs))
        start = {"r": 2, "lora_alpha": 8, "init_lora_weights": False, **adapter}
        if start.get("method", "lora") != "lora":
            start = adapter
        config = {
            "model": {"path": path},
            "adapter": start,
            "data": {"train": self.workspace.write_tensors({**inputs, "labels": labels})},
            "train": {"loss": "mse", "steps": 1, "learning_rate": 1e-30, "batch_size": 5},
            "output": {"directory": output},
        }
        done = self.workspace.tenon_ok("run", self.workspace.write_config(config))
        if log is not None:
            log.append(done.stdout + done.stderr)
        if start.get("use_dora") and not start.get("init_lora_weights", True):
            file = output / "adapter_model.safetensors"
            tensors = load_file(file)
            for name, tensor in tensors.items():
                if "magnitude" in name:
                    tensors[name] = tensor * (1 + 0.3 * torch.rand_like(tensor))
            save_file(tensors, file, metadata={"format": "pt"})
            (output / "tenon.json").unlink()  # it has the hash of the tensors that were saved
        return output

    def merge(self, path, folder, status=0):
        merged = self.workspace.new_path(".pt2")
        config = self.workspace.write_config({"model": {"path": path}})
        done = self.workspace.tenon("merge", config, "--adapter", folder, "--output", merged)
        self.assertEqual(done.returncode, status, done.stderr)
        return merged, done.stderr

    def assert_merges(self, path, inputs, folder):
        merged, _ = self.merge(path, folder)
        expected = self.workspace.predict({"path": path}, inputs, folder)
        self.assertGreater(
            (expected - self.workspace.predict({"path": path}, inputs)).abs().max(), 1e-3
        )
        scale = max(1, expected.abs().max().item())
        self.assert_within(
            self.workspace.predict({"path": merged}, inputs), expected, 1e-5 * scale
        )
        with torch.no_grad():
            found = torch.export.load(merged).module()(*inputs.values())
        self.assert_within(found, expected, 1e-5 * scale)

    def test_a_bias_is_the_layers_only_where_its_own_operator_adds_it(self):
        torch.manual_seed(0)
        model = layers.BiasPlaces().eval()
        path = self.workspace.new_path(".pt2")
        inputs = {"x": torch.randn(5, 4, 6)}
        models.export_to(path, models.Example(model, {"x": torch.randn(3, 4, 6)}, {"x": BATCH}))
        base = self.workspace.predict({"path": path}, inputs)
        every = r"(linear|conv|turned|pair)_\w+"
        known = r"(linear|conv)_\w+"
        has_bias = r"linear_inside|linear_written|conv_inside"
        rows = (
            ({"target_modules": every}, True),
            ({"target_modules": known, "use_dora": True}, True),
            ({"target_modules": has_bias, "lora_bias": True}, True),
            ({"target_modules": known, "lora_bias": True}, False),
            ({"target_modules": known, "method": "ia3", "init_ia3_weights": False}, True),
            ({"target_modules": known, "bias": "lora_only"}, True),
        )
        for keys, merges in rows:
            with self.subTest(**keys):
                fresh = {**keys}
                name = "init_ia3_weights" if "method" in keys else "init_lora_weights"
                fresh[name] = True
                folder = self.train_on(path, inputs, **fresh)
                self.assert_within(
                    self.workspace.predict({"path": path}, inputs, folder), base, 1e-6
                )
                log = []
                folder = self.train_on(path, inputs, log, **keys)
                if merges:
                    self.assertNotIn("cannot be merged", log[0])
                    self.assert_merges(path, inputs, folder)
                    continue
                self.assertIn(
                    "cannot be merged: the update has a bias (lora_bias), and the base adds none",
                    log[0],
                )
                self.merge(path, folder, status=1)

    def test_a_module_saved_whole_keeps_the_bias_that_its_caller_adds(self):
        torch.manual_seed(0)
        model = layers.BiasPlaces().eval()
        path = self.workspace.new_path(".pt2")
        inputs = {"x": torch.randn(5, 4, 6)}
        models.export_to(path, models.Example(model, {"x": torch.randn(3, 4, 6)}, {"x": BATCH}))
        keys = {"target_modules": ["linear_inside"], "modules_to_save": ["linear_outside"]}
        adapted = get_peft_model(model, LoraConfig(init_lora_weights=False, **keys)).eval()
        with torch.no_grad():
            for name, parameter in adapted.named_parameters():
                if "modules_to_save" in name:
                    parameter.add_(torch.randn_like(parameter))
            expected = adapted(inputs["x"])
        folder = self.workspace.new_path()
        adapted.save_pretrained(folder)
        self.assert_within(self.workspace.predict({"path": path}, inputs, folder), expected, 1e-5)
        self.assert_merges(path, inputs, folder)

    def export_tower(self):
        torch.manual_seed(0)
        model = layers.Tower().eval()
        path = self.workspace.new_path(".pt2")
        models.export_to(path, models.Example(model, {"x": torch.randn(3, 6)}, {"x": BATCH}))
        return model, path

    def test_what_a_saved_adapter_has_for_layers_without_effect_is_kept(self):
        model, path = self.export_tower()
        inputs = {"x": torch.randn(5, 6)}
        keys = {"target_modules": r"layers\.\d|read", "r": 2}
        adapted = get_peft_model(model, LoraConfig(init_lora_weights=False, **keys)).eval()
        folder = self.workspace.new_path()
        adapted.save_pretrained(folder)
        with torch.no_grad():
            expected = adapted(**inputs)
        self.assert_within(self.workspace.predict({"path": path}, inputs, folder), expected, 1e-5)
        merged, log = self.merge(path, folder)
        self.assertIn(
            "the adapter's tensors for `layers.2` stay unused, as in PEFT: it has no operator that "
            "the program's outputs depend on",
            log,
        )
        self.assertIn("`read` stay unused, as in PEFT: it is never run by itself: the model", log)
        self.assert_within(self.workspace.predict({"path": merged}, inputs), expected, 1e-5)
        again = self.train_on(path, inputs, init_from=folder, **dict.fromkeys(("r",), 2))
        self.assertEqual(
            load_file(again / "adapter_model.safetensors").keys(),
            load_file(folder / "adapter_model.safetensors").keys(),
        )
        loaded = PeftModel.from_pretrained(layers.Tower(), again)
        wanted = load_file(folder / "adapter_model.safetensors")
        for name, tensor in load_file(again / "adapter_model.safetensors").items():
            self.assert_within(tensor, wanted[name], 1e-6)
        self.assertIn("default", loaded.peft_config)
        config = self.workspace.write_config({"model": {"path": path}})
        plain = self.workspace.new_path()
        self.workspace.tenon_ok(
            *("adapter", "convert", config, "--adapter", folder, "--rank", 2, "--output", plain)
        )
        self.assert_within(self.workspace.predict({"path": path}, inputs, plain), expected, 1e-5)

    def test_a_users_own_rule_for_a_layer_without_effect_is_refused(self):
        _, path = self.export_tower()
        adapter = {"target_modules": ["layers.2", "layers.1"]}
        config = {"model": {"path": path}, "adapter": adapter}
        done = self.workspace.tenon("plan", self.workspace.write_config(config))
        self.assertEqual(done.returncode, 2)
        self.assertIn("`layers.2` has no operator that the program's outputs depend on", done.stderr)
        self.assertIn("exclude_modules", done.stderr)
        adapter = {"target_modules": "all-linear"}
        config = {"model": {"path": path}, "adapter": adapter}
        done = self.workspace.tenon_ok("plan", self.workspace.write_config(config))
        self.assertIn("targeted modules: layers.0, layers.1\n", done.stdout)
        self.assertIn("all-linear leaves out `layers.2`: it has no operator", done.stdout)
        self.assertIn("all-linear leaves out `read`: it is never run by itself", done.stdout)

    def test_a_parameter_that_is_cast_in_forward_merges(self):
        _, path = self.export_tower()
        inputs = {"x": torch.randn(5, 6)}
        folder = self.train_on(path, inputs, target_modules=[], target_parameters=["mixer.log"])
        self.assert_merges(path, inputs, folder)

    def test_all_linear_takes_subclasses_and_tells_what_it_leaves_out(self):
        done = self.plan(layers.Unusual, target_modules="all-linear")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("targeted modules: linear, written, doubled\n", done.stdout)
        self.assertRegex(
            done.stdout,
            r"all-linear leaves out `attention\.out_proj`: it is never run by itself",
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
