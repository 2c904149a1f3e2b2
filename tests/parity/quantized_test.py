"""Quantised bases: packed weights are torchao's and bitsandbytes', training is PEFT's on those."""

import contextlib
import io
import json
import logging
import warnings

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support import ParityTest, main, models, off_the_start
from torch import nn

with contextlib.redirect_stderr(io.StringIO()):
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    import bitsandbytes
    from bitsandbytes import functional as bnb
    from peft import LoraConfig, PeftModel, get_peft_model
    from torchao.quantization import Int8WeightOnlyConfig, quantize_


class Net(nn.Module):
    """Linear layers of whole blocks, of broken ones and of odd rows, between others."""

    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(50, 64)
        self.up = nn.Linear(64, 192)
        self.middle = nn.Linear(192, 45, bias=False)
        self.odd = nn.Linear(45, 64)
        self.norm = nn.LayerNorm(64)
        self.out = nn.Linear(64, 5)

    def forward(self, X):
        x = self.emb(X)
        x = self.norm(x + self.odd(F.silu(self.middle(F.silu(self.up(x))))))
        return self.out(x.mean(1))


PACKED = ["up", "middle", "odd"]
SHAPE = (6, 7)


def net(dtype=torch.float32):
    torch.manual_seed(0)
    return Net().to(dtype).eval()


def ids(rows=SHAPE[0]):
    return torch.randint(0, 50, (rows, SHAPE[1]), generator=torch.Generator().manual_seed(1))


def on_bitsandbytes(model):
    """The packed layers as bitsandbytes' own."""
    for name in PACKED:
        plain = getattr(model, name)
        layer = bitsandbytes.nn.Linear4bit(
            plain.in_features,
            plain.out_features,
            bias=plain.bias is not None,
            compute_dtype=plain.weight.dtype,
            quant_type="nf4",
            compress_statistics=True,
        )
        layer.weight = bitsandbytes.nn.Params4bit(
            plain.weight.data, requires_grad=False, quant_type="nf4", compress_statistics=True
        )
        layer.bias = plain.bias
        setattr(model, name, layer.to("cpu"))
    return model


def on_torchao(model):
    quantize_(model, Int8WeightOnlyConfig(), lambda _, name: name in PACKED)
    return model


class QuantizedTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.paths = {}
        for dtype in (torch.float32, torch.bfloat16):
            cls.paths[dtype] = cls.workspace.new_path(".pt2")
            example = models.Example(net(dtype), {"X": ids()}, {"X": None})
            models.export_to(cls.paths[dtype], example)

    def quantized(self, form, dtype=torch.float32):
        file = self.workspace.new_path(".safetensors")
        self.workspace.tenon_ok("quantize", self.paths[dtype], "--to", form, "--output", file)
        return file

    def test_nf4_is_bitsandbytes_bit_for_bit(self):
        for dtype in (torch.float32, torch.bfloat16):
            file = self.quantized("nf4", dtype)
            found = load_file(file)
            for name in PACKED:
                key = f"{name}.weight"
                packed, state = bnb.quantize_4bit(
                    net(dtype).get_parameter(key), quant_type="nf4", compress_statistics=True
                )
                with self.subTest(dtype=dtype, weight=key):
                    self.assert_same(found[key], packed)
                    for part, expected in state.as_dict(packed=True).items():
                        if "bitsandbytes" not in part:
                            self.assert_same(found[f"{key}.{part}"], expected)
                    self.assert_read_by_bitsandbytes(found, key, packed, state)

    def assert_read_by_bitsandbytes(self, found, key, packed, state):
        parts = {k: v for k, v in found.items() if k.startswith(key + ".")}
        read = bitsandbytes.nn.Params4bit.from_prequantized(found[key], parts, device="cpu")
        self.assertTrue(
            torch.equal(bnb.dequantize_4bit(read.data, read.quant_state), bnb.dequantize_4bit(packed, state))
        )

    def test_int8_is_torchao_bit_for_bit(self):
        for dtype in (torch.float32, torch.bfloat16):
            found = load_file(self.quantized("int8", dtype))
            expected = on_torchao(net(dtype))
            for name in PACKED:
                weight = getattr(expected, name).weight
                with self.subTest(dtype=dtype, weight=name):
                    self.assert_same(found[f"{name}.weight"], weight.qdata)
                    self.assert_same(found[f"{name}.weight.scale"], weight.scale.flatten())

    def assert_same(self, found, expected):
        self.assertEqual(found.dtype, expected.dtype)
        self.assertTrue(torch.equal(found, expected), f"{found.flatten()[:8]} {expected.flatten()[:8]}")

    def test_outputs_are_those_of_the_peers(self):
        inputs = {"x": ids()}
        for form, peer in (("nf4", on_bitsandbytes), ("int8", on_torchao)):
            path = self.paths[torch.float32]
            expected = peer(net())(ids())
            for model in (
                {"path": path, "quantize": form},
                {"path": path, "weights": self.quantized(form)},
            ):
                with self.subTest(form=form, mapped="weights" in model):
                    self.assert_within(self.workspace.predict(model, inputs), expected, 2e-6)

    def test_training_is_that_of_peft_on_bitsandbytes(self):
        self.check_training("nf4", on_bitsandbytes, {"use_dora": False}, 2e-5)

    def test_training_dora(self):
        self.check_training("nf4", on_bitsandbytes, {"use_dora": True}, 2e-5)

    def test_training_is_that_of_peft_on_torchao(self):
        self.check_training("int8", on_torchao, {}, 2e-5)

    def check_training(self, form, peer, lora, tolerance):
        lora = {"r": 4, "lora_alpha": 8, "target_modules": PACKED, **lora}
        torch.manual_seed(2)
        start = get_peft_model(net(), LoraConfig(init_lora_weights=False, **lora))
        off_the_start(start)
        folder = self.workspace.new_path()
        start.save_pretrained(folder)
        # An adapter of the plain base loads on the quantised one.
        model = PeftModel.from_pretrained(peer(net()), folder, is_trainable=True)
        target = torch.randint(0, 5, (24,), generator=torch.Generator().manual_seed(3))
        optimizer = torch.optim.AdamW(
            [p for p in model.parameters() if p.requires_grad], lr=1e-3, weight_decay=0.01
        )
        losses = []
        for step in range(20):
            rows = slice(step % 4 * 6, step % 4 * 6 + 6)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(ids(24)[rows]), target[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

        data = self.workspace.write_tensors({"x": ids(24), "labels": target})
        output = self.workspace.new_path()
        config = {
            "model": {"path": self.paths[torch.float32], "quantize": form},
            "adapter": {"init_from": folder},
            "data": {"train": data},
            "train": {"loss": "cross_entropy", "steps": 20, "batch_size": 6, "shuffle": False, "learning_rate": 1e-3},
            "output": {"directory": output},
        }
        told = self.workspace.tenon_json("run", self.workspace.write_config(config))
        for found, expected in zip(told["losses"], losses, strict=True):
            self.assertAlmostEqual(found, expected, delta=tolerance)
        # And what was trained here loads there.
        trained = PeftModel.from_pretrained(peer(net()), output).eval()
        x = {"x": ids()}
        found = self.workspace.predict(config["model"], x, output)
        self.assert_within(found, trained(ids()), 5e-6)
        self.assert_within(found, model.eval()(ids()), 20 * tolerance)

    def test_plan_says_what_each_weight_takes(self):
        config = {
            "model": {"path": self.paths[torch.float32], "quantize": "nf4"},
            "adapter": {"target_modules": ["up"]},
        }
        plan = self.workspace.tenon_json("plan", self.workspace.write_config(config))
        formats = {weight["name"]: weight["format"] for weight in plan["weights"]}
        self.assertEqual([n for n, form in formats.items() if form == "nf4"], [f"{n}.weight" for n in PACKED])
        self.assertEqual(formats["out.weight"], "float32")
        sizes = {weight["name"]: weight["bytes"] for weight in plan["weights"]}
        self.assertEqual(sizes["up.weight"], 64 * 192 // 2 + 192 + 4 + 4)
        self.assertEqual(plan["all_params"], sum(p.numel() for p in net().parameters()) + 8 * (64 + 192))

    def test_merge_is_refused_with_the_choice(self):
        torch.manual_seed(2)
        folder = self.workspace.new_path()
        get_peft_model(net(), LoraConfig(target_modules=["up"], init_lora_weights=False)).save_pretrained(folder)
        config = self.workspace.write_config({"model": {"path": self.paths[torch.float32], "quantize": "nf4"}})
        merged = self.workspace.new_path(".safetensors")
        arguments = ("merge", config, "--adapter", folder, "--output", merged)
        refused = self.workspace.tenon(*arguments)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("merge into the original weights: --set model.quantize=none", refused.stderr)
        self.workspace.tenon_ok(*arguments, "--set", "model.quantize=none")
        expected = PeftModel.from_pretrained(net(), folder).merge_and_unload()
        rounded = self.workspace.new_path(".safetensors")
        told = self.workspace.tenon_json(*arguments[:-1], rounded, "--requantize")
        (cost,) = told["requantized"]
        self.assertEqual((cost["name"], cost["format"]), ("up.weight", "nf4"))
        self.assertTrue(0 < cost["error"] < cost["change"], cost)
        mapped = {"path": self.paths[torch.float32], "weights": rounded}
        base = {"path": self.paths[torch.float32], "quantize": "nf4"}
        x = {"x": ids()}
        adapted = self.workspace.predict(base, x, folder)
        far = (self.workspace.predict(mapped, x) - adapted).abs().max()
        self.assertTrue(0 < far < 0.1 * (adapted - self.workspace.predict(base, x)).abs().max() + 0.1)
        self.assert_within(load_file(merged)["up.weight"], expected.up.weight, 1e-6)

    def test_the_base_stays_known_to_its_adapters(self):
        records = []
        for model in ({"quantize": "none"}, {"quantize": "nf4"}, {"weights": self.quantized("nf4")}):
            output = self.workspace.new_path()
            data = self.workspace.write_tensors({"x": ids(), "labels": torch.zeros(6, dtype=torch.long)})
            config = {
                "model": {"path": self.paths[torch.float32], **model},
                "adapter": {"target_modules": ["up"]},
                "data": {"train": data},
                "train": {"loss": "cross_entropy", "steps": 1, "batch_size": 6},
                "output": {"directory": output},
            }
            self.workspace.tenon_ok("run", self.workspace.write_config(config))
            records.append(json.loads((output / "tenon.json").read_text())["base"])
        self.assertEqual(records[1:], records[:1] * 2)

    def test_weights_that_do_not_fit_are_all_named(self):
        file = self.quantized("nf4")
        tensors = load_file(file)
        tensors["up.weight.absmax"] = tensors["up.weight.absmax"][:-1].clone()
        tensors["middle.weight.quant_map"] = tensors["middle.weight.quant_map"] * 2
        with safe_open(file, "pt") as opened:
            self.assertIn("tenon.crc32.up.weight", opened.metadata())
        broken = self.workspace.new_path(".safetensors")
        save_file(tensors, broken)
        config = self.workspace.write_config({"model": {"path": self.paths[torch.float32], "weights": broken}})
        refused = self.workspace.tenon("tree", config)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("`up.weight.absmax` is", refused.stderr)
        self.assertIn("`middle.weight.quant_map` is another map than NF4's", refused.stderr)


if __name__ == "__main__":
    main()
