"""Losses and metrics that come from plugins: the built-in ones against the formulas of PyTorch,
transformers and scikit-learn, and what a config that names a wrong one is told."""

import json
import re
import subprocess

import numpy as np
import torch
import torch.nn.functional as F
from plugins_test import build
from safetensors.torch import load_file
from sklearn.calibration import calibration_curve
from support import ParityTest, main
from transformers.models.clip.modeling_clip import image_text_contrastive_loss

SAME = {"dtype": "float64", "layers": [{"name": "same", "type": "Identity"}]}


def focal(scores, truth, gamma, alpha=None, weights=None):
    """Of each row: F.cross_entropy times what focal loss adds to it."""
    each = F.cross_entropy(scores, truth, reduction="none", ignore_index=-100)
    each = (1 - torch.exp(-each)) ** gamma * each
    judged = truth != -100
    if alpha is not None:
        each = each * alpha[truth.clamp(min=0)]
    weights = torch.ones_like(each) if weights is None else weights
    return (each * weights)[judged].sum() / weights[judged].sum()


class TwoTowers(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = torch.nn.Linear(6, 5), torch.nn.Linear(4, 5)

    def forward(self, image, text):
        return self.one(image), self.other(text)


class ObjectivesTest(ParityTest):
    def evaluate(self, scores, truth, weights=None, **train):
        tensors = {"input": scores, "labels": truth}
        if weights is not None:
            tensors["w"] = weights
        rows = self.workspace.write_tensors(tensors)
        data = {"train": rows, "eval": rows}
        if weights is not None:
            data["sample_weight"] = "w"
        config = {"model": SAME, "data": data, "train": {"threads": 1, **train}}
        path = self.workspace.write_config(config)
        # One batch, and several of which the last is shorter.
        return [
            self.workspace.tenon_json("eval", path, "--set", f"train.batch_size={size}")
            for size in (64, 5)
        ]

    def test_focal_loss_is_the_formula_on_pytorchs_cross_entropy(self):
        torch.manual_seed(1)
        scores, truth = 3 * torch.randn(14, 4).double(), torch.randint(4, (14,))
        truth[3] = truth[9] = -100
        alpha, weights = torch.rand(4).double() + 0.5, torch.rand(14).double()
        cases = [
            ({"gamma": 0.0}, None, focal(scores, truth, 0)),
            ({}, None, focal(scores, truth, 2)),
            ({"gamma": 0.5, "alpha": alpha.tolist()}, None, focal(scores, truth, 0.5, alpha)),
            ({"gamma": 3}, weights, focal(scores, truth, 3, weights=weights)),
        ]
        self.assertAlmostEqual(cases[0][2].item(), F.cross_entropy(scores, truth).item(), delta=1e-12)
        for options, given, wanted in cases:
            with self.subTest(options=options):
                for found in self.evaluate(
                    scores, truth, given, loss="tenon.focal", loss_options=options, metrics=["accuracy"]
                ):
                    self.assertAlmostEqual(found["loss"], wanted.item(), delta=1e-9)
                    judged = truth != -100
                    right = (scores.argmax(1) == truth)[judged].double().mean().item()
                    self.assertAlmostEqual(found["accuracy"], right, delta=1e-12)

    def test_contrastive_loss_of_two_outputs_trains_as_clip_does(self):
        torch.manual_seed(2)
        model = TwoTowers()
        image, text = torch.randn(24, 6), torch.randn(24, 4)
        batch = torch.export.Dim("batch", min=2)
        program = torch.export.export(
            model, (image[:8], text[:8]), dynamic_shapes=({0: batch}, {0: batch})
        )
        exported = self.workspace.new_path(".pt2")
        torch.export.save(program, exported)
        rows = self.workspace.write_tensors({"image": image, "text": text})
        trained = self.workspace.new_path(".safetensors")
        config = {
            "model": {"path": exported},
            "data": {"train": rows},
            "train": {
                **{"loss": "tenon.contrastive", "loss_options": {"temperature": 0.2}, "full": True},
                **{"optimizer": "sgd", "learning_rate": 0.5, "steps": 20, "batch_size": 8},
                **{"shuffle": False, "threads": 1},
            },
            "output": {"model": trained},
        }
        losses = self.workspace.tenon_json("run", self.workspace.write_config(config))["losses"]
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        wanted = []
        for step in range(20):
            part = slice(step % 3 * 8, step % 3 * 8 + 8)
            one, other = (F.normalize(rows) for rows in model(image[part], text[part]))
            loss = image_text_contrastive_loss(one @ other.T / 0.2)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            wanted.append(loss.item())
        self.assertLess(wanted[-1], 0.8 * wanted[0])
        np.testing.assert_allclose(losses, wanted, rtol=2e-5)
        for name, tensor in load_file(trained).items():
            self.assert_within(tensor, model.state_dict()[name], 1e-5)

    def test_calibration_error_is_scikit_learns_curve_summed(self):
        torch.manual_seed(3)
        scores, truth = 2 * torch.randn(400, 3).double(), torch.randint(3, (400,))
        sure, said = scores.softmax(1).max(1)
        right = (said == truth).numpy()
        for bins in (15, 4):
            share, mean = calibration_curve(right, sure.numpy(), n_bins=bins)
            counts = np.bincount(np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], sure.numpy()))
            wanted = (np.abs(share - mean) * counts[counts > 0]).sum() / 400
            name = "tenon.calibration_error"
            options = {} if bins == 15 else {"metric_options": {name: {"bins": bins}}}
            for found in self.evaluate(
                scores, truth, loss="cross_entropy", metrics=["accuracy", name], **options
            ):
                self.assertAlmostEqual(found[name], wanted, delta=1e-9)

    def test_the_best_evaluation_goes_by_a_plugins_metric_in_its_own_direction(self):
        torch.manual_seed(4)
        scores, truth = torch.randn(40, 3), torch.randint(3, (40,))
        rows = self.workspace.write_tensors({"input": scores, "labels": truth})
        layers = [{"name": "fc", "type": "Linear", "in_features": 3, "out_features": 3}]
        name = "tenon.calibration_error"
        folder = self.workspace.new_path()
        config = {
            "model": {"layers": layers},
            "adapter": {"target_modules": ["fc"], "r": 2},
            "data": {"train": rows, "eval": rows},
            "train": {
                **{"loss": "tenon.focal", "learning_rate": 0.3, "steps": 12, "batch_size": 40},
                **{"metrics": [name], "metric_for_best_model": name, "eval_steps": 2},
                **{"load_best_model_at_end": True, "threads": 1},
            },
            "output": {"directory": folder, "save_steps": 2, "log_steps": 2},
        }
        path = self.workspace.write_config(config)
        after = self.workspace.tenon_json("run", path)["eval"]["after"]
        lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
        logged = [line[f"eval_{name}"] for line in lines if f"eval_{name}" in line]
        self.assertGreater(len(set(logged)), 3)
        self.assertEqual(after["metrics"][name] if "metrics" in after else after[name], min(logged))

    def test_a_wrong_name_or_option_is_told_before_anything_runs(self):
        scores, truth = torch.randn(6, 3).double(), torch.randint(3, (6,))
        rows = self.workspace.write_tensors({"input": scores, "labels": truth})
        for train, words in [
            ({"loss": "tenon.focall"}, ["tenon.focall", "tenon.focal"]),
            ({"loss": "acme.none"}, ["acme.none", "tenon.contrastive", "cross_entropy"]),
            ({"loss": "tenon.focal", "loss_options": {"gama": 1}}, ["loss_options.gama", "gamma"]),
            ({"loss": "tenon.focal", "loss_options": {"gamma": -1}}, ["gamma", "at least 0"]),
            ({"loss": "tenon.focal", "loss_options": {"alpha": [1.0]}}, ["alpha", "3 classes"]),
            ({"loss": "nll", "loss_options": {"gamma": 1}}, ["loss_options", "nll"]),
            ({"metrics": ["tenon.calibration"]}, ["tenon.calibration_error"]),
            (
                {"loss": "mse", "metrics": ["tenon.calibration_error"]},
                ["tenon.calibration_error", "not measured of numbers"],
            ),
            ({"metric_options": {"tenon.calibration_error": {"bins": 3}}}, ["metric_options"]),
            (
                {
                    "metrics": ["tenon.calibration_error"],
                    "metric_options": {"tenon.calibration_error": {"bins": 0}},
                },
                ["bins", "at least 1"],
            ),
        ]:
            with self.subTest(train=train):
                labels = truth if train.get("loss") != "mse" else scores.clone()
                rows = self.workspace.write_tensors({"input": scores, "labels": labels})
                config = {"model": SAME, "data": {"eval": rows, "train": rows}, "train": train}
                done = self.workspace.tenon("eval", self.workspace.write_config(config))
                self.assertNotEqual(done.returncode, 0)
                for word in words:
                    self.assertIn(word, done.stderr)


