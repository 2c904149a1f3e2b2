"""Builds Tenon beside the torch of this Python, compares it with PEFT on a device, and measures it.

Everything is written to one log and one JSON in --output. A stage that fails does not keep the next
from running; the exit status is 1 then. Without a GPU all of it runs on the CPU.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
TESTS = FOLDER.parent

# (script, its arguments, tests by name): the MLP, MiniLM and a small Mistral with random weights (training),
# recurrent layers and convolutions (layers), PoolFormer, merging and files both ways.
PARITY = [
    ("device/device_test.py", [], ""),
    ("parity/training_test.py", [], "fifty"),
    ("parity/forward_test.py", [], ""),
    ("parity/adapter_test.py", [], ""),
    ("parity/merge_test.py", [], "PyTorch"),
    ("parity/layers_test.py", [], ""),
    ("parity/mixed_rows_test.py", [], ""),
    ("parity/active_adapters_test.py", [], ""),
    ("parity/data_start_test.py", [], ""),
    ("parity/poolformer_test.py", [], ""),
]
QUICK_PARITY = [
    ("device/device_test.py", [], "numbers"),
    ("parity/training_test.py", [], "accumulated"),
]
# How much more than in float32 the numbers may differ where products are rounded to TF32's 10 bits.
TF32_TOLERANCE = 300
BENCHMARKS = ["MLP, batch 64", "MiniLM 4x16", "MiniLM 16x128", "Mistral", "PoolFormer", "LSTM"]
QUICK_BENCHMARKS = ["MiniLM 4x16"]


class Report:
    """What was done: printed, and written to the log and the JSON after each stage."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.log = (folder / "log.txt").open("w")
        self.path = folder / "report.json"
        self.facts = {"stages": {}}
        self.begin = time.time()

    def say(self, text):
        line = f"[{time.time() - self.begin:6.1f} s] {text}"
        print(line, flush=True)
        print(line, file=self.log, flush=True)

    def note(self, text):
        print(text, file=self.log, flush=True)

    def stage(self, name, action):
        """Runs it; its facts, with how it ended, stand in the JSON under the name."""
        self.say(name)
        begin = time.time()
        try:
            facts = action() or {}
        except Exception as failure:  # the next stages still tell something
            facts = {"failure": f"{type(failure).__name__}: {failure}"}
        facts = {"seconds": round(time.time() - begin, 1), **facts}
        self.facts["stages"][name] = facts
        self.path.write_text(json.dumps(self.facts, indent=2) + "\n")
        if "failure" in facts:
            self.say(f"{name}: {facts['failure']}")
        return facts

    def failed(self):
        return [name for name, facts in self.facts["stages"].items() if "failure" in facts]


def run(report, command, environment, timeout):
    """Standard output; what went wrong is raised with the end of what was printed."""
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
        timeout=timeout,
    )
    report.note("$ " + " ".join(map(str, command)) + "\n" + done.stdout + done.stderr)
    if done.returncode != 0:
        raise RuntimeError(f"exit status {done.returncode}\n{(done.stdout + done.stderr)[-1500:]}")
    return done.stdout


def machine_facts(report, environment):
    import torch

    facts = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_cuda": torch.version.cuda,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
    for package in ("peft", "transformers", "timm"):
        try:
            facts[package] = __import__(package).__version__
        except ImportError:
            facts[package] = None
    if shutil.which("nvidia-smi"):
        run(report, ["nvidia-smi"], environment, 60)
    return facts


def unpack(packages, target, environment):
    """The Debian packages of a folder, unpacked beside the build: nothing is installed."""
    for package in sorted(Path(packages).glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, target], check=True)
    libraries = [target / "usr/lib/x86_64-linux-gnu", target / "lib/x86_64-linux-gnu"]
    joined = ":".join(map(str, libraries))
    environment["CMAKE_PREFIX_PATH"] = str(target / "usr")
    environment["LIBRARY_PATH"] = joined
    environment["LD_LIBRARY_PATH"] = joined
    environment["CPATH"] = str(target / "usr/include")
    environment["PATH"] = f"{target / 'usr/bin'}:{environment['PATH']}"
    return {"packages": len(list(Path(packages).glob("*.deb")))}


