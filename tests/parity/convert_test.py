"""`adapter convert` makes plain LoRA of other adapters, as PEFT's conversion and export do."""

import json
from copy import deepcopy

import torch
from peft import (
    GraloraConfig,
    IA3Config,
    LilyConfig,
    LoraConfig,
    PeftModel,
    get_peft_model,
    save_as_lora,
)
from safetensors.torch import load_file
from support import ParityTest, main
from torch import nn


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 6)
        self.first = nn.Linear(6, 8)
        self.second = nn.Linear(8, 5)
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        return self.head(torch.relu(self.second(torch.relu(self.first(self.embedding(x))))))


class ConvertTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        torch.manual_seed(1)
        cls.model = Small().eval()
        cls.x = torch.arange(8).view(2, 4)
        cls.path = cls.workspace.new_path(".pt2")
        torch.export.save(torch.export.export(cls.model, (cls.x,)), cls.path)
        cls.config = cls.workspace.write_config({"model": {"path": cls.path}})

    def adapter(self, config):
        torch.manual_seed(3)
        peft_model = get_peft_model(deepcopy(self.model), config).eval()
        with torch.no_grad():
            for parameter in peft_model.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter), alpha=0.1)
        folder = self.workspace.new_path()
        peft_model.save_pretrained(folder)
        return peft_model, folder

    def convert(self, folder, *options, status=0, config=None):
        output = self.workspace.new_path()
        done = self.workspace.tenon(
            *("adapter", "convert", config or self.config, "--adapter", folder, "--json"),
            *("--output", output, *options),
        )
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        if status == 0:
            return output
        self.assertFalse(output.exists())
        return json.loads(done.stdout)["error"]["message"]

    def output_of(self, folder):
        """By PEFT and by Tenon."""
        loaded = PeftModel.from_pretrained(deepcopy(self.model), folder).eval()
        output = loaded(self.x).detach()
        predicted = self.workspace.predict({"path": self.path}, {"x": self.x}, folder)
        self.assert_within(predicted, output, 1e-5)
        return output

    def test_an_adapter_is_cut_to_a_rank_as_peft_does_it(self):
        config = LoraConfig(
            r=5,
            lora_alpha=7,
            target_modules=["first", "second"],
            modules_to_save=["head"],
            init_lora_weights=False,
        )
        peft_model, folder = self.adapter(config)
        for rank in (2, 5, 0.5, 0.9):
            with self.subTest(rank=rank):
                wanted_folder = self.workspace.new_path()
                save_as_lora(wanted_folder, peft_model, rank)
                output = self.convert(folder, "--rank", rank)
                wanted = load_file(wanted_folder / "adapter_model.safetensors")
                tensors = load_file(output / "adapter_model.safetensors")
                self.assertEqual(
                    {name: tensor.shape for name, tensor in tensors.items()},
                    {name: tensor.shape for name, tensor in wanted.items()},
                )
                # Singular vectors have no sign.
                for layer in ("first", "second"):
                    name = f"base_model.model.{layer}.lora_{{}}.weight"
                    product = tensors[name.format("B")] @ tensors[name.format("A")]
                    expected = wanted[name.format("B")] @ wanted[name.format("A")]
                    self.assert_within(product, expected, 1e-5)
                self.assert_within(self.output_of(output), self.output_of(wanted_folder), 1e-5)

    def test_ia3_becomes_lora_with_a_bias_of_its_own(self):
        # PEFT refuses: its conversion knows no bias.
        config = IA3Config(
            target_modules=["first", "second"],
            feedforward_modules=["second"],
            modules_to_save=["head"],
        )
        peft_model, folder = self.adapter(config)
        output = self.convert(folder, "--rank", "1.0")
        self.assert_within(self.output_of(output), peft_model(self.x).detach(), 1e-5)
        saved = load_file(folder / "adapter_model.safetensors")
        tensors = load_file(output / "adapter_model.safetensors")
        name = "base_model.model.head.weight"
        self.assertTrue(torch.equal(tensors[name], saved[name]))

    def test_embeddings_convert_too(self):
        config = LoraConfig(r=5, target_modules=["first", "embedding"], init_lora_weights=False)
        peft_model, folder = self.adapter(config)
        output = self.convert(folder, "--rank", 5)
        self.assert_within(self.output_of(output), peft_model(self.x).detach(), 1e-5)

    def test_starts_that_changed_the_base_become_plain_lora_exactly(self):
        for init in ("pissa", "olora"):
            for rslora in (False, True):
                with self.subTest(init=init, rslora=rslora):
                    lora = {"target_modules": ["first", "second"], "r": 3, "lora_alpha": 4}
                    lora |= {"use_rslora": rslora, "init_lora_weights": init}
                    torch.manual_seed(3)
                    peft_model = get_peft_model(deepcopy(self.model), LoraConfig(**lora)).eval()
                    start = self.workspace.new_path()
                    peft_model.peft_config["default"].init_lora_weights = True
                    peft_model.save_pretrained(start)
                    peft_model.peft_config["default"].init_lora_weights = init
                    with torch.no_grad():
                        for name, parameter in peft_model.named_parameters():
                            if ".lora_" in name:
                                parameter.add_(torch.randn_like(parameter), alpha=0.1)
                    expected = peft_model(self.x).detach()
                    folder = self.workspace.new_path()
                    peft_model.save_pretrained(folder)
                    output = self.convert(folder)
                    self.assert_within(self.output_of(output), expected, 1e-5)
                    wanted_folder = self.workspace.new_path()
                    peft_model.save_pretrained(
                        wanted_folder, path_initial_model_for_weight_conversion=start
                    )
                    wanted = load_file(wanted_folder / "adapter_model.safetensors")
                    tensors = load_file(output / "adapter_model.safetensors")
                    for name, tensor in wanted.items():
                        self.assertEqual(tensors[name].shape, tensor.shape)
                    config, other = (
                        json.loads((each / "adapter_config.json").read_text())
                        for each in (output, wanted_folder)
                    )
                    for key in ("r", "lora_alpha", "init_lora_weights", "use_rslora"):
                        self.assertEqual(config[key], other[key])

    def test_half_precision_loses_nothing_to_rounding_of_the_base(self):
        model = deepcopy(self.model).bfloat16()
        path = self.workspace.new_path(".pt2")
        torch.export.save(torch.export.export(model, (self.x,)), path)
        config = LoraConfig(r=4, target_modules=["first"], init_lora_weights=False)
        torch.manual_seed(3)
        folder = self.workspace.new_path()
        get_peft_model(deepcopy(model), config).save_pretrained(folder)
        table = self.workspace.write_config({"model": {"path": path}})
        output = self.convert(folder, "--rank", 4, config=table)
        products = []
        for each in (folder, output):
            tensors = load_file(each / "adapter_model.safetensors")
            name = "base_model.model.first.lora_{}.weight"
            scale = 2 if each == folder else 1  # lora_alpha 8, r 4
            products.append(tensors[name.format("B")] @ tensors[name.format("A")] * scale)
        self.assert_within(products[1], products[0], 1e-5)

    def test_types_that_tenon_does_not_have_name_pefts_way_to_lora(self):
        targets = ["first", "second"]
        for config, way in (
            (GraloraConfig(target_modules=targets, r=2, gralora_k=1, init_weights=False), "peft.save_as_lora("),
            (LilyConfig(target_modules=targets), "merge_and_unload"),
        ):
            with self.subTest(type=config.peft_type.value):
                peft_model, folder = self.adapter(config)
                for keys in ({}, {"method": "lora"}):
                    table = {"model": {"path": self.path}, "adapter": {"init_from": folder, **keys}}
                    done = self.workspace.tenon("plan", self.workspace.write_config(table))
                    self.assertNotEqual(done.returncode, 0)
                    self.assertIn(config.peft_type.value, done.stderr)
                    self.assertIn(way, done.stderr)
                    self.assertIn("methods here: adalora, ", done.stderr)
                if way == "peft.save_as_lora(":
                    output = self.workspace.new_path()
                    save_as_lora(output, peft_model, 1.0)
                    expected = peft_model(self.x).detach()
                    self.assert_within(self.output_of(output), expected, 1e-4)

    def test_what_cannot_be_converted_is_refused(self):
        _, folder = self.adapter(LoraConfig(r=2, target_modules=["first"]))
        self.assertIn("--rank is missing", self.convert(folder, status=2))
        self.assertIn("--rank 0 is neither", self.convert(folder, "--rank", 0, status=2))
        self.assertIn("--rank 1.5 is neither", self.convert(folder, "--rank", 1.5, status=2))
        text = self.convert(folder, "--rank", 7, status=1)
        self.assertIn("the rank 7 is larger than `first` has (6)", text)


if __name__ == "__main__":
    main()
