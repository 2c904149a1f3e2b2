"""What is asked of every method that PEFT has, for one folder of plugins: it exchanges adapters with
PEFT, trains as PEFT does, merges into what it computes, and starts as the base.

    python method_test.py TENON FOLDER [unittest options]

FOLDER holds parity.py: CONFIG, PEFT's class; layers(), what is adapted; ADAPTERS, sets of PEFT's
keys by name, the first of which is tried most; LOADED, keys of adapters that run and merge alone; DROPOUTS, keys with dropout; ROWS, small models with keys, as PEFT's own tests
have them; corrected(model), where PEFT errs; RATE of learning and STARTS_AS_BASE where they differ."""

import importlib.util
import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import torch
from method_cases import case_of, toy_case
from peft import PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from support import ParityTest, main, relative_norm

STEPS = 20
TRAINING_TOLERANCE = 1e-4
MOVE_TOLERANCE = 2e-3
OPTIMIZERS = {
    "sgd": (torch.optim.SGD, {"momentum": 0.9}),
    "adamw": (torch.optim.AdamW, {}),
}


def read_table(folder):
    spec = importlib.util.spec_from_file_location("parity", folder / "parity.py")
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    return table


class MethodTest(ParityTest):
    FOLDER = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        warnings.simplefilter("ignore")
        cls.table = read_table(cls.FOLDER)
        cls.method = getattr(cls.table, "METHOD", cls.FOLDER.name)
        cls.case = case_of(cls.table.layers)
        cls.case.rate = getattr(cls.table, "RATE", cls.case.rate)
        cls.programs = {}

    def program(self, case, name="layers"):
        if name not in self.programs:
            self.programs[name] = case.export_to(self.workspace.folder / f"{name}.pt2")
        return {"path": self.programs[name]}

    def for_each_adapter(self, check):
        for name, keys in self.table.ADAPTERS.items():
            with self.subTest(adapter=name):
                check(keys)

    def targets(self, keys):
        if "target_modules" in keys:
            return keys
        return {**keys, "target_modules": list(self.table.layers())}

    def corrected(self, model):
        correct = getattr(self.table, "corrected", None)
        return correct(model) if correct else model

    def peft_model(self, case, keys):
        """PEFT's model, what it trains off its start."""
        torch.manual_seed(2)
        model = self.fresh(case, keys)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter), alpha=0.3)
        return self.settled(self.corrected(model).eval(), case)

    def settled(self, model, case):
        """After a forward, in which a method may bring its parameters within limits."""
        with torch.no_grad():
            model(**case.inputs)
        return model

    def fresh(self, case, keys):
        return get_peft_model(case.build(), self.table.CONFIG(**keys))

    def save(self, model, folder, keys):
        model.save_pretrained(folder)

    def tensors_of(self, model):
        return get_peft_model_state_dict(model)

    def counts(self, model):
        trained, all_of_them = model.get_nb_trainable_parameters()
        return trained, all_of_them - getattr(self.table, "uncounted", lambda model: 0)(model)

    def saved_by_peft(self, case, keys):
        folder = self.workspace.new_path()
        self.save(self.peft_model(case, keys), folder, keys)
        return folder

    def loaded_by_peft(self, case, folder, **options):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = PeftModel.from_pretrained(case.build(), folder, **options)
        told = [str(w.message) for w in caught]
        self.assertEqual([t for t in told if "missing adapter" in t or "Unexpected key" in t], [])
        return self.corrected(model)

    def train(self, case, program, adapter, optimizer="sgd", steps=STEPS, rate=None):
        """The folder of the adapter that Tenon trained, and the losses."""
        output = self.workspace.new_path()
        _, options = OPTIMIZERS[optimizer]
        config = {
            "model": program,
            "adapter": {"method": self.method, **adapter},
            "data": {"train": self.workspace.write_tensors(case.tensors())},
            "train": {
                "loss": case.loss,
                "optimizer": optimizer,
                **options,
                "learning_rate": rate or case.rate,
                "steps": steps,
                "batch_size": case.batch,
                "shuffle": False,
            },
            "output": {"directory": output},
        }
        run = self.workspace.tenon_json("run", self.workspace.write_config(config))
        return output, run["losses"]

    def train_by_peft(self, case, folder, optimizer="sgd"):
        model = self.loaded_by_peft(case, folder, is_trainable=True).train()
        make, options = OPTIMIZERS[optimizer]
        trained = [p for p in model.parameters() if p.requires_grad]
        stepper = make(trained, lr=case.rate, **options)
        losses = []
        for inputs, labels in case.parts(STEPS):
            stepper.zero_grad()
            loss = case.loss_of(model(**inputs), labels)
            loss = loss + getattr(self.table, "added_loss", lambda model: 0)(model)
            loss.backward()
            stepper.step()
            getattr(self.table, "after_step", lambda model, step: None)(model, len(losses) + 1)
            losses.append(loss.item())
        return self.settled(model.eval(), case), losses

    def check_training(self, case, program, keys, optimizer="sgd"):
        """One run from PEFT's adapter: what it reads, computes, trains and writes. Gives the folder."""
        start = self.saved_by_peft(case, keys)
        peft_model, expected_losses = self.train_by_peft(case, start, optimizer)
        folder, losses = self.train(case, program, {"init_from": start}, optimizer)
        for actual, expected in zip(losses, expected_losses, strict=True):
            self.assertAlmostEqual(actual, expected, delta=2e-5 * max(1, abs(expected)))
        trained = load_file(folder / "adapter_model.safetensors")
        expected = self.tensors_of(peft_model)
        before = load_file(start / "adapter_model.safetensors")
        kinds = lambda tensors: {name: (t.shape, t.dtype) for name, t in tensors.items()}
        self.assertEqual(trained.keys(), before.keys())
        self.assertEqual(kinds(trained), kinds(expected))
        for name, tensor in expected.items():
            if tensor.numel() == 0:
                continue
            if not tensor.is_floating_point() or torch.equal(tensor, before[name]):
                self.assertTrue(torch.equal(trained[name], before[name]), name)
                continue
            self.assertLess(relative_norm(trained[name], tensor), TRAINING_TOLERANCE, name)
            if tensor.shape != before[name].shape:
                continue
            moved = relative_norm(trained[name] - before[name], tensor - before[name])
            self.assertLess(moved, MOVE_TOLERANCE, name)
        self.check_config(peft_model, keys, folder)
        loaded = self.loaded_by_peft(case, folder).eval()
        with torch.no_grad():
            outputs = loaded(**case.inputs)
            self.assert_close(outputs, peft_model(**case.inputs), 1e-4)
            self.assertGreater((outputs - case.build()(**case.inputs)).abs().max(), 1e-3)
        return folder, outputs

    def check_config(self, peft_model, keys, ours):
        """What Tenon wrote into adapter_config.json is what PEFT writes."""
        pefts = self.workspace.new_path()
        self.save(peft_model, pefts, keys)
        read = lambda path: json.loads((path / "adapter_config.json").read_text())
        # An empty table is none.
        as_set = lambda value: sorted(value) if isinstance(value, list) else value or None
        expected, actual = read(pefts), read(ours)
        self.assertLessEqual(actual.keys(), expected.keys())
        for key in actual.keys() - {"auto_mapping", "base_model_name_or_path"}:
            self.assertEqual(as_set(actual[key]), as_set(expected[key]), key)

    def assert_close(self, actual, expected, tolerance=1e-5):
        self.assert_within(actual, expected, tolerance * max(1, expected.abs().max().item()))

    def test_adapters_are_exchanged_trained_and_merged(self):
        def check(keys):
            program = self.program(self.case)
            folder, outputs = self.check_training(self.case, program, self.targets(keys))
            self.assert_close(self.workspace.predict(program, self.case.inputs, folder), outputs)
            self.check_merging(program, folder, outputs)

        self.for_each_adapter(check)

    def check_merging(self, program, folder, expected):
        merged = self.workspace.new_path(".pt2")
        config = self.workspace.write_config({"model": program})
        if not getattr(self.table, "MERGES", True):
            done = self.workspace.tenon("merge", config, "--adapter", folder, "--output", merged)
            self.assertIn(done.returncode, (1, 2), done.stderr)
            self.assertIn("cannot be merged", done.stderr)
            return
        self.workspace.tenon_ok("merge", config, "--adapter", folder, "--output", merged)
        self.assert_close(self.workspace.predict({"path": merged}, self.case.inputs), expected)

    def test_dropout_acts_in_training_alone_and_is_drawn_from_the_seed(self):
        for keys in getattr(self.table, "DROPOUTS", []):
            with self.subTest(**keys):
                keys = self.targets(keys)
                program = self.program(self.case)
                is_share = lambda key: key.endswith("dropout")
                without = {key: 0.0 if is_share(key) else value for key, value in keys.items()}
                # A start at random, so that there is something to drop.
                starts = [self.saved_by_peft(self.case, each) for each in (keys, without)]
                runs = [
                    self.train(self.case, program, {"init_from": start}, steps=4)
                    for start in (starts[0], starts[0], starts[1])
                ]
                (folder, losses), (_, again), (_, undropped) = runs
                self.assertEqual(losses, again)
                self.assertGreater(abs(losses[0] - undropped[0]), 1e-4)
                outputs = self.workspace.predict(program, self.case.inputs, folder)
                with torch.no_grad():
                    expected = self.loaded_by_peft(self.case, folder).eval()(**self.case.inputs)
                self.assert_close(outputs, expected)

    def test_adapters_that_cannot_be_trained_run_and_merge(self):
        for keys in getattr(self.table, "LOADED", []):
            with self.subTest(**keys):
                folder = self.saved_by_peft(self.case, self.targets(keys))
                program = self.program(self.case)
                with torch.no_grad():
                    expected = self.loaded_by_peft(self.case, folder).eval()(**self.case.inputs)
                self.assert_close(self.workspace.predict(program, self.case.inputs, folder), expected)
                merged = self.workspace.new_path().with_suffix(".pt2")
                config = self.workspace.write_config({"model": program})
                self.workspace.tenon_ok("merge", config, "--adapter", folder, "--output", merged)
                outputs = self.workspace.predict({"path": merged}, self.case.inputs)
                self.assert_close(outputs, expected)

    def test_a_base_in_half_precision(self):
        """The adapter stays in float32, and what the two make is rounded: near to PEFT in float32 on the
        same rounded weights. In half precision some of PEFT's layers fail."""
        keys = self.targets(next(iter(self.table.ADAPTERS.values())))
        inputs = {**self.case.inputs, "x": self.case.inputs["x"].bfloat16()}
        half = replace(self.case, build=lambda: self.case.build().bfloat16(), inputs=inputs)
        rounded = replace(self.case, build=lambda: half.build().float())
        peft_model = self.peft_model(rounded, keys)
        folder = self.workspace.new_path()
        self.save(peft_model, folder, keys)
        with torch.no_grad():
            expected = peft_model(**{**inputs, "x": inputs["x"].float()})
        actual = self.workspace.predict(self.program(half, "half"), inputs, folder)
        self.assertEqual(actual.dtype, torch.bfloat16)
        self.assert_within(actual.float(), expected, 0.02 * expected.abs().max().item())

    def test_the_same_under_adamw(self):
        keys = next(iter(self.table.ADAPTERS.values()))
        self.check_training(self.case, self.program(self.case), self.targets(keys), "adamw")

    def test_pefts_own_models(self):
        for name, keys in self.table.ROWS:
            with self.subTest(toy=name, **keys):
                case = toy_case(name)
                self.check_training(case, self.program(case, name), keys)

    def test_a_fresh_adapter_is_pefts_and_changes_nothing(self):
        keys = self.targets(next(iter(self.table.ADAPTERS.values())))
        program = self.program(self.case)
        torch.manual_seed(0)
        fresh = self.fresh(self.case, keys)
        folder, losses = self.train(self.case, program, keys, steps=1, rate=1e-30)
        kinds = lambda tensors: {name: (t.shape, t.dtype) for name, t in tensors.items()}
        tensors = load_file(folder / "adapter_model.safetensors")
        expected = self.tensors_of(fresh)
        self.assertEqual(kinds(tensors), kinds(expected))
        for name, tensor in expected.items():  # how much is drawn, and what is not
            wanted = tensor.double().norm().item()
            actual = tensors[name].double().norm().item()
            self.assertAlmostEqual(actual, wanted, delta=0.5 * wanted + 1e-9, msg=name)
        inputs, labels = next(self.case.parts(1))
        with torch.no_grad():
            base = self.case.loss_of(self.case.build()(**inputs), labels).item()
        if getattr(self.table, "STARTS_AS_BASE", True):
            self.assertAlmostEqual(losses[0], base, delta=1e-5)
        plan = self.workspace.tenon_json(
            "plan",
            self.workspace.write_config(
                {"model": program, "adapter": {"method": self.method, **keys}}
            ),
        )
        self.assertEqual((plan["trainable_params"], plan["all_params"]), self.counts(fresh))


