"""Runs that go wrong: bad configs, damaged files, a full disk, NaN, Ctrl-C. Each says what is wrong,
where and what to do, gives the documented exit status, and leaves nothing half done."""

import json
import os
import pty
import resource
import select
import signal
import subprocess

import torch
from safetensors.torch import load_file, save_file
from support import ParityTest, main

MODEL = {
    "name": "Net",
    "seed": 1,
    "layers": [
        {"name": "hidden", "type": "Linear", "in_features": 4, "out_features": 16},
        {"name": "act", "type": "ReLU"},
        {"name": "head", "type": "Linear", "in_features": 16, "out_features": 3},
    ],
}


class FailuresTest(ParityTest):
    def data(self, rows=64, **changes):
        torch.manual_seed(5)
        tensors = {"input": torch.rand(rows, 4), "labels": torch.randint(3, (rows,))}
        return self.workspace.write_tensors({**tensors, **changes})

    def config(self, **changes):
        config = {
            "model": MODEL,
            "adapter": {"method": "lora", "target_modules": ["hidden"], "r": 2},
            "data": {"train": self.data()},
            "train": {"loss": "cross_entropy", "optimizer": "sgd", "learning_rate": 0.1, "steps": 4},
            "output": {"directory": self.workspace.new_path()},
        }
        for table, keys in changes.items():
            config[table] = {**config.get(table, {}), **keys}
        return config

    def run_config(self, config, *arguments, **process):
        return self.workspace.tenon(
            "run", self.workspace.write_config(config), *arguments, **process
        )

    def check_fails(self, done, status, *fragments):
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        for fragment in fragments:
            self.assertIn(fragment, done.stderr)

    # Configs ------------------------------------------------------------------------------------

    def test_unknown_key_is_named_with_its_place_and_the_nearest_one(self):
        done = self.run_config(self.config(train={"lerning_rate": 1.0}))
        self.check_fails(done, 2, "lerning_rate", "learning_rate")
        self.assertRegex(done.stderr, r"\.toml:\d+:\d+")

    def test_all_problems_of_a_config_come_at_once(self):
        done = self.run_config(
            self.config(train={"learning_rate": "fast", "stepz": 3}, adapter={"r": 0})
        )
        self.check_fails(done, 2, "learning_rate", "stepz", "`adapter.r`")

    def test_no_target_matched_names_the_nearest(self):
        done = self.run_config(self.config(adapter={"target_modules": ["hiden"]}))
        self.check_fails(done, 2, "`hiden` in target_modules matches no module", "`hidden`")

    def test_one_entry_of_the_list_matched_nothing(self):
        done = self.run_config(self.config(adapter={"target_modules": ["hidden", "q_proj"]}))
        self.check_fails(done, 2, "`q_proj` in target_modules matches no module")

    def test_bad_regex_is_shown_with_its_fault(self):
        done = self.run_config(self.config(adapter={"target_modules": "hid(den"}))
        self.check_fails(done, 2, "target_modules", "hid(den")

    def test_missing_gpu_is_an_error_and_no_silent_cpu(self):
        if torch.cuda.is_available():
            self.skipTest("this machine has a GPU")
        done = self.run_config(self.config(model={"device": "cuda"}))
        self.check_fails(done, 1, "cuda")
        self.assertNotIn("trainable params", done.stdout)

    # Files --------------------------------------------------------------------------------------

    def test_damaged_safetensors_is_refused_by_its_fault(self):
        path = self.data()
        whole = path.read_bytes()
        for name, damaged, fragment in (
            ("cut", whole[: len(whole) - 40], "cut"),
            ("header", whole[:4], "header"),
            ("json", whole[:8] + b"{" * 8 + whole[16:], "header"),
        ):
            with self.subTest(damage=name):
                path.write_bytes(damaged)
                done = self.run_config(self.config(data={"train": path}))
                self.check_fails(done, 1, path.name)
                self.assertRegex(done.stderr.lower(), f"{fragment}|truncated|ends")

    def saved_adapter(self):
        folder = self.workspace.new_path()
        done = self.run_config(self.config(output={"directory": folder}))
        self.assertEqual(done.returncode, 0, done.stderr)
        return folder

    def predict(self, adapter):
        inputs = self.workspace.write_tensors({"input": torch.rand(2, 4)})
        outputs = self.workspace.new_path(".safetensors")
        config = self.workspace.write_config({"model": MODEL})
        done = self.workspace.tenon(
            *("predict", config, "--adapter", adapter, "--inputs", inputs, "--outputs", outputs)
        )
        self.assertEqual(outputs.exists(), done.returncode == 0)
        return done

    def test_truncated_adapter_is_refused(self):
        folder = self.saved_adapter()
        tensors = folder / "adapter_model.safetensors"
        tensors.write_bytes(tensors.read_bytes()[:-10])
        self.check_fails(self.predict(folder), 1, "adapter_model.safetensors")

    def test_missing_unexpected_and_misshapen_tensors_are_listed_together(self):
        folder = self.saved_adapter()
        path = folder / "adapter_model.safetensors"
        tensors = load_file(path)
        del tensors["base_model.model.hidden.lora_A.weight"]
        tensors["base_model.model.hidden.lora_B.weight"] = torch.zeros(3, 2)
        tensors["base_model.model.other.lora_A.weight"] = torch.zeros(2, 2)
        save_file(tensors, path)
        self.check_fails(
            self.predict(folder),
            1,
            "lora_A.weight of hidden: missing in the file",
            "lora_B.weight of hidden: file has [3, 2], the model needs [16, 2]",
            "lora_A.weight of other: in the file, but the adapted model has no such parameter",
        )

    def test_adapter_folder_without_tensors_is_incomplete(self):
        folder = self.saved_adapter()
        (folder / "adapter_model.safetensors").unlink()
        self.check_fails(self.predict(folder), 1, "Can't find 'adapter_model.safetensors'")

    def test_occupied_output_folder_is_refused_before_training_unless_forced(self):
        folder = self.saved_adapter()
        before = (folder / "adapter_model.safetensors").read_bytes()
        config = self.config(output={"directory": folder}, train={"learning_rate": 0.5})
        done = self.run_config(config)
        self.check_fails(done, 1, "the folder is not empty", "--force")
        self.assertNotIn("step 1/", done.stdout)
        self.assertEqual((folder / "adapter_model.safetensors").read_bytes(), before)
        self.assertEqual(self.run_config(config, "--force").returncode, 0)
        self.assertNotEqual((folder / "adapter_model.safetensors").read_bytes(), before)

    def test_write_that_fails_keeps_the_old_adapter_whole(self):
        """RLIMIT_FSIZE makes a write fail for root too."""
        folder = self.saved_adapter()
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        done = self.run_config(
            self.config(output={"directory": folder}),
            "--force",
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
        )
        self.check_fails(done, 1, str(folder), "File too large")
        self.assertEqual({path.name: path.read_bytes() for path in folder.iterdir()}, before)

    # Training -----------------------------------------------------------------------------------

    def test_loss_that_is_nan_stops_the_run_and_saves_the_last_good_adapter(self):
        rows = torch.rand(64, 4)
        rows[40:] = float("nan")
        folder = self.workspace.new_path()
        done = self.run_config(
            self.config(
                data={"train": self.data(input=rows)},
                train={"batch_size": 16, "shuffle": False},
                output={"directory": folder},
            )
        )
        self.check_fails(done, 1, "the loss was not finite at step 3", str(folder))
        for name, tensor in load_file(folder / "adapter_model.safetensors").items():
            self.assertTrue(torch.isfinite(tensor).all(), name)

    def long_run(self, folder):
        return self.workspace.write_config(
            self.config(
                train={"steps": 500_000, "learning_rate": 1e-6}, output={"directory": folder}
            )
        )

    def test_interrupt_finishes_the_step_saves_and_says_so(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number.name):
                folder = self.workspace.new_path()
                process = subprocess.Popen(
                    self.workspace.command("run", self.long_run(folder)),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                line = ""
                while not line.startswith("step "):
                    line = process.stdout.readline()
                    self.assertTrue(line, "the run ended before its first step")
                process.send_signal(number)
                out, err = process.communicate(timeout=60)
                self.assertRegex(out, r"interrupted after step \d+", err)
                self.assertIn(f"saved in {folder}", out)
                self.assertEqual(
                    sorted(path.name for path in folder.iterdir()),
                    ["adapter_config.json", "adapter_model.safetensors", "tenon.json"],
                )

    # What a user sees ---------------------------------------------------------------------------

    def test_terminal_gets_a_bar_and_a_pipe_plain_lines(self):
        config = self.workspace.write_config(self.config())
        piped = self.workspace.tenon_ok("run", config).stdout
        self.assertIn("step 4/4  loss ", piped)
        self.assertNotIn("\r", piped)

        primary, secondary = pty.openpty()
        process = subprocess.Popen(
            self.workspace.command("run", config, "--force"),
            stdout=secondary,
            stderr=subprocess.DEVNULL,
        )
        os.close(secondary)
        shown = b""
        while True:
            ready, _, _ = select.select([primary], [], [], 60)
            try:
                part = os.read(primary, 4096) if ready else b""
            except OSError:  # the other end was closed
                break
            if not part:
                break
            shown += part
        os.close(primary)
        self.assertEqual(process.wait(timeout=60), 0)
        self.assertRegex(shown.decode(), r"\r\[=+\] 4/4  loss \d")

    def test_failure_as_json_is_one_object_on_standard_output(self):
        path = self.workspace.write_config(self.config(adapter={"target_modules": ["nothing"]}))
        done = self.workspace.tenon("run", path, "--json")
        error = json.loads(done.stdout)["error"]
        self.assertEqual(sorted(error), ["hint", "location", "message", "stage"])
        self.assertEqual(done.returncode, 2)

    def test_doctor_tells_what_is_wrong(self):
        missing = self.workspace.new_path()
        environment = {**os.environ, "TENON_PLUGIN_PATH": str(missing)}
        done = self.workspace.tenon_ok("doctor", env=environment)
        self.assertIn(f"problem: TENON_PLUGIN_PATH names {missing}, which is not a", done.stdout)
        self.assertIn("LibTorch ", done.stdout)

    def test_batches_that_a_fixed_export_cannot_take_are_refused(self):
        path = self.workspace.new_path(".pt2")
        torch.export.save(torch.export.export(torch.nn.Linear(4, 2), (torch.rand(4, 4),)), path)
        done = self.workspace.tenon(
            *("predict", self.workspace.write_config({"model": {"path": path}})),
            *("--inputs", self.workspace.write_tensors({"input": torch.rand(8, 4)})),
            *("--outputs", self.workspace.new_path(".safetensors"), "--batch-size", "3"),
        )
        self.check_fails(
            done, 2, "--batch-size 3 cannot split 8 rows", "`input` was fixed to 4", "dynamic"
        )

    def test_quiet_prints_nothing_but_errors(self):
        done = self.workspace.tenon_ok("run", self.workspace.write_config(self.config()), "-q")
        self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    main()
