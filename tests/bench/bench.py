"""Runs Tenon and PEFT in turn on the same data and prints a Markdown table. See `run`.

This process starts both and imports no library of theirs: a child's peak memory starts from its
parent's.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import host_tables
import process_tables
from cases import ADAPTERS, CASES, LEARNING_RATE, LOSSES, data_name

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent

# Who is measured: "floor" is the frozen model alone in Python, its forward and the gradient back to
# the input of its first adapted layer, below which no adapter's step can come. "compiled", with
# --compile, is PEFT under torch.compile, its first step told apart.
SIDES = ("tenon", "peft", "floor")

PARTS = ("training", "adapter", "serving", "interpreter", "processes")


@dataclass
class Run:
    """What one process took."""

    step_ms: float  # median over the steps
    peak_mb: float  # VmHWM; of a device its tensors'
    loss: float  # of the last step: both must have trained the same


@dataclass
class Measured:
    """All rounds of one case by one of the two."""

    runs: list = field(default_factory=list)
    first_step_s: list = field(default_factory=list)
    one_row_peak_mb: list = field(default_factory=list)

    def step_ms(self):
        return statistics.median(run.step_ms for run in self.runs)

    def peak_mb(self):
        return statistics.median(run.peak_mb for run in self.runs)

    def activations_mb(self, rows):
        """What a batch takes above the weights, the libraries and the optimizer: its peak less that
        of a batch of one row, scaled to all rows."""
        difference = self.peak_mb() - statistics.median(self.one_row_peak_mb)
        return difference * rows / (rows - 1)

    def start_s(self):
        return statistics.median(self.first_step_s)


class Bench:
    def __init__(self, arguments, folder):
        self.tenon = arguments.tenon
        self.host_bench = arguments.tenon.with_name("host_bench")
        self.python = arguments.python
        self.threads = arguments.threads
        self.rounds = arguments.rounds
        self.device = arguments.device
        self.cases = {name: CASES[name] for name in CASES if arguments.only in name}
        self.sides = (*SIDES, "compiled") if arguments.compile else SIDES
        self.folder = Path(folder)
        # LibTorch reads these at its start; [train] threads and set_num_threads say it again.
        self.environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(self.threads),
            "MKL_NUM_THREADS": str(self.threads),
            "HF_HUB_OFFLINE": "1",
            "TORCHINDUCTOR_CACHE_DIR": str(self.folder / "inductor"),
        }

    def prepare(self):
        """Exports the models and writes the data that both read."""
        subprocess.run(
            [
                *(self.python, "-B", FOLDER / "prepare.py", self.folder),
                *(json.dumps(self.cases), json.dumps(ADAPTERS)),
            ],
            check=True,
            env=self.environment,
        )

    def measure(self, name):
        """Rounds of Tenon and PEFT in turn: machine noise meets both."""
        measured = {side: Measured() for side in self.sides}
        for each in range(self.rounds):
            for side in measured:
                print(f"{name}: round {each + 1} of {self.rounds}, {side}", file=sys.stderr)
                steps = CASES[name]["steps"]
                case = CASES[name]
                one_row = {**case, "batch": 1, "data": data_name(case)}
                if side == "compiled" and each == 0:  # later ones find it compiled
                    measured[side].first_step_s.append(self.run(side, case, 1)[1])
                measured[side].runs.append(self.run(side, case, steps)[0])
                if side in ("tenon", "peft"):
                    measured[side].first_step_s.append(self.run(side, case, 1)[1])
                    one = self.run(side, one_row, min(steps, case["batch"]))[0]
                    measured[side].one_row_peak_mb.append(one.peak_mb)
        self.check_same_work(name, measured)
        return measured

    def run(self, side, case, steps):
        return self.run_tenon(case, steps) if side == "tenon" else self.run_python(
            side, case, steps)

    def check_same_work(self, name, measured):
        """Both start from one adapter, so that equal losses show equal work."""
        if "lora_dropout" in CASES[name]:
            return  # each draws masks of its own
        losses = [run.loss for side in ("tenon", "peft") for run in measured[side].runs]
        if "autocast" in CASES[name]:  # rounded to 3 digits at each operator
            losses = [round(loss, 1) for loss in losses]
        if max(losses) - min(losses) > 0.01 * abs(losses[0]) + 1e-3:
            sys.exit(f"error: {name}: the last losses differ, so the work did too: {losses}")

    def run_tenon(self, case, steps):
        """For one step the time is that of the whole process, the adapter saved included."""
        config = self.folder / "tenon.toml"
        config.write_text(self.tenon_config(case, steps))
        output, seconds, peak_mb = self.run_process([self.tenon, "run", config, "--json"])
        report = json.loads(output)
        peak_mb = report.get("peak_device_mb") or peak_mb
        run = Run(report["step_ms"]["median"], peak_mb, report["losses"][-1])
        return run, seconds

    def tenon_config(self, case, steps):
        adapter = ADAPTERS[case["model"]]
        return "\n".join([
            "[model]",
            f'path = "{case["model"]}.pt2"',
            f'device = "{self.device}"',
            "[adapter]",
            'method = "lora"',
            f'init_from = "{case["model"]}-adapter"',
            *(f"{key} = {json.dumps(value)}" for key, value in adapter.items()),
            f"lora_dropout = {case.get('lora_dropout', 0.0)}",
            "[data]",
            f"train = {json.dumps(data_name(case))}",
            "[train]",
            f'loss = "{LOSSES[case["model"]]}"',
            'optimizer = "adamw"',
            f"learning_rate = {LEARNING_RATE}",
            f"steps = {steps}",
            f"batch_size = {case['batch']}",
            "shuffle = false",
            f"threads = {self.threads}",
            *([f'autocast = "{case["autocast"]}"'] if "autocast" in case else []),
            *(['lr_scheduler_type = "cosine"', "max_grad_norm = 1.0"] if "watched" in case else []),
            "[output]",
            'directory = "tenon-adapter"',
            "force = true",
            *(["log_steps = 10", "save_steps = 100"] if "watched" in case else []),
        ])

    def run_python(self, side, case, steps):
        """The time is that of the first step's end, as the process itself reports it."""
        task = {
            "folder": str(self.folder),
            "model": case["model"],
            "data": data_name(case),
            "loss": LOSSES[case["model"]],
            "batch_size": case["batch"],
            "learning_rate": LEARNING_RATE,
            "steps": steps,
            "threads": self.threads,
            "lora_dropout": case.get("lora_dropout", 0.0),
            "autocast": case.get("autocast"),
            "floor": side == "floor",
            "compile": side == "compiled",
            "device": self.device,
        }
        begin = time.time()
        command = [self.python, "-B", FOLDER / "train_by_peft.py", json.dumps(task)]
        output, _, peak_mb = self.run_process(command)
        report = json.loads(output)
        peak_mb = report.get("peak_device_mb") or peak_mb
        run = Run(statistics.median(report["step_ms"]), peak_mb, report["losses"][-1])
        return run, report["first_step_end"] - begin

    def run_process(self, command):
        """Standard output, seconds from start to end, and peak memory in MB."""
        begin = time.time()
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command, stdout=output, env=self.environment, cwd=self.folder
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.time() - begin
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                sys.exit(f"error: {' '.join(map(str, command))}: status {process.returncode}")
            output.seek(0)
            return output.read(), seconds, usage.ru_maxrss / 1024

    def versions(self):
        """What each of the two is and runs on."""
        code = (
            "import peft, transformers, torch; print(f'PEFT {peft.__version__}, transformers "
            "{transformers.__version__}, torch {torch.__version__}')"
        )
        commands = [self.tenon, "--version"], [self.python, "-c", code]
        return [subprocess.check_output(command, text=True).strip() for command in commands]


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def rows(measured):
    """(case, what, Tenon, PEFT, floor or None, digits) for each figure."""
    for name, sides in measured.items():
        tenon, peft, floor = (sides[side] for side in SIDES)
        yield name, "step, ms", tenon.step_ms(), peft.step_ms(), floor.step_ms(), 2
        yield name, "peak memory, MB", tenon.peak_mb(), peft.peak_mb(), floor.peak_mb(), 0
        rows = CASES[name]["batch"]
        ours, theirs = tenon.activations_mb(rows), peft.activations_mb(rows)
        if theirs > 20:  # else it is lost in the noise
            yield name, "of it the batch's, MB", ours, theirs, None, 0
        yield name, "first step after, s", tenon.start_s(), peft.start_s(), None, 2