class OwnMethodTest(MethodTest):
    """Of a method that PEFT does not have, parity.py says adapt(model, keys): the model with modules of
    PyTorch's, whose parameters have the names that the files have."""

    def fresh(self, case, keys):
        model = self.table.adapt(case.build(), keys)
        model.keys = keys
        return model

    def tensors_of(self, model):
        trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        return {f"base_model.model.{name}": parameter.detach() for name, parameter in trained}

    def counts(self, model):
        sizes = [(p.requires_grad, p.numel()) for p in model.parameters()]
        return sum(n for trains, n in sizes if trains), sum(n for _, n in sizes)

    def save(self, model, folder, keys):
        folder.mkdir()
        config = {"peft_type": self.method.upper(), **keys}
        (folder / "adapter_config.json").write_text(json.dumps(config))
        save_file(self.tensors_of(model), folder / "adapter_model.safetensors")

    def loaded_by_peft(self, case, folder, **options):
        config = json.loads((folder / "adapter_config.json").read_text())
        model = self.fresh(case, config)
        tensors = load_file(folder / "adapter_model.safetensors")
        names = {name.removeprefix("base_model.model."): t for name, t in tensors.items()}
        left = model.load_state_dict(names, strict=False)
        self.assertEqual(left.unexpected_keys, [])
        return model

    def check_config(self, model, keys, ours):
        pass  # of Tenon's own


if __name__ == "__main__":
    MethodTest.FOLDER = Path(sys.argv.pop(2)).resolve()
    if hasattr(read_table(MethodTest.FOLDER), "adapt"):
        del MethodTest
    else:
        del OwnMethodTest
    main()
