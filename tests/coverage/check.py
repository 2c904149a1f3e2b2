"""Runs Tenon on what prepare.py wrote and compares: the points, each with what it found."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.utils import _pytree as pytree

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "parity"))

from prepare import STEPS  # noqa: E402
from support import to_toml  # noqa: E402

POINTS = ("forward", "gradients", "tree", "lora", "sizes", "merge", "merge again")
GRADIENT_TOLERANCE = 1e-5
LORA_TOLERANCE = 1e-4
# A gradient that is zero but for rounding (of an attention's key bias) has no relative error: what
# lies this far below the model's largest is compared with that.
GRADIENT_FLOOR = 1e-5
# AdamW divides by a gradient's size, so that one that is all rounding moves a weight as far as any
# other: where PEFT's own result moves by more when its weights move by a rounding, so may ours.
ROUNDING_FACTOR = 10
# AdamW whose decay takes the whole weight and whose eps drowns the square root: it leaves the negated
# gradient in the weight's place, exactly, and by a power of two so small that the model still runs.
RATE = 2.0**20
EPS = 2.0**40
LEAVE_GRADIENT = {
    "optimizer": "adamw",
    "learning_rate": RATE,
    "weight_decay": 1 / RATE,
    "eps": EPS,
    "betas": [0.0, 0.0],
    "steps": 1,
}


class Checker:
    def __init__(self, tenon, folder, record):
        self.tenon = tenon
        self.folder = folder
        self.record = record
        self.problems = {point: [] for point in POINTS}
        self.notes = []

    def check(self):
        """Returns {point: [problem]}, the notes, and whether each point was tried."""
        self.check_tree()
        for case in self.record["predicts"]:
            self.check_predict(case)
        if "rows" in self.record:
            self.check_gradients()
        if self.record.get("targets"):
            self.check_lora()
        if self.record.get("merges"):
            self.check_merges()
        return self.problems, self.notes

    def run(self, point, *arguments):
        """Tenon's standard output, or None after its failure was noted."""
        done = subprocess.run(
            [self.tenon, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"},
        )
        self.told = done.stderr
        if done.returncode == 0:
            return done.stdout
        self.problems[point].append((done.stderr or done.stdout).strip() or f"exit {done.returncode}")
        return None

    def config(self, name, model="model.pt2", **sections):
        path = self.folder / f"{name}.toml"
        path.write_text(to_toml({"model": {"path": model}, **sections}))
        return path

    def check_tree(self):
        text = self.run("tree", "tree", self.folder / "model.pt2", "--json")
        if text is None:
            return
        listed = {entry["name"]: entry for entry in json.loads(text)}
        for name, type_name, shown in self.record["modules"]:
            if name not in listed:
                self.problems["tree"].append(f"`{name}` ({type_name}) is not listed")
            elif listed[name]["type"] != _public(type_name):
                if shown or listed[name]["type"] is not None:
                    self.problems["tree"].append(
                        f"`{name}` is a {listed[name]['type']}, not {_public(type_name)}"
                    )

    def predict(self, point, index, *more, model="model.pt2"):
        outputs = self.folder / "predicted.st"
        outputs.unlink(missing_ok=True)
        config = self.config("predict", model)
        inputs = self.folder / f"inputs_{index}.st"
        text = self.run(point, "predict", config, "--inputs", inputs, "--outputs", outputs, *more)
        return None if text is None else load_file(outputs)

    def check_predict(self, case):
        point = "forward" if case["label"] == "as exported" else "sizes"
        label = "" if point == "forward" else case["label"] + ": "
        if "fixed" in case:
            return self.check_refused(case)
        got = self.predict(point, case["index"])
        if got is None:
            return
        expected = load_file(self.folder / f"outputs_{case['index']}.st")
        for name, tensor in expected.items():
            problem = _difference(got.get(name), tensor, 1e-5)
            if problem:
                self.problems[point].append(f"{label}{name}: {problem}")
            elif not _same_bits(got[name], tensor):
                self.notes.append(f"{label}{name} not bit for bit")
        if got.keys() != expected.keys():
            self.problems[point].append(f"{label}outputs are {sorted(got)}")

    def check_refused(self, case):
        """What the exported program refuses must be refused, not computed."""
        before = len(self.problems["sizes"])
        if self.predict("sizes", case["index"]) is not None:
            self.problems["sizes"].append(f"{case['label']}: ran, but the program says: {case['fixed']}")
            return
        refusal = self.problems["sizes"].pop(before)
        if "when this model was exported" not in refusal and "was exported for" not in refusal:
            self.problems["sizes"].append(f"{case['label']}: refused without a reason: {refusal}")

    def train(self, point, name, **sections):
        data = {"train": "data.st", "inputs": self.record["inputs"]}
        if self.record["shared"]:
            data["shared"] = self.record["shared"]
        options = {"loss": "mse", "batch_size": self.record["rows"], "shuffle": False, "threads": 1}
        sections["train"] = {**options, **sections["train"]}
        return self.run(point, "run", self.config(name, data=data, **sections), "--json", "--force")

    def check_gradients(self):
        train = {"full": True, **LEAVE_GRADIENT}
        if not self.train("gradients", "full", train=train, output={"model": "full.st"}):
            return
        if self.record["loses_backward"]:
            return self.check_loss_is_told()
        weights = load_file(self.folder / "weights.st")
        trained = load_file(self.folder / "full.st")
        expected = load_file(self.folder / "gradients.st")
        largest = max((g.double().norm().item() for g in expected.values()), default=0)
        for name, gradient in expected.items():
            if name not in trained:
                self.problems["gradients"].append(f"`{name}` is not saved")
                continue
            got = -trained[name].double() * (EPS / RATE)
            if torch.equal(trained[name], weights[name]):  # no gradient at all
                got = torch.zeros_like(got)
            off = (got - gradient.double()).norm().item()
            size = max(gradient.double().norm().item(), GRADIENT_FLOOR * largest)
            if not off <= GRADIENT_TOLERANCE * size:
                self.problems["gradients"].append(f"`{name}` differs by {off / size:.1e}")

    def check_loss_is_told(self):
        """A gradient that the export lost cannot be right, but must not be silent."""
        if "the backward of a torch.autograd.Function is lost" not in self.told:
            self.problems["gradients"].append("the lost backward is not told")
        self.notes.append("no gradients: the export lost a backward, as Tenon tells")

    def check_lora(self):
        got = self.predict("lora", 0, "--adapter", self.folder / "adapter")
        if got is None:
            return
        self.compare("lora", "with the adapter", got, "lora_outputs.st")
        if self.record["loses_backward"]:
            return
        for optimizer, rate in self.record["rates"].items():
            train = {"optimizer": optimizer, "learning_rate": rate, "steps": STEPS}
            adapter = {"method": "lora", "init_from": "adapter"}
            output = f"trained_{optimizer}"
            sections = {"adapter": adapter, "train": train, "output": {"directory": output}}
            if not self.train("lora", optimizer, **sections):
                return
            trained = load_file(self.folder / output / "adapter_model.safetensors")
            expected = load_file(self.folder / f"lora_{optimizer}.st")
            floors = self.record["rounding"][optimizer]
            for name in trained.keys() - expected.keys():
                self.problems["lora"].append(f"{name} is none of PEFT's")
            for name, tensor in expected.items():
                tolerance = max(LORA_TOLERANCE, ROUNDING_FACTOR * floors[name])
                problem = _difference(trained.get(name), tensor, tolerance)
                if tolerance > LORA_TOLERANCE and not problem:
                    self.notes.append(f"PEFT's own rounding moves {name} by {floors[name]:.0e}")
                if problem:
                    self.problems["lora"].append(f"{name} after {STEPS} steps of {optimizer}: {problem}")

    def check_merges(self):
        """An adapter merged, its result adapted, trained and merged once more."""
        if not self.check_merged("merge", "model.pt2", "first", "merged.pt2"):
            return
        point, second = "merge again", Path("first") / "second"
        got = self.predict(point, 0, "--adapter", self.folder / second, model="merged.pt2")
        self.compare(point, "with an adapter on the merged model", got, "second_outputs.st")
        if not self.record["loses_backward"]:
            self.train_on_merged(point, second)
        self.check_merged(point, "merged.pt2", second, "merged_again.pt2")

    def check_merged(self, point, model, adapter, output):
        """Merges and runs the result in stock PyTorch; whether there is a result."""
        config = self.config("merge", model)
        merged = self.folder / output
        merged.unlink(missing_ok=True)
        if self.run(point, "merge", config, "--adapter", self.folder / adapter, "--output", merged) is None:
            return False
        args, kwargs = torch.export.load(self.folder / "model.pt2").example_inputs
        with torch.no_grad():
            outputs = pytree.tree_leaves(torch.export.load(merged).module()(*args, **kwargs))
        tensors = [leaf for leaf in outputs if isinstance(leaf, torch.Tensor)]
        got = {f"output_{i}": tensor for i, tensor in enumerate(tensors)}
        self.compare(point, f"of {output} in PyTorch", got, f"{Path(adapter).name}_outputs.st")
        return True

    def train_on_merged(self, point, adapter):
        sections = {
            "model": "merged.pt2",
            "adapter": {"method": "lora", "init_from": str(adapter)},
            "train": {"optimizer": "sgd", "learning_rate": self.record["merge_rate"], "steps": STEPS},
            "output": {"directory": "trained_on_merged"},
        }
        if self.train(point, "on_merged", **sections) is not None:
            file = self.folder / "trained_on_merged" / "adapter_model.safetensors"
            self.compare(point, f"after {STEPS} steps", load_file(file), "second_trained.st")

    def compare(self, point, what, got, expected):
        if got is None:  # told by whoever should have made it
            return
        for name, tensor in load_file(self.folder / expected).items():
            problem = _difference(got.get(name), tensor, LORA_TOLERANCE)
            if problem:
                self.problems[point].append(f"{name} {what}: {problem}")


def _public(type_name):
    parts = type_name.split(".")
    is_public = type_name.startswith("torch.nn.modules.") and hasattr(torch.nn, parts[-1])
    return f"torch.nn.{parts[-1]}" if is_public else type_name


def _same_bits(one, other):
    both_nan = one.isnan() & other.isnan()
    return one.dtype == other.dtype and bool(((one == other) | both_nan).all())


def _difference(got, expected, tolerance):
    """What is wrong with `got`, or None."""
    if got is None:
        return "missing"
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return f"{tuple(got.shape)} of {got.dtype}, not {tuple(expected.shape)} of {expected.dtype}"
    if _same_bits(got, expected):
        return None
    if not torch.equal(got.isfinite(), expected.isfinite()):
        return "finite where it should not be, or the other way round"
    finite = expected.isfinite()
    if not _same_bits(got[~finite], expected[~finite]):
        return "another kind of infinity"
    got, expected = got[finite].double(), expected[finite].double()
    off = ((got - expected).norm() / expected.norm()).item()
    return None if off <= tolerance else f"differs by {off:.1e}"
