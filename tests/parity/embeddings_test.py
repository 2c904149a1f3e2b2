"""Rows of embeddings and tied embeddings beside LoRA: files, outputs and training are PEFT's."""

import warnings
from copy import deepcopy

import torch
from cases import make_case
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from support import ParityTest, main, off_the_start

LORA = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
TOKENS = [3, 1, 40]
ROWS = 8


class EmbeddingsTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        warnings.simplefilter("ignore")
        cls.tied = make_case("mistral_tied", cls.workspace.folder, training=True)
        cls.untied = make_case("mistral", cls.workspace.folder, training=True)

    def test_rows_of_the_input_embedding(self):
        for case in (self.untied, self.tied):
            with self.subTest(case=case.name):
                self.exchange(case, {**LORA, "trainable_token_indices": TOKENS})

    def test_rows_of_named_embeddings(self):
        self.exchange(self.untied, {**LORA, "trainable_token_indices": {"embed_tokens": TOKENS}})

    def test_tied_embedding_saved_whole_runs_in_the_output_layer_too(self):
        for modules in (["embed_tokens"], ["lm_head", "model.embed_tokens"]):
            lora = {**LORA, "modules_to_save": modules, "ensure_weight_tying": True}
            with self.subTest(modules=modules):
                self.exchange(self.tied, lora)

    def test_tied_embedding_saved_alone_leaves_the_output_layer(self):
        lora = {**LORA, "modules_to_save": ["embed_tokens"]}
        self.exchange(self.tied, lora)
        plan = self.plan(self.tied, lora)
        self.assertIn("`model.embed_tokens` and `lm_head` share their weight", "\n".join(plan["notes"]))

    def test_merged_rows_are_the_unmerged_ones(self):
        self.assert_merged_as_unmerged(self.tied, {**LORA, "trainable_token_indices": TOKENS})

    def test_one_embedding_is_not_trained_in_two_ways(self):
        for keys, text in (
            ({"modules_to_save": ["embed_tokens"]}, "which trains it whole"),
            ({"target_modules": ["embed_tokens"]}, "is in target_modules and in"),
        ):
            lora = {**LORA, **keys, "trainable_token_indices": TOKENS}
            config = {"model": self.untied.table, "adapter": {"method": "lora", **lora}}
            done = self.workspace.tenon("plan", self.workspace.write_config(config))
            self.assertEqual(done.returncode, 2)
            self.assertIn(text, done.stderr)

    def test_lora_on_an_embedding_that_scales_what_it_looks_up(self):
        for name in ("gemma2", "gemma3"):
            case = make_case(name, self.workspace.folder, training=True)
            for keys in (
                {"use_rslora": True},
                {"use_dora": True},
                {"ensure_weight_tying": True},
                {"target_modules": ["embed_tokens", "lm_head", "q_proj"]},
            ):
                lora = {"r": 4, "lora_alpha": 8, "target_modules": ["embed_tokens"], **keys}
                with self.subTest(model=name, **keys):
                    self.exchange(case, lora)
                    self.assert_merged_as_unmerged(case, lora)

    def test_rows_of_an_embedding_that_scales_what_it_looks_up(self):
        case = make_case("gemma2", self.workspace.folder, training=True)
        lora = {**LORA, "trainable_token_indices": TOKENS}
        self.exchange(case, lora)
        self.assert_merged_as_unmerged(case, lora)

    def plan(self, case, lora):
        config = {"model": case.table, "adapter": {"method": "lora", **lora}}
        return self.workspace.tenon_json("plan", self.workspace.write_config(config))

    def exchange(self, case, lora):
        folder, peft_model = self.save_by_peft(case, lora)
        inputs = case.inputs(ROWS)
        self.compare(case, folder, case.predict(peft_model, inputs), inputs)

        trained = self.train(case, lora, folder)
        self.assertEqual(kinds(trained), kinds(folder))
        for name, tensor in self.train_by_peft(case, folder).items():
            self.assert_within(tensors_of(trained)[name], tensor, 1e-5)
        loaded = PeftModel.from_pretrained(deepcopy(case.built.model), trained).eval()
        self.compare(case, trained, case.predict(loaded, inputs), inputs)

        plan = self.plan(case, lora)
        fresh = get_peft_model(deepcopy(case.built.model), LoraConfig(**lora))
        self.assertEqual(
            (plan["trainable_params"], plan["all_params"]), fresh.get_nb_trainable_parameters()
        )

    def assert_merged_as_unmerged(self, case, lora):
        folder, peft_model = self.save_by_peft(case, lora)
        merged = self.workspace.new_path(".pt2")
        config = self.workspace.write_config({"model": case.table})
        self.workspace.tenon_ok("merge", config, "--adapter", folder, "--output", merged)
        inputs = case.inputs(ROWS)
        expected = case.predict(peft_model, inputs)
        actual = self.workspace.predict({"path": merged}, inputs)
        self.assert_within(actual, expected, 1e-4 * expected.abs().max().item())

    def compare(self, case, folder, expected, inputs):
        base = case.predict(case.built.model, inputs)
        self.assertGreater((expected - base).abs().max(), 1e-3)
        actual = self.workspace.predict(case.table, inputs, folder)
        self.assert_within(actual, expected, 1e-5 * max(1, expected.abs().max().item()))

    def save_by_peft(self, case, lora):
        torch.manual_seed(3)
        config = LoraConfig(**lora, init_lora_weights=False)
        peft_model = off_the_start(get_peft_model(deepcopy(case.built.model), config)).eval()
        with torch.no_grad():
            for name, parameter in peft_model.named_parameters():
                if parameter.requires_grad and "lora_" not in name:
                    parameter.add_(torch.randn_like(parameter), alpha=0.2)
        folder = self.workspace.new_path()
        peft_model.save_pretrained(folder)
        return folder, peft_model

    def train(self, case, lora, folder):
        output = self.workspace.new_path()
        config = {
            "model": case.table,
            "adapter": {"method": "lora", "init_from": folder},
            "data": {"train": self.workspace.write_tensors(case.data(ROWS))},
            "train": {
                "loss": case.loss,
                "optimizer": "sgd",
                "learning_rate": 0.1,
                "steps": 3,
                "batch_size": ROWS,
                "shuffle": False,
            },
            "output": {"directory": output},
        }
        self.workspace.tenon_ok("run", self.workspace.write_config(config))
        return output

    def train_by_peft(self, case, folder):
        model = PeftModel.from_pretrained(deepcopy(case.built.model), folder, is_trainable=True)
        model.train()
        steps = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
        data = case.data(ROWS)
        labels = data.pop("labels")
        for _ in range(3):
            steps.zero_grad()
            case.peft_loss(case.forward(model, data), labels).backward()
            steps.step()
        path = self.workspace.new_path()
        model.save_pretrained(path)
        return tensors_of(path)


TENSORS = "adapter_model.safetensors"


def tensors_of(folder):
    """Without the base's weights, which PEFT writes beside an embedding's adapter."""
    tensors = load_file(folder / TENSORS)
    return {name: tensor for name, tensor in tensors.items() if ".base_layer." not in name}


def kinds(folder):
    tensors = tensors_of(folder)
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}


if __name__ == "__main__":
    main()
