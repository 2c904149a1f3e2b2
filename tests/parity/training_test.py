"""The same training: 50 steps from one adapter, on the same batches, by PEFT and by Tenon."""

import hashlib
from unittest import mock

import torch
from cases import CASES, make_case
from peft import get_peft_model_state_dict
from peft.optimizers import create_lorafa_optimizer, create_loraplus_optimizer
from safetensors.torch import load_file
from support import ParityTest, main, relative_norm

STEPS = 50
ROWS = 40
BATCH_SIZE = 8
OPTIMIZERS = {
    "sgd": (torch.optim.SGD, {"momentum": 0.9}),
    "adamw": (torch.optim.AdamW, {}),
}
LEARNING_RATES = {
    "mlp": {"sgd": 0.03, "adamw": 1e-3},
    "minilm": {"sgd": 0.03, "adamw": 2e-4},
    "mistral": {"sgd": 0.1, "adamw": 1e-3},
}
TOLERANCE = 1e-4
MOVE_TOLERANCE = 2e-3


class TrainingTest(ParityTest):
    def test_fifty_steps_give_the_same_adapter(self):
        for name in CASES:
            case, start = self.case_and_start(name)
            data = case.data(ROWS)
            for optimizer in OPTIMIZERS:
                with self.subTest(case=name, optimizer=optimizer):
                    self.check_same_training(case, start, data, optimizer)

    def test_lora_plus_and_lora_fa_are_pefts(self):
        for name in ("mlp", "mistral"):
            case, start = self.case_and_start(name)
            data = case.data(ROWS)
            rate = LEARNING_RATES[name]["adamw"]
            keys = {"loraplus_lr_ratio": 8, "loraplus_weight_decay": 0.1}
            with self.subTest(case=name, optimizer="LoRA+"):
                self.check_same_training(
                    case,
                    start,
                    data,
                    "adamw",
                    keys,
                    lambda model: create_loraplus_optimizer(
                        model, torch.optim.AdamW, lr=rate, **keys
                    ),
                )
            # PEFT rounds the gradient to bfloat16 where the machine has it.
            exact = mock.patch("peft.optimizers.lorafa.is_bf16_available", return_value=False)
            with self.subTest(case=name, optimizer="LoRA-FA"), exact:
                self.check_same_training(
                    case,
                    start,
                    data,
                    "adamw",
                    {"optimizer": "lorafa", "weight_decay": 0.1},
                    lambda model: create_lorafa_optimizer(
                        model, r=8, lora_alpha=8, lr=rate, weight_decay=0.1
                    ),
                )

    def test_trained_biases_are_pefts(self):
        for bias in ("all", "lora_only"):
            case = make_case("mlp", self.workspace.folder, training=True)
            case.lora = {**case.lora, "bias": bias}
            start = self.workspace.new_path()
            case.save_by_peft(start)
            with self.subTest(bias=bias):
                self.check_same_training(case, start, case.data(ROWS), "adamw")

    def test_batches_accumulated_are_one_batch(self):
        case, start = self.case_and_start("minilm")
        changes = {"batch_size": 3, "gradient_accumulation_steps": 3}
        data = {name: tensor[:BATCH_SIZE] for name, tensor in case.data(ROWS).items()}
        self.check_same_training(case, start, data, "adamw", changes)  # of 3, 3 and 2 rows

    def test_padding_that_is_cut_changes_nothing(self):
        case, start = self.case_and_start("minilm")
        data = case.data(ROWS, length=24)
        ends = torch.linspace(24, 3, ROWS).long()  # as group_by_length puts them
        data["attention_mask"] = (torch.arange(24) < ends[:, None]).long()
        self.check_same_training(case, start, data, "adamw", {"group_by_length": True})

    def test_autocast_is_pytorchs(self):
        """bfloat16 rounds to 3 digits, so the two agree as closely as roundings let them: as near
        to each other as to the training in float32."""
        case, start = self.case_and_start("minilm")
        data = case.data(ROWS)
        trained, losses = self.train_by_tenon(case, start, data, "adamw", {"autocast": "bfloat16"})
        exact, exact_losses = train_by_peft(case, start, data, "adamw")
        with torch.autocast("cpu", torch.bfloat16):
            expected, expected_losses = train_by_peft(case, start, data, "adamw")
        self.assertNotEqual(losses, exact_losses)
        self.assertEqual(trained.keys(), expected.keys())
        for name, tensor in expected.items():
            self.assertEqual(trained[name].dtype, torch.float32, name)
            rounding = relative_norm(tensor, exact[name])
            self.assertLessEqual(relative_norm(trained[name], tensor), 1.5 * rounding + 1e-4, name)
        difference = max(abs(a - b) for a, b in zip(losses, expected_losses))
        rounding = max(abs(a - b) for a, b in zip(exact_losses, expected_losses))
        self.assertLessEqual(difference, 1.5 * rounding + 1e-4)

    def case_and_start(self, name):
        case = make_case(name, self.workspace.folder, training=True)
        start = self.workspace.new_path()
        case.save_by_peft(start)
        return case, start

    def check_same_training(self, case, start, data, optimizer, changes=None, make=None):
        expected, expected_losses = train_by_peft(case, start, data, optimizer, make)
        trained, losses = self.train_by_tenon(case, start, data, optimizer, changes)

        self.assertEqual(trained.keys(), expected.keys())
        before = load_file(start / "adapter_model.safetensors")
        for name, tensor in expected.items():
            self.assertLessEqual(relative_norm(trained[name], tensor), TOLERANCE, name)
            # Few steps move a tensor little, so what they added is compared as well.
            if torch.equal(tensor, before[name]):  # LoRA-FA's lora_A
                self.assertTrue(torch.equal(trained[name], tensor), name)
                continue
            moved = relative_norm(trained[name] - before[name], tensor - before[name])
            self.assertLessEqual(moved, MOVE_TOLERANCE, name)

        self.assertEqual(len(losses), STEPS)
        for step, (loss, wanted) in enumerate(zip(losses, expected_losses), start=1):
            self.assertAlmostEqual(loss, wanted, delta=1e-4 * abs(wanted), msg=f"step {step}")

    def train_by_tenon(self, case, start, data, optimizer, changes=None):
        output = self.workspace.new_path()
        config = {
            "model": case.table,
            "adapter": case.adapter_table(init_from=start),
            "data": {"train": self.workspace.write_tensors(data)},
            "train": {
                "loss": case.loss,
                "optimizer": optimizer,
                "learning_rate": LEARNING_RATES[case.name][optimizer],
                **OPTIMIZERS[optimizer][1],
                "steps": STEPS,
                "batch_size": BATCH_SIZE,
                "shuffle": False,
                "threads": 2,
                **(changes or {}),
            },
            "output": {"directory": output},
        }
        program_before = _sha256(case.table["path"])
        report = self.workspace.tenon_json("run", self.workspace.write_config(config))
        # Weights are mapped from the file: training must never reach it.
        self.assertEqual(_sha256(case.table["path"]), program_before)
        return load_file(output / "adapter_model.safetensors"), report["losses"]


def train_by_peft(case, start, data, optimizer, make=None):
    """Returns the trained tensors as PEFT would save them, and the loss of each step."""
    peft_model = case.load_by_peft(start, trainable=True).train()
    if make is not None:
        steps = make(peft_model)
    else:
        make_optimizer, options = OPTIMIZERS[optimizer]
        trainable = [p for p in peft_model.parameters() if p.requires_grad]
        steps = make_optimizer(trainable, lr=LEARNING_RATES[case.name][optimizer], **options)
    losses = []
    for step in range(STEPS):
        first = step * BATCH_SIZE % len(data["labels"])
        batch = {name: tensor[first : first + BATCH_SIZE] for name, tensor in data.items()}
        labels = batch.pop("labels")
        loss = case.peft_loss(case.forward(peft_model, batch), labels)
        steps.zero_grad()
        loss.backward()
        steps.step()
        losses.append(loss.item())
    tensors = get_peft_model_state_dict(peft_model)
    # Under bias = "all" PEFT repeats the biases of modules to save under their wrappers' names.
    wrappers = (".original_module.", ".modules_to_save.")
    return {n: t for n, t in tensors.items() if not any(w in n for w in wrappers)}, losses


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
