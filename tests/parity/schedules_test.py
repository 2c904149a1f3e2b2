"""Each step's learning rate is transformers', and clipped gradients are PyTorch's, with PEFT."""

import json
from concurrent.futures import ThreadPoolExecutor

import torch
from cases import make_case
from safetensors.torch import load_file
from support import ParityTest, main, relative_norm
from transformers import get_scheduler

STEPS = 1000
RATE = 3e-3
SCHEDULES = [
    ("constant", 0, {}),
    ("constant_with_warmup", 100, {}),
    ("linear", 0, {}),
    ("linear", 0.0301, {}),
    ("cosine", 30, {}),
    ("cosine", 0, {"num_cycles": 1.25}),
    ("cosine_with_restarts", 50, {"num_cycles": 3}),
    ("polynomial", 10, {"power": 2.5, "lr_end": 1e-5}),
    ("polynomial", 0, {}),
    ("inverse_sqrt", 40, {}),
    ("inverse_sqrt", 0, {"timescale": 300}),
    ("inverse_sqrt", 0, {}),
    ("cosine_with_min_lr", 20, {"min_lr": 1e-4}),
    ("cosine_with_min_lr", 0, {"min_lr_rate": 0.2, "num_cycles": 1.5}),
    ("warmup_stable_decay", 100, {"num_decay_steps": 300}),
    (
        "warmup_stable_decay",
        0.1,
        {
            "num_decay_steps": 300,
            "num_stable_steps": 400,
            "warmup_type": "cosine",
            "decay_type": "1-sqrt",
            "min_lr_ratio": 0.1,
        },
    ),
    (
        "warmup_stable_decay",
        200,
        {"num_decay_steps": 500, "warmup_type": "1-sqrt", "decay_type": "linear"},
    ),
]


def transformers_rates(name, warmup, kwargs, rate=RATE):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    if 0 < warmup < 1:
        warmup = -int(-STEPS * warmup // 1)
    scheduler = get_scheduler(name, optimizer, warmup, STEPS, dict(kwargs))
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


class SchedulesTest(ParityTest):
    def test_a_thousand_rates_of_every_type_are_transformers(self):
        data = self.workspace.write_tensors(
            {"input": torch.randn(4, 2), "labels": torch.randn(4, 1)}
        )

        def rates(schedule):
            name, warmup, kwargs = schedule
            config = {
                "model": {
                    "layers": [
                        {"name": "a", "type": "Linear", "in_features": 2, "out_features": 1}
                    ]
                },
                "adapter": {"target_modules": ["a"], "r": 1},
                "data": {"train": data},
                "train": {
                    "loss": "mse",
                    "optimizer": "sgd",
                    "learning_rate": RATE,
                    "steps": STEPS,
                    "batch_size": 4,
                    "threads": 1,
                    "lr_scheduler_type": name,
                    "warmup_steps": warmup,
                    **({"lr_scheduler_kwargs": kwargs} if kwargs else {}),
                },
                "output": {"directory": self.workspace.new_path()},
            }
            path = self.workspace.write_config(config)
            return self.workspace.tenon_json("run", path)["learning_rates"]

        with ThreadPoolExecutor(2) as pool:
            all_rates = list(pool.map(rates, SCHEDULES))
        for schedule, found in zip(SCHEDULES, all_rates):
            with self.subTest(schedule=schedule):
                wanted = transformers_rates(*schedule)
                self.assertEqual(len(found), STEPS)
                self.assertLessEqual(max(abs(a - b) for a, b in zip(found, wanted)), 1e-12)

    def test_reduce_lr_on_plateau_follows_torch_optims(self):
        torch.manual_seed(6)
        rows = {"input": torch.randn(24, 4), "labels": torch.randint(3, (24,))}
        file = self.workspace.write_tensors(rows)
        every, steps = 2, 80
        for rate, kwargs in (
            (5.0, {"patience": 1, "factor": 0.3, "threshold": 0.01, "threshold_mode": "abs"}),
            (5.0, {"patience": 2, "cooldown": 3, "min_lr": 0.4}),
        ):
            with self.subTest(kwargs=kwargs):
                output = self.workspace.new_path()
                layer = {"name": "a", "type": "Linear", "in_features": 4, "out_features": 3}
                config = {
                    "model": {"layers": [layer]},
                    "adapter": {"target_modules": ["a"], "r": 2},
                    "data": {"train": file, "eval": file},
                    "train": {
                        "optimizer": "sgd",
                        "learning_rate": rate,
                        "steps": steps,
                        "batch_size": 4,
                        "threads": 1,
                        "eval_steps": every,
                        "lr_scheduler_type": "reduce_lr_on_plateau",
                        "lr_scheduler_kwargs": kwargs,
                    },
                    "output": {"directory": output, "log_steps": 1},
                }
                found = self.workspace.tenon_json("run", self.workspace.write_config(config))
                lines = map(json.loads, (output / "log.jsonl").read_text().splitlines())
                losses = {line["step"]: line["eval_loss"] for line in lines if "eval_loss" in line}
                optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
                scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **kwargs)
                wanted = []
                for step in range(1, steps + 1):
                    wanted.append(optimizer.param_groups[0]["lr"])
                    if step % every == 0:
                        scheduler.step(losses[step])
                self.assertGreater(len(set(wanted)), 2)
                for a, b in zip(found["learning_rates"], wanted, strict=True):
                    self.assertAlmostEqual(a, b, delta=1e-12)

    def test_clipped_and_scheduled_training_is_that_of_peft(self):
        case = make_case("mlp", self.workspace.folder, training=True)
        start = self.workspace.new_path()
        case.save_by_peft(start)
        data = case.data(40)
        output = self.workspace.new_path()
        steps, batch_size, rate, most = 20, 8, 0.05, 0.5
        config = {
            "model": case.table,
            "adapter": case.adapter_table(init_from=start),
            "data": {"train": self.workspace.write_tensors(data)},
            "train": {
                "loss": case.loss,
                "optimizer": "sgd",
                "learning_rate": rate,
                "steps": steps,
                "batch_size": batch_size,
                "shuffle": False,
                "threads": 1,
                "max_grad_norm": most,
                "lr_scheduler_type": "cosine",
                "warmup_steps": 4,
            },
            "output": {"directory": output},
        }
        report = self.workspace.tenon_json("run", self.workspace.write_config(config))
        trained = load_file(output / "adapter_model.safetensors")

        model = case.load_by_peft(start, trainable=True).train()
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.SGD(parameters, lr=rate)
        scheduler = get_scheduler("cosine", optimizer, 4, steps)
        norms = []
        for step in range(steps):
            first = step * batch_size % 40
            batch = {name: tensor[first : first + batch_size] for name, tensor in data.items()}
            labels = batch.pop("labels")
            optimizer.zero_grad()
            case.peft_loss(case.forward(model, batch), labels).backward()
            norms.append(torch.nn.utils.clip_grad_norm_(parameters, most).item())
            optimizer.step()
            scheduler.step()
        self.assertGreater(sum(norm > most for norm in norms), 3)  # else nothing was clipped
        for found, wanted in zip(report["grad_norms"], norms, strict=True):
            self.assertAlmostEqual(found, wanted, delta=1e-4 * wanted)
        expected = tensors_of(model)
        self.assertEqual(trained.keys(), expected.keys())
        for name, tensor in expected.items():
            self.assertLessEqual(relative_norm(trained[name], tensor), 1e-4, name)


def tensors_of(model):
    from peft import get_peft_model_state_dict

    return get_peft_model_state_dict(model)


if __name__ == "__main__":
    main()
