"""The table of several processes on a base of 1 GB: the time of a step, and the memory of all together."""

import json
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

COUNTS = (1, 2, 4)
STEPS = 20
CONFIG = """
[model]
path = "large.pt2"
[adapter]
target_modules = ["0", "1", "2", "3"]
r = 8
[data]
train = "large-rows.safetensors"
[train]
loss = "cross_entropy"
optimizer = "adamw"
learning_rate = 1e-4
steps = {steps}
batch_size = 2
shuffle = false
threads = 1
[output]
directory = "large-adapter"
force = true
"""


def with_children(process):
    """Its number and those of all that it started."""
    try:
        listed = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return [process]
    return [process, *(each for child in listed for each in with_children(int(child)))]


def memory_mb(processes):
    """Of them together: a page that several share counts once (Pss, proc_pid_smaps(5)), and what is
    one's own and no file's."""
    total = own = 0
    for process in processes:
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue  # it ended meanwhile
        total += int(re.search(r"^Pss: +(\d+)", text, re.MULTILINE)[1])
        own += int(re.search(r"^Pss_Anon: +(\d+)", text, re.MULTILINE)[1])
    return total / 1024, own / 1024


def run_together(bench, commands):
    """Starts them at once; the first one's output, and the peaks of the memory of all."""
    peak = own_peak = 0.0
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as told:
        started = [
            subprocess.Popen(
                command, stdout=output if i == 0 else subprocess.DEVNULL, stderr=told,
                cwd=bench.folder, env={**bench.environment, "OMP_NUM_THREADS": "1", **variables},
            )
            for i, (command, variables) in enumerate(commands)
        ]
        while any(process.poll() is None for process in started):
            processes = {each for process in started for each in with_children(process.pid)}
            now, own = memory_mb(processes)
            peak, own_peak = max(peak, now), max(own_peak, own)
            time.sleep(0.05)
        if any(process.returncode != 0 for process in started):
            told.seek(0)
            sys.exit(f"error: {commands[0][0]}: {told.read().decode(errors='replace')}")
        output.seek(0)
        return json.loads(output.read()), peak, own_peak


def by_tenon(bench, count):
    config = bench.folder / "large.toml"
    config.write_text(CONFIG.format(steps=STEPS))
    command = [bench.tenon, "run", config, "--json"]
    if count > 1:
        command += ["--processes", str(count)]
    report, peak, own = run_together(bench, [(command, {})])
    return {"step_ms": report["step_ms"]["median"], "peak_mb": peak, "own_mb": own}


def by_peft(bench, count):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [bench.python, "-B", FOLDER / "ddp_by_peft.py", bench.folder, str(STEPS)]
    ranks = [
        (command, {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_PORT": str(port),
                   "MASTER_ADDR": "127.0.0.1"})
        for rank in range(count)
    ]
    report, peak, own = run_together(bench, ranks)
    return {"step_ms": statistics.median(report["step_ms"]), "peak_mb": peak, "own_mb": own}


def measure_processes(bench):
    """Prints the table and returns the figures."""
    command = [bench.python, "-B", FOLDER / "ddp_by_peft.py", bench.folder, "prepare"]
    subprocess.run(command, check=True, env=bench.environment)
    print("\nProcesses of one thread each, a base of 1 GB, 2 rows a process; PEFT's under "
          "DistributedDataParallel. Memory of all together, shared pages counted once.\n")
    print("| processes | | Tenon | PEFT | Tenon / PEFT |\n|---|---|---:|---:|---:|")
    figures = {}
    for count in COUNTS:
        runs = {"tenon": [], "peft": []}
        for _ in range(bench.rounds):
            runs["tenon"].append(by_tenon(bench, count))
            runs["peft"].append(by_peft(bench, count))
        sides = {
            side: {key: statistics.median(run[key] for run in of_side) for key in of_side[0]}
            for side, of_side in runs.items()
        }
        figures[count] = sides
        ours, theirs = sides["tenon"], sides["peft"]
        for key, what in (("step_ms", "step, ms"), ("peak_mb", "peak memory, MB"),
                          ("own_mb", "of it no file's, MB")):
            print(f"| {count} | {what} | {ours[key]:.0f} | {theirs[key]:.0f} "
                  f"| {ours[key] / theirs[key]:.2f} |")
    growth = {side: figures[COUNTS[-1]][side]["peak_mb"] / figures[1][side]["peak_mb"]
              for side in ("tenon", "peft")}
    print(f"\n{COUNTS[-1]} processes need {growth['tenon']:.2f} times the memory of one; PEFT's "
          f"{growth['peft']:.2f} times.")
    return figures