def build(report, arguments, environment):
    import torch

    if shutil.which("c++", path=environment["PATH"]) is None:
        raise RuntimeError("there is no C++ compiler: tests/device/prepare FOLDER --with-compiler")
    cmake = [
        *("cmake", "-S", ROOT, "-B", arguments.build, "-G", "Ninja"),
        f"-DTorch_DIR={Path(torch.__file__).parent}/share/cmake/Torch",
        "-DTENON_BUILD_TESTS=OFF",
    ]
    run(report, cmake, environment, 120)
    targets = ("--target", "tenon", "plugins/all", "-j", str(os.cpu_count()))
    run(report, ["cmake", "--build", arguments.build, *targets], environment, 1200)
    return {"jobs": os.cpu_count()}


def compare(report, arguments, environment, scripts, tf32):
    """The scripts of tests/parity with the models on the device; several at a time."""
    own = {
        **environment,
        "TENON_DEVICE": arguments.device,
        "OMP_NUM_THREADS": "2",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(TESTS / "parity"),
    }
    if tf32:
        own |= {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1", "TENON_TOLERANCE": str(TF32_TOLERANCE)}
    else:
        own |= {"NVIDIA_TF32_OVERRIDE": "0"}

    def one(script):
        path, more, name = script
        command = [sys.executable, "-B", TESTS / path, arguments.tenon, *more]
        begin = time.time()
        try:
            run(report, [*command, *(["-k", name] if name else [])], own, arguments.longest)
            result = "passed"
        except Exception as failure:
            result = str(failure)
        return path, {"result": result, "seconds": round(time.time() - begin, 1)}

    with ThreadPoolExecutor(max(1, min(4, (os.cpu_count() or 1) // 2))) as pool:
        results = dict(pool.map(one, scripts))
    bad = [path for path, facts in results.items() if facts["result"] != "passed"]
    return {"scripts": results, **({"failure": "failed: " + ", ".join(bad)} if bad else {})}


def measure(report, arguments, environment, cases):
    results = {}
    for case in cases:
        output = arguments.output / "bench.json"
        command = [
            *(sys.executable, "-B", TESTS / "bench" / "bench.py", "--tenon", arguments.tenon),
            *("--python", sys.executable, "--device", arguments.device, "--part", "training"),
            *("--rounds", arguments.rounds, "--only", case, "--output", output),
            *([] if arguments.quick or arguments.no_compile else ["--compile"]),
        ]
        text = run(report, command, environment, arguments.longest)
        print(text, flush=True)
        results |= json.loads(output.read_text())["training"]
    return {"training": results}


def parse_arguments():
    parser = argparse.ArgumentParser(prog="tests/device/run", description=__doc__)
    parser.add_argument("--packages", type=Path, help="the folder that tests/device/prepare filled")
    parser.add_argument("--device", help="cuda where there is one, else cpu")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "device")
    parser.add_argument("--tenon", type=Path, help="one that is built already")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "device-report")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--longest", type=int, default=420, help="seconds of one script")
    parser.add_argument("--quick", action="store_true", help="a part of each stage")
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile")
    arguments = parser.parse_args()
    if arguments.device is None:
        import torch

        arguments.device = "cuda" if torch.cuda.is_available() else "cpu"
    return arguments


def main():
    arguments = parse_arguments()
    report = Report(arguments.output)
    environment = dict(os.environ)
    report.facts["device"] = arguments.device
    report.stage("machine", lambda: machine_facts(report, environment))
    if arguments.packages:
        target = arguments.build.parent / "device-packages"
        report.stage("packages", lambda: unpack(arguments.packages, target, environment))
    if arguments.tenon is None:
        arguments.tenon = arguments.build / "bin" / "tenon"
        report.stage("build", lambda: build(report, arguments, environment))
    arguments.tenon = arguments.tenon.resolve()

    def doctor():
        return json.loads(run(report, [arguments.tenon, "doctor", "--json"], environment, 120))

    report.stage("doctor", doctor)
    scripts = QUICK_PARITY if arguments.quick else PARITY
    report.stage(
        "parity", lambda: compare(report, arguments, environment, scripts, tf32=False)
    )
    if arguments.device.startswith("cuda"):
        report.stage(
            "parity with TF32",
            lambda: compare(report, arguments, environment, scripts[1:3], tf32=True),
        )
    cases = QUICK_BENCHMARKS if arguments.quick else BENCHMARKS
    report.stage("benchmarks", lambda: measure(report, arguments, environment, cases))
    failed = report.failed()
    report.say(f"failed: {', '.join(failed)}" if failed else "all passed")
    report.say(f"written: {report.path}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
