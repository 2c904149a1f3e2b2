"""Large models: how long they take to load and to adapt, and the memory that they take."""

import os
import re
import resource
import subprocess
import time
from pathlib import Path

import torch
from support import ParityTest, main
from torch import nn

LAYERS = 10_000
GIGABYTE = 1 << 30


class SizeTest(ParityTest):
    def export(self, model, width):
        path = self.workspace.new_path(".pt2")
        example = torch.ones(2, width)
        shapes = ({0: torch.export.Dim("batch")},)
        torch.export.save(torch.export.export(model, (example,), dynamic_shapes=shapes), path)
        return path

    def config(self, path, **adapter):
        return self.workspace.write_config(
            {"model": {"path": path}, "adapter": {"method": "lora", "r": 2, **adapter}}
        )

    def watch(self, *arguments):
        """(seconds, largest RssAnon in bytes) of a run of tenon."""
        command = self.workspace.command(*arguments)
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        largest = 0
        while process.poll() is None:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                break
            found = re.search(r"RssAnon:\s+(\d+) kB", status)
            largest = max(largest, int(found[1]) * 1024 if found else 0)
            time.sleep(0.002)
        process.communicate()
        self.assertEqual(process.returncode, 0)
        return time.monotonic() - start, largest

    def processor_time(self, *arguments):
        """The smallest of three runs: what others do at the same time is not counted."""
        taken = []
        for _ in range(3):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            self.workspace.tenon_ok(*arguments, stdin=subprocess.DEVNULL)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            taken.append(
                after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            )
        return min(taken)

    def test_ten_thousand_layers_load_in_two_seconds_and_are_adapted_in_two_tenths(self):
        model = nn.Sequential(*[nn.Linear(4, 4) for _ in range(LAYERS)])
        path = self.export(model, 4)
        start = self.processor_time("--version")
        loaded = self.processor_time("tree", path, "--json") - start
        one = self.processor_time("plan", self.config(path, target_modules=["0"]), "--json") - start
        every = self.processor_time("plan", self.config(path, target_modules="all-linear"), "--json")
        adapted = every - start - one
        print(f"load {loaded:.2f} s, adapt {adapted:.2f} s of processor time", flush=True)
        self.assertLess(loaded, 2)
        # A half of this is the listing that `plan` prints.
        self.assertLess(adapted, 0.4)

    def test_a_model_of_two_gigabytes_loads_in_a_second_and_adds_no_private_memory(self):
        small = self.export(nn.Sequential(nn.Linear(4, 4)), 4)
        sizes = (1 << 13, 1 << 15), (1 << 15, 1 << 13)
        model = nn.Sequential(*[nn.utils.skip_init(nn.Linear, *size) for size in sizes])
        path = self.export(model, 1 << 13)
        self.assertGreaterEqual(os.path.getsize(path), 2 * GIGABYTE)
        for verb, arguments in (
            ("tree", lambda file: (file,)),
            ("plan", lambda file: (self.config(file, target_modules=["0"]),)),
        ):
            _, least = self.watch(verb, *arguments(small))
            seconds, most = self.watch(verb, *arguments(path))
            least += 4 * 2 * ((1 << 13) + (1 << 15)) * (verb == "plan")  # the adapter's own
            print(f"{verb}: {seconds:.2f} s, {(most - least) >> 20} MB more private memory")
            self.assertLess(seconds, 1)
            self.assertLess(most - least, 16 << 20)


if __name__ == "__main__":
    main()
