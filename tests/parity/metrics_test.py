"""`tenon eval` and [train] metrics: the numbers of scikit-learn and scipy, degenerate rows too."""

import json
import math
import warnings

import numpy as np
import scipy.special
import scipy.stats
import torch
from sklearn import metrics as sk
from support import ParityTest, main

CLASS_METRICS = ["accuracy", "balanced_accuracy", "matthews_corrcoef", "cohen_kappa", "log_loss"]
AVERAGED = [
    f"{name}_{way}"
    for name in ("precision", "recall", "f1")
    for way in ("macro", "micro", "weighted")
]


def averaged(truth, said):
    functions = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}
    return {
        name: functions[name.split("_")[0]](truth, said, average=name.split("_")[1])
        for name in AVERAGED
    }


class MetricsTest(ParityTest):
    def measure(self, inputs, labels, loss, names, **train):
        data = self.workspace.write_tensors(
            {"input": torch.tensor(inputs), "labels": torch.tensor(labels)}
        )
        config = {
            "model": {"dtype": "float64", "layers": [{"name": "same", "type": "Identity"}]},
            "data": {"train": data, "eval": data},
            "train": {"loss": loss, "metrics": names, "batch_size": 7, "threads": 1, **train},
        }
        return self.workspace.tenon_json("eval", self.workspace.write_config(config))

    def check(self, found, wanted):
        for name, value in wanted.items():
            with self.subTest(name):
                if math.isnan(value):
                    self.assertIsNone(found[name])
                else:
                    self.assertAlmostEqual(found[name], value, delta=1e-9 * max(1, abs(value)))

    def classes(self, truth, scores):
        said = scores.argmax(1)
        likely = scipy.special.softmax(scores, axis=1)
        labels = list(range(scores.shape[1]))
        names = [*CLASS_METRICS, *AVERAGED, "top_2_accuracy", "top_k_accuracy", "perplexity"]
        wanted = {
            "accuracy": sk.accuracy_score(truth, said),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, said),
            "matthews_corrcoef": sk.matthews_corrcoef(truth, said),
            "cohen_kappa": sk.cohen_kappa_score(truth, said),
            "log_loss": sk.log_loss(truth, likely, labels=labels),
            **averaged(truth, said),
        }
        logs = scipy.special.log_softmax(scores, axis=1)[np.arange(len(truth)), truth]
        wanted["perplexity"] = math.exp(-logs.mean())
        if len(labels) == 2:
            names += ["precision", "recall", "f1", "roc_auc", "average_precision"]
            wanted |= {
                "precision": sk.precision_score(truth, said),
                "recall": sk.recall_score(truth, said),
                "f1": sk.f1_score(truth, said),
                "roc_auc": sk.roc_auc_score(truth, likely[:, 1]),
                "average_precision": sk.average_precision_score(truth, likely[:, 1]),
            }
        else:
            names += ["roc_auc_ovr", "average_precision"]
            top = sk.top_k_accuracy_score(truth, scores, k=2, labels=labels)
            wanted |= {"top_2_accuracy": top, "top_k_accuracy": top}
            if set(truth) == set(labels):
                wanted |= {
                    "roc_auc_ovr": sk.roc_auc_score(truth, likely, multi_class="ovr"),
                    "average_precision": sk.average_precision_score(truth, likely),
                }
        found = self.measure(scores, truth, "cross_entropy", names)
        self.check(found, wanted)
        self.assertEqual(found["rows"], len(truth))
        loss = torch.nn.functional.cross_entropy(torch.tensor(scores), torch.tensor(truth))
        self.assertAlmostEqual(found["loss"], loss.item(), delta=1e-9)

    def test_classes(self):
        generator = np.random.default_rng(1)
        cases = {
            "four": (generator.integers(4, size=200), generator.normal(size=(200, 4))),
            "two": (generator.integers(2, size=200), generator.normal(size=(200, 2))),
            "ties": (generator.integers(3, size=90), generator.integers(2, size=(90, 3)) * 1.0),
            "two, ties": (
                generator.integers(2, size=90),
                generator.integers(2, size=(90, 2)) * 1.0,
            ),
            "one class only": (np.zeros(20, int), generator.normal(size=(20, 2))),
            "one class, always said": (np.zeros(9, int), np.tile([1.0, 0.0], (9, 1))),
            "no positive said": (generator.integers(2, size=30), np.tile([1.0, 0.0], (30, 1))),
            "a class that is never": (np.array([0, 1, 0, 1, 1]), generator.normal(size=(5, 3))),
            "sure": (np.array([0, 1, 1]), np.array([[900.0, 0], [0, 900.0], [900.0, 0]])),
        }
        for name, (truth, scores) in cases.items():
            with self.subTest(name), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.classes(truth, scores)

    def test_several_labels(self):
        generator = np.random.default_rng(2)
        truth = generator.integers(2, size=(60, 3))
        truth[:, 2] = 0  # never
        scores = generator.normal(size=(60, 3))
        said = (scores > 0).astype(int)
        names = ["accuracy", *AVERAGED, "average_precision", "roc_auc"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = {
                "accuracy": (said == truth).mean(),
                **averaged(truth, said),
                "average_precision": sk.average_precision_score(truth, scores),
                "roc_auc": sk.roc_auc_score(truth, scores),
            }
        self.check(self.measure(scores, truth * 1.0, "bce_with_logits", names), wanted)

    def test_numbers(self):
        generator = np.random.default_rng(3)
        names = ["mse", "rmse", "mae", "r2", "pearson", "spearman"]
        plain = generator.normal(size=(80, 1))
        cases = {
            "plain": (plain, plain + generator.normal(size=(80, 1))),
            "large": (plain + 1e6, plain + 1e6 + 0.1 * generator.normal(size=(80, 1))),
            "ties": tuple(generator.integers(3, size=(2, 40, 1)) * 1.0),
            "constant": (np.ones((10, 1)), generator.normal(size=(10, 1))),
            "columns": (generator.normal(size=(30, 4)), generator.normal(size=(30, 4))),
        }
        for name, (truth, said) in cases.items():
            with self.subTest(name), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                columns = range(truth.shape[1])
                wanted = {
                    "mse": sk.mean_squared_error(truth, said),
                    "rmse": sk.root_mean_squared_error(truth, said),
                    "mae": sk.mean_absolute_error(truth, said),
                    "r2": sk.r2_score(truth, said),
                    "pearson": np.mean(
                        [scipy.stats.pearsonr(truth[:, i], said[:, i]).statistic for i in columns]
                    ),
                    "spearman": np.mean(
                        [scipy.stats.spearmanr(truth[:, i], said[:, i]).statistic for i in columns]
                    ),
                }
                self.check(self.measure(said, truth, "mse", names), wanted)

    def test_metrics_that_there_are_not_or_that_do_not_fit_are_named(self):
        truth, scores = np.zeros(4, int), np.zeros((4, 2))
        data = self.workspace.write_tensors(
            {"input": torch.tensor(scores), "labels": torch.tensor(truth)}
        )
        config = {
            "model": {"dtype": "float64", "layers": [{"name": "same", "type": "Identity"}]},
            "data": {"train": data},
            "train": {"metrics": ["f1_makro"]},
        }
        path = self.workspace.write_config(config)
        done = self.workspace.tenon("eval", path)
        self.assertEqual(done.returncode, 2)
        self.assertIn("[data] eval is missing", done.stderr)
        done = self.workspace.tenon("eval", path, "--data", data)
        self.assertEqual(done.returncode, 2)
        self.assertIn("`f1_makro`, which is none; did you mean `f1_macro`", done.stderr)
        done = self.workspace.tenon("eval", path, "--data", data, "--set", 'train.metrics=["r2"]')
        self.assertIn("`r2`, which is not measured of classes", done.stderr)

    def test_the_best_checkpoint_evaluates_to_the_logged_value_bit_for_bit(self):
        torch.manual_seed(5)
        rows = {"input": torch.rand(60, 4), "labels": torch.randint(3, (60,))}
        data = self.workspace.write_tensors(rows)
        output = self.workspace.new_path()
        config = {
            "model": {
                "layers": [
                    {"name": "hidden", "type": "Linear", "in_features": 4, "out_features": 8},
                    {"name": "act", "type": "ReLU"},
                    {"name": "head", "type": "Linear", "in_features": 8, "out_features": 3},
                ]
            },
            "adapter": {"target_modules": ["hidden"], "modules_to_save": ["head"]},
            "data": {"train": data, "eval": data},
            "train": {
                "steps": 12,
                "batch_size": 8,
                "eval_steps": 3,
                "learning_rate": 0.3,
                "metrics": ["f1_macro", "log_loss"],
                "metric_for_best_model": "f1_macro",
                "load_best_model_at_end": True,
            },
            "output": {"directory": output, "log_steps": 3},
        }
        path = self.workspace.write_config(config)
        report = self.workspace.tenon_json("run", path)
        best = report["best"]["step"]
        lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
        [logged] = [x for x in lines if x["step"] == best and "eval_loss" in x]
        found = self.workspace.tenon_json("eval", path, "--adapter", output / f"checkpoint-{best}")
        for name in ("loss", "accuracy", "f1_macro", "log_loss"):
            self.assertEqual(found[name], logged[f"eval_{name}"], name)
        self.assertEqual(found["f1_macro"], report["best"]["value"])
        measured = [x["eval_f1_macro"] for x in lines if x["step"] > 0 and "eval_loss" in x]
        self.assertEqual(found["f1_macro"], max(measured))
        self.assertEqual(report["eval"]["after"]["f1_macro"], found["f1_macro"])


if __name__ == "__main__":
    main()
