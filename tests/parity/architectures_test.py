"""Small models of other architectures of transformers: tied heads, shared tables, scaled embeddings,
biases with two names. What one of PEFT and Tenon saved, the other loads.
"""

import json
import warnings
from copy import deepcopy

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from support import ParityTest, main, models
from torch.export import Dim

WORDS = 59
SIZES = {
    **{"vocab_size": WORDS, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2},
    **{"num_attention_heads": 2, "max_position_embeddings": 32},
}
ONE_HEAD = {"num_key_value_heads": 1, "use_cache": False}
BART = {
    **{"vocab_size": WORDS, "d_model": 16, "encoder_layers": 2, "decoder_layers": 2},
    **{"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 24},
    **{"decoder_ffn_dim": 24, "max_position_embeddings": 32, "use_cache": False},
}
T5 = {
    **{"vocab_size": WORDS, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2},
    **{"decoder_start_token_id": 0, "use_cache": False, "dropout_rate": 0.0},
}
GPT2 = {
    **{"vocab_size": WORDS, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2},
    **{"use_cache": False, "bos_token_id": 0, "eos_token_id": 0},
}
BUILDERS = {
    "gemma2": lambda t: t.Gemma2ForCausalLM(t.Gemma2Config(**SIZES, **ONE_HEAD, head_dim=8)),
    "llama": lambda t: t.LlamaForCausalLM(t.LlamaConfig(**SIZES, **ONE_HEAD)),
    "bert": lambda t: t.BertForMaskedLM(t.BertConfig(**SIZES)),
    "gpt2": lambda t: t.GPT2LMHeadModel(t.GPT2Config(**GPT2)),
    "t5": lambda t: t.T5ForConditionalGeneration(t.T5Config(**T5)),
    "bart": lambda t: t.BartForConditionalGeneration(t.BartConfig(**BART)),
}
LORA = {"r": 2, "lora_alpha": 4}
TOKENS = [1, 5, 40]


class ArchitecturesTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        warnings.simplefilter("ignore")
        cls.models = {}

    def model(self, name):
        """The model, its inputs and its exported program."""
        if name not in self.models:
            torch.manual_seed(4)
            model = BUILDERS[name](transformers).eval()
            ids = torch.randint(1, WORDS, (4, 6))
            inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            if name in ("t5", "bart"):
                inputs["decoder_input_ids"] = ids.flip(1)
            path = self.workspace.new_path(".pt2")
            sizes = {key: {0: Dim("batch")} for key in inputs}
            models.export_to(path, models.Example(model, inputs, sizes, by_keyword=True))
            self.models[name] = (model.eval(), inputs, path)
        return self.models[name]

    def test_rows_of_a_shared_table_are_those_of_every_layer_that_reads_it(self):
        for name, targets in (("gemma2", "q_proj"), ("t5", "q"), ("bart", "q_proj")):
            with self.subTest(model=name):
                lora = {"target_modules": [targets], "trainable_token_indices": TOKENS}
                self.exchange(name, lora)

    def test_rows_of_a_table_that_others_read(self):
        lora = {"target_modules": ["q"], "trainable_token_indices": {"shared": TOKENS}}
        self.exchange("t5", lora)

    def test_saved_module_with_a_buffer_that_is_in_no_state_dict_is_merged(self):
        folder, expected = self.exchange(
            "gemma2", {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]}
        )
        merged = self.workspace.new_path(".pt2")
        self.merge("gemma2", folder, merged)
        inputs = self.model("gemma2")[1]
        with torch.no_grad():
            logits = torch.export.load(merged).module()(**inputs)["logits"]
        self.assert_within(logits, expected, 1e-5)

    def test_head_whose_bias_has_two_names(self):
        for lora in (
            {"target_modules": ["word_embeddings"], "ensure_weight_tying": True},
            {"target_modules": ["query"], "modules_to_save": ["cls"]},
            {"target_modules": ["query", "decoder"], "bias": "lora_only"},
        ):
            with self.subTest(**lora):
                # PEFT ties what is called embed_tokens or lm_head. A table whose factors the head
                # shares goes far in a step.
                tied = "word_embeddings" in lora["target_modules"]
                self.exchange("bert", lora, both=not tied, rate=1e-3 if tied else 1.0)

    def test_head_saved_with_the_embedding_that_it_is_tied_to(self):
        lora = {"target_modules": ["query"], "modules_to_save": ["decoder"]}
        self.exchange("bert", {**lora, "ensure_weight_tying": True}, both=False)
        lora = {"target_modules": ["c_attn"], "modules_to_save": ["wte"], "fan_in_fan_out": True}
        self.exchange("gpt2", {**lora, "ensure_weight_tying": True})

    def test_parameters_named_beside_the_custom_of_the_models_type(self):
        lora = {"target_parameters": ["gate_proj.weight"]}
        self.exchange("llama", lora)
        _, expected = self.exchange("llama", {**lora, "target_modules": []})
        self.assertEqual(expected.shape[-1], WORDS)

    def test_saved_modules_whose_names_end_alike(self):
        self.exchange("llama", {"target_modules": ["q_proj"], "modules_to_save": ["norm"]})

    def test_all_linear_leaves_the_output_layer_out_if_the_model_adds_to_it(self):
        plan = self.plan("bart", {"target_modules": "all-linear"})
        self.assertNotIn("lm_head", plan["targeted_module_names"])

    def plan(self, name, lora):
        return self.workspace.tenon_json("plan", self.config(name, lora))

    def config(self, name, lora, **tables):
        adapter = {"method": "lora", **LORA, **lora}
        adapter.pop("fan_in_fan_out", None)
        path = self.model(name)[2]
        return self.workspace.write_config({"model": {"path": path}, "adapter": adapter, **tables})

    def merge(self, name, folder, output):
        config = self.workspace.write_config({"model": {"path": self.model(name)[2]}})
        self.workspace.tenon_ok("merge", config, "--adapter", folder, "--output", output)

    def exchange(self, name, lora, both=True, rate=1.0):
        """PEFT's adapter loads in Tenon, and with `both` one that Tenon trained in PEFT, with the
        same outputs. Returns PEFT's folder and its output."""
        model, inputs, path = self.model(name)
        folder = self.workspace.new_path()
        torch.manual_seed(6)
        peft_model = get_peft_model(deepcopy(model), LoraConfig(**LORA, **deepcopy(lora))).eval()
        with torch.no_grad():
            for parameter in peft_model.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter), alpha=0.2)
        peft_model.save_pretrained(folder)
        expected = self.compare(name, folder, peft_model)
        trained = self.train(name, lora, rate)
        if both:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message="Found missing adapter keys")
                loaded = PeftModel.from_pretrained(deepcopy(model), trained).eval()
            self.compare(name, trained, loaded)
        else:
            # Its own reader at least.
            self.workspace.predict({"path": path}, inputs, trained)
        return folder, expected

    def compare(self, name, folder, peft_model):
        model, inputs, path = self.model(name)
        with torch.no_grad():
            base = model(**inputs).logits
            expected = peft_model(**inputs).logits
        self.assertGreater((expected - base).abs().max(), 1e-3)
        actual = self.workspace.predict({"path": path}, inputs, folder)
        self.assert_within(actual, expected, 1e-5 * max(1, expected.abs().max().item()))
        return expected

    def train(self, name, lora, rate):
        _, inputs, _ = self.model(name)
        torch.manual_seed(8)
        rows, length = inputs["input_ids"].shape
        data = {**inputs, "labels": torch.randn(rows, length, WORDS)}
        train = {"loss": "mse", "optimizer": "sgd", "learning_rate": rate, "steps": 3}
        output = self.workspace.new_path()
        config = self.config(
            name,
            {**lora, "init_lora_weights": False},
            data={"train": self.workspace.write_tensors(data)},
            train={**train, "batch_size": rows},
            output={"directory": output},
        )
        self.workspace.tenon_ok("run", config)
        self.assertEqual(json.loads((output / "adapter_config.json").read_text())["r"], 2)
        return output


if __name__ == "__main__":
    main()
