"""Two adapters at once: each alone, both, neither and merged give what PEFT gives."""

import warnings
from copy import copy
from itertools import permutations

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from support import ParityTest, main, models, off_the_start, toys

# By the toy model, the keys of both adapters.
ROWS = {
    "on one layer": ("mlp", {"target_modules": ["lin0"]}, {"target_modules": ["lin0"]}),
    "on different layers": ("mlp", {"target_modules": ["lin0"]}, {"target_modules": ["lin1"]}),
    "of other ranks": (
        "mlp",
        {"target_modules": ["lin0", "lin1"], "r": 4, "lora_alpha": 3},
        {"target_modules": ["lin0"], "r": 2, "lora_alpha": 16, "use_rslora": True},
    ),
    "one of them DoRA": (
        "mlp",
        {"target_modules": ["lin0"]},
        {"target_modules": ["lin0", "lin1"], "use_dora": True},
    ),
    "rows of an embedding, one layer": (
        "emb_conv1d",
        {"target_modules": ["lin0"], "trainable_token_indices": {"emb": [0, 1, 2]}},
        {"target_modules": ["lin0"], "trainable_token_indices": {"emb": [3, 4, 5, 6]}},
    ),
    "rows of an embedding, different layers": (
        "emb_conv1d",
        {"target_modules": ["lin0"], "trainable_token_indices": {"emb": [0, 1, 2]}},
        {"target_modules": ["conv1d"], "trainable_token_indices": {"emb": [3, 4, 5, 6]}},
    ),
    "on one parameter": (
        "matrices",
        {"target_parameters": ["lin0.weight"]},
        {"target_parameters": ["lin0.weight"]},
    ),
    "on a convolution": ("conv2d", {"target_modules": ["conv"]}, {"target_modules": ["lin0"]}),
    "both on a convolution": (
        "conv3d",
        {"target_modules": ["conv"], "r": 4},
        {"target_modules": ["conv", "lin0"], "use_rslora": True},
    ),
    "both on a recurrent layer": (
        "mlp_gru",
        {"target_parameters": ["gru.weight_ih_l0", "gru.weight_hh_l0"]},
        {"target_parameters": ["gru.weight_ih_l0", "gru.weight_hh_l0"]},
    ),
    "on an embedding": (
        "emb_conv1d",
        {"target_modules": ["emb", "conv1d"]},
        {"target_modules": ["emb"], "r": 2},
    ),
    "on attention": ("attention", {"target_modules": ["mha"]}, {"target_modules": ["mha", "lin0"]}),
}
NAMES = ("default", "other")


def has_rows(peft_model):
    return any("trainable_tokens" in name for name, _ in peft_model.named_parameters())


