"""Every verb that writes, with each call that changes files failing in turn.

    verbs.py TENON FAULTS.so MODEL.pt2 [--points N]

A verb runs in a folder where its output is there already, and in one where it is not. Of its calls the
first, the second, ... fails by EIO, by ENOSPC, and by the end of the process (--points: only N of
them, spread evenly). Afterwards the output is the old one or the new one, byte for byte; a run that
says it is done has written the new one; what a training made is in its place or in one that the
message names; and the next run leaves nothing but its output. Needs Python alone.
"""

import argparse
import errno
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib
from pathlib import Path

TENON = FAULTS = MODEL = None
POINTS = None
KILL = -1
NO_SYNC, NO_EXCHANGE = 1, 2

# Another one in each trial: the time, the key that is made where there is none, what it signs.
WHEN = re.compile(rb'"(installed|key|signature)": "[^"]*"|"serial": [0-9]+')

CONFIG = """
[model]
path = "model.pt2"
[adapter]
target_modules = ["seq.0"]
r = 2
[data]
train = "train.csv"
[train]
optimizer = "sgd"
learning_rate = 0.1
steps = 2
batch_size = 4
threads = 1
[output]
directory = "out/adapter"
"""

FULL = CONFIG.replace("steps = 2", "steps = 2\nfull = true").replace(
    'directory = "out/adapter"', 'model = "out/model.safetensors"'
)
FULL = FULL[: FULL.index("[adapter]")] + FULL[FULL.index("[data]") :]


