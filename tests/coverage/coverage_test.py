"""Exports real models and checks Tenon on each of them against PyTorch and PEFT.

    python tests/coverage/coverage_test.py build/bin/tenon [FAMILY...] [--only REGEX] [--keep FOLDER]

A FAMILY is torch, transformers, timm, packages or quick (the default: a few models of each). Prints
one line for each model and fails if any point of any model does. With --keep, what was exported is
kept in FOLDER and taken from there the next time.
"""

import argparse
import gc
import importlib
import json
import re
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import torch

from check import POINTS, Checker
from example import settle
from packages_environment import make_packages_environment
from prepare import FORMS, CannotExport, prepare

QUICK = {
    "torch": r"^(Linear|Conv2d|LSTM|BatchNorm2d|shared|on_buffer|several_outputs)$",
    "transformers": r"^(bert|llama|mixtral|t5)$",
    "timm": r"^(test_resnet|test_vit)$",
    # Of packages that the peers' environment has.
    "packages": r"^(efficientnet_pytorch|sentence_transformers|snntorch)$",
}
FAMILIES = tuple(QUICK)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tenon", type=Path)
    parser.add_argument("families", nargs="*", default=["quick"])
    parser.add_argument("--only", default="", help="a regular expression on the models' names")
    parser.add_argument("--keep", type=Path, help="keep what was exported, and use what is there")
    parser.add_argument("--form", choices=FORMS, default="exported", help="decompositions")
    parser.add_argument(
        "--dtype", choices=("float32", "float64"), default="float32", help="of the models' numbers"
    )
    parser.add_argument("--verbose", action="store_true", help="every problem in full")
    options = parser.parse_args()
    # Neither the exporter's nor the peers' own warnings are this test's.
    warnings.simplefilter("ignore")
    if "packages" in options.families:
        sys.path.append(str(make_packages_environment()))
    folder = options.keep or Path(tempfile.mkdtemp(prefix="tenon-coverage-"))
    try:
        rows = [run_model(options, folder, *model) for model in selected(options)]
    finally:
        if not options.keep:
            shutil.rmtree(folder)
    return summarise(rows)


def selected(options):
    for family in FAMILIES:
        if family not in options.families and "quick" not in options.families:
            continue
        pattern = "" if family in options.families else QUICK[family]
        for name, build in importlib.import_module(f"{family}_models").MODELS.items():
            if re.search(pattern, name) and re.search(options.only, name):
                yield family, name, build


def run_model(options, folder, family, name, build):
    """Prints the model's line and returns (its name, "pass", "fail" or "no export")."""
    start = time.monotonic()
    place = folder / family / name
    tenon = options.tenon.resolve()
    try:
        record = kept_or_prepared(place, build, options.form, options.dtype)
        prepared = time.monotonic()
        problems, notes = Checker(tenon, place, record).check()
        if is_rounding_perhaps(problems):
            exact = kept_or_prepared(place / "float64", build, options.form, "float64")
            again, _ = Checker(tenon, place / "float64", exact).check()
            if not any(again.values()):
                notes.insert(0, "lora by float64: in float32 AdamW makes steps of rounding")
                problems["lora"] = []
    except CannotExport as refusal:
        print(f"{family:13}{name:32}  no export: {refusal}", flush=True)
        return name, "no export"
    except Exception as fault:  # the harness's own, or the peer's
        print(f"{family:13}{name:32}  cannot be prepared: {type(fault).__name__}: "
              f"{str(fault)[:300]}", flush=True)
        if options.verbose:
            traceback.print_exc()
        return name, "fail"
    finally:
        gc.collect()
        if not options.keep:
            shutil.rmtree(place, ignore_errors=True)
    marks = "".join(mark(point, problems, record) for point in POINTS)
    took = f"{prepared - start:5.1f}+{time.monotonic() - prepared:4.1f} s"
    left_out = len(record.get("left_out", {}))
    notes = [f"{left_out} layers left out of lora"] * (left_out > 0) + notes[:1]
    print(f"{family:13}{name:32}{record['nodes']:6} nodes {len(record.get('targets', [])):4} lora"
          f"  {marks}  {took}  {'; '.join(notes)}", flush=True)
    if options.verbose:
        for layer, why in record.get("left_out", {}).items():
            print(f"    left out of lora: {layer}: {why}")
    for point in POINTS:
        shown = problems[point] if options.verbose else problems[point][:2]
        for problem in shown:
            print(f"    {point}: {problem if options.verbose else problem[:400]}", flush=True)
        if len(problems[point]) > len(shown):
            print(f"    {point}: and {len(problems[point]) - len(shown)} more", flush=True)
    return name, "fail" if "F" in marks else "pass"


def is_rounding_perhaps(problems):
    """AdamW divides by a gradient's size: where that is rounding, only more digits can tell."""
    slight = re.compile(r" steps of adamw: differs by \d\.\de-0[34]$")
    others = any(found for point, found in problems.items() if point != "lora")
    return bool(problems["lora"]) and not others and all(map(slight.search, problems["lora"]))


def mark(point, problems, record):
    """`.` where the point holds, `F` where it does not, `-` where the model has no such thing."""
    if problems[point]:
        return "F"
    tried = {
        "gradients": "rows" in record,
        "lora": bool(record.get("targets")),
        "sizes": len(record["predicts"]) > 1,
        "merge": record.get("merges", False),
        "merge again": record.get("merges", False),
    }
    return "." if tried.get(point, True) else "-"


def kept_or_prepared(place, build, form, dtype):
    if (place / "record.json").exists():
        build()  # what it imports tells PyTorch of the types that its outputs have
        return json.loads((place / "record.json").read_text())
    torch.manual_seed(0)
    example = build()
    settle(example)
    if dtype == "float64":
        example.make_double()
    return prepare(example, place, form)


def summarise(rows):
    counts = {kind: sum(row[1] == kind for row in rows) for kind in ("pass", "fail", "no export")}
    print(f"\n{counts['pass']} of {counts['pass'] + counts['fail']} models pass all {len(POINTS)} points "
          f"({', '.join(POINTS)}); {counts['no export']} cannot be exported")
    failed = [row[0] for row in rows if row[1] == "fail"]
    if failed:
        print("failed: " + ", ".join(failed))
    return 1 if failed or counts["pass"] == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
