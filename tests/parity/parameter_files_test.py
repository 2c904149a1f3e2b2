"""Recurrent layers beside other keys: in PEFT's files they are parameters named one by one, and all
other keys must still mean what the config said."""

import json
import warnings
from copy import deepcopy

import torch
from peft import PeftModel
from safetensors.torch import load_file
from support import ParityTest, main, models
from torch import nn

# What the config says beside r, and what PEFT's file must say.
ROWS = [
    (
        {"target_modules": ["gru"], "trainable_token_indices": {"words": [1, 3]}},
        {"target_modules": None, "trainable_token_indices": {"words": [1, 3]}},
    ),
    (
        {
            "target_modules": ["gru", "lin"],
            "trainable_token_indices": {"words": [4]},
            "modules_to_save": ["head"],
        },
        {"target_modules": ["lin"], "modules_to_save": ["head"]},
    ),
    # An expression of PEFT's for a name that is no ASCII.
    (
        {"target_modules": ["größe", "gru", "lin"], "rank_pattern": {"größe": 3}},
        {
            "target_modules": ["lin"],
            "rank_pattern": {
                r"^größe\.weight_ih_l0": 3,
                r"^größe\.weight_hh_l0": 3,
            },
        },
    ),
    (
        {"target_modules": r"gr.*|lin", "exclude_modules": ["gru"], "use_rslora": True},
        {"target_modules": ["lin"], "exclude_modules": None},
    ),
]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 6)
        setattr(self, "größe", nn.LSTM(6, 5, batch_first=True))
        self.gru = nn.GRU(5, 5, batch_first=True)
        self.lin = nn.Linear(5, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, ids):
        h = self.gru(getattr(self, "größe")(self.words(ids))[0])[0]
        return self.head(torch.tanh(self.lin(h))).mean(1)


class ParameterFilesTest(ParityTest):
    def test_what_tenon_trained_is_read_by_both(self):
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        model = Net().eval()
        ids = torch.randint(20, (8, 4))
        path = self.workspace.new_path(".pt2")
        batch = {"ids": {0: torch.export.Dim("batch")}}
        models.export_to(path, models.Example(deepcopy(model), {"ids": ids}, batch))
        for keys, wanted in ROWS:
            with self.subTest(**keys):
                folder = self.train({"path": path}, keys, ids)
                config = json.loads((folder / "adapter_config.json").read_text())
                self.assertEqual({key: config[key] for key in wanted}, wanted)
                predicted = self.workspace.predict({"path": path}, {"ids": ids}, folder)
                with torch.no_grad():
                    expected = self.load_by_peft(model, folder)(ids)
                    self.assertGreater((expected - model(ids)).abs().max(), 1e-3)
                self.assert_within(predicted, expected, 1e-5)

    def train(self, table, keys, ids):
        output = self.workspace.new_path()
        data = {"ids": ids, "labels": torch.randn(8, 3)}
        config = {
            "model": table,
            "adapter": {"method": "lora", "r": 2, "init_lora_weights": False, **keys},
            "data": {"train": self.workspace.write_tensors(data)},
            "train": {
                "loss": "mse",
                "optimizer": "sgd",
                "learning_rate": 0.1,
                "steps": 2,
                "batch_size": 8,
            },
            "output": {"directory": output},
        }
        self.workspace.tenon_ok("run", self.workspace.write_config(config))
        return output

    @staticmethod
    def load_by_peft(model, folder):
        """Every tensor of the file is where PEFT looks for it, and no other is missed."""
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Found missing")
            loaded = PeftModel.from_pretrained(deepcopy(model), folder).eval()
        again = folder / "again"
        loaded.save_pretrained(again)
        name = "adapter_model.safetensors"
        saved, resaved = load_file(folder / name), load_file(again / name)
        assert saved.keys() == resaved.keys()
        assert all(torch.equal(tensor, resaved[key]) for key, tensor in saved.items())
        return loaded


if __name__ == "__main__":
    main()