def table(measured):
    lines = [
        "| case | | Tenon | PEFT | frozen floor | Tenon / PEFT | floor / PEFT |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for name, what, ours, theirs, floor, digits in rows(measured):
        floor_cells = ("", "") if floor is None else (f"{floor:.{digits}f}", f"{floor / theirs:.2f}")
        lines.append(
            f"| {name} | {what} | {ours:.{digits}f} | {theirs:.{digits}f} | {floor_cells[0]} "
            f"| {ours / theirs:.2f} | {floor_cells[1]} |"
        )
    return lines


def compiled_table(measured):
    """PEFT under torch.compile beside the two."""
    lines = ["| case | PEFT compiled: step, ms | compiled / PEFT | Tenon / compiled | first step after, s |",
             "|---|---:|---:|---:|---:|"]
    for name, sides in measured.items():
        compiled, peft, tenon = (sides[side].step_ms() for side in ("compiled", "peft", "tenon"))
        lines.append(f"| {name} | {compiled:.2f} | {compiled / peft:.2f} | {tenon / compiled:.2f} "
                     f"| {sides['compiled'].start_s():.1f} |")
    return lines


def losses_to(measured):
    """Where Tenon was slower or larger than PEFT."""
    return [f"{name}: {what}" for name, what, ours, theirs, *_ in rows(measured) if ours > theirs]


def peers_python():
    """The Python that the build runs the peers with."""
    cache = ROOT / "build" / "CMakeCache.txt"
    if cache.exists():
        for line in cache.read_text().splitlines():
            if line.startswith("TENON_PEERS_PYTHON:"):
                return line.split("=", 1)[1] or None
    return None


def parse_arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__.split(". ")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--tenon", type=Path, default=ROOT / "build" / "bin" / "tenon")
    parser.add_argument("--python", default=peers_python(), help="with the peers' packages")
    parser.add_argument("--device", default="cpu", help="of the training: cuda, cuda:1")
    parser.add_argument("--part", choices=PARTS,
                        help="one of them; all where it is left out")
    parser.add_argument("--only", default="", help="training cases whose name holds this")
    parser.add_argument("--compile", action="store_true", help="PEFT under torch.compile as well")
    parser.add_argument("--output", type=Path, help="a JSON file for all figures")
    arguments = parser.parse_args()
    if not arguments.tenon.exists():
        parser.error(f"{arguments.tenon} does not exist; build it with tests/run, or name it")
    if not arguments.python:
        parser.error("no environment of the peers in build/; make it with tests/run, or name it")
    arguments.tenon = arguments.tenon.resolve()
    return arguments


def measure_training(bench, arguments):
    """Prints the tables and returns all figures."""
    measured = {name: bench.measure(name) for name in bench.cases}
    print("Training: AdamW, LoRA r = 8; Tenon's first step includes saving and leaving.\n")
    print(*table(measured), sep="\n")
    if arguments.compile:
        print("", *compiled_table(measured), sep="\n")
    lost = losses_to(measured)
    print("\nTenon loses in: " + "; ".join(lost) if lost else "\nTenon loses in none of these.")
    return {name: {side: asdict(values) for side, values in sides.items()}
            for name, sides in measured.items()}


def main():
    arguments = parse_arguments()
    parts = (arguments.part,) if arguments.part else PARTS
    with tempfile.TemporaryDirectory(prefix="tenon-bench-") as folder:
        bench = Bench(arguments, folder)
        load = os.getloadavg()[0]  # before our own: figures of a busy machine mislead
        if parts != ("processes",):
            bench.prepare()
        print(f"{processor()}, {bench.threads} threads, medians of {bench.rounds} rounds in turn.")
        print(*bench.versions(), f"load before {load:.1f}", sep="; ")
        figures = {}
        if "training" in parts:
            figures["training"] = measure_training(bench, arguments)
        if "adapter" in parts:
            figures["adapter"] = host_tables.measure_adapters(bench)
        if "serving" in parts:
            figures["serving"] = host_tables.measure_serving(bench)
        if "interpreter" in parts:
            figures["interpreter"] = host_tables.measure_interpreter(bench)
        if "processes" in parts:
            figures["processes"] = process_tables.measure_processes(bench)
        if arguments.output:
            arguments.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
