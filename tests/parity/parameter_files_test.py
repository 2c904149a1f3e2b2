"""Parameters named one by one in PEFT's files: recurrent layers beside other keys, which must still
mean what the config said, and parameters of one module with ranks of their own."""

import json
import warnings
from copy import deepcopy

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from support import ParityTest, layers, main, models
from torch import nn

# What the config says beside r, and what PEFT's file must say.
ROWS = [
    (
        {"target_modules": ["gru"], "trainable_token_indices": {"words": [1, 3]}},
        {"target_modules": [], "trainable_token_indices": {"words": [1, 3]}},
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


BATCH = {0: torch.export.Dim("batch")}


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


class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.Parameter(torch.randn(5, 6))
        self.down = nn.Parameter(torch.randn(3, 5))

    def forward(self, x):
        return x @ self.up.T @ self.down.T


class TwoMatrices(nn.Module):
    def __init__(self):
        super().__init__()
        self.both = Both()

    def forward(self, x):
        return self.both(x)


class ParameterFilesTest(ParityTest):
    def test_what_tenon_trained_is_read_by_both(self):
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        model = Net().eval()
        ids = torch.randint(20, (8, 4))
        path = self.workspace.new_path(".pt2")
        models.export_to(path, models.Example(deepcopy(model), {"ids": ids}, {"ids": BATCH}))
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

    def test_each_parameter_has_the_rank_that_its_name_has(self):
        torch.manual_seed(0)
        model = layers.Parameters().eval()
        x = torch.randn(8, 6)
        path = self.workspace.new_path(".pt2")
        models.export_to(path, models.Example(deepcopy(model), {"x": x}, {"x": BATCH}))
        keys = {
            "target_parameters": ["experts.up", "experts.down"],
            "rank_pattern": {".*down": 4},
            "alpha_pattern": {"down": 3},
        }
        folder = self.train({"path": path}, {**keys, "lora_alpha": 8}, x)
        config = json.loads((folder / "adapter_config.json").read_text())
        self.assertEqual(config["rank_pattern"], {r"^experts\.down": 4})
        self.assertEqual(config["alpha_pattern"], {r"^experts\.down": 3})
        self.load_by_peft(model, folder)
        (layer,) = self.workspace.tenon_json("inspect", folder)["layers"]
        self.assertNotIn("r", layer)
        ranks = {one["name"]: one.get("scaling") for one in layer["parameters"]}
        self.assertEqual(ranks["base_layer.lora_A.weight"], 4)
        self.assertEqual(ranks["lora_A.weight"], 3 / 4)

        # PEFT's own file does not say which of the two a tensor is of. 6 rows of lora_A are those
        # of rank 2 only, 12 might be of either.
        peft = LoraConfig(r=2, lora_alpha=8, **keys)
        get_peft_model(deepcopy(model), peft).save_pretrained(folder / "peft")
        facts = self.workspace.tenon_json("inspect", folder / "peft")
        ranks = {one["name"]: one.get("scaling") for one in facts["layers"]}
        self.assertEqual(ranks, {"experts": None, "experts.base_layer": 4})
        self.assertIn("tensors of `experts` are of", "".join(facts["notes"]))

    def test_lorafa_refuses_parameters_of_different_ranks_by_name(self):
        torch.manual_seed(0)
        x = torch.randn(8, 6)
        path = self.workspace.new_path(".pt2")
        models.export_to(path, models.Example(TwoMatrices(), {"x": x}, {"x": BATCH}))
        keys = {"target_parameters": ["up", "down"], "alpha_pattern": {"both.down": 3}}
        config = self.config({"path": path}, keys, x)
        config["train"]["optimizer"] = "lorafa"
        done = self.workspace.tenon("run", self.workspace.write_config(config))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("cannot train `both`: `down` has another lora_alpha", done.stderr)

    def train(self, table, keys, ids):
        config = self.config(table, keys, ids)
        self.workspace.tenon_ok("run", self.workspace.write_config(config))
        return config["output"]["directory"]

    def config(self, table, keys, ids):
        name = "ids" if ids.dtype == torch.int64 else "x"
        data = {name: ids, "labels": torch.randn(8, 3)}
        return {
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
            "output": {"directory": self.workspace.new_path()},
        }

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
