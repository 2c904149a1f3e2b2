"""[model] dtype of exported programs: outputs and training are those of `model.to(dtype)` in PyTorch."""

import copy
import warnings

import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from support import ParityTest, main, models
from torch import nn
from torch.export import Dim

BFLOAT16 = {"dtype": "bfloat16"}


class Mixed(nn.Module):
    """What an export does not tell apart: casts that widen, that go back, and masks by the least number."""

    def __init__(self):
        super().__init__()
        self.up = nn.Linear(16, 32)
        self.scale = nn.Parameter(torch.rand(32) + 0.5)
        self.down = nn.Linear(32, 16)
        self.register_buffer("frequencies", torch.rand(16), persistent=False)
        self.table = torch.rand(16)

    def forward(self, x, keep):
        residual = x
        h = self.up(x)
        wide = h.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)
        wide_sum = wide.pow(3).sum(-1)
        h = self.scale * wide.to(h.dtype)
        scores = self.down(h) + (1 - keep.to(h.dtype)) * torch.finfo(h.dtype).min
        scores = scores.masked_fill(keep == 0, torch.finfo(h.dtype).min)
        angles = torch.cos(self.frequencies.float() * 300).to(h.dtype)
        h = torch.softmax(scores, -1, dtype=torch.float32).to(h.dtype) + angles
        return residual + h + self.table, wide_sum


def mixed(dtype=torch.float32):
    torch.manual_seed(0)
    model = Mixed().to(dtype).eval()
    model.table = model.table.to(dtype)  # `.to` leaves out what is no buffer
    model.frequencies = model.frequencies.float()  # which a model makes anew in float32
    torch.manual_seed(1)
    model.frequencies.copy_(torch.rand(16))
    return model


def mixed_inputs():
    generator = torch.Generator().manual_seed(2)
    keep = torch.ones(5, 16, dtype=torch.long)
    keep[:, 9:] = 0
    return {"x": torch.randn(5, 16, generator=generator), "keep": keep}


def in_dtype(inputs, dtype):
    return {name: t.to(dtype) if t.is_floating_point() else t for name, t in inputs.items()}


def first_output(model, built, inputs):
    with torch.no_grad():
        out = model(**inputs) if built.by_keyword else model(*inputs.values())
    return out.logits if hasattr(out, "logits") else out


class ModelDtypeTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        warnings.simplefilter("ignore")
        cls.exported = {}

    def export(self, name):
        if name not in self.exported:
            built = models.example(name, **({"dropout": 0.0} if name == "minilm" else {}))
            path = self.workspace.new_path(".pt2")
            models.export_to(path, built)
            self.exported[name] = path, built
        return self.exported[name]

    def test_outputs_of_models(self):
        for name in ("mlp", "minilm", "mistral", "gemma2", "lstm", "text_conv", "normed"):
            with self.subTest(name):
                path, built = self.export(name)
                half = copy.deepcopy(built.model).to(torch.bfloat16)
                expected = first_output(half, built, in_dtype(built.inputs, torch.bfloat16))
                wide = first_output(built.model, built, built.inputs)
                found = self.workspace.predict({"path": path, **BFLOAT16}, built.inputs)
                scale = wide.abs().max().item()
                self.assert_within(found.float(), expected.float(), 16 * 2**-8 * scale)
                # Roundings away from the original, as PyTorch is.
                own = (found.float() - wide).abs().mean().item()
                theirs = (expected.float() - wide).abs().mean().item()
                self.assertLess(own, 1.5 * theirs + 1e-6)

    def test_casts_masks_and_constants(self):
        for dtype in (torch.bfloat16, torch.float16):
            with self.subTest(dtype=dtype):
                path = self.workspace.new_path(".pt2")
                rows = Dim("rows")
                example = models.Example(mixed(), mixed_inputs(), {"x": {0: rows}, "keep": {0: rows}})
                models.export_to(path, example)
                inputs = mixed_inputs()
                outputs = self.workspace.new_path(".safetensors")
                name = str(dtype).removeprefix("torch.")
                config = self.workspace.write_config({"model": {"path": path, "dtype": name}})
                data = self.workspace.write_tensors(inputs)
                self.workspace.tenon_ok("predict", config, "--inputs", data, "--outputs", outputs)
                found = load_file(outputs)
                with torch.no_grad():
                    narrow, wide = mixed(dtype)(**in_dtype(inputs, dtype))
                self.assert_within(found["output_0"], narrow, 8 * torch.finfo(dtype).eps)
                # What the model widens itself stays wide: its frequencies turn 300 times.
                self.assertEqual(wide.dtype, torch.float32)
                self.assert_within(found["output_1"], wide, 32 * torch.finfo(dtype).eps)

    def test_training_is_that_of_peft_on_the_half_model(self):
        for name, targets, loss in (
            ("mlp", ["seq.0", "seq.2"], "nll"),
            ("minilm", ["query", "value"], "cross_entropy"),
            ("mistral", ["q_proj", "v_proj"], "causal_lm"),
        ):
            with self.subTest(name):
                self.check_training(name, targets, loss)

    def check_training(self, name, targets, loss):
        path, built = self.export(name)
        half = copy.deepcopy(built.model).to(torch.bfloat16)
        torch.manual_seed(3)
        start = get_peft_model(
            copy.deepcopy(half),
            LoraConfig(r=4, lora_alpha=8, target_modules=targets, init_lora_weights=False),
        )
        folder = self.workspace.new_path()
        start.save_pretrained(folder)
        model = PeftModel.from_pretrained(copy.deepcopy(half), folder, is_trainable=True).train()
        model.base_model.eval()
        rows = next(iter(built.inputs.values())).shape[0]
        labels = torch.arange(rows) % 2
        if loss == "causal_lm":
            labels = built.inputs["input_ids"].clone()
        trained = [p for p in model.parameters() if p.requires_grad]
        self.assertEqual({p.dtype for p in trained}, {torch.float32})
        optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.0)
        losses = []
        for _ in range(20):
            optimizer.zero_grad()
            inputs = in_dtype(built.inputs, torch.bfloat16)
            out = model(**inputs) if built.by_keyword else model(*inputs.values())
            out = (out.logits if hasattr(out, "logits") else out).float()
            if loss == "causal_lm":
                value = F.cross_entropy(out[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
            else:
                value = (F.nll_loss if loss == "nll" else F.cross_entropy)(out, labels)
            value.backward()
            optimizer.step()
            losses.append(value.item())

        output = self.workspace.new_path()
        config = {
            "model": {"path": path, **BFLOAT16},
            "adapter": {"init_from": folder},
            "data": {"train": self.workspace.write_tensors({**built.inputs, "labels": labels})},
            "train": {
                "loss": loss,
                "steps": 20,
                "batch_size": rows,
                "shuffle": False,
                "learning_rate": 1e-3,
                "weight_decay": 0.0,
            },
            "output": {"directory": output},
        }
        told = self.workspace.tenon_json("run", self.workspace.write_config(config))
        self.assertEqual(len(told["losses"]), 20)
        for found, expected in zip(told["losses"], losses, strict=True):
            self.assertAlmostEqual(found, expected, delta=0.02 * abs(expected) + 0.01)
        self.assertLess(losses[-1], losses[0])
        saved = load_file(output / "adapter_model.safetensors")
        self.assertEqual({tensor.dtype for tensor in saved.values()}, {torch.float32})

    def test_a_half_program_becomes_wide_and_the_other_half(self):
        torch.manual_seed(0)
        path = self.workspace.new_path(".pt2")
        built = models.example("mlp")
        half = copy.deepcopy(built.model).to(torch.bfloat16)
        inputs = in_dtype(built.inputs, torch.bfloat16)
        models.export_to(path, models.Example(half, inputs, built.dynamic_shapes))
        wide = copy.deepcopy(half).float()
        with torch.no_grad():
            expected = wide(*built.inputs.values())
            other = copy.deepcopy(half).half()(*in_dtype(inputs, torch.float16).values())
        found = self.workspace.predict({"path": path, "dtype": "float32"}, built.inputs)
        self.assert_within(found, expected, 2e-6 * expected.abs().max().item())
        found = self.workspace.predict(
            {"path": path, "dtype": "float16"}, in_dtype(inputs, torch.float16)
        )
        self.assert_within(found, other, 8 * 2**-10 * expected.abs().max().item())
        as_it_is = self.workspace.predict({"path": path}, inputs)
        same = self.workspace.predict({"path": path, **BFLOAT16}, inputs)
        self.assertTrue(torch.equal(as_it_is, same))

    def test_plan_and_packed_weights(self):
        path, _ = self.export("mistral")
        config = {"model": {"path": path, **BFLOAT16}, "adapter": {"target_modules": ["q_proj"]}}
        plan = self.workspace.tenon_json("plan", self.workspace.write_config(config))
        self.assertEqual({weight["format"] for weight in plan["weights"]}, {"bfloat16"})
        config["model"]["quantize"] = "nf4"
        plan = self.workspace.tenon_json("plan", self.workspace.write_config(config))
        self.assertEqual({weight["format"] for weight in plan["weights"]}, {"bfloat16", "nf4"})

    def test_given_weights_are_cast_too(self):
        path, built = self.export("mlp")
        state = {name: tensor * 2 for name, tensor in built.model.state_dict().items()}
        weights = self.workspace.write_tensors(in_dtype(state, torch.bfloat16))
        doubled = copy.deepcopy(built.model)
        doubled.load_state_dict(state)
        half = doubled.to(torch.bfloat16)
        expected = first_output(half, built, in_dtype(built.inputs, torch.bfloat16))
        model = {"path": path, "weights": weights, **BFLOAT16}
        found = self.workspace.predict(model, built.inputs)
        self.assert_within(found.float(), expected.float(), 0.05 * expected.abs().max().item())

    def test_merging_names_the_original_weights(self):
        path, built = self.export("mlp")
        torch.manual_seed(2)
        folder = self.workspace.new_path()
        lora = LoraConfig(target_modules=["seq.0"], init_lora_weights=False)
        get_peft_model(copy.deepcopy(built.model), lora).save_pretrained(folder)
        config = self.workspace.write_config({"model": {"path": path, **BFLOAT16}})
        arguments = ("merge", config, "--adapter", folder, "--output")
        refused = self.workspace.tenon(*arguments, self.workspace.new_path(".pt2"))
        self.assertEqual(refused.returncode, 2)
        self.assertIn("--set model.dtype=none", refused.stderr)
        merged = self.workspace.new_path(".safetensors")
        self.workspace.tenon_ok(*arguments, merged)
        self.assertEqual(load_file(merged)["seq.0.weight"].dtype, torch.bfloat16)
        self.workspace.tenon_ok(
            *arguments, self.workspace.new_path(".pt2"), "--set", "model.dtype=none"
        )

    def test_graphs_in_operators_are_refused_by_name(self):
        class Branching(nn.Module):
            def __init__(self):
                super().__init__()
                self.linear = nn.Linear(4, 4)

            def forward(self, x):
                return torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (self.linear(x),))

        path = self.workspace.new_path(".pt2")
        x = {"x": torch.rand(2, 4)}
        models.export_to(path, models.Example(Branching().eval(), x, None))
        config = self.workspace.write_config({"model": {"path": path, **BFLOAT16}})
        refused = self.workspace.tenon("tree", config)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("(cond)", refused.stderr)
        self.assertIn("export the model in BFloat16", refused.stderr)


if __name__ == "__main__":
    main()
