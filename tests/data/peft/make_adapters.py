"""Writes the adapters of this folder, each by the version of PEFT that it is named after.

    pip install --no-deps --target OLD/0.10.0 peft==0.10.0        (and the others)
    python make_adapters.py OLD/0.10.0 OLD/0.12.0 ...

Each version runs in a process of its own, with the torch and transformers of this Python. 0.16 and 0.17
need an older one beside them: `pip install --target OLD/deps "transformers==4.49.0"` and
PYTHONPATH=OLD/deps.
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def build_model():
    import torch
    from torch import nn

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(9, 6)
            self.conv = nn.Conv2d(1, 2, 3, padding=1)
            self.first = nn.Linear(12, 8)
            self.second = nn.Linear(8, 5)
            self.head = nn.Linear(5, 2)

        def forward(self, x):
            h = torch.relu(self.conv(self.embedding(x).unsqueeze(1)))
            h = torch.relu(self.first(h.transpose(1, 2).flatten(2)))
            return self.head(torch.relu(self.second(h)))

    torch.manual_seed(1)
    return Small().eval()


INPUT_SHAPE = (2, 4)


def adapters():
    """By folder name, the keys of LoraConfig."""
    plain = {
        "r": 2,
        "lora_alpha": 3,
        "target_modules": ["embedding", "conv", "first", "second"],
        "modules_to_save": ["head"],
        "use_rslora": True,
        "rank_pattern": {"first": 3},
        "alpha_pattern": {"second": 5},
    }
    dora = {"r": 2, "use_dora": True, "target_modules": "first|second"}
    return {"plain": plain, "dora": dora}


def write_by(installed):
    sys.path.insert(0, str(installed))
    import peft
    import torch
    from safetensors.torch import save_file

    assert Path(peft.__file__).is_relative_to(installed), peft.__file__
    x = torch.arange(8).view(INPUT_SHAPE)
    for name, keys in adapters().items():
        torch.manual_seed(2)
        config = peft.LoraConfig(init_lora_weights=False, **keys)
        model = peft.get_peft_model(build_model(), config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.rand_like(parameter), alpha=0.1)
        folder = FOLDER / peft.__version__ / name
        model.save_pretrained(folder)
        (folder / "README.md").unlink()
        save_file({"output": model(x).detach()}, folder / "output.safetensors")


def main():
    if sys.argv[1] == "--one":
        return write_by(Path(sys.argv[2]))
    for installed in sys.argv[1:]:
        command = [sys.executable, "-B", __file__, "--one", str(Path(installed).resolve())]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
