"""The configs of models that read tokens, trained by Tenon and by PEFT from one adapter on the same rows."""

import tomllib
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file
from support import ParityTest, main, models, relative_norm

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
STEPS = 20
LEARNING_RATE = 1e-3  # at the configs' 1e-2 the roundings grow past the tolerance
TOLERANCE = 1e-4
MODELS = {
    "lstm_tagger": "lstm",
    "gru_classifier": "gru_classifier",
    "text_conv": "text_conv",
    "tied": "mistral_tied",
}


class TokenTrainingTest(ParityTest):
    def test_twenty_steps_give_the_same_adapter(self):
        for name, model in MODELS.items():
            with self.subTest(config=name):
                self.check_training(name, models.example(model))

    def check_training(self, name, built):
        config = tomllib.loads((CONFIGS / f"{name}.toml").read_text())
        path = self.workspace.new_path(".pt2")
        models.export_to(path, built)
        peft_model = random_adapter(built.model, config["adapter"])
        start, output = self.workspace.new_path(), self.workspace.new_path()
        peft_model.save_pretrained(start)
        changes = {
            "model.path": path,
            "adapter.init_from": start,
            "output.directory": output,
            "train.shuffle": "false",
            "train.learning_rate": LEARNING_RATE,
            "train.epochs": 1,
            "data.train": self.first_rows(config),
        }
        sets = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
        result = self.workspace.tenon_json("run", CONFIGS / f"{name}.toml", *sets)

        losses = train_by_peft(peft_model, load_file(changes["data.train"]), config["train"])
        self.assertEqual(len(result["losses"]), STEPS)
        for actual, expected in zip(result["losses"], losses, strict=True):
            self.assertAlmostEqual(actual, expected, delta=TOLERANCE * expected)
        before = load_file(start / "adapter_model.safetensors")
        trained = load_file(output / "adapter_model.safetensors")
        expected = get_peft_model_state_dict(peft_model)
        self.assertEqual(trained.keys(), expected.keys())
        for key, tensor in expected.items():
            self.assertLessEqual(relative_norm(trained[key], tensor), TOLERANCE, key)
            self.assertGreater(relative_norm(tensor, before[key]), 10 * TOLERANCE, key)

    def first_rows(self, config):
        """As many as the steps take, in the order of the file and round it again."""
        data = load_file(CONFIGS / config["data"]["train"])
        count = STEPS * config["train"]["batch_size"]
        return self.workspace.write_tensors(
            {name: tensor[torch.arange(count) % len(tensor)] for name, tensor in data.items()}
        )


def random_adapter(model, table):
    """PEFT's model as a config says, but for lora_B: where it is zero, lora_A has no gradient. Recurrent
    layers are adapted by the names of their weights, as PEFT can."""
    keys = ("r", "lora_alpha", "target_modules", "modules_to_save")
    config = LoraConfig(**{key: table[key] for key in keys if key in table}, init_lora_weights=False)
    if isinstance(config.target_modules, set):
        recurrent = [name for name in config.target_modules if is_recurrent(model, name)]
        config.target_modules -= set(recurrent)
        config.target_parameters = [
            f"{name}.{weight}"
            for name in recurrent
            for weight, _ in model.get_submodule(name).named_parameters()
            if weight.startswith("weight_")
        ] or None
    torch.manual_seed(3)
    peft_model = get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in peft_model.named_parameters():
            if "lora_B" in name or "lora_embedding_B" in name:
                parameter.mul_(0.1)
    return peft_model


def is_recurrent(model, name):
    return isinstance(model.get_submodule(name), torch.nn.RNNBase)


def loss_of(name, output, labels):
    logits = output if isinstance(output, torch.Tensor) else output.logits
    if name == "causal_lm":
        logits, labels = logits[:, :-1], labels[:, 1:]
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))


def train_by_peft(peft_model, data, config):
    peft_model.train()
    trainable = [parameter for parameter in peft_model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=LEARNING_RATE)
    data = {name: tensor.long() for name, tensor in data.items()}
    labels = data.pop("labels", data.get("input_ids"))
    losses = []
    for rows in torch.arange(len(labels)).split(config["batch_size"]):
        optimizer.zero_grad()
        output = peft_model(**{name: tensor[rows] for name, tensor in data.items()})
        loss = loss_of(config["loss"], output, labels[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    main()
