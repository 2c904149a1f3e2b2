"""The configs of image models, trained by Tenon and by PEFT from one adapter on the same images."""

import shutil
import tomllib
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from poolformer_test import noticeable_poolformer
from safetensors.torch import load_file
from support import ParityTest, main, models, relative_norm
from torch import nn

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
TOLERANCE = 1e-4
LEARNING_RATE = 1e-3  # at vision.toml's 1e-2 the roundings grow past that
EPOCH_STEPS = {"vision": 3}


class PatternNet(nn.Module):
    """The model that vision.toml declares."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
        )
        self.head = nn.Linear(32, 3)

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))


class ImageTrainingTest(ParityTest):
    def test_vision_with_its_own_statistics(self):
        torch.manual_seed(0)
        model = PatternNet()
        weights = self.workspace.write_tensors(model.state_dict())
        self.check_training("vision", model, {"weights": weights}, steps=21)

    def test_poolformer(self):
        built = noticeable_poolformer()
        path = self.workspace.new_path(".pt2")
        models.export_to(path, built)
        self.check_training("poolformer", built.model, {"path": path}, steps=3, image_size=224)

    def read_images(self, data):
        """The training images as Tenon reads them (images_test.py holds them against Pillow's), and
        their classes."""
        folder = CONFIGS / data["train"]
        layers = [{"name": "same", "type": "Identity"}]
        config = self.workspace.write_config({"model": {"layers": layers}, "data": data})
        outputs = self.workspace.new_path(".safetensors")
        self.workspace.tenon_ok("predict", config, "--inputs", folder, "--outputs", outputs)
        classes = sorted(path.name for path in folder.iterdir())
        labels = [classes.index(file.parent.name) for file in sorted(folder.glob("*/*"))]
        return load_file(outputs)["output_0"], torch.tensor(labels)

    def one_image_of_each_class(self, folder):
        few = self.workspace.new_folder()
        for path in (CONFIGS / folder).iterdir():
            (few / path.name).mkdir()
            shutil.copy(min(path.iterdir()), few / path.name)
        return few

    def check_training(self, name, model, table, steps, **sizes):
        """The first batches in the order of the files; all else as the config says."""
        config = tomllib.loads((CONFIGS / f"{name}.toml").read_text())
        peft_model = random_adapter(model, config["adapter"])
        start, output = self.workspace.new_path(), self.workspace.new_path()
        peft_model.save_pretrained(start)
        changes = {f"model.{key}": value for key, value in table.items()}
        changes |= {"adapter.init_from": start, "output.directory": output}
        changes |= {"train.shuffle": "false", "train.steps": steps}
        changes["train.learning_rate"] = config["train"]["learning_rate"] = LEARNING_RATE
        if "epochs" in config["train"]:
            changes["train.epochs"] = changes.pop("train.steps") // EPOCH_STEPS[name]
        changes["data.eval"] = self.one_image_of_each_class(config["data"]["eval"])
        sets = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
        result = self.workspace.tenon_json("run", CONFIGS / f"{name}.toml", *sets, timeout=600)

        images, labels = self.read_images({**config["data"], **sizes})
        losses = train_by_peft(peft_model, images, labels, steps, config["train"])
        self.assertEqual(len(result["losses"]), len(losses))
        for actual, expected in zip(result["losses"], losses):
            self.assertAlmostEqual(actual, expected, delta=TOLERANCE)
        trained = load_file(output / "adapter_model.safetensors")
        expected = get_peft_model_state_dict(peft_model)
        self.assertEqual(trained.keys(), expected.keys())
        for key, tensor in expected.items():
            self.assertLessEqual(relative_norm(trained[key].double(), tensor.double()), TOLERANCE, key)


def random_adapter(model, table):
    """PEFT's model as a config says, but for lora_B: where it is zero, lora_A has no gradient."""
    keys = ("r", "lora_alpha", "target_modules", "modules_to_save")
    config = LoraConfig(**{k: table[k] for k in keys if k in table}, init_lora_weights=False)
    torch.manual_seed(3)
    peft_model = get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in peft_model.named_parameters():
            if ".lora_B." in name:
                parameter.mul_(0.1)
    return peft_model


def train_by_peft(peft_model, images, labels, steps, config):
    peft_model.train()
    trainable = [p for p in peft_model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=config["learning_rate"])
    order = torch.arange(len(labels)).split(config["batch_size"])
    losses = []
    for step in range(steps):
        rows = order[step % len(order)]
        optimizer.zero_grad()
        loss = F.cross_entropy(peft_model(images[rows]), labels[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    main()
