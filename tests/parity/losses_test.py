"""Losses as torch.nn.functional has them, with weights of classes and of rows, and the forms of data."""

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from support import ParityTest, main

SAME = {"dtype": "float64", "layers": [{"name": "same", "type": "Identity"}]}


class TwoHeads(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.first, self.second = (
            torch.nn.Linear(4, 8),
            torch.nn.Linear(8, 3),
            torch.nn.Linear(8, 2),
        )

    def forward(self, x):
        hidden = self.body(x).relu()
        return self.first(hidden), self.second(hidden)


class LossesTest(ParityTest):
    def loss_of(self, loss, inputs, labels, data=None, **train):
        rows = {"input": inputs, "labels": labels, **(data or {})}
        path = self.workspace.write_tensors(rows)
        config = {
            "model": SAME,
            "data": {"train": path, "eval": path},
            # One batch, and several of which the last is shorter.
            "train": {"loss": loss, "threads": 1, **train},
        }
        if data:
            config["data"]["sample_weight"] = next(iter(data))
        return [
            self.workspace.tenon_json(
                "eval", self.workspace.write_config(config), "--set", f"train.batch_size={size}"
            )["loss"]
            for size in (64, 5)
        ]

    def check(self, found, wanted):
        for loss in found:
            self.assertAlmostEqual(loss, wanted.item(), delta=1e-9 * max(1, abs(wanted.item())))

    def test_losses_of_numbers(self):
        torch.manual_seed(1)
        said, truth = torch.randn(12, 3).double() * 2, torch.randn(12, 3).double()
        share = torch.rand(12, 3).double()
        cases = {
            "mse": (said, truth, F.mse_loss),
            "l1": (said, truth, F.l1_loss),
            "smooth_l1": (said, truth, F.smooth_l1_loss),
            "huber": (said, truth, F.huber_loss),
            "kl_div": (said.log_softmax(1), share, F.kl_div),
            "bce": (said.sigmoid(), share, F.binary_cross_entropy),
            "bce_with_logits": (said, share, F.binary_cross_entropy_with_logits),
        }
        weights = torch.rand(12).double()
        for name, (inputs, labels, function) in cases.items():
            with self.subTest(name):
                self.check(self.loss_of(name, inputs, labels), function(inputs, labels))
                each = function(inputs, labels, reduction="none").mean(1)
                wanted = (each * weights).sum() / weights.sum()
                self.check(self.loss_of(name, inputs, labels, {"w": weights}), wanted)
        pos = torch.tensor([0.5, 2.0, 3.0]).double()
        wanted = F.binary_cross_entropy_with_logits(said, share, pos_weight=pos)
        self.check(self.loss_of("bce_with_logits", said, share, pos_weight=[0.5, 2.0, 3.0]), wanted)

    def test_losses_of_classes(self):
        torch.manual_seed(2)
        scores, truth = torch.randn(14, 4).double(), torch.randint(4, (14,))
        truth[3] = truth[9] = 2
        weight = torch.tensor([0.5, 2.0, 1.0, 3.0]).double()
        rows = torch.rand(14).double()
        logs = scores.log_softmax(1)
        self.check(self.loss_of("nll", logs, truth), F.nll_loss(logs, truth))
        self.check(self.loss_of("multi_margin", scores, truth), F.multi_margin_loss(scores, truth))
        for name, inputs, function in (
            ("cross_entropy", scores, F.cross_entropy),
            ("nll", logs, F.nll_loss),
        ):
            keys = {"class_weight": weight.tolist()}
            wanted = function(inputs, truth, weight)
            self.check(self.loss_of(name, inputs, truth, **keys), wanted)
            wanted = function(inputs, truth, ignore_index=2)
            self.check(self.loss_of(name, inputs, truth, ignore_index=2), wanted)
            each = function(inputs, truth, weight, reduction="none") * rows
            wanted = each.sum() / (rows * weight[truth]).sum()
            self.check(self.loss_of(name, inputs, truth, {"w": rows}, **keys), wanted)
        wanted = F.cross_entropy(scores, truth, weight, label_smoothing=0.1)
        keys = {"class_weight": weight.tolist(), "label_smoothing_factor": 0.1}
        self.check(self.loss_of("cross_entropy", scores, truth, **keys), wanted)
        counts = torch.bincount(truth, minlength=4).double()
        balanced = len(truth) / ((counts > 0).sum() * counts.clamp_min(1)) * (counts > 0)
        wanted = F.cross_entropy(scores, truth, balanced)
        self.check(self.loss_of("cross_entropy", scores, truth, class_weight="balanced"), wanted)

    def test_tokens_are_smoothed_and_weighed(self):
        torch.manual_seed(3)
        scores, labels = torch.randn(6, 5, 4).double(), torch.randint(4, (6, 5))
        labels[0, 3:] = -100
        shifted, truth = scores[:, :-1].reshape(-1, 4), labels[:, 1:].flatten()
        wanted = F.cross_entropy(shifted, truth, label_smoothing=0.2)
        self.check(self.loss_of("causal_lm", scores, labels, label_smoothing_factor=0.2), wanted)
        rows = torch.rand(6).double()
        each = F.cross_entropy(shifted, truth, reduction="none").reshape(6, 4) * rows[:, None]
        count = ((truth.reshape(6, 4) != -100) * rows[:, None]).sum()
        self.check(self.loss_of("causal_lm", scores, labels, {"w": rows}), each.sum() / count)

    def test_training_with_weights_is_pytorchs_and_accumulated_batches_are_one(self):
        torch.manual_seed(4)
        inputs, truth = torch.randn(12, 4), torch.randint(3, (12,))
        rows, weight = torch.rand(12), torch.tensor([1.0, 3.0, 0.5])
        data = self.workspace.write_tensors({"input": inputs, "labels": truth, "w": rows})
        base = torch.nn.Linear(4, 3)
        weights = self.workspace.write_tensors(
            {"head.weight": base.weight.detach(), "head.bias": base.bias.detach()}
        )
        layer = {"name": "head", "type": "Linear", "in_features": 4, "out_features": 3}
        for batch_size, together in ((12, 1), (5, 3)):
            output = self.workspace.new_path(".safetensors")
            config = {
                "model": {"weights": weights, "layers": [layer]},
                "data": {"train": data, "sample_weight": "w"},
                "train": {
                    "full": True,
                    "optimizer": "sgd",
                    "learning_rate": 0.5,
                    "epochs": 5,
                    "batch_size": batch_size,
                    "gradient_accumulation_steps": together,
                    "class_weight": weight.tolist(),
                    "label_smoothing_factor": 0.1,
                    "threads": 1,
                },
                "output": {"model": output},
            }
            self.workspace.tenon_ok("run", self.workspace.write_config(config))
            model = torch.nn.Linear(4, 3)
            model.load_state_dict(base.state_dict())
            optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
            for _ in range(5):
                optimizer.zero_grad()
                each = F.cross_entropy(
                    model(inputs), truth, weight, reduction="none", label_smoothing=0.1
                )
                ((each * rows).sum() / (rows * weight[truth]).sum()).backward()
                optimizer.step()
            self.assert_within(load_file(output)["head.weight"], model.weight.detach(), 1e-5)

    def test_several_losses_are_summed_as_they_weigh(self):
        """On the two outputs of a program, each with its own target, one of them weighed."""
        torch.manual_seed(7)
        model = TwoHeads()
        batch = torch.export.Dim("batch")
        program = torch.export.export(
            model, (torch.randn(2, 4),), dynamic_shapes=({0: batch},)
        )
        path = self.workspace.new_path(".pt2")
        torch.export.save(program, path)
        x, kinds, numbers = torch.randn(12, 4), torch.randint(3, (12,)), torch.randn(12, 2)
        data = self.workspace.write_tensors({"x": x, "kind": kinds, "number": numbers})
        for batch_size, together in ((12, 1), (5, 3)):
            output = self.workspace.new_path(".safetensors")
            config = {
                "model": {"path": path},
                "data": {"train": data, "eval": data},
                "train": {
                    "full": True,
                    "optimizer": "sgd",
                    "learning_rate": 0.1,
                    "epochs": 4,
                    "batch_size": batch_size,
                    "gradient_accumulation_steps": together,
                    "threads": 1,
                    "losses": [
                        {"loss": "cross_entropy", "target": "kind"},
                        {"loss": "l1", "target": "number", "output": "output_1", "weight": 0.3},
                    ],
                },
                "output": {"model": output},
            }
            report = self.workspace.tenon_json("run", self.workspace.write_config(config))
            twin = TwoHeads()
            twin.load_state_dict(model.state_dict())
            optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
            for step in range(5):
                first, second = twin(x)
                parts = F.cross_entropy(first, kinds), F.l1_loss(second, numbers)
                loss = parts[0] + 0.3 * parts[1]
                if step == 0:
                    found = report["eval"]["before"]
                    self.assertAlmostEqual(found["loss"], loss.item(), 5)
                    self.assertAlmostEqual(found["loss_1"], parts[1].item(), 5)
                if step == 4:
                    break
                self.assertAlmostEqual(report["losses"][step], loss.item(), 4)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            trained = load_file(output)
            for name, tensor in twin.state_dict().items():
                self.assert_within(trained[name], tensor, 1e-5)

    def test_every_form_of_a_file_gives_the_same(self):
        torch.manual_seed(5)
        inputs, truth = torch.randn(12, 4).double(), torch.randint(4, (12,))
        whole = self.workspace.write_tensors({"input": inputs, "labels": truth})
        folder = self.workspace.new_folder()
        np.savez(folder / "all.npz", input=inputs.numpy(), labels=truth.numpy())
        turned = np.asfortranarray(inputs.numpy())
        for i in range(3):
            part = slice(4 * i, 4 * i + 4)
            np.savez(folder / f"part{i}.npz", input=turned[part], labels=truth[part].numpy())
        config = {
            "model": SAME,
            "data": {"train": whole, "eval": whole},
            "train": {"threads": 1},
        }
        losses = []
        for data in (whole, folder / "all.npz", folder / "part*.npz"):
            config["data"]["eval"] = data
            path = self.workspace.write_config(config)
            losses.append(self.workspace.tenon_json("eval", path)["loss"])
        parts = [str(folder / f"part{i}.npz") for i in range(3)]
        config["data"]["eval"] = parts
        losses.append(self.workspace.tenon_json("eval", self.workspace.write_config(config))["loss"])
        self.assertEqual(len(set(losses)), 1)
        np.savez_compressed(folder / "small.npz", input=inputs.numpy(), labels=truth.numpy())
        np.savez(folder / "objects.npz", input=np.array([{}]), labels=truth.numpy())
        for name, text in (("small", "the array is compressed"), ("objects", "pickled Python")):
            done = self.workspace.tenon("eval", path, "--data", folder / f"{name}.npz")
            self.assertEqual(done.returncode, 1)
            self.assertIn(text, done.stderr)
        np.save(folder / "x.npy", inputs.numpy())
        done = self.workspace.tenon_ok(
            *("predict", path, "--inputs", folder / "x.npy", "--outputs", folder / "o.safetensors")
        )
        self.assertTrue(torch.equal(load_file(folder / "o.safetensors")["output_0"], inputs))

    def test_rows_held_out_are_a_share_of_each_class_and_none_is_trained_on(self):
        torch.manual_seed(6)
        truth = torch.tensor([0] * 20 + [1] * 10 + [2] * 10)
        rows = {"input": torch.randn(40, 4), "labels": truth}
        layer = {"name": "head", "type": "Linear", "in_features": 4, "out_features": 3}
        config = {
            "model": {"layers": [layer]},
            "adapter": {"target_modules": ["head"], "r": 2},
            "data": {
                "train": self.workspace.write_tensors(rows),
                "eval_fraction": 0.2,
                "stratify": True,
            },
            "train": {"metrics": ["accuracy", "f1_macro"], "batch_size": 4, "epochs": 1},
            "output": {"directory": self.workspace.new_path()},
        }
        path = self.workspace.write_config(config)
        report = self.workspace.tenon_json("run", path)
        self.assertEqual(report["steps"], 8)  # 32 rows
        matrix = report["eval"]["after"]["confusion_matrix"]
        self.assertEqual([sum(row) for row in matrix], [4, 2, 2])
        found = self.workspace.tenon_json("eval", path, "--adapter", config["output"]["directory"])
        self.assertEqual(found["rows"], 8)
        self.assertEqual(found["loss"], report["eval"]["after"]["loss"])


if __name__ == "__main__":
    main()