class ActiveAdaptersTest(ParityTest):
    def test_rows_of_pefts_matrix(self):
        warnings.simplefilter("ignore")
        for title, (name, *keys) in ROWS.items():
            with self.subTest(title):
                self.check(name, self.table(name), *self.adapters(name, keys))

    def table(self, name):
        path = self.workspace.new_path(".pt2")
        example = models.Example(toys.toy(name), {"X": toys.example_input()}, {"X": None})
        models.export_to(path, example)
        return {"path": path}

    def adapters(self, name, keys):
        """PEFT's model with both, and the arguments that give them to tenon."""
        torch.manual_seed(3)
        configs = [LoraConfig(**{"init_lora_weights": False, **each}) for each in keys]
        peft_model = get_peft_model(toys.toy(name), configs[0]).eval()
        peft_model.add_adapter(NAMES[1], configs[1])
        off_the_start(peft_model)
        with torch.no_grad():
            for parameter_name, parameter in peft_model.named_parameters():
                if "trainable_tokens_delta" in parameter_name:
                    parameter.add_(torch.randn_like(parameter))
        folder = self.workspace.new_path()
        peft_model.save_pretrained(folder)
        places = (folder, folder / NAMES[1])  # PEFT's layout
        folders = [
            argument
            for adapter, place in zip(NAMES, places)
            for argument in ("--adapter", f"{adapter}={place}")
        ]
        return peft_model, folders

    def check(self, toy, table, peft_model, folders):
        found = {}
        for active in (NAMES[:1], NAMES[1:], NAMES):
            expected = self.expected(toy, peft_model, active)
            found[active] = self.predict(table, *folders, "--active", ",".join(active))
            self.assert_close(found[active], expected)
        with torch.no_grad(), peft_model.disable_adapter():
            base = self.predict(table)
            self.assert_close(base, peft_model(toys.example_input()))
        for one, other in ((NAMES, NAMES[:1]), (NAMES, NAMES[1:]), (NAMES[:1], NAMES[1:])):
            self.assertGreater((found[one] - found[other]).abs().max(), 1e-3)
        self.assert_merged(table, folders, found[NAMES])

    def expected(self, toy, peft_model, active):
        """PEFT's output; it refuses rows of two adapters at once, so there they go into the base."""
        layers = peft_model.base_model
        if toy != "emb_conv1d" or len(active) == 1 or not has_rows(peft_model):
            layers.set_adapter(list(active))
            with torch.no_grad():
                return peft_model(toys.example_input())
        self.assertRaisesRegex(ValueError, "Only one adapter", layers.set_adapter, list(active))
        base = toys.toy(toy)
        configs = [copy(peft_model.peft_config[name]) for name in active]
        for config in configs:
            config.trainable_token_indices = None
        plain = get_peft_model(base, configs[0]).eval()
        plain.add_adapter(active[1], configs[1])
        loras = {k: v for k, v in peft_model.state_dict().items() if "lora_" in k}
        plain.load_state_dict(loras, strict=False)
        plain.base_model.set_adapter(list(active))
        rows = layers.model.emb.token_adapter
        with torch.no_grad():
            for name in active:
                base.emb.weight[rows.token_indices[name]] = rows.trainable_tokens_delta[name]
            return plain(toys.example_input())

    def test_adapters_act_one_after_the_other_in_every_order(self):
        """A DoRA scales what the adapters before it have made, as in PEFT; merged too."""
        warnings.simplefilter("ignore")
        kinds = {"plain": {}, "dora": {"use_dora": True}, "late": {"use_dora": True, "r": 3}}
        for toy, target in (("mlp", "lin0"), ("conv2d", "conv"), ("emb_conv1d", "emb")):
            torch.manual_seed(5)
            keys = {"target_modules": [target], "r": 2, "lora_alpha": 4, "init_lora_weights": False}
            configs = {name: LoraConfig(**{**keys, **own}) for name, own in kinds.items()}
            peft_model = get_peft_model(toys.toy(toy), configs["plain"], "plain").eval()
            for name in ("dora", "late"):
                peft_model.add_adapter(name, configs[name])
            off_the_start(peft_model)
            folder = self.workspace.new_path()
            peft_model.save_pretrained(folder)
            table = self.table(toy)
            for order in permutations(kinds):
                with self.subTest(toy=toy, order=order):
                    self.check_order(toy, table, peft_model, folder, order)

    def check_order(self, toy, table, peft_model, folder, order):
        folders = [f"--adapter={name}={folder / name}" for name in order]
        expected = self.expected(toy, peft_model, order)
        self.assert_close(self.predict(table, *folders, "--active", ",".join(order)), expected)
        self.assert_merged(table, folders, expected)

    def test_two_adapters_cannot_both_replace_a_row(self):
        warnings.simplefilter("ignore")
        table = self.table("emb_conv1d")
        keys = [
            {"target_modules": ["lin0"], "trainable_token_indices": {"emb": tokens}}
            for tokens in ([4, 1], [2, 4])
        ]
        _, folders = self.adapters("emb_conv1d", keys)
        done = self.workspace.tenon(
            "predict",
            self.workspace.write_config({"model": table}),
            *("--inputs", self.workspace.write_tensors({"x": toys.example_input()})),
            *("--outputs", self.workspace.new_path(".safetensors"), *folders),
        )
        self.assertEqual(done.returncode, 1, done.stderr)
        for part in ("emb", "two of the active adapters replace the row of token 4"):
            self.assertIn(part, done.stderr)

    def test_names_that_lie_in_one_another_are_told_apart(self):
        warnings.simplefilter("ignore")
        names = ("default", "default2", "other_default", "foodefault_bar", "efaul")
        torch.manual_seed(3)
        config = LoraConfig(target_modules=["lin0", "lin1"], r=2, init_lora_weights=False)
        peft_model = get_peft_model(toys.toy("mlp"), config).eval()
        for name in names[1:]:
            peft_model.add_adapter(name, copy(config))
        folder = self.workspace.new_path()
        peft_model.save_pretrained(folder)
        places = {name: folder if name == "default" else folder / name for name in names}
        table = self.table("mlp")
        arguments = [f"--adapter={name}={place}" for name, place in places.items()]
        for name in names:
            expected = self.expected("mlp", peft_model, [name])
            self.assert_close(self.predict(table, *arguments, "--active", name), expected)
        # Named like a module or a part of a parameter's name, of which PEFT saves less than all.
        places |= {"lin0": folder, "weight": places["efaul"], "lora_A": places["default2"]}
        self.assert_saved_apart(table, places)

    def assert_saved_apart(self, table, starts):
        """Trained by next to nothing, each adapter's folder holds what it started from."""
        output = self.workspace.new_path()
        inputs = {"x": toys.example_input(), "labels": torch.arange(toys.ROWS) % 2}
        config = {
            "model": table,
            "adapter": [{"name": name, "init_from": start} for name, start in starts.items()],
            "data": {"train": self.workspace.write_tensors(inputs)},
            "train": {"loss": "nll", "steps": 1, "batch_size": toys.ROWS, "learning_rate": 1e-30},
            "output": {"directory": output},
        }
        self.workspace.tenon_ok("run", self.workspace.write_config(config))
        for name, start in starts.items():
            folder = output if name == "default" else output / name
            saved = load_file(folder / "adapter_model.safetensors")
            wanted = load_file(start / "adapter_model.safetensors")
            self.assertEqual(saved.keys(), wanted.keys())
            for key, tensor in wanted.items():
                self.assertTrue(torch.equal(saved[key], tensor), f"{name}: {key}")

    def assert_merged(self, table, folders, expected):
        merged = self.workspace.new_path(".pt2")
        config = self.workspace.write_config({"model": table})
        self.workspace.tenon_ok("merge", config, *folders, "--output", merged)
        self.assert_close(self.predict({"path": merged}), expected)

    def predict(self, table, *arguments):
        outputs = self.workspace.new_path(".safetensors")
        self.workspace.tenon_ok(
            "predict",
            self.workspace.write_config({"model": table}),
            *("--inputs", self.workspace.write_tensors({"x": toys.example_input()})),
            *("--outputs", outputs, *arguments),
        )
        return load_file(outputs)["output_0"]

    def assert_close(self, actual, expected):
        self.assert_within(actual, expected, 1e-5 * max(1, expected.abs().max().item()))


if __name__ == "__main__":
    main()
