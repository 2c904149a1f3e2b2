"""A run that goes on from a checkpoint gives bit for bit what one that was not interrupted gives."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from cases import make_case
from peft import PeftModel
from plugins_test import build
from safetensors.torch import load_file
from support import ParityTest, layers, main

KILLS = 50
IS_SWEEP = "--all" in sys.argv
if IS_SWEEP:
    sys.argv.remove("--all")
    KILLS = 1000
# The kinds of training that the quick tests try; the sweep tries all.
QUICK = ("clipping, a schedule, evaluations", "bfloat16 throughout", "two adapters", "LoRA-FA")
QUICK += ("saved modules and biases", "statistics", "eva")

NET = {
    "name": "Net",
    "seed": 1,
    "layers": [
        {"name": "hidden", "type": "Linear", "in_features": 4, "out_features": 16},
        {"name": "norm", "type": "BatchNorm1d", "num_features": 16},
        {"name": "act", "type": "ReLU"},
        {"name": "drop", "type": "Dropout", "p": 0.2},
        {"name": "head", "type": "Linear", "in_features": 16, "out_features": 3},
    ],
}
TAGGER = {
    "name": "Tagger",
    "seed": 1,
    "layers": [
        {"name": "words", "type": "Embedding", "num_embeddings": 20, "embedding_dim": 8},
        {"name": "lstm", "type": "LSTM", "input_size": 8, "hidden_size": 8, "batch_first": True},
        {"name": "flat", "type": "Flatten"},
        {"name": "head", "type": "Linear", "in_features": 40, "out_features": 3},
    ],
}


def adapter_hash(folder):
    return hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()


class ResumeTest(ParityTest):
    def rows(self, kind="floats"):
        torch.manual_seed(5)
        inputs = torch.rand(30, 4) if kind == "floats" else torch.randint(20, (30, 5))
        return self.workspace.write_tensors(
            {"input": inputs, "labels": torch.randint(3, (30,))}
        )

    def config(self, **changes):
        config = {
            "model": NET,
            "adapter": {"target_modules": ["hidden"], "r": 2, "lora_dropout": 0.1},
            "data": {"train": self.rows()},
            "train": {
                "optimizer": "adamw",
                "learning_rate": 0.01,
                "steps": 14,
                "batch_size": 8,
                "threads": 1,
            },
            "output": {"directory": self.workspace.new_path()},
        }
        for table, keys in changes.items():
            if isinstance(keys, list):
                config[table] = keys
            else:
                config[table] = {**config.get(table, {}), **keys}
        return config

    def check_resumed(self, config, save_steps=5, arguments=()):
        """One run with checkpoints, and one that goes on from the first of them elsewhere."""
        config["output"]["save_steps"] = save_steps
        place = "model" if config["train"].get("full") else "directory"
        whole = config["output"][place]
        report = self.workspace.tenon_json(
            "run", self.workspace.write_config(config), *arguments
        )
        folder = whole.with_suffix(".run") if place == "model" else whole
        checkpoint = folder / f"checkpoint-{save_steps}"
        again = {**config, "output": {place: self.workspace.new_path(whole.suffix)}}
        path = self.workspace.write_config(again)
        resumed = self.workspace.tenon_json("run", path, "--resume", checkpoint, *arguments)
        for key in ("losses", "learning_rates", "grad_norms", "steps", "eval"):
            self.assertEqual(resumed[key], report[key], key)
        if place == "model":
            self.assertEqual(again["output"][place].read_bytes(), whole.read_bytes())
            return
        for one in whole.rglob("adapter_model.safetensors"):
            if "checkpoint-" in str(one):
                continue
            other = again["output"][place] / one.relative_to(whole)
            self.assertEqual(other.read_bytes(), one.read_bytes(), one)
        self.assertNotEqual(adapter_hash(whole), adapter_hash(checkpoint))

    def test_every_kind_of_training_goes_on_as_if_it_had_not_ended(self):
        two = [
            {"name": "default", "target_modules": ["hidden"], "r": 2},
            {"name": "second", "target_modules": ["head"], "r": 2},
        ]
        words = {"data": {"train": self.rows("words")}, "model": TAGGER}
        cases = {
            "clipping, a schedule, evaluations": {
                "train": {
                    "max_grad_norm": 0.1,
                    "lr_scheduler_type": "cosine",
                    "warmup_steps": 0.3,
                    "eval_steps": 4,
                },
                "data": {"eval": self.rows()},
            },
            "accumulation": {"train": {"gradient_accumulation_steps": 2, "batch_size": 3}},
            "bfloat16": {"model": {"dtype": "bfloat16"}},
            "bfloat16 throughout": {
                "model": {"dtype": "bfloat16"},
                "adapter": {"autocast_adapter_dtype": False, "modules_to_save": ["head"]},
            },
            "autocast": {"train": {"autocast": "bfloat16"}},
            "LoRA+": {"train": {"loraplus_lr_ratio": 8}},
            "LoRA-FA": {"train": {"optimizer": "lorafa"}},
            "sgd": {"train": {"optimizer": "sgd", "momentum": 0.9}},
            "amsgrad": {"train": {"optimizer": "adam", "amsgrad": True}},
            "two adapters": {"adapter": two},
            "saved modules and biases": {
                "adapter": {"modules_to_save": ["norm", "head"], "bias": "all"},
            },
            "statistics": {"train": {"batch_norm": "train"}},
            "DoRA and pissa": {"adapter": {"use_dora": True, "init_lora_weights": "pissa"}},
            "eva": {"adapter": {"init_lora_weights": "eva"}},
            "corda": {"adapter": {"init_lora_weights": "corda"}},
            "recomputed": {"train": {"checkpoint": ["hidden"]}},
            "rows of an embedding, an LSTM": {
                **words,
                "adapter": {
                    "target_modules": ["lstm"],
                    "lora_dropout": 0.0,
                    "trainable_token_indices": {"words": [1, 2, 3]},
                },
            },
        }
        self.assertLessEqual(set(QUICK), set(cases))
        for name, changes in cases.items():
            if not IS_SWEEP and name not in QUICK:
                continue
            with self.subTest(name):
                self.check_resumed(self.config(**changes))

    def test_full_training_goes_on(self):
        config = self.config(train={"full": True})
        del config["adapter"]
        config["output"] = {"model": self.workspace.new_path(".safetensors")}
        self.check_resumed(config)

    def test_padding_that_is_cut_and_images_go_on(self):
        case = make_case("minilm", self.workspace.folder, training=True)
        data = case.data(24, length=10)
        ends = torch.linspace(10, 3, 24).long()
        data["attention_mask"] = (torch.arange(10) < ends[:, None]).long()
        config = self.config(
            data={"train": self.workspace.write_tensors(data)},
            train={"group_by_length": True, "loss": case.loss, "steps": 5, "batch_size": 4},
        )
        config["model"], config["adapter"] = case.table, case.adapter_table()
        self.check_resumed(config, save_steps=2)

        vision = Path(__file__).resolve().parents[2] / "configs/vision.toml"
        output = self.workspace.new_path()
        sets = ["--set", "train.epochs=2", "--set", "train.threads=1"]
        saves = ["--set", "output.save_steps=5", "--set", f"output.directory={output}"]
        self.workspace.tenon_ok("run", vision, *sets, *saves)
        other = self.workspace.new_path()
        sets += ["--set", f"output.directory={other}", "--resume", output / "checkpoint-5"]
        self.workspace.tenon_ok("run", vision, *sets)
        self.assertEqual(adapter_hash(other), adapter_hash(output))

    def test_a_third_partys_method_with_tensors_of_its_own_goes_on(self):
        plugins = self.workspace.new_folder()
        build("vera.cpp", plugins / "plugin.so")
        config = self.config()
        config["adapter"] = {"method": "vera", "target_modules": ["hidden", "head"], "r": 4}
        self.check_resumed(config, arguments=("--plugin-dir", plugins))

    def test_a_checkpoint_is_an_adapter_that_tenon_and_peft_load(self):
        case = make_case("mlp", self.workspace.folder, training=True)
        data = case.data(40)
        config = self.config(data={"train": self.workspace.write_tensors(data)})
        config["model"], config["adapter"] = case.table, case.adapter_table()
        config["train"]["loss"] = case.loss
        config["output"]["save_steps"] = 5
        self.workspace.tenon_ok("run", self.workspace.write_config(config))
        checkpoint = config["output"]["directory"] / "checkpoint-5"
        inputs = case.inputs(3)
        found = self.workspace.predict(case.table, inputs, checkpoint)
        model = case.load_by_peft(checkpoint).eval()
        self.assert_within(found, case.predict(model, inputs), 1e-5)

    def test_the_newest_and_the_best_stay(self):
        config = self.config(
            train={"eval_steps": 2, "load_best_model_at_end": True, "learning_rate": 0.5},
            data={"eval": self.rows()},
            output={"save_steps": 2, "save_total_limit": 2},
        )
        report = self.workspace.tenon_json("run", self.workspace.write_config(config))
        directory = config["output"]["directory"]
        names = {path.name for path in directory.glob("checkpoint-*")}
        best = report["best"]["step"]
        self.assertLessEqual(names, {f"checkpoint-{best}", "checkpoint-12", "checkpoint-14"})
        self.assertLessEqual({f"checkpoint-{best}", "checkpoint-14"}, names)
        self.assertEqual(adapter_hash(directory), adapter_hash(directory / f"checkpoint-{best}"))
        self.assertEqual(report["eval"]["after"]["loss"], report["best"]["value"])

    def test_the_best_of_all_parts_of_a_run_is_loaded_at_its_end(self):
        config = self.config(
            train={"eval_steps": 2, "load_best_model_at_end": True, "learning_rate": 0.5},
            data={"eval": self.rows()},
            output={"save_steps": 2},
        )
        path = self.workspace.write_config(config)
        whole = self.workspace.tenon_json("run", path)
        directory = config["output"]["directory"]
        wanted = adapter_hash(directory)
        for step in (2, 6, 12):  # before the best and after it
            with self.subTest(step=step):
                # In another folder, where the best so far has no checkpoint.
                sets = ["--set", f"output.directory={self.workspace.new_path()}"]
                checkpoint = directory / f"checkpoint-{step}"
                part = self.workspace.tenon_json("run", path, *sets, "--resume", checkpoint)
                self.assertEqual(part["best"], whole["best"])
                self.assertEqual(adapter_hash(Path(sets[1].partition("=")[2])), wanted)

    def test_what_must_not_change_is_named_with_both_values(self):
        config = self.config(output={"save_steps": 5})
        path = self.workspace.write_config(config)
        self.workspace.tenon_ok("run", path)
        changed = ["--set", "train.learning_rate=0.5", "--set", "adapter.r=4"]
        done = self.workspace.tenon("run", path, "--resume", *changed)
        self.assertEqual(done.returncode, 2)
        self.assertIn("`adapter.r` was 2 and is 4", done.stderr)
        self.assertIn("`train.learning_rate` was 0.01 and is 0.5", done.stderr)
        other = self.rows("words")
        done = self.workspace.tenon("run", path, "--resume", "--set", f"data.train={other}")
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, "`data.train`, .*, does not hold what it was trained on")
        done = self.workspace.tenon("run", path, "--resume", "--set", "model.seed=2")
        self.assertEqual(done.returncode, 2)
        self.assertIn("`model.seed` was 1 and is 2", done.stderr)
        done = self.workspace.tenon_ok("run", path, "--resume", "--set", "train.steps=16")
        self.assertIn("`train.steps` was 14 and is 16", done.stderr)

    def test_another_file_of_a_losss_or_metrics_plugin_is_told(self):
        built_in = Path(self.workspace.command()[0]).parent.parent / "lib/tenon/plugins"
        for name, train in (
            ("focal", {"loss": "tenon.focal"}),
            ("calibration_error", {"metrics": ["tenon.calibration_error"]}),
        ):
            with self.subTest(name):
                config = self.config(
                    train=train, data={"eval": self.rows()}, output={"save_steps": 5}
                )
                path = self.workspace.write_config(config)
                self.workspace.tenon_ok("run", path)
                done = self.workspace.tenon_ok("run", path, "--resume")
                self.assertNotIn("is another file", done.stderr)
                other = self.workspace.new_folder()
                (other / "other.so").write_bytes((built_in / f"{name}.so").read_bytes() + b"\0")
                done = self.workspace.tenon_ok("run", path, "--resume", "--plugin-dir", other)
                self.assertRegex(done.stderr, "the plugin \\S+ is another file than before")

    def test_a_run_cannot_become_shorter_than_it_is(self):
        path = self.workspace.write_config(self.config(output={"save_steps": 5}))
        self.workspace.tenon_ok("run", path)
        done = self.workspace.tenon("run", path, "--resume", "--set", "train.steps=9")
        self.assertEqual(done.returncode, 2)
        self.assertIn("`train.steps` is 9, and 14 steps were taken", done.stderr)
        done = self.workspace.tenon_ok("run", path, "--resume")
        self.assertIn("nothing is left to train: 14 steps were taken", done.stderr)

    def test_a_state_that_was_changed_by_hand_is_refused(self):
        path = self.workspace.write_config(config := self.config(output={"save_steps": 5}))
        self.workspace.tenon_ok("run", path)
        file = config["output"]["directory"] / "checkpoint-14/trainer_state.json"
        whole = json.loads(file.read_text())
        changed = {**whole, "step": 13}
        older = {**whole, "sha256": {"trainer_state.safetensors": whole["sha256"]["trainer_state.safetensors"]}}
        for state, told in (
            (changed, "this was changed after it was saved"),
            ({}, "a key that it must have is missing or holds something else"),
            ({**whole, "sha256": []}, "a key that it must have is missing or holds something else"),
        ):
            file.write_text(json.dumps(state))
            done = self.workspace.tenon("run", path, "--resume", "--set", "train.steps=16")
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"{file}: ", done.stderr)
            self.assertIn(told, done.stderr)
            self.assertNotIn("json.exception", done.stderr)
        infinite = {**older, "best": {"value": "inf", "step": 5, "worse": 0}}
        for state in (infinite, older):  # of a tenon that kept no hash of it
            file.write_text(json.dumps(state))
            self.workspace.tenon_ok(
                "run", path, "--resume", file.parent, "--set", "train.steps=16"
            )

    def test_without_a_checkpoint_the_run_begins_and_says_so(self):
        path = self.workspace.write_config(self.config())
        done = self.workspace.tenon_ok("run", path, "--resume")
        self.assertIn("there is no checkpoint in", done.stderr)
        again = self.workspace.tenon("run", path, "--resume")
        self.assertNotEqual(again.returncode, 0)  # an adapter is there, and no checkpoint of it

    def test_a_signal_saves_a_checkpoint_and_tells_the_command_that_goes_on(self):
        config = self.config(train={"steps": 300})
        self.workspace.tenon_ok("run", self.workspace.write_config(config))
        wanted = adapter_hash(config["output"]["directory"])
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            with self.subTest(number.name):
                config["output"] = {"directory": self.workspace.new_path()}
                config["train"]["steps"] = 300
                path = self.workspace.write_config(config)
                process = subprocess.Popen(
                    self.workspace.command("run", path),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                process.stdout.readline()
                while not process.stdout.readline().startswith("step "):
                    pass
                process.send_signal(number)
                out, err = process.communicate(timeout=60)
                if process.returncode == 0:
                    continue  # it was done
                self.assertEqual(process.returncode, 128 + number, err)
                self.assertEqual(err.splitlines()[-1], f"tenon run {path} --resume")
                directory = config["output"]["directory"]
                self.assertEqual(len(list(directory.glob("checkpoint-*"))), 1)
                self.workspace.tenon_ok("run", path, "--resume")
                self.assertEqual(adapter_hash(directory), wanted)

    def test_whoever_is_killed_the_run_goes_on_to_the_same_adapter(self):
        config = self.config(train={"steps": 40}, output={"save_steps": 1, "save_total_limit": 2})
        path = self.workspace.write_config(config)
        directory = config["output"]["directory"]
        self.workspace.tenon_ok("run", path)
        wanted = adapter_hash(directory)
        start = time.monotonic()
        self.workspace.tenon_ok("run", path, "--force")
        length = time.monotonic() - start
        generator = random.Random(7)
        killed = 0
        while killed < KILLS:
            fresh = generator.random() < 0.1
            process = subprocess.Popen(
                self.workspace.command("run", path, "--force" if fresh else "--resume", "-q")
            )
            try:
                process.wait(timeout=length * generator.uniform(0.3, 0.9))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed += 1
            else:
                self.assertEqual(process.returncode, 0)
            visible = list(directory.glob("checkpoint-*"))
            self.assertTrue(visible)
            for checkpoint in visible:  # complete
                json.loads((checkpoint / "trainer_state.json").read_text())
                load_file(checkpoint / "adapter_model.safetensors")
        self.workspace.tenon_ok("run", path, "--resume")
        self.assertEqual(adapter_hash(directory), wanted)
        self.assertFalse(list(directory.glob(".tenon-*")))


if __name__ == "__main__":
    main()
