"""LoRA in all its forms on small models: what one of PEFT and Tenon saved, the other loads."""

import warnings

import torch
from peft import (
    BdLoraConfig,
    KasaConfig,
    LoraConfig,
    MontecloraConfig,
    PeftModel,
    TrainableTokensConfig,
    VeloraConfig,
    get_peft_model,
)
from safetensors.torch import load_file
from support import ParityTest, main, models, toys


def row(toy, **lora):
    return toy, {"r": 8, "lora_alpha": 8, **lora}


MLP_ROWS = [
    row("mlp", target_modules="lin0"),
    row("mlp", target_modules=["lin0"]),
    row("mlp", target_modules=["lin1"]),
    row("mlp", target_modules=["lin0", "lin1"]),
    row("mlp", target_modules=["lin0"], modules_to_save=["lin1"]),
    row("mlp", target_modules=["lin0"], lora_alpha=4, lora_dropout=0.1),
    row("mlp", target_modules=["lin0", "lin1"], use_rslora=True, alpha_pattern={"lin1": 3}),
    row("mlp", target_modules=["lin0"], lora_alpha=32, lora_bias=True),
    row("mlp", target_modules=["lin0", "lin1"], lora_alpha=32, lora_bias=True),
    row("deep_mlp", target_modules=["lin0", "lin1"], rank_pattern={r"layers\.[0-5]\.lin0": 4}),
    row("mlp_layernorm", target_modules=["lin0"], modules_to_save=["layernorm1"]),
    row("mlp_gru", target_modules=["lin0"], modules_to_save=["gru"]),
    row("mlp_no_bias", target_modules=["lin0", "lin1"]),
]
DORA_ROWS = [
    row("mlp", target_modules=["lin0"], use_dora=True),
    row("mlp", target_modules=["lin0", "lin1"], use_dora=True),
    row("mlp", target_modules="lin1", use_dora=True, lora_alpha=32),
    row("mlp", target_modules=["lin0"], use_dora=True, lora_dropout=0.1, use_rslora=True),
    row("mlp_no_bias", target_modules=["lin0"], use_dora=True),
    row("emb_conv1d", target_modules=["conv1d"], use_dora=True),
    row("emb_conv1d", target_modules=["emb"], use_dora=True),
    row("emb_conv1d", target_modules=["emb", "conv1d"], use_dora=True),
    row("conv1d", target_modules=["conv"], use_dora=True),
    row("conv1d_bigger", target_modules=["conv"], use_dora=True),
    row("conv2d", target_modules=["conv"], use_dora=True),
    row("conv2d", target_modules=["conv", "lin0"], use_dora=True),
    row("conv2d_1x1", target_modules=["conv"], use_dora=True),
    row("conv2d_groups", target_modules=["conv"], use_dora=True),
    row("conv2d_groups2", target_modules=["conv"], use_dora=True),
    row("conv3d", target_modules=["conv"], use_dora=True),
    row("conv3d", target_modules=["conv", "lin0"], use_dora=True),
    row("conv3d_1x1", target_modules=["conv"], use_dora=True),
]
EMBEDDING_ROWS = [
    row("emb_conv1d", target_modules=["conv1d"]),
    row("emb_conv1d", target_modules=["emb"]),
    row("emb_conv1d", target_modules=["emb", "conv1d"]),
]
CONVOLUTION_ROWS = [
    row("conv1d", target_modules=["conv"]),
    row("conv1d_bigger", target_modules=["conv"]),
    row("conv1d_groups", target_modules=["conv"]),
    row("conv1d_kernel1", target_modules=["conv"]),
    row("conv2d", target_modules=["conv"]),
    row("conv2d", target_modules=["conv", "lin0"]),
    row("conv2d_1x1", target_modules=["conv"]),
    row("conv2d_groups", target_modules=["conv"]),
    row("conv2d_groups2", target_modules=["conv"]),
    row("conv3d", target_modules=["conv"]),
    row("conv3d", target_modules=["conv", "lin0"]),
    row("conv3d_1x1", target_modules=["conv"]),
    row("conv2d", target_modules=["conv"], lora_alpha=32, lora_bias=True),
    row("conv3d", target_modules=["conv"], lora_alpha=32, lora_bias=True),
]
BIAS_ROWS = [
    row("mlp", target_modules=["lin0"], bias="all"),
    row("mlp", target_modules=["lin0"], bias="lora_only"),
    row("mlp", target_modules=["lin0", "lin1"], bias="lora_only", use_dora=True),
    row("mlp", target_modules=["lin0"], bias="all", lora_bias=True),
    row("mlp_layernorm", target_modules=["lin0"], bias="all"),
    row("deep_mlp", target_modules=["lin0"], bias="all"),
    row("conv2d", target_modules=["conv"], bias="lora_only"),
    row("conv2d", target_modules=["conv"], bias="all"),
    row("emb_conv1d", target_modules=["emb", "conv1d"], bias="lora_only"),
    row("emb_conv1d", target_modules=["emb"], bias="all"),
    row("attention", target_modules=["mha"], bias="lora_only"),
    row("attention", target_modules=["mha", "lin0"], bias="all"),
    row("tower", target_modules=["q_proj"], bias="all"),
]
TOKEN_ROWS = [
    row("emb_conv1d", target_modules=["conv1d"], trainable_token_indices={"emb": [0, 10]}),
    row("emb_conv1d", target_modules=["lin0"], trainable_token_indices={"emb": [10, 0, 40]}),
]
OTHER_ROWS = [
    row("attention", target_modules=["mha"]),
    row("attention", target_modules=["mha", "lin0"]),
    row("matrices", target_parameters=["lin0.weight"]),
    row("matrices", target_parameters=["lin0.weight", "lin1.weight"], rank_pattern={"lin1.weight": 3}),
    row("mlp", target_modules=["lin0"], target_parameters=["lin1.weight"]),
]

