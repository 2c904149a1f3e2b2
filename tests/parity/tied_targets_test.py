"""ensure_weight_tying for target_modules: start, outputs, training and files are PEFT's; merging keeps the tie."""

import json
import re
import shutil
import warnings
from copy import deepcopy

import torch
from cases import make_case
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from support import ParityTest, main, relative_norm
from transformers import LlamaConfig, LlamaForCausalLM

LORA = {"r": 4, "lora_alpha": 8, "ensure_weight_tying": True}
OWNER = "base_model.model.model.embed_tokens.lora_embedding_{}"
FOLLOWER = "base_model.model.lm_head.lora_{}.weight"
TENSORS = "adapter_model.safetensors"
ROWS = 8
RATE = 2e-3  # at 2e-2 the roundings grow past the tolerance


class TiedTargetsTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        warnings.simplefilter("ignore")
        cls.case = make_case("mistral_tied", cls.workspace.folder, training=True)
        cls.inputs = cls.case.inputs(ROWS)

    def test_each_loads_what_the_other_saved(self):
        for targets, extra in (
            (["embed_tokens"], {"use_rslora": True}),
            (["lm_head"], {"alpha_pattern": {"lm_head": 2}}),
            (["model.embed_tokens", "lm_head", "q_proj"], {}),
            (r".*(lm_head|v_proj)", {}),
        ):
            lora = {**LORA, "target_modules": targets, **extra}
            with self.subTest(**lora):
                self.exchange(lora)

    def test_magnitudes_of_dora_are_each_layers_own(self):
        self.exchange({**LORA, "target_modules": ["lm_head"], "use_dora": True})

    def test_adamw_steps_both_parameters_as_pefts_optimizer_does(self):
        lora = {**LORA, "target_modules": ["embed_tokens", "q_proj"]}
        folder, _ = self.save_by_peft(lora)
        trained = tensors_of(self.train(folder, "adamw", 1e-3))
        expected = self.train_by_peft(folder, torch.optim.AdamW, 1e-3)
        before = tensors_of(folder)
        for name, tensor in expected.items():
            self.assertLessEqual(relative_norm(trained[name], tensor), 1e-4, name)
            self.assertGreater(relative_norm(tensor, before[name]), 1e-3, name)

    def test_lora_fa_cannot_freeze_what_the_other_layer_trains(self):
        lora = {**LORA, "target_modules": ["lm_head"]}
        config = self.run_config(None, "lorafa", 1e-3, lora, self.workspace.new_path())
        done = self.workspace.tenon("run", config)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('"lorafa" cannot train `lm_head`: ensure_weight_tying makes', done.stderr)

    def test_the_start_is_that_of_the_output_layer(self):
        for init in (True, False, "gaussian"):
            lora = {**LORA, "r": 16, "target_modules": ["embed_tokens"], "init_lora_weights": init}
            with self.subTest(init=init):
                torch.manual_seed(3)
                peft_model = get_peft_model(deepcopy(self.case.built.model), LoraConfig(**lora))
                expected_folder = self.workspace.new_path()
                peft_model.save_pretrained(expected_folder)
                expected = tensors_of(expected_folder)
                started = tensors_of(self.train(None, "sgd", 1e-30, lora=lora))
                self.assertEqual(kinds(started), kinds(expected))
                self.assert_tied(started)
                self.assert_tied(expected)
                for name, tensor in expected.items():
                    for measure in (torch.std, lambda each: each.abs().max()):
                        wanted = measure(tensor).item()
                        self.assertAlmostEqual(
                            measure(started[name]).item(), wanted, delta=0.3 * wanted + 1e-9
                        )

    def test_parameters_are_counted_as_peft_counts_them(self):
        lora = {**LORA, "target_modules": ["lm_head"]}
        config = {"model": self.case.table, "adapter": {"method": "lora", **lora}}
        plan = self.workspace.tenon_json("plan", self.workspace.write_config(config))
        fresh = get_peft_model(deepcopy(self.case.built.model), LoraConfig(**lora))
        self.assertEqual(
            (plan["trainable_params"], plan["all_params"]), fresh.get_nb_trainable_parameters()
        )

    def test_merged_the_weight_stays_tied(self):
        """PEFT's own merge adds both layers' terms to the one weight, so its unmerged output it is."""
        folder, peft_model = self.save_by_peft({**LORA, "target_modules": ["lm_head", "q_proj"]})
        expected = self.case.predict(peft_model, self.inputs)
        merged = self.workspace.new_path(".pt2")
        answer = self.merge(folder, merged)
        self.assertEqual(answer["untied"], [])
        state = torch.export.load(merged).state_dict
        self.assertTrue(torch.equal(state["lm_head.weight"], state["model.embed_tokens.weight"]))
        actual = self.workspace.predict({"path": merged}, self.inputs)
        self.assert_within(actual, expected, 1e-4 * expected.abs().max().item())

    def test_merged_with_other_scalings_the_weight_is_parted(self):
        lora = {**LORA, "target_modules": ["lm_head"], "alpha_pattern": {"lm_head": 2}}
        folder, peft_model = self.save_by_peft(lora)
        expected = self.case.predict(peft_model, self.inputs)
        merged = self.workspace.new_path(".pt2")
        answer = self.merge(folder, merged)
        self.assertEqual(sorted(answer["untied"]), ["lm_head.weight", "model.embed_tokens.weight"])
        actual = self.workspace.predict({"path": merged}, self.inputs)
        self.assert_within(actual, expected, 1e-4 * expected.abs().max().item())

    def test_combined_and_converted_adapters_stay_tied(self):
        lora = {**LORA, "target_modules": ["lm_head", "q_proj"]}
        first, peft_model = self.save_by_peft(lora)
        second, _ = self.save_by_peft(lora, seed=4)
        for kind in ("svd", "linear", "cat"):
            with self.subTest(kind=kind):
                output = self.workspace.new_path()
                options = ("--combination-type", kind, "--weights=0.7,0.3", "--output", output)
                self.workspace.tenon_ok("adapter", "combine", first, second, *options)
                self.assert_tied(tensors_of(output))
                loaded = self.load_by_peft(output)
                self.compare(output, self.case.predict(loaded, self.inputs))
        for rank in ("4", "0.999999"):
            with self.subTest(rank=rank):
                output = self.workspace.new_path()
                config = self.workspace.write_config({"model": self.case.table})
                options = ("--adapter", first, "--rank", rank, "--output", output)
                self.workspace.tenon_ok("adapter", "convert", config, *options)
                self.assert_tied(tensors_of(output))
                self.compare(output, self.case.predict(peft_model, self.inputs), 1e-3)

    def test_rows_of_a_batch_have_adapters_of_their_own(self):
        first, peft_model = self.save_by_peft({**LORA, "target_modules": ["lm_head"]})
        second, _ = self.save_by_peft({**LORA, "target_modules": ["q_proj"]}, seed=4)
        outputs = self.workspace.new_path(".safetensors")
        self.workspace.tenon_ok(
            *("predict", self.workspace.write_config({"model": self.case.table})),
            *("--adapter", f"a={first}", "--adapter", f"b={second}"),
            *("--adapter-names", ",".join(["a", "__base__"] * (ROWS // 2))),
            *("--inputs", self.workspace.write_tensors(self.inputs), "--outputs", outputs),
        )
        expected = self.case.predict(self.case.built.model, self.inputs).clone()
        expected[0::2] = self.case.predict(peft_model, self.inputs)[0::2]
        self.assert_within(
            load_file(outputs)["output_0"], expected, 1e-5 * max(1, expected.abs().max().item())
        )

    def test_a_half_precision_base_whose_adapters_peft_trains_apart(self):
        lora = {**LORA, "target_modules": ["model.embed_tokens"], "init_lora_weights": False}
        torch.manual_seed(3)
        model = deepcopy(self.case.built.model).to(torch.bfloat16)
        peft_model = get_peft_model(model, LoraConfig(**lora))
        with torch.no_grad():
            peft_model.base_model.model.lm_head.lora_A["default"].weight.add_(0.5)
        folder = self.workspace.new_path()
        peft_model.save_pretrained(folder)
        copy = self.workspace.new_path()
        shutil.copytree(folder, copy)
        config = json.loads((copy / "adapter_config.json").read_text())
        config |= {"ensure_weight_tying": False, "target_modules": "model.embed_tokens|lm_head"}
        (copy / "adapter_config.json").write_text(json.dumps(config))
        apart = self.load_by_peft(copy)
        self.compare(folder, self.case.predict(apart, self.inputs))
        trained = self.train(folder, "sgd", 0.1)
        loaded = self.load_by_peft(trained)
        self.compare(trained, self.case.predict(loaded, self.inputs))

    def test_other_weights_of_the_base_in_the_file_are_refused(self):
        folder, _ = self.save_by_peft({**LORA, "target_modules": ["embed_tokens"]})
        tensors = load_file(folder / TENSORS)
        name = "base_model.model.lm_head.base_layer.weight"
        tensors[name] = tensors[name] + 1
        save_file(tensors, folder / TENSORS)
        config = self.workspace.write_config({"model": self.case.table})
        done = self.workspace.tenon("adapter", "status", config, "--adapter", folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("the adapter brings weights of the base that this model's are not", done.stderr)

    def test_a_llama(self):
        torch.manual_seed(5)
        config = LlamaConfig(
            vocab_size=97,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=64,
            tie_word_embeddings=True,
            use_cache=False,
        )
        model = LlamaForCausalLM(config).eval()
        inputs = {"input_ids": self.inputs["input_ids"]}
        path = self.workspace.new_path(".pt2")
        torch.export.save(torch.export.export(model, (), inputs, strict=False), path)
        lora = {**LORA, "target_modules": ["embed_tokens", "lm_head"], "init_lora_weights": False}
        peft_model = get_peft_model(deepcopy(model), LoraConfig(**lora)).eval()
        folder = self.workspace.new_path()
        peft_model.save_pretrained(folder)
        with torch.no_grad():
            expected = peft_model(**inputs).logits
        actual = self.workspace.predict({"path": path}, inputs, folder)
        self.assert_within(actual, expected, 1e-5 * max(1, expected.abs().max().item()))

    def exchange(self, lora):
        folder, peft_model = self.save_by_peft(lora)
        self.compare(folder, self.case.predict(peft_model, self.inputs))
        trained = self.train(folder, "sgd", RATE)
        expected = self.train_by_peft(folder, torch.optim.SGD, RATE)
        tensors = tensors_of(trained)
        self.assertEqual(kinds(tensors), kinds(expected))
        self.assert_tied(tensors)
        for name, tensor in expected.items():
            self.assert_within(tensors[name], tensor, 2e-5 * max(1, tensor.abs().max().item()))
        self.compare(trained, self.case.predict(self.load_by_peft(trained), self.inputs))

    def assert_tied(self, tensors):
        for one, other in (("A", "B"), ("B", "A")):
            owned, followed = tensors[OWNER.format(one)], tensors[FOLLOWER.format(other)]
            self.assertTrue(torch.equal(owned.t(), followed))

    def compare(self, folder, expected, tolerance=1e-5):
        base = self.case.predict(self.case.built.model, self.inputs)
        self.assertGreater((expected - base).abs().max(), 1e-2)
        actual = self.workspace.predict(self.case.table, self.inputs, folder)
        self.assert_within(actual, expected, tolerance * max(1, expected.abs().max().item()))

    def merge(self, folder, output):
        config = self.workspace.write_config({"model": self.case.table})
        return self.workspace.tenon_json("merge", config, "--adapter", folder, "--output", output)

    def save_by_peft(self, lora, seed=3):
        """A random adapter, its factors small enough that training does not part what agrees."""
        torch.manual_seed(seed)
        config = LoraConfig(**lora, init_lora_weights=False)
        peft_model = get_peft_model(deepcopy(self.case.built.model), config).eval()
        with torch.no_grad():
            for name, parameter in peft_model.named_parameters():
                if "lm_head" not in name and re.search("lora_(embedding_)?[AB]", name):
                    parameter.mul_(0.2)
        folder = self.workspace.new_path()
        peft_model.save_pretrained(folder)
        return folder, peft_model

    def load_by_peft(self, folder):
        return PeftModel.from_pretrained(deepcopy(self.case.built.model), folder).eval()

    def train(self, folder, optimizer, learning_rate, lora=None):
        output = self.workspace.new_path()
        config = self.run_config(folder, optimizer, learning_rate, lora, output)
        self.workspace.tenon_ok("run", config)
        return output

    def run_config(self, folder, optimizer, learning_rate, lora, output):
        config = {
            "model": self.case.table,
            "adapter": {"method": "lora", **(lora or {"init_from": folder})},
            "data": {"train": self.workspace.write_tensors(self.case.data(ROWS))},
            "train": {
                "loss": self.case.loss,
                "optimizer": optimizer,
                "learning_rate": learning_rate,
                "steps": 1 if lora else 5,
                "batch_size": ROWS,
                "shuffle": False,
            },
            "output": {"directory": output},
        }
        return self.workspace.write_config(config)

    def train_by_peft(self, folder, optimizer, learning_rate):
        base = deepcopy(self.case.built.model)
        model = PeftModel.from_pretrained(base, folder, is_trainable=True).train()
        steps = optimizer([p for p in model.parameters() if p.requires_grad], lr=learning_rate)
        data = self.case.data(ROWS)
        labels = data.pop("labels")
        for _ in range(5):
            steps.zero_grad()
            self.case.peft_loss(self.case.forward(model, data), labels).backward()
            steps.step()
        path = self.workspace.new_path()
        model.save_pretrained(path)
        return tensors_of(path)


def tensors_of(folder):
    """Of the adapter, without the base's weights that PEFT writes beside it."""
    tensors = load_file(folder / TENSORS)
    return {name: tensor for name, tensor in tensors.items() if ".base_layer." not in name}


def kinds(tensors):
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}


if __name__ == "__main__":
    main()
