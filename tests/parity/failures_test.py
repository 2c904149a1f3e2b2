"""Runs that go wrong: bad configs, damaged files, a full disk, NaN, Ctrl-C. Each says what is wrong,
where and what to do, gives the documented exit status, and leaves nothing half done."""

import json
import os
import pty
import re
import resource
import select
import signal
import subprocess
import time

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

    def test_a_wrong_verb_names_the_right_one(self):
        done = self.workspace.tenon("rnu", "x.toml")
        self.check_fails(done, 2, "there is no verb `rnu`; did you mean `run`?")
        self.check_fails(self.workspace.tenon("adapter", "combin"), 2, "did you mean `combine`?")

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
        (folder / "tenon.json").unlink()  # it has the hash of the tensors that were saved
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
                self.assertEqual(process.returncode, 128 + number)
                step = re.search(r"interrupted after step (\d+)", out)[1]
                files = ["adapter_config.json", "adapter_model.safetensors", "tenon.json"]
                self.assertEqual(
                    sorted(path.name for path in folder.iterdir()),
                    sorted([*files, f"checkpoint-{step}"]),
                )

    def test_a_signal_saves_and_is_the_exit_status_also_of_a_quiet_run(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number.name):
                folder = self.workspace.new_path()
                process = subprocess.Popen(
                    self.workspace.command("run", self.long_run(folder), "-q"),
                    stderr=subprocess.PIPE,
                    text=True,
                )
                # Anything before the first step ends it at once, without an adapter.
                time.sleep(1.5)
                process.send_signal(number)
                _, err = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 128 + number, err)
                self.assertRegex(err, rf"ended by {number.name} after step \d+; what was trained is "
                                      rf"saved in {folder}")
                self.assertTrue((folder / "adapter_model.safetensors").exists())

    def test_a_signal_before_the_first_step_ends_any_verb_at_once(self):
        config = self.workspace.write_config(self.config())
        for verb in (["run", config, "--force"], ["plan", config]):
            for delay in (0.0, 0.02, 0.05, 0.1):
                with self.subTest(verb=verb[0], delay=delay):
                    process = subprocess.Popen(
                        self.workspace.command(*verb),
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.PIPE,
                        text=True,
                    )
                    time.sleep(delay)
                    process.send_signal(signal.SIGTERM)
                    _, err = process.communicate(timeout=20)
                    # 0: it was done before; -SIGTERM: it had not begun.
                    self.assertIn(process.returncode, (0, 128 + signal.SIGTERM, -signal.SIGTERM))
                    if process.returncode == 128 + signal.SIGTERM:
                        self.assertIn("ended by SIGTERM", err)

    def test_a_reader_that_has_read_enough_ends_no_training(self):
        folder = self.workspace.new_path()
        config = self.workspace.write_config(
            self.config(train={"steps": 300}, output={"directory": folder})
        )
        process = subprocess.Popen(
            self.workspace.command("run", config), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        process.stdout.readline()
        process.stdout.close()
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, err)
        self.assertTrue((folder / "adapter_model.safetensors").exists())

    def test_an_answer_that_cannot_be_written_is_a_failure(self):
        config = self.workspace.write_config(self.config())
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                self.workspace.command("plan", config), stdout=full, stderr=subprocess.PIPE
            )
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"standard output could not be written", done.stderr)

    def embedding_config(self, ids, **changes):
        torch.manual_seed(5)
        rows = {"input": ids, "labels": torch.randint(3, (len(ids), 4))}
        layers = [
            {"name": "words", "type": "Embedding", "num_embeddings": 10, "embedding_dim": 4},
            {"name": "head", "type": "Linear", "in_features": 4, "out_features": 3},
        ]
        config = self.config(data={"train": self.workspace.write_tensors(rows)}, **changes)
        config["model"] = {"layers": layers}
        config["adapter"] = {"r": 2, "target_modules": ["head"]}
        return config

    def test_ids_out_of_range_name_row_column_and_layer_before_the_first_step(self):
        ids = torch.randint(0, 10, (200, 4))
        ids[150, 2] = 700
        done = self.run_config(self.embedding_config(ids))
        self.check_fails(
            done, 1, "`input` holds 700 in row 150, column 2", "`words` (torch.nn.Embedding) has 10"
        )
        self.assertNotIn("step 1/", done.stdout)
        outputs = self.workspace.new_path(".safetensors")
        done = self.workspace.tenon(
            *("predict", self.workspace.write_config(self.embedding_config(ids))),
            *("--inputs", self.workspace.write_tensors({"input": ids}), "--outputs", outputs),
        )
        self.check_fails(done, 1, "`input` holds 700 in row 150, column 2", "`words`")

    def test_a_class_that_is_none_is_told_before_the_first_step(self):
        labels = torch.randint(3, (64,))
        labels[50] = 9
        done = self.run_config(
            self.config(data={"train": self.data(labels=labels)}, train={"batch_size": 4})
        )
        self.check_fails(done, 1, "holds class 9 in row 50", "has 3 classes")
        self.assertNotIn("step 1/", done.stdout)

    def test_batches_without_labels_are_skipped_and_counted(self):
        labels = torch.tensor([0, 1, -100, 2])
        data = self.data(rows=4, labels=labels)
        train = {"batch_size": 1, "shuffle": False, "epochs": 2}
        config = self.config(data={"train": data}, train=train)
        del config["train"]["steps"]
        done = self.run_config(config, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("2 batches were skipped", done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual((result["steps"], result["batches_skipped"]), (6, 2))

    def test_which_weight_holds_a_nan(self):
        weights = {f"{name}.{kind}": torch.rand(*shape)
                   for name, out, into in (("hidden", 16, 4), ("head", 3, 16))
                   for kind, shape in (("weight", (out, into)), ("bias", (out,)))}
        weights["hidden.weight"][7, 2] = float("nan")
        file = self.workspace.write_tensors(weights)
        data = self.data()
        config = self.config(model={"weights": file}, data={"eval": data, "train": data})
        done = self.run_config(config)
        self.check_fails(done, 1, "the evaluation before training is not finite",
                         f"the base's `hidden.weight` ({file}) holds NaN in row 7")
        del config["data"]["eval"]
        self.check_fails(self.run_config(config), 1, f"`hidden.weight` ({file}) holds NaN in row 7")
        adapter = self.saved_adapter()
        merged = self.workspace.new_path(".safetensors")
        done = self.workspace.tenon(
            *("merge", self.workspace.write_config(config), "--adapter", adapter),
            *("--output", merged),
        )
        self.check_fails(done, 1, "in the base's own weight of `hidden`, not in the adapter")
        outputs = self.workspace.new_path(".safetensors")
        done = self.workspace.tenon(
            *("predict", self.workspace.write_config({"model": config["model"]}), "--inputs"),
            *(self.workspace.write_tensors({"input": torch.rand(2, 4)}), "--outputs", outputs),
        )
        self.check_fails(done, 1, "the outputs are not finite: `output_0` holds NaN in row 0",
                         f"`hidden.weight` ({file}) holds NaN in row 7")
        self.assertTrue(outputs.exists())

    def test_a_broken_adapter_is_not_combined(self):
        good, bad = self.saved_adapter(), self.saved_adapter()
        path = bad / "adapter_model.safetensors"
        tensors = load_file(path)
        tensors["base_model.model.hidden.lora_A.weight"][0, 0] = float("nan")
        save_file(tensors, path)
        (bad / "tenon.json").unlink()  # it has the hash of the tensors that were saved
        output = self.workspace.new_path()
        done = self.workspace.tenon(
            "adapter", "combine", good, bad, "--weights", "1,1", "--output", output
        )
        self.check_fails(done, 1, f"{bad}: this adapter holds NaNs or infinities, in hidden.lora_A")
        self.assertFalse(output.exists())

    def test_what_is_odd_is_told(self):
        data = self.data()
        copy = self.workspace.new_path(".safetensors")
        copy.write_bytes(data.read_bytes())
        done = self.run_config(self.config(data={"train": data, "eval": copy}))
        self.assertIn("[data] eval holds the same as [data] train", done.stderr)
        done = self.run_config(self.config(train={"loss": "nll"}))
        self.assertIn("the loss nll was negative: it takes log-probabilities", done.stderr)
        done = self.run_config(self.config(train={"learning_rate": 1e-50}))
        self.assertIn("no trained parameter has moved", done.stderr)
        self.check_fails(self.run_config(self.config(data={"scale": 0})), 2, "must not be 0")

    def test_slips_in_data_are_told_by_what_they_are(self):
        text = "a,b,c,d,labels\n1,2,3,4,0\n"
        for encoding in ("utf-16-le", "utf-16-be"):
            file = self.workspace.new_path(".csv")
            file.write_bytes(("\ufeff" + text).encode(encoding))
            done = self.run_config(self.config(data={"train": file}))
            self.check_fails(done, 1, f"{file}: this is no CSV file but text in UTF-16", "as UTF-8")
        done = self.run_config(self.config(data={"scale": 1e300}))
        self.check_fails(done, 1, "[data] scale", "makes numbers of the file too large")
        done = self.run_config(self.config(data={"inputs": []}))
        self.check_fails(done, 2, "`data.inputs` names nothing")
        done = self.run_config(self.config(data={"sample_weight": "labels"}))
        self.check_fails(done, 2, "`data.sample_weight` is the target: `labels`")
        done = self.run_config(self.config(train={"class_weight": [0, 0, 0]}))
        self.check_fails(done, 1, "or weighs nothing", "class_weight")
        program = self.workspace.new_path(".toml")
        program.write_bytes(b"PK\x03\x04rest")
        done = self.workspace.tenon("run", program)
        self.check_fails(done, 2, "this is no config but a zip archive", "tenon init MODEL.pt2")

    def test_predictions_see_the_numbers_that_were_trained_on(self):
        """[data] scale is applied by predict too, to whatever kind of file."""
        torch.manual_seed(2)
        rows = torch.randint(-8, 8, (6, 4)) / 4
        table = self.workspace.new_path(".csv")
        lines = [",".join(map(str, [*row, 0])) for row in rows.tolist()]
        table.write_text("\n".join(["a,b,c,d,labels", *lines, ""]))
        tensors = self.workspace.write_tensors({"input": rows})
        small = self.workspace.write_tensors({"input": rows / 16})
        plain = self.workspace.write_config({"model": MODEL})
        scaled = self.workspace.write_config(
            {"model": MODEL, "data": {"train": table, "scale": 1 / 16}}
        )

        def outputs(config, inputs):
            out = self.workspace.new_path(".safetensors")
            self.workspace.tenon_ok("predict", config, "--inputs", inputs, "--outputs", out)
            return load_file(out)["output_0"]

        expected = outputs(plain, small)
        self.assertFalse(torch.equal(outputs(plain, tensors), expected))
        for file in (tensors, table):
            self.assertTrue(torch.equal(outputs(scaled, file), expected), file)

    def test_columns_of_other_files_go_by_their_names(self):
        torch.manual_seed(2)
        x, labels = torch.rand(16, 4), torch.randint(3, (16,))
        rows = [[*map(float, row), int(label)] for row, label in zip(x, labels, strict=True)]

        def write(order):
            names = ["a", "b", "c", "d", "labels"]
            path = self.workspace.new_path(".csv")
            lines = [",".join(order)]
            lines += [",".join(repr(row[names.index(name)]) for name in order) for row in rows]
            path.write_text("\n".join(lines) + "\n")
            return path

        train = write(["a", "b", "c", "d", "labels"])
        losses = []
        for order in (["a", "b", "c", "d", "labels"], ["labels", "d", "c", "a", "b"]):
            config = self.config(data={"train": train, "eval": write(order)})
            done = self.run_config(config, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            losses.append(json.loads(done.stdout)["eval"]["before"]["loss"])
        self.assertEqual(*losses)
        predicted = []
        for order in (["a", "b", "c", "d"], ["d", "labels", "b", "a", "c"]):
            outputs = self.workspace.new_path(".safetensors")
            self.workspace.tenon_ok(
                *("predict", self.workspace.write_config(config), "--inputs", write(order)),
                *("--outputs", outputs),
            )
            predicted.append(load_file(outputs)["output_0"])
        self.assertTrue(torch.equal(*predicted))
        other = train.read_text().replace("a,b,c,d", "a,b,c,e")
        wrong = self.workspace.new_path(".csv")
        wrong.write_text(other)
        config = self.config(data={"train": train, "eval": wrong})
        self.check_fails(self.run_config(config), 1, "there is no column `d`", "column `e`")

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