# Variants of PEFT's that Tenon does not have, and how it calls them.
REFUSED = [
    ("KaSA", row("mlp", target_modules=["lin0"], kasa_config=KasaConfig())),
    ("MiCA", row("mlp", target_modules=["lin0"], init_lora_weights="mica", r=2)),
    *(
        ("VeLoRA", row("mlp", target_modules=["lin0"], velora_config=VeloraConfig(2, init_type=start)))
        for start in ("random", "batch_average", "batch_average_once")
    ),
    ("MonteCLoRA", row("mlp", target_modules=["lin0"], monteclora_config=MontecloraConfig())),
    *(
        ("BD-LoRA", row("mlp", target_modules=["lin0"], use_bdlora=BdLoraConfig(nblocks=2, **blocks)))
        for blocks in ({"target_modules_bd_a": ["lin0"]}, {"target_modules_bd_b": ["lin0"]})
    ),
    ("aLoRA", row("mlp", target_modules=["lin0"], alora_invocation_tokens=[3, 4])),
]


def for_each(rows):
    """A test that runs for each of the rows."""

    def decorate(check):
        def test(self):
            for name, lora in rows:
                with self.subTest(toy=name, **lora):
                    check(self, name, lora)

        return test

    return decorate


class ToysTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        warnings.simplefilter("ignore")
        cls.exported = {}

    def table(self, name):
        if name not in self.exported:
            path = self.workspace.folder / f"{name}.pt2"
            example = models.Example(toys.toy(name), {"X": toys.example_input()}, {"X": None})
            models.export_to(path, example)
            self.exported[name] = {"path": path}
        return self.exported[name]

    def exchange(self, name, lora):
        self.peft_to_tenon(name, lora)
        self.tenon_to_peft(name, lora)

    test_mlps = for_each(MLP_ROWS)(exchange)
    test_dora = for_each(DORA_ROWS)(exchange)
    test_embeddings = for_each(EMBEDDING_ROWS)(exchange)
    test_convolutions = for_each(CONVOLUTION_ROWS)(exchange)
    test_biases = for_each(BIAS_ROWS)(exchange)
    test_token_rows = for_each(TOKEN_ROWS)(exchange)
    test_others = for_each(OTHER_ROWS)(exchange)

    def test_starts_from_the_bases_weight(self):
        """Each start leaves the output what it was, and PEFT makes the same rest of the weight."""
        rows = [("pissa", "mlp", "lin0", 4), ("olora", "mlp", "lin0", 4)]
        rows.append(("pissa", "emb_conv1d", "conv1d", 1))  # with OLoRA PEFT fails there
        for init, name, target, r in rows:
            with self.subTest(init=init, toy=name):
                lora = {"r": r, "lora_alpha": 3, "target_modules": [target]}
                lora["init_lora_weights"] = init
                self.check_start(name, lora)
                self.peft_to_tenon(name, lora)
                self.tenon_to_peft(name, lora)

    def test_fast_and_orthogonal_starts(self):
        lora = {"r": 4, "lora_alpha": 3, "target_modules": ["lin0"]}
        self.check_start("mlp", {**lora, "init_lora_weights": "pissa_niter_8"})
        folder = self.train("mlp", {**lora, "init_lora_weights": "orthogonal"}, steps=1, rate=1e-9)
        tensors = load_file(folder / "adapter_model.safetensors")
        a, b = (tensors[f"base_model.model.lin0.lora_{x}.weight"] for x in "AB")
        # Odd and even rows of one orthogonal matrix: B A is zero.
        self.assertLess((b @ a).abs().max(), 1e-6)
        self.assertGreater(a.abs().max(), 1e-2)
        self.tenon_to_peft("mlp", {**lora, "init_lora_weights": "orthogonal"})

    def check_start(self, name, lora):
        folder = self.train(name, lora, steps=1, rate=1e-12)
        base = predict(toys.toy(name))
        self.assert_close(self.predict(name, folder), base)

    def test_rows_of_an_embedding(self):
        """PEFT's method TRAINABLE_TOKENS, both ways."""
        torch.manual_seed(3)
        tokens = [0, 10, 11, 12, 40]
        config = TrainableTokensConfig(target_modules=["emb"], token_indices=tokens)
        peft_model = get_peft_model(toys.toy("emb_conv1d"), config).eval()
        with torch.no_grad():
            for name, parameter in peft_model.named_parameters():
                if "trainable_tokens_delta" in name:
                    parameter.add_(torch.randn_like(parameter))
        folder = self.workspace.new_path()
        peft_model.save_pretrained(folder)
        self.assert_close(self.predict("emb_conv1d", folder), predict(peft_model))

        keys = {"target_modules": ["emb"], "token_indices": tokens, "init_weights": False}
        trained = self.train("emb_conv1d", keys, steps=1, rate=0.5, method="trainable_tokens")
        self.assertEqual(kinds(trained), kinds(folder))
        expected = predict(self.load_by_peft("emb_conv1d", trained))
        self.assertGreater((expected - predict(toys.toy("emb_conv1d"))).abs().max(), 1e-4)
        self.assert_close(self.predict("emb_conv1d", trained), expected)

    def peft_to_tenon(self, name, lora):
        folder, peft_model = self.save_by_peft(name, lora)
        expected = predict(peft_model)
        self.assertGreater((expected - predict(toys.toy(name))).abs().max(), 1e-3)
        self.assert_close(self.predict(name, folder), expected)

    def tenon_to_peft(self, name, lora):
        """One step from a random start, so that biases and saved modules differ from the base's."""
        folder = self.train(name, {"init_lora_weights": False, **lora}, steps=1, rate=0.1)
        reference, _ = self.save_by_peft(name, lora)
        self.assertEqual(kinds(folder), kinds(reference))
        loaded = self.load_by_peft(name, folder)
        expected = predict(loaded)
        self.assertGreater((expected - predict(toys.toy(name))).abs().max(), 1e-3)
        self.assert_close(self.predict(name, folder), expected)

    def train(self, name, lora, steps, rate, method="lora"):
        folder = self.workspace.new_path()
        data = {"x": toys.example_input(), "labels": torch.arange(toys.ROWS) % 2}
        config = {
            "model": self.table(name),
            "adapter": {"method": method, **lora},
            "data": {"train": self.workspace.write_tensors(data)},
            "train": {
                "loss": "nll",
                "optimizer": "sgd",
                "learning_rate": rate,
                "steps": steps,
                "batch_size": toys.ROWS,
            },
            "output": {"directory": folder},
        }
        self.workspace.tenon_ok("run", self.workspace.write_config(config))
        return folder

    def test_variants_that_tenon_does_not_have_are_refused_by_name(self):
        for variant, (name, lora) in REFUSED:
            with self.subTest(variant=variant):
                folder, _ = self.save_by_peft(name, {"init_lora_weights": True, **lora})
                done = self.workspace.tenon(
                    "predict",
                    self.workspace.write_config({"model": self.table(name)}),
                    *("--adapter", folder),
                    *("--inputs", self.workspace.write_tensors({"x": toys.example_input()})),
                    *("--outputs", self.workspace.new_path()),
                )
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(variant, done.stderr)

    def predict(self, name, adapter):
        return self.workspace.predict(self.table(name), {"x": toys.example_input()}, adapter)

    def save_by_peft(self, name, lora):
        """An adapter of random tensors, everything that it trains off the base's values."""
        torch.manual_seed(3)
        config = LoraConfig(**{"init_lora_weights": False, **lora})
        peft_model = get_peft_model(toys.toy(name), config).eval()
        with torch.no_grad():
            for parameter_name, parameter in peft_model.named_parameters():
                if parameter.requires_grad and "lora_" not in parameter_name:
                    parameter.add_(torch.randn_like(parameter), alpha=0.1)
                if "lora_magnitude_vector" in parameter_name or "lora_B" in parameter_name:
                    parameter.mul_(1 + 0.2 * torch.rand_like(parameter))
        folder = self.workspace.new_path()
        peft_model.save_pretrained(folder)
        return folder, peft_model

    def load_by_peft(self, name, folder):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            loaded = PeftModel.from_pretrained(toys.toy(name), folder).eval()
        missing = [str(w.message) for w in caught if "missing adapter keys" in str(w.message)]
        self.assertEqual(missing, [])
        return loaded

    def assert_close(self, actual, expected):
        self.assert_within(actual, expected, 1e-5 * max(1, expected.abs().max().item()))


def predict(model):
    with torch.no_grad():
        return model(toys.example_input())


def kinds(folder):
    tensors = load_file(folder / "adapter_model.safetensors")
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}


if __name__ == "__main__":
    main()
