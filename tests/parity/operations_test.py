"""`adapter combine`, `adapter diff` and `inspect`, against PEFT's add_weighted_adapter."""

import json
import shutil
from copy import deepcopy
from pathlib import Path

import torch
from peft import IA3Config, LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from support import ParityTest, main
from torch import nn


class Kinds(nn.Module):
    """One layer of each kind that LoRA adapts by two factors."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 12)
        self.conv = nn.Conv2d(3, 6, 3)
        self.point = nn.Conv2d(6, 4, 1)
        self.first = nn.Linear(16, 10)
        self.second = nn.Linear(10, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, ids, image):
        image = self.point(self.conv(image)).flatten(1)
        return self.head(self.second(self.first(image)) + self.embedding(ids).sum(1)[:, :8])


BOTH = ["embedding", "conv", "point", "first", "second"]


class OperationsTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        torch.manual_seed(1)
        cls.model = Kinds().eval()
        cls.inputs = (torch.arange(8).view(2, 4), torch.rand(2, 3, 4, 4))

    def adapters(self, *configs):
        """PEFT's model with the adapters a, b, ..., and their folders."""
        torch.manual_seed(2)
        names = "abcd"[: len(configs)]
        configs = [LoraConfig(init_lora_weights=False, **config) for config in configs]
        peft_model = get_peft_model(deepcopy(self.model), configs[0], "a")
        for name, config in zip(names[1:], configs[1:]):
            peft_model.add_adapter(name, config)
        folder = self.workspace.new_path()
        peft_model.eval().save_pretrained(folder)
        return peft_model, [folder / name for name in names]

    def combine(self, folders, weights, kind, *options, status=0):
        output = self.workspace.new_path()
        done = self.workspace.tenon(
            *("adapter", "combine", *folders, "--combination-type", kind, "--json"),
            *(f"--weights={','.join(map(str, weights))}", "--output", output, *options),
        )
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        if status:
            self.assertFalse(output.exists())
            return json.loads(done.stdout)["error"]["message"]
        return output

    def output_of(self, folder):
        loaded = PeftModel.from_pretrained(deepcopy(self.model), folder).eval()
        return loaded(*self.inputs).detach()

    def check(self, peft_model, folders, weights, kind, options=(), **arguments):
        """The factors' products are PEFT's, in files of PEFT's shapes, and its model loads them."""
        names = [folder.name for folder in folders]
        peft_model.add_weighted_adapter(names, weights, "new", combination_type=kind, **arguments)
        expected_folder = self.workspace.new_path()
        peft_model.set_adapter("new")
        expected = peft_model(*self.inputs).detach()
        peft_model.save_pretrained(expected_folder, selected_adapters=["new"])
        wanted = load_file(expected_folder / "new/adapter_model.safetensors")
        peft_model.delete_adapter("new")
        output = self.combine(folders, weights, kind, *options)
        tensors = load_file(output / "adapter_model.safetensors")
        self.assertEqual(_kinds(tensors), _kinds(wanted))
        for name in wanted:
            if not name.endswith(("lora_A.weight", "lora_embedding_A")):
                continue
            other = name.replace("lora_A", "lora_B").replace("embedding_A", "embedding_B")
            self.assert_within(
                _product(tensors[name], tensors[other]), _product(wanted[name], wanted[other]), 1e-5
            )
        self.assert_within(self.output_of(output), expected, 1e-4)
        return output

    def test_every_type_gives_what_peft_gives(self):
        one = {"r": 4, "lora_alpha": 6, "target_modules": BOTH}
        other = {"r": 4, "lora_alpha": 3, "target_modules": BOTH}
        peft_model, folders = self.adapters(one, other)
        density = ("--density", 0.4)
        rows = [
            ("svd", (), {}),
            ("svd", ("--svd-rank", 3), {"svd_rank": 3}),
            ("svd", ("--svd-clamp", 0.9), {"svd_clamp": 0.9}),
            ("linear", (), {}),
            ("cat", (), {}),
            ("ties", density, {"density": 0.4}),
            ("ties_svd", density, {"density": 0.4}),
            ("magnitude_prune", density, {"density": 0.4}),
            ("magnitude_prune_svd", density, {"density": 0.4}),
            ("dare_linear", ("--density", 1), {"density": 1}),
            ("dare_ties", ("--density", 1), {"density": 1}),
            ("dare_linear_svd", ("--density", 1), {"density": 1}),
            ("dare_ties_svd", ("--density", 1), {"density": 1}),
        ]
        for majority in ("total", "frequency"):
            options = (*density, "--majority-sign-method", majority)
            arguments = {"density": 0.4, "majority_sign_method": majority}
            rows += [("ties", options, arguments), ("ties_svd", options, arguments)]
        for kind, options, arguments in rows:
            for weights in ([0.7, 0.4], [1.0, -0.5]):
                with self.subTest(kind=kind, weights=weights, **arguments):
                    self.check(peft_model, folders, weights, kind, options, **arguments)

    def test_layers_and_ranks_may_differ_where_peft_lets_them(self):
        one = {"r": 4, "lora_alpha": 6, "target_modules": ["first", "conv"]}
        other = {"r": 2, "lora_alpha": 5, "target_modules": ["first", "second"]}
        peft_model, folders = self.adapters(one, other)
        for kind in ("svd", "cat"):
            with self.subTest(kind=kind):
                self.check(peft_model, folders, [0.5, 0.8], kind)
        text = self.combine(folders, [1, 1], "linear", status=1)
        self.assertIn("All adapters must have the same r value", text)

    def test_patterns_scale_each_layer(self):
        one = {
            "r": 4,
            "lora_alpha": 6,
            "target_modules": "first|second|conv",
            "rank_pattern": {"first": 3},
            "alpha_pattern": {"second": 9},
        }
        other = {"r": 4, "lora_alpha": 2, "target_modules": "first|second"}
        peft_model, folders = self.adapters(one, other)
        for kind in ("svd", "cat"):
            with self.subTest(kind=kind):
                output = self.check(peft_model, folders, [0.5, 0.8], kind)
                config = json.loads((output / "adapter_config.json").read_text())
                self.assertEqual(config["target_modules"], "(first|second|conv)|(first|second)")

    def test_the_sum_of_adapters_with_rslora_is_their_sum(self):
        # PEFT keeps use_rslora and so scales the combined adapter by the root of its rank.
        lora = {"r": 4, "lora_alpha": 6, "use_rslora": True, "target_modules": ["first", "second"]}
        peft_model, folders = self.adapters(lora, lora)
        peft_model.base_model.set_adapter(["a", "b"])
        expected = peft_model(*self.inputs).detach()
        for kind in ("cat", "svd"):
            rank = ("--svd-rank", 8) if kind == "svd" else ()
            output = self.combine(folders, [1, 1], kind, *rank)
            self.assert_within(self.output_of(output), expected, 1e-4)

    def test_biases_of_lora_b_are_summed_too(self):
        # PEFT leaves the combined adapter's at their start.
        lora = {"r": 4, "lora_alpha": 6, "lora_bias": True, "target_modules": ["first", "point"]}
        peft_model, folders = self.adapters(lora, {**lora, "lora_alpha": 2})
        peft_model.base_model.set_adapter(["a", "b"])
        expected = peft_model(*self.inputs).detach()
        for kind, options in (("cat", ()), ("svd", ("--svd-rank", 8))):
            output = self.combine(folders, [1, 1], kind, *options)
            self.assert_within(self.output_of(output), expected, 1e-4)

    def test_a_single_adapter_is_scaled(self):
        lora = {"r": 4, "lora_alpha": 6, "target_modules": BOTH}
        peft_model, folders = self.adapters(lora, lora)
        self.check(peft_model, folders[:1], [0.5], "svd")

    def test_dare_drops_by_chance_and_keeps_the_mean(self):
        lora = {"r": 8, "lora_alpha": 8, "target_modules": ["first"]}
        _, folders = self.adapters(lora, lora)
        for folder in folders:  # many values, all one
            file = folder / "adapter_model.safetensors"
            tensors = {name: torch.ones_like(tensor) for name, tensor in load_file(file).items()}
            save_file(tensors, file, metadata={"format": "pt"})
        outputs = [
            self.combine(folders, [1, 1], "dare_linear", "--density", 0.3, "--seed", seed)
            for seed in (1, 1, 2)
        ]
        tensors = [load_file(output / "adapter_model.safetensors") for output in outputs]
        name = "base_model.model.first.lora_A.weight"
        self.assertTrue(torch.equal(tensors[0][name], tensors[1][name]))
        self.assertFalse(torch.equal(tensors[0][name], tensors[2][name]))
        drawn = tensors[0][name]
        # Each value is the sum of two, each 1 / 0.3 with probability 0.3.
        steps = (drawn * 0.3).round()
        self.assert_within(drawn * 0.3, steps, 1e-5)
        self.assertEqual(set(steps.unique().tolist()), {0.0, 1.0, 2.0})
        self.assertLess((drawn.mean() - 2).abs().item(), 0.6)

    def test_half_precision_adapters_stay_so(self):
        lora = {"r": 4, "lora_alpha": 6, "target_modules": ["first"]}
        _, folders = self.adapters(lora, lora)
        for folder in folders:
            file = folder / "adapter_model.safetensors"
            tensors = {name: tensor.bfloat16() for name, tensor in load_file(file).items()}
            save_file(tensors, file, metadata={"format": "pt"})
        for kind in ("linear", "svd", "cat"):
            output = self.combine(folders, [0.5, 0.5], kind)
            for tensor in load_file(output / "adapter_model.safetensors").values():
                self.assertEqual(tensor.dtype, torch.bfloat16)

    def test_what_cannot_be_combined_is_said_all_at_once(self):
        plain = {"r": 4, "target_modules": ["first"]}
        dora = {**plain, "use_dora": True, "r": 2}
        _, folders = self.adapters(plain, dora)
        text = self.combine(folders, [1, 1], "linear", status=1)
        self.assertIn("it has use_dora", text)
        self.assertIn("All adapters must have the same r value", text)
        saving = {**plain, "modules_to_save": ["head"]}
        _, folders = self.adapters(saving, saving)
        text = self.combine(folders, [1, 1], "svd", status=1)
        self.assertIn("target the same module with modules_to_save: `head`", text)
        named = {"r": 4, "target_parameters": ["first.weight"]}
        _, folders = self.adapters(named, named)
        text = self.combine(folders, [1, 1], "svd", status=1)
        self.assertIn("it targets parameters by name", text)
        _, folders = self.adapters(plain, {**plain, "target_modules": "first"})
        text = self.combine(folders, [1, 1], "svd", status=1)
        self.assertIn("all adapter configs should follow the same target modules type", text)
        ia3 = self.workspace.new_path()
        config = IA3Config(target_modules=["first"], feedforward_modules=[])
        get_peft_model(deepcopy(self.model), config).save_pretrained(ia3)
        text = self.combine([folders[0], ia3], [1, 1], "svd", status=1)
        self.assertIn("it is a IA3 adapter", text)
        self.assertIn("--weights has 1 numbers for 2", self.combine(folders, [1], "svd", status=2))
        text = self.combine(folders, [1, "nan"], "svd", status=2)
        self.assertIn("--weights has a number that is not finite", text)
        self.assertIn("needs --density", self.combine(folders, [1, 1], "ties", status=2))

    def test_a_module_that_one_adapter_saves_goes_over(self):
        one = {"r": 4, "target_modules": ["first"], "modules_to_save": ["head"]}
        peft_model, folders = self.adapters(one, {"r": 4, "target_modules": ["first"]})
        with torch.no_grad():
            peft_model.base_model.model.head.modules_to_save["a"].weight.add_(1)
        peft_model.save_pretrained(folders[0].parent)
        output = self.combine(folders, [0.5, 0.5], "cat")
        saved = load_file(folders[0] / "adapter_model.safetensors")
        combined = load_file(output / "adapter_model.safetensors")
        name = "base_model.model.head.weight"
        self.assertTrue(torch.equal(combined[name], saved[name]))
        self.output_of(output)

    def test_inspect_describes_an_adapter_without_its_model(self):
        lora = {
            "r": 4,
            "lora_alpha": 6,
            "target_modules": ["first", "second", "embedding"],
            "modules_to_save": ["head"],
            "rank_pattern": {"second": 2},
            "alpha_pattern": {"first": 1},
        }
        _, folders = self.adapters(lora, {"target_modules": ["first"]})
        facts = self.workspace.tenon_json("inspect", folders[0])
        layers = {layer["name"]: layer for layer in facts["layers"]}
        self.assertEqual(set(layers), {"first", "second", "embedding"})
        self.assertEqual((layers["second"]["r"], layers["second"]["scaling"]), (2, 3))
        self.assertEqual((layers["first"]["r"], layers["first"]["scaling"]), (4, 0.25))
        self.assertEqual(
            layers["embedding"]["parameters"],
            [
                {"name": "lora_embedding_A", "shape": [4, 20], "dtype": "float32"},
                {"name": "lora_embedding_B", "shape": [12, 4], "dtype": "float32"},
            ],
        )
        self.assertEqual([each["name"] for each in facts["modules_to_save"]], ["head"])
        tensors = load_file(folders[0] / "adapter_model.safetensors").values()
        self.assertEqual(facts["parameters"], sum(tensor.numel() for tensor in tensors))
        self.assertEqual(facts["config"]["r"], 4)
        self.assertIsNone(facts["base"]["fingerprint"])
        text = self.workspace.tenon_ok("inspect", folders[0]).stdout
        for part in ("LORA adapter in", "lora_alpha = 6", "r = 2", "modules saved whole:\n  head"):
            self.assertIn(part, text)
        done = self.workspace.tenon("inspect", folders[0].parent)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"there are adapters in {folders[0]}, {folders[1]}", done.stderr)

    def test_inspect_tells_the_faults_of_a_damaged_folder(self):
        _, (folder, _) = self.adapters(
            {"r": 4, "target_modules": ["first"]}, {"target_modules": ["first"]}
        )
        file = folder / "adapter_model.safetensors"
        tensors = load_file(file)
        name = "base_model.model.first.lora_A.weight"
        config = (folder / "adapter_config.json").read_text()

        def inspected(change):
            copy = self.workspace.new_path()
            shutil.copytree(folder, copy)
            change(copy)
            done = self.workspace.tenon("inspect", copy)
            self.assertIn(done.returncode, (0, 1))
            return done.stdout + done.stderr

        def tensors_to(changed):
            return lambda copy: save_file(changed, copy / file.name, metadata={"format": "pt"})

        def config_to(text):
            return lambda copy: (copy / "adapter_config.json").write_text(text)

        half = {other: tensor for other, tensor in tensors.items() if other != name}
        self.assertIn("first: lora_A.weight is missing", inspected(tensors_to(half)))
        nan = {**tensors, name: tensors[name] * float("nan")}
        self.assertIn("NaNs or infinities in first.lora_A.weight", inspected(tensors_to(nan)))
        wrong = {**tensors, name: torch.zeros(3, 16)}
        self.assertIn("do not fit each other", inspected(tensors_to(wrong)))
        other = config.replace('"r": 4', '"r": 5')
        self.assertIn("`first` has rank 4, the config says 5", inspected(config_to(other)))
        self.assertIn("adapter_config.json", inspected(config_to(config[:100])))
        self.assertIn("peft_type", inspected(config_to("{}")))
        truncated = file.read_bytes()[:-7]
        self.assertIn(file.name, inspected(lambda copy: (copy / file.name).write_bytes(truncated)))
        self.assertIn("Python pickle", inspected(lambda copy: _as_pickle(copy / file.name)))

    def test_diff_tells_what_differs(self):
        lora = {"r": 4, "lora_alpha": 6, "target_modules": ["first", "second"]}
        _, (one, other) = self.adapters(lora, {**lora, "lora_alpha": 8})
        self.assertTrue(self.workspace.tenon_json("adapter", "diff", one, one)["equal"])
        self.assertEqual(self.workspace.tenon_ok("adapter", "diff", one, one).stdout, "equal\n")
        found = self.workspace.tenon_json("adapter", "diff", one, other)
        self.assertFalse(found["equal"])
        self.assertEqual(found["config"], [{"key": "lora_alpha", "first": 6, "second": 8}])
        tensors = {each["name"]: each for each in found["tensors"]}
        left, right = (load_file(f / "adapter_model.safetensors") for f in (one, other))
        name = "base_model.model.first.lora_A.weight"
        difference = tensors["first.lora_A.weight"]
        largest = (left[name] - right[name]).abs().max().item()
        self.assertAlmostEqual(difference["largest_difference"], largest, places=6)
        relative = ((left[name] - right[name]).norm() / left[name].norm()).item()
        self.assertAlmostEqual(difference["relative_difference"], relative, places=5)
        # Other factors of the same product add the same.
        turned = self.workspace.new_path()
        shutil.copytree(one, turned)
        scaled = {k: v * (2.0 if "lora_A" in k else 0.5) for k, v in left.items()}
        save_file(scaled, turned / "adapter_model.safetensors", metadata={"format": "pt"})
        found = self.workspace.tenon_json("adapter", "diff", one, turned)
        self.assertEqual(len(found["tensors"]), 4)
        self.assertEqual(found["layers"], [])


def _as_pickle(file):
    file.rename(Path(file).with_name("adapter_model.bin"))


def _kinds(tensors):
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}


def _product(a, b):
    return b.flatten(1) @ a.flatten(1)


if __name__ == "__main__":
    main()
