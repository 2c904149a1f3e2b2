"""What a command writes: never over what it reads, nor over what it was not told to replace; and what
a training made is not lost, whatever happens to its place or to the files that it reads."""

import json
import os
import re
import signal
import subprocess

import torch
from safetensors.torch import load_file, save_file
from support import ParityTest, main, models

ADAPTER_FILES = ["adapter_config.json", "adapter_model.safetensors", "tenon.json"]


class SavingTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        torch.manual_seed(3)
        cls.model = cls.workspace.new_path(".pt2")
        module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        batch = torch.export.Dim("batch")
        program = torch.export.export(module, (torch.rand(3, 4),), dynamic_shapes=({0: batch},))
        torch.export.save(program, cls.model)
        cls.weights = cls.workspace.write_tensors(module.state_dict())
        cls.data = cls.workspace.write_tensors(
            {"input": torch.rand(16, 4), "labels": torch.randint(2, (16,))}
        )
        cls.inputs = cls.workspace.write_tensors({"input": torch.rand(3, 4)})
        cls.adapter = cls.workspace.new_path()
        cls.workspace.tenon_ok("run", cls.config(cls.adapter))

    @classmethod
    def config(cls, directory, **changes):
        config = {
            "model": {"path": cls.model, "weights": cls.weights},
            "adapter": {"target_modules": ["0"], "r": 2},
            "data": {"train": cls.data},
            "train": {"optimizer": "sgd", "learning_rate": 0.1, "steps": 3, "batch_size": 8},
            "output": {"directory": directory},
        }
        for table, keys in changes.items():
            config[table] = {**config.get(table, {}), **keys}
            if not keys:
                del config[table]
        if "model" in config["output"]:
            del config["output"]["directory"]
        return cls.workspace.write_config(config)

    def refused(self, done, *fragments):
        self.assertIn(done.returncode, (1, 2), done.stdout + done.stderr)
        for fragment in fragments:
            self.assertIn(fragment, done.stderr)

    def places(self):
        """Each thing that a verb may write to by mistake, with what it is told."""
        folder = self.workspace.new_folder()
        os.mkfifo(folder / "pipe")
        (folder / "link").symlink_to(self.inputs)
        os.link(self.inputs, folder / "twin")
        return {
            "/dev/null": "is a device or a pipe",
            folder / "pipe": "is a device or a pipe",
            folder: "is a folder",
            folder / "link": "is --inputs itself",
            folder / "twin": "is --inputs itself",
            self.inputs: "is --inputs itself",
            self.model: "is [model] path itself",
            self.weights: "is [model] weights itself",
            self.adapter / "adapter_config.json": "is part of --adapter",
            self.adapter / "tenon.json": "is part of --adapter",
        }

    def read_files(self):
        paths = [self.model, self.weights, self.data, self.inputs]
        paths += [self.adapter / name for name in ADAPTER_FILES]
        return {path: path.read_bytes() for path in paths}

    def test_no_output_is_an_input_or_no_regular_file(self):
        before = self.read_files()
        config = self.config(self.workspace.new_path())
        for place, told in self.places().items():
            with self.subTest(place=place):
                done = self.workspace.tenon(
                    *("predict", config, "--adapter", self.adapter, "--inputs", self.inputs),
                    *("--outputs", place, "--force"),
                )
                self.refused(done, f"--outputs {place}", told)
        for place in (self.weights, self.adapter / "adapter_model.safetensors", self.model):
            with self.subTest(place=place):
                done = self.workspace.tenon(
                    *("merge", config, "--adapter", self.adapter, "--output", place, "--force")
                )
                self.refused(done, f"--output {place}", "which this command reads")
        for table, told in (
            ({"output": {"directory": self.adapter, "force": True}}, "is [adapter] init_from itself"),
            (
                {"train": {"full": True}, "output": {"model": self.data, "force": True}},
                "is [data] train itself",
            ),
            (
                {"train": {"full": True}, "output": {"model": self.weights, "force": True}},
                "is [model] weights itself",
            ),
        ):
            if "full" in table.get("train", {}):
                table = {**table, "adapter": {}}
            else:
                table = {**table, "adapter": {"init_from": self.adapter}}
            done = self.workspace.tenon("run", self.config(self.workspace.new_path(), **table))
            self.refused(done, told)
        combine = ("adapter", "combine", self.adapter, "--weights", "1", "--output", self.adapter)
        self.refused(self.workspace.tenon(*combine, "--force"), "is the adapter itself")
        convert = ("adapter", "convert", config, "--adapter", self.adapter, "--rank", "1")
        self.refused(
            self.workspace.tenon(*convert, "--output", self.adapter, "--force"),
            "is --adapter itself",
        )
        self.assertEqual(self.read_files(), before)

    def test_existing_file_needs_force_in_every_verb(self):
        file = self.workspace.new_path(".safetensors")
        file.write_text("mine")
        config = self.config(self.workspace.new_path())
        full = self.config("unused", adapter={}, train={"full": True}, output={"model": file})
        for arguments in (
            ("predict", config, "--inputs", self.inputs, "--outputs", file),
            ("merge", config, "--adapter", self.adapter, "--output", file),
            ("run", full),
        ):
            with self.subTest(verb=arguments[0]):
                file.unlink()
                file.write_text("mine")
                self.refused(self.workspace.tenon(*arguments), "is there already", "--force")
                self.assertEqual(file.read_text(), "mine")
                self.workspace.tenon_ok(*arguments, "--force")
                self.assertTrue(load_file(file))

    def test_place_that_cannot_be_written_is_told_before_the_model_is_read(self):
        config = self.config("/proc/adapter", model={"path": "nothing.pt2", "weights": self.weights})
        self.refused(self.workspace.tenon("run", config), "/proc/adapter")
        done = self.workspace.tenon(
            *("predict", config, "--inputs", self.inputs, "--outputs", "/proc/out")
        )
        self.refused(done, "/proc/out")

    # Trainings ----------------------------------------------------------------------------------

    def started(self, config, *arguments):
        """A run in its first steps."""
        process = subprocess.Popen(
            self.workspace.command("run", config, *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = ""
        while not line.startswith("step "):
            line = process.stdout.readline()
            self.assertTrue(line, "the run ended before its first step")
        return process

    def long_run(self, directory, **changes):
        train = {"steps": 500_000, "learning_rate": 1e-6}
        return self.config(directory, **{**changes, "train": {**train, **changes.get("train", {})}})

    def adapter_of(self, folder):
        names = sorted(path.name for path in folder.iterdir())
        # An interrupted run leaves its checkpoint.
        self.assertEqual([n for n in names if not n.startswith("checkpoint-")], ADAPTER_FILES)
        return {name: (folder / name).read_bytes() for name in ADAPTER_FILES}

    def trained(self):
        folder = self.workspace.new_path()
        self.workspace.tenon_ok("run", self.config(folder))
        return folder

    def test_second_run_is_refused_at_its_start_by_the_firsts_number(self):
        for folder in (self.workspace.new_path(), self.trained()):
            first = self.started(self.long_run(folder), "--force")
            done = self.workspace.tenon("run", self.config(folder), "--force")
            self.refused(done, f"process {first.pid} is writing to this folder")
            first.send_signal(signal.SIGINT)
            first.communicate(timeout=60)
        self.assertFalse(list(folder.parent.glob(".tenon-*")))

    def test_training_that_ends_badly_is_saved_beside_a_good_adapter(self):
        folder = self.trained()
        before = self.adapter_of(folder)
        process = self.started(self.long_run(folder), "--force")
        process.send_signal(signal.SIGTERM)
        said = "".join(process.communicate(timeout=60))
        self.assertIn(f"{folder}.interrupted", said)
        self.assertIn(f"{folder} is as it was", said)
        self.assertEqual(self.adapter_of(folder), before)
        self.adapter_of(folder.with_name(folder.name + ".interrupted"))

        rows = torch.rand(16, 4)
        rows[8:] = float("nan")
        data = self.workspace.write_tensors({"input": rows, "labels": torch.zeros(16).long()})
        config = self.config(folder, data={"train": data}, train={"shuffle": False})
        done = self.workspace.tenon("run", config, "--force")
        self.refused(done, f"saved in {folder}.diverged; {folder} is as it was")
        self.assertEqual(self.adapter_of(folder), before)

    def test_training_whose_place_is_lost_is_saved_in_another_that_is_named(self):
        folder = self.workspace.new_path()
        process = self.started(self.long_run(folder))
        folder.rmdir()
        folder.write_text("somebody else's")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, told)
        place = re.search(r"what was trained is saved in (\S+) instead", told)[1]
        self.adapter_of(folder.with_name(folder.name + ".rescued"))
        self.assertEqual(place, f"{folder}.rescued")
        self.assertEqual(folder.read_text(), "somebody else's")

    # Files that change --------------------------------------------------------------------------

    def large_data(self):
        """More than is copied when it is read."""
        rows = 1 << 17
        return self.workspace.write_tensors(
            {"input": torch.rand(rows, 4), "labels": torch.randint(2, (rows,))}
        )

    def test_file_that_is_cut_short_or_written_over_is_named_and_the_last_good_state_saved(self):
        def cut(path):
            os.truncate(path, 10_000)

        def write_over(path):
            with path.open("r+b") as file:
                file.seek(-1000, os.SEEK_END)  # of the inputs, which come after the labels
                file.write(bytes(8))

        for change, told in ((cut, "was cut short"), (write_over, "was written to")):
            with self.subTest(change=change.__name__):
                folder = self.workspace.new_path()
                data = self.large_data()
                config = self.long_run(folder, data={"train": data}, train={"batch_size": 512})
                process = self.started(config)
                change(data)
                try:
                    _, error = process.communicate(timeout=2)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGINT)
                    _, error = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 1, error)
                self.assertIn(f"`{data}` {told} while it was read", error)
                self.assertIn(f"the last good state is saved in {folder}", error)
                self.adapter_of(folder)
                for tensor in load_file(folder / ADAPTER_FILES[1]).values():
                    self.assertTrue(torch.isfinite(tensor).all())

    def test_damaged_weights_of_a_program_are_refused_unless_told_not_to_look(self):
        damaged = self.workspace.new_path(".pt2")
        whole = bytearray(self.model.read_bytes())
        weight = load_file(self.weights)["0.weight"].numpy().tobytes()
        whole[whole.index(weight)] ^= 1
        damaged.write_bytes(whole)
        config = self.config(self.workspace.new_path(), model={"path": damaged})
        merged = self.workspace.new_path(".safetensors")
        predict = ("predict", config, "--inputs", self.inputs)
        for arguments in (
            ("run", config),
            ("merge", config, "--adapter", self.adapter, "--output", merged),
            (*predict, "--outputs", self.workspace.new_path(".safetensors")),
        ):
            done = self.workspace.tenon(*arguments)
            self.refused(done, "the archive is damaged", "data/weights/", "CRC-32")
        self.workspace.tenon_ok(
            *predict, "--outputs", self.workspace.new_path(".safetensors"), "--no-verify"
        )

    # What a terminal gets -----------------------------------------------------------------------

    def test_names_never_reach_the_terminal_raw(self):
        name = "a\x1b]0;title\x07b"
        config = self.config(self.workspace.new_path(), adapter={"target_modules": [name]})
        done = self.workspace.tenon("plan", config)
        self.refused(done, "\\u001b]0;title\\u0007b")
        self.assertNotIn("\x1b", done.stderr)
        adapter = self.workspace.new_folder()
        save_file(
            {f"base_model.model.{name}.lora_A.weight": torch.ones(2, 4)}, adapter / ADAPTER_FILES[1]
        )
        (adapter / ADAPTER_FILES[0]).write_text(
            json.dumps({"peft_type": "LORA", "target_modules": [name]})
        )
        for arguments in (("inspect", adapter), ("inspect", adapter, "--json")):
            done = self.workspace.tenon(*arguments)
            self.assertNotIn("\x1b", done.stdout + done.stderr)
        self.assertIn("title", json.loads(done.stdout)["error"]["message"])

    def test_long_lists_in_messages_end(self):
        names = [f"layer_{i}" for i in range(20_000)]
        done = self.workspace.tenon(
            "plan", self.config(self.workspace.new_path(), adapter={"target_modules": names})
        )
        self.refused(done, "more characters)")
        self.assertLess(len(done.stderr), 10_000)

    def test_merged_program_names_no_folder_of_the_exporting_machine(self):
        model = self.workspace.new_path(".pt2")
        models.export_to(model, models.example("my_scale"))
        program = torch.export.load(model)
        self.assertIn(os.sep, str([n.meta.get("stack_trace") for n in program.graph.nodes]))
        adapter = self.adapter
        merged = self.workspace.new_path(".pt2")
        config = self.config("unused", model={"path": self.model})
        self.workspace.tenon_ok("merge", config, "--adapter", adapter, "--output", merged)
        self.assertNotIn(b'File \\"/', merged.read_bytes())
        x = load_file(self.inputs)["input"]
        torch.export.load(merged).module()(x)


if __name__ == "__main__":
    main()