def write_safetensors(path, name, rows, columns):
    values = [0.1 * i for i in range(rows * columns)]
    header = {name: {"dtype": "F32", "shape": [rows, columns], "data_offsets": [0, 4 * len(values)]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + struct.pack(f"<{len(values)}f", *values))


def contents(place):
    """What is at a place: a file's bytes, or those of all files of a folder; without strays."""
    if place.is_file():
        return WHEN.sub(b"", place.read_bytes())
    if not place.is_dir():
        return None
    files = {
        str(path.relative_to(place)): WHEN.sub(b"", path.read_bytes())
        for path in sorted(place.rglob("*"))
        if path.is_file() and ".tenon-" not in str(path.relative_to(place))
    }
    return files or None


def run(folder, arguments, **fault):
    data = {"XDG_DATA_HOME": str(folder / "out" / "data")}
    environment = {**os.environ, "TMPDIR": str(folder / "tmp"), **data}
    if fault:
        environment |= {
            "LD_PRELOAD": str(FAULTS),
            "TENON_FAULT_ROOT": str(folder),
            "TENON_FAULT_AT": str(fault["at"]),
            "TENON_FAULT_CODE": str(fault["code"]),
            "TENON_FAULT_FLAGS": str(NO_SYNC | fault.get("flags", 0)),
            "TENON_FAULT_COUNT": str(folder / "count"),
        }
    return subprocess.run(
        [TENON, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


class VerbsTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        """A folder with all that the verbs read, which each trial starts from."""
        cls.origin = Path(tempfile.mkdtemp(prefix="tenon-faults-")).resolve()
        cls.addClassCleanup(shutil.rmtree, cls.origin)
        start = cls.start = cls.origin / "start"
        for name in ("out", "tmp"):
            (start / name).mkdir(parents=True)
        shutil.copy(Path(TENON).parent.parent / "lib/tenon/plugins/ia3.so", start / "plugin.so")
        shutil.copy(MODEL, start / "model.pt2")
        (start / "run.toml").write_text(CONFIG)
        (start / "full.toml").write_text(FULL)
        rows = [f"{i % 3},{i % 5},{i % 2},{i % 7},{i % 2}" for i in range(8)]
        (start / "train.csv").write_text("\n".join(["a,b,c,d,labels", *rows, ""]))
        write_safetensors(start / "in.safetensors", "x", 3, 4)
        for name, seed in (("one", 1), ("two", 2)):
            done = run(
                start,
                ["run", "run.toml", "--set", f"output.directory={start / name}"]
                + ["--set", f"train.seed={seed}"],
            )
            assert done.returncode == 0, done.stderr

    def sweep(self, arguments, output, old=None, force="--force", flags=0):
        """`old` makes the folder's old output; without it there is none."""
        forced = [*arguments, *([force] if old and force else [])]
        fresh = self.trial_folder(old)
        before = contents(fresh / output)
        done = run(fresh, forced, at=0, code=0, flags=flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        wanted = contents(fresh / output)
        self.assertIsNotNone(wanted)
        self.assertNotEqual(wanted, before)
        for at, code in self.trials(int((fresh / "count").read_text())):
            with self.subTest(call=at, code=code):
                self.check(forced, output, old, before, wanted, at, code, flags)

    def trials(self, calls):
        codes = (errno.EIO, errno.ENOSPC, KILL)
        if POINTS is None:
            return [(at, code) for code in codes for at in range(1, calls + 1)]
        first = zlib.crc32(self.id().encode())  # other ones for each test
        return [(1 + (first + i * 7) % calls, codes[(first + i) % 3]) for i in range(POINTS)]

    def check(self, arguments, output, old, before, wanted, at, code, flags):
        folder = self.trial_folder(old)
        done = run(folder, arguments, at=at, code=code, flags=flags)
        said = done.stdout + done.stderr
        found = contents(folder / output)
        if flags & NO_EXCHANGE and code == KILL:  # told by whoever reads the folder next
            run(folder, ["inspect", output])
            found = contents(folder / output)
        self.assertIn(found, (before, wanted), said)
        if code == KILL:
            self.assertIn(done.returncode, (0, -9), said)
        elif done.returncode == 0:
            self.assertEqual(found, wanted, said)
        else:
            self.assertEqual(done.returncode, 1, said)
            self.assertTrue(done.stderr.strip())
        rescued = re.search(r"what was trained is saved in (\S+) instead", said)
        if rescued:
            # The name of the folder is in no file, so it is the same adapter, without other files.
            saved = contents(folder / rescued[1])
            if isinstance(wanted, dict):
                self.assertEqual(saved, {k: v for k, v in wanted.items() if k != "notes.txt"})
            else:
                self.assertEqual(saved, wanted)
        for place in folder.rglob("*.rescued*"):
            shutil.rmtree(place) if place.is_dir() else place.unlink()
        if found is not None and "--force" not in arguments:
            shutil.rmtree(folder / output) if (folder / output).is_dir() else (
                folder / output
            ).unlink()
        again = run(folder, arguments)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(contents(folder / output), wanted)
        strays = [str(path) for path in folder.rglob(".tenon-*")]
        self.assertEqual(strays, [])
        shutil.rmtree(folder)

    def trial_folder(self, old):
        folder = self.origin / "trial"
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(self.start, folder)
        if old:
            old(folder)
        return folder

    @staticmethod
    def old_adapter(folder):
        shutil.copytree(folder / "two", folder / "out/adapter")
        (folder / "out/adapter/notes.txt").write_text("mine")

    @staticmethod
    def old_file(name):
        return lambda folder: (folder / "out" / name).write_text("old")

    def test_run_into_a_new_folder(self):
        self.sweep(["run", "run.toml"], "out/adapter")

    def test_run_over_an_adapter(self):
        self.sweep(["run", "run.toml"], "out/adapter", self.old_adapter)

    def test_run_where_folders_cannot_be_exchanged(self):
        self.sweep(["run", "run.toml"], "out/adapter", self.old_adapter, flags=NO_EXCHANGE)

    def test_run_of_the_whole_model(self):
        self.sweep(["run", "full.toml"], "out/model.safetensors", self.old_file("model.safetensors"))

    def test_run_with_checkpoints_that_goes_on(self):
        """Whatever fails, each checkpoint that is there is whole, and the next run ends as one."""
        arguments = ["run", "run.toml", "--resume", "--set", "train.steps=3"]
        arguments += ["--set", "output.save_steps=1", "--set", "output.save_total_limit=1"]
        arguments += ["--set", "output.log_steps=1"]
        files = ("adapter_config.json", "adapter_model.safetensors", "tenon.json")
        fresh = self.trial_folder(None)
        done = run(fresh, arguments, at=0, code=0)
        self.assertEqual(done.returncode, 0, done.stderr)
        wanted = {name: (fresh / "out/adapter" / name).read_bytes() for name in files}
        for at, code in self.trials(int((fresh / "count").read_text())):
            with self.subTest(call=at, code=code):
                folder = self.trial_folder(None)
                adapter = folder / "out/adapter"
                done = run(folder, arguments, at=at, code=code)
                said = done.stdout + done.stderr
                if code == KILL:
                    self.assertIn(done.returncode, (0, -9), said)
                elif done.returncode != 0:
                    self.assertEqual(done.returncode, 1, said)
                for checkpoint in adapter.glob("checkpoint-*"):
                    state = json.loads((checkpoint / "trainer_state.json").read_text())
                    self.assertEqual(checkpoint.name, f"checkpoint-{state['step']}")
                    for name in ("adapter_model.safetensors", "trainer_state.safetensors"):
                        data = (checkpoint / name).read_bytes()
                        length = struct.unpack("<Q", data[:8])[0]
                        tensors = json.loads(data[8 : 8 + length])
                        tensors.pop("__metadata__", None)
                        last = max(tensor["data_offsets"][1] for tensor in tensors.values())
                        self.assertEqual(len(data), 8 + length + last)
                if not list(adapter.glob("checkpoint-*")) and (adapter / files[1]).exists():
                    shutil.rmtree(adapter)  # saved at its end, and no checkpoint to go on from
                again = run(folder, arguments)
                self.assertEqual(again.returncode, 0, again.stderr)
                self.assertEqual({name: (adapter / name).read_bytes() for name in files}, wanted)
                lines = (adapter / "log.jsonl").read_text().splitlines()
                steps = [json.loads(line)["step"] for line in lines]
                self.assertEqual(steps, [1, 2, 3])
                self.assertEqual([str(path) for path in folder.rglob(".tenon-*")], [])
                shutil.rmtree(folder)

    def test_plugin_install(self):
        for flags in (0, NO_EXCHANGE):
            with self.subTest(flags=flags):
                arguments = ["plugin", "install", "plugin.so"]
                place = "out/data/tenon/plugins"
                self.sweep(arguments, place, flags=flags)
                self.sweep(arguments, place, self.other_plugin, flags=flags)

    @staticmethod
    def other_plugin(folder):
        other = folder / "other.so"
        other.write_bytes((folder / "plugin.so").read_bytes() + b"\0")
        done = run(folder, ["plugin", "install", "other.so"])
        assert done.returncode == 0, done.stderr

    def test_merge_to_a_program(self):
        arguments = ["merge", "run.toml", "--adapter", "one", "--output", "out/merged.pt2"]
        self.sweep(arguments, "out/merged.pt2", self.old_file("merged.pt2"))

    def test_merge_to_a_state_dict(self):
        arguments = ["merge", "run.toml", "--adapter", "one", "--output", "out/merged.safetensors"]
        self.sweep(arguments, "out/merged.safetensors", self.old_file("merged.safetensors"))

    def test_combine(self):
        arguments = ["adapter", "combine", "one", "two", "--weights", "0.5,0.5"]
        self.sweep([*arguments, "--output", "out/adapter"], "out/adapter", self.old_adapter)

    def test_convert(self):
        arguments = ["adapter", "convert", "run.toml", "--adapter", "one", "--rank", "1"]
        self.sweep([*arguments, "--output", "out/adapter"], "out/adapter", self.old_adapter)

    def test_predict(self):
        arguments = ["predict", "run.toml", "--adapter", "one", "--inputs", "in.safetensors"]
        self.sweep(
            [*arguments, "--outputs", "out/out.safetensors"],
            "out/out.safetensors",
            self.old_file("out.safetensors"),
        )

    def test_quantize(self):
        arguments = ["quantize", "model.pt2", "--to", "int8", "--output", "out/small.safetensors"]
        self.sweep(arguments, "out/small.safetensors", self.old_file("small.safetensors"))

    def test_init(self):
        arguments = ["init", "model.pt2", "--output", "out/first.toml"]
        self.sweep(arguments, "out/first.toml", self.old_file("first.toml"))

    def test_report(self):
        done = run(
            self.start,
            ["run", "run.toml", "--set", f"output.directory={self.start / 'three'}"]
            + ["--set", "output.log_steps=1"],
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        arguments = ["report", "three", "--output", "out/page.html"]
        self.sweep(arguments, "out/page.html", self.old_file("page.html"))

    def test_plugin_index(self):
        def indexed(folder):
            shutil.copy(folder / "plugin.so", folder / "out" / "ia3.so")

        self.sweep(["plugin", "index", "out"], "out/index.json", indexed, force=None)

    def test_plugin_new(self):
        self.sweep(["plugin", "new", "out/mine", "--type", "acme.Fancy"], "out/mine", force=None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("tenon", type=lambda path: str(Path(path).resolve()))
    parser.add_argument("faults", type=lambda path: str(Path(path).resolve()))
    parser.add_argument("model", type=Path)
    parser.add_argument("--points", type=int)
    options, rest = parser.parse_known_args()
    TENON, FAULTS, MODEL, POINTS = options.tenon, options.faults, options.model, options.points
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
