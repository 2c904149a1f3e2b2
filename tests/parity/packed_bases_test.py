"""What runs on a packed base gives the numbers of the same base in full width, rounded to the format."""

import contextlib
import io
import logging
import warnings

import torch
from safetensors.torch import load_file
from support import ParityTest, main, models
from quantized_test import PACKED, ids, net

with contextlib.redirect_stderr(io.StringIO()):
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    import bitsandbytes
    from bitsandbytes import functional as bnb

METHODS = {
    "lora": {},
    "dora": {"method": "lora", "use_dora": True},
    "rslora": {"method": "lora", "use_rslora": True, "lora_bias": True},
    "ia3": {"feedforward_modules": []},
    "loha": {},
    "lokr": {},
    "vera": {},
    "oft": {"oft_block_size": 0, "r": 3},
    "boft": {"boft_block_size": 4, "target_modules": ["up"]},
    "hra": {"r": 2},
    "hira": {},
    "fourierft": {"n_frequency": 20},
    "road": {},
    "shira": {"r": 2},
    "delora": {},
    "bottleneck": {},
}


def in_full_width(file):
    """A file of packed weights as a plain state dict, read by bitsandbytes and PyTorch."""
    packed = load_file(file)
    state = {name: tensor for name, tensor in packed.items() if ".weight." not in name}
    for name in PACKED:
        key = f"{name}.weight"
        parts = {k: v for k, v in packed.items() if k.startswith(key + ".")}
        if f"{key}.scale" in parts:
            state[key] = packed[key].float() * parts[f"{key}.scale"][:, None]
        else:
            read = bitsandbytes.nn.Params4bit.from_prequantized(packed[key], parts, device="cpu")
            state[key] = bnb.dequantize_4bit(read.data, read.quant_state)
    return state


class PackedBasesTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.path = cls.workspace.new_path(".pt2")
        models.export_to(cls.path, models.Example(net(), {"X": ids()}, {"X": {0: torch.export.Dim("rows")}}))
        cls.bases = {}
        for form in ("nf4", "int8"):
            file = cls.workspace.new_path(".safetensors")
            cls.workspace.tenon_ok("quantize", cls.path, "--to", form, "--output", file)
            plain = cls.workspace.write_tensors(in_full_width(file))
            cls.bases[form] = (
                {"path": cls.path, "quantize": form},
                {"path": cls.path, "weights": plain},
            )
        labels = torch.randint(0, 5, (12,), generator=torch.Generator().manual_seed(3))
        cls.data = cls.workspace.write_tensors({"X": ids(12), "labels": labels})

    def config(self, model, adapter, **train):
        output = self.workspace.new_path()
        return output, self.workspace.write_config(
            {
                "model": model,
                "adapter": {"target_modules": ["up", "odd"], **adapter},
                "data": {"train": self.data},
                "train": {
                    "loss": "cross_entropy",
                    "steps": 4,
                    "batch_size": 6,
                    "shuffle": False,
                    "learning_rate": 1e-2,
                    **train,
                },
                "output": {"directory": output},
            }
        )

    def losses(self, model, adapter, *options, **train):
        output, config = self.config(model, adapter, **train)
        return output, self.workspace.tenon_json("run", config, *options)["losses"]

    def assert_same_losses(self, found, expected):
        self.assertEqual(len(found), len(expected))
        self.assertNotAlmostEqual(expected[0], expected[-1], delta=1e-4)
        for one, other in zip(found, expected):
            self.assertAlmostEqual(one, other, delta=2e-5)

    def test_every_method_trains_as_in_full_width(self):
        for name, keys in METHODS.items():
            for form in ("nf4",) if name != "lora" else ("nf4", "int8"):
                with self.subTest(method=name, form=form):
                    adapter = {"method": name, **keys}
                    packed, plain = self.bases[form]
                    output, found = self.losses(packed, adapter)
                    _, expected = self.losses(plain, adapter)
                    self.assert_same_losses(found, expected)
                    x = {"x": ids(12)}
                    self.assert_within(
                        self.workspace.predict(packed, x, output),
                        self.workspace.predict(plain, x, output),
                        5e-6,
                    )

    def test_checkpointed_modules_processes_and_accumulation(self):
        packed, plain = self.bases["nf4"]
        _, expected = self.losses(plain, {"method": "lora"})
        for train in ({"checkpoint": ["up", "odd"]}, {"gradient_accumulation_steps": 1}):
            with self.subTest(**train):
                self.assert_same_losses(self.losses(packed, {"method": "lora"}, **train)[1], expected)
        found = self.losses(packed, {"method": "lora"}, "--processes", "2", batch_size=3)[1]
        self.assert_same_losses(found, expected)

    def test_several_adapters_eval_and_merging(self):
        packed, plain = self.bases["nf4"]
        folders = [
            self.losses(plain, {"method": "lora", "init_lora_weights": False}, seed=seed)[0]
            for seed in (1, 2)
        ]
        adapters = [v for i, f in enumerate(folders) for v in ("--adapter", f"a{i}={f}")]
        inputs = self.workspace.write_tensors({"X": ids(12)})
        results = {}
        for name, model in (("packed", packed), ("plain", plain)):
            config = self.workspace.write_config({"model": model})
            for rows in ([], ["--adapter-names", ",".join(["a0", "__base__", "a1"] * 4)]):
                outputs = self.workspace.new_path(".safetensors")
                self.workspace.tenon_ok(
                    "predict", config, *adapters, *rows, "--inputs", inputs, "--outputs", outputs
                )
                results[name, bool(rows)] = load_file(outputs)["output_0"]
        for rows in (False, True):
            self.assert_within(results["packed", rows], results["plain", rows], 5e-6)
        told = []
        for model in (packed, plain):
            _, config = self.config(model, {"method": "lora"})
            told.append(
                self.workspace.tenon_json("eval", config, "--adapter", folders[0], "--data", self.data)
            )
        self.assertAlmostEqual(told[0]["loss"], told[1]["loss"], delta=5e-6)
        config = self.workspace.write_config({"model": packed})
        refused = self.workspace.tenon(
            "merge", config, *adapters, "--output", self.workspace.new_path(".safetensors")
        )
        self.assertEqual(refused.returncode, 2)
        self.assertIn("is quantised", refused.stderr)
        self.workspace.tenon_ok(
            *("merge", config, *adapters, "--requantize"),
            *("--output", self.workspace.new_path(".safetensors")),
        )

    def test_half_bases_are_packed_too(self):
        packed, plain = self.bases["nf4"]
        half = {**packed, "dtype": "bfloat16"}
        found = self.workspace.predict(half, {"x": ids(12)})
        expected = self.workspace.predict(plain, {"x": ids(12)})
        self.assertEqual(found.dtype, torch.bfloat16)
        self.assert_within(found.float(), expected, 0.03 * expected.abs().max().item())
        losses = self.losses(half, {"method": "lora"})[1]
        for one, other in zip(losses, self.losses(plain, {"method": "lora"})[1], strict=True):
            self.assertAlmostEqual(one, other, delta=0.02)


if __name__ == "__main__":
    main()
