"""float16 under autocast with a loss scale: torch.amp.GradScaler's steps, left out and taken."""

import torch
from cases import make_case
from safetensors.torch import load_file
from peft import get_peft_model_state_dict
from support import ParityTest, main, relative_norm

STEPS = 24
BATCH = 8
ROWS = 40
RATE = 1e-3
# So much that the first steps overflow, and a window so short that it grows again.
SCALE = 2.0**30
WINDOW = 5


class LossScaleTest(ParityTest):
    def start(self):
        case = make_case("mlp", self.workspace.folder, training=True)
        folder = self.workspace.new_path()
        case.save_by_peft(folder)
        return case, folder

    def config(self, case, start, data, **train):
        return {
            "model": case.table,
            "adapter": {**case.adapter_table(), "init_from": start},
            "data": {"train": self.workspace.write_tensors(data)},
            "train": {
                "loss": case.loss,
                "optimizer": "adamw",
                "learning_rate": RATE,
                "steps": STEPS,
                "batch_size": BATCH,
                "shuffle": False,
                "autocast": "float16",
                "loss_scale": SCALE,
                "loss_scale_window": WINDOW,
                **train,
            },
            "output": {"directory": self.workspace.new_path()},
        }

    def run_tenon(self, config, *options):
        told = self.workspace.tenon_json("run", self.workspace.write_config(config), *options)
        return told, load_file(config["output"]["directory"] / "adapter_model.safetensors")

    def test_steps_are_those_of_gradscaler(self):
        case, start = self.start()
        data = case.data(ROWS)
        expected, losses, skipped = train_by_peft(case, start, data)
        told, trained = self.run_tenon(self.config(case, start, data))
        self.assertGreater(skipped, 2)
        self.assertEqual(told["steps_left_out"], skipped)
        for one, other in zip(told["losses"], losses, strict=True):
            self.assertAlmostEqual(one, other, delta=2e-3)
        self.assertEqual(trained.keys(), expected.keys())
        for name, tensor in expected.items():
            # float16 rounds to 3 digits, and AdamW divides small gradients by themselves.
            self.assertLessEqual(relative_norm(trained[name], tensor), 2e-2, name)

    def test_the_scale_is_in_checkpoints(self):
        case, start = self.start()
        data = case.data(ROWS)
        whole = self.config(case, start, data)
        _, expected = self.run_tenon(whole)
        parts = self.config(case, start, data, steps=11)
        parts["output"]["save_steps"] = 11
        parts["data"] = whole["data"]
        self.run_tenon(parts)
        parts["train"]["steps"] = STEPS
        _, trained = self.run_tenon(parts, "--resume")
        for name, tensor in expected.items():
            self.assertTrue(torch.equal(trained[name], tensor), name)

    def test_a_scale_without_float16_is_refused(self):
        case, start = self.start()
        config = self.config(case, start, case.data(ROWS), autocast="bfloat16")
        done = self.workspace.tenon("run", self.workspace.write_config(config))
        self.assertEqual(done.returncode, 2)
        self.assertIn('is for `train.autocast` = "float16"', done.stderr)


def train_by_peft(case, folder, data):
    model = case.load_by_peft(folder, trainable=True).train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE)
    scaler = torch.amp.GradScaler("cpu", init_scale=SCALE, growth_interval=WINDOW)
    losses, skipped = [], 0
    for step in range(STEPS):
        part = slice(step * BATCH % ROWS, step * BATCH % ROWS + BATCH)
        inputs = {name: tensor[part] for name, tensor in data.items()}
        labels = inputs.pop("labels")
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.float16):
            outputs = case.forward(model, inputs)
        loss = case.peft_loss(outputs.float(), labels)
        scaler.scale(loss).backward()
        before = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        skipped += scaler.get_scale() < before
        losses.append(loss.item())
    return get_peft_model_state_dict(model), losses, skipped


if __name__ == "__main__":
    main()