class ObjectivePluginsTest(ParityTest):
    def test_the_check_tells_each_fault_and_passes_what_has_none(self):
        library = self.workspace.new_folder() / "bad_objectives.so"
        build("bad_objectives.cpp", library)
        done = self.workspace.tenon("plugin", "check", library, "--json")
        self.assertEqual(done.returncode, 1)
        faults = {}
        for rule in json.loads(done.stdout)["rules"]:
            if rule["status"] == "failed":
                faults.setdefault(rule["layer_type"], {})[rule["id"]] = rule["detail"]
        self.assertEqual(
            {name: sorted(rules) for name, rules in faults.items()},
            {
                "acme.rows": ["loss-gradient", "loss-mean", "loss-repeatable", "loss-value", "loss-weights"],
                "acme.detached": ["loss-gradient"],
                "acme.summed": ["loss-mean", "loss-weights"],
                "acme.unweighted": ["loss-weights"],
                "acme.counting": ["loss-gradient", "loss-mean", "loss-repeatable", "loss-weights"],
                "acme.exiting": ["loss-returns"],
                "acme.last-batch": ["metric-batches"],
                "acme.shared": ["metric-apart"],
            },
        )
        self.assertIn("where a loss is one floating number", faults["acme.rows"]["loss-value"])
        self.assertIn("finite differences", faults["acme.detached"]["loss-gradient"])
        # A run that meets them does not end in silence.
        scores = torch.randn(6, 3)
        rows = self.workspace.write_tensors({"input": scores, "labels": scores.clone()})
        layers = [{"name": "fc", "type": "Linear", "in_features": 3, "out_features": 3}]
        for loss, words in [("acme.exiting", "acme.exiting"), ("acme.rows", "plugin bug")]:
            config = {
                "model": {"layers": layers},
                "adapter": {"target_modules": ["fc"], "r": 2},
                "data": {"train": rows},
                "train": {"loss": loss},
                "output": {"directory": self.workspace.new_path()},
            }
            ran = self.workspace.tenon(
                "run", self.workspace.write_config(config), "--plugin-dir", library.parent
            )
            self.assertNotEqual(ran.returncode, 0)
            self.assertIn(words, ran.stderr)

    def test_a_new_project_builds_passes_the_check_and_trains(self):
        for option, name, key in [("--loss", "acme.soft", "loss"), ("--metric", "acme.wrong-share", "metrics")]:
            with self.subTest(option):
                folder = self.workspace.new_path()
                self.workspace.tenon_ok("plugin", "new", folder, option, name)
                readme = (folder / "README.md").read_text()
                command = re.search(r"^    (c\+\+ .*)$", readme, re.MULTILINE)[1]
                subprocess.run(command, shell=True, check=True, cwd=folder)
                library = next(folder.glob("*.so"))
                self.workspace.tenon_ok("plugin", "check", library)
                answer = self.workspace.tenon_json(
                    "run", "try.toml", "--plugin-dir", ".", cwd=folder
                )["eval"]
                self.assertLess(answer["after"]["loss"], answer["before"]["loss"])
                if key == "metrics":
                    metrics = answer["after"].get("metrics", answer["after"])
                    self.assertAlmostEqual(metrics[name], 1 - answer["after"]["accuracy"], delta=1e-12)
                listed = self.workspace.tenon_json("plugins", "--load", "--plugin-dir", folder)["plugins"]
                offered = "losses" if key == "loss" else "metrics"
                self.assertIn(name, [each["name"] for plugin in listed for each in plugin[offered]])

    def test_a_name_that_is_none_and_two_wishes_at_once_are_refused(self):
        for arguments, words in [
            (("--loss", "Focal"), "acme.focal"),
            (("--loss", "acme.a", "--metric", "acme.b"), "one of --type"),
            (("--loss", "acme.a", "--method", "lora"), "--type"),
        ]:
            done = self.workspace.tenon("plugin", "new", self.workspace.new_path(), *arguments)
            self.assertEqual(done.returncode, 2)
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    main()
