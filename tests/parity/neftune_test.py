"""NEFTune: the noise on the input embedding, by the hook of transformers on PEFT's model and by Tenon."""

from copy import deepcopy

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file
from support import ParityTest, main, models, relative_norm
from transformers.integrations.neftune import activate_neftune

ALPHA = 15.0
SEED = 11
STEPS = 8
ROWS = 4
TOLERANCE = 1e-5


class NeftuneTest(ParityTest):
    def config(self, name, start, **train):
        path = self.workspace.new_path(".pt2")
        models.export_to(path, models.example(name))
        config = {
            "model": {"path": path},
            "adapter": {"init_from": start},
            "data": {"train": self.rows()},
            "train": {
                "loss": "causal_lm",
                "optimizer": "sgd",
                "learning_rate": 0.5,
                "batch_size": ROWS,
                "shuffle": False,
                "seed": SEED,
                "threads": 1,
                "neftune_noise_alpha": ALPHA,
                **train,
            },
            "output": {"directory": self.workspace.new_path()},
        }
        return config, self.workspace.write_config(config)

    def rows(self):
        torch.manual_seed(4)
        ids = torch.randint(97, (STEPS * ROWS, 10))
        return self.workspace.write_tensors(
            {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids.clone()}
        )

    def peft_model(self, name, targets):
        torch.manual_seed(3)
        config = LoraConfig(r=4, target_modules=targets, init_lora_weights=False)
        model = get_peft_model(deepcopy(models.example(name).model), config)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.mul_(0.3)
        start = self.workspace.new_path()
        model.save_pretrained(start, save_embedding_layers=False)
        return model, start

    def train_by_peft(self, model, data):
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
        model.train()
        torch.manual_seed(SEED)
        losses = []
        for ids in load_file(data)["input_ids"].split(ROWS):
            optimizer.zero_grad()
            logits = model(input_ids=ids).logits[:, :-1]
            loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    def test_the_noise_is_that_of_transformers_hook(self):
        # A plain layer, one that is on the embedding itself, and a class that scales its rows.
        for name, targets in (
            ("mistral", ["q_proj", "v_proj"]),
            ("mistral", ["embed_tokens", "q_proj"]),
            ("gemma3", ["q_proj", "v_proj"]),
        ):
            with self.subTest(model=name, targets=targets):
                model, start = self.peft_model(name, targets)
                without = deepcopy(model)
                config, path = self.config(name, start)
                result = self.workspace.tenon_json("run", path)
                activate_neftune(model, ALPHA)
                expected = self.train_by_peft(model, config["data"]["train"])
                for actual, loss in zip(result["losses"], expected, strict=True):
                    self.assertAlmostEqual(actual, loss, delta=TOLERANCE * loss)
                trained = load_file(config["output"]["directory"] / "adapter_model.safetensors")
                for key, tensor in get_peft_model_state_dict(
                    model, save_embedding_layers=False
                ).items():
                    self.assertLessEqual(relative_norm(trained[key], tensor), TOLERANCE, key)
                # Without the noise the training goes elsewhere.
                plain = self.train_by_peft(without, config["data"]["train"])
                self.assertGreater(abs(plain[0] - expected[0]), 10 * TOLERANCE * expected[0])

    def test_evaluations_and_predictions_have_no_noise(self):
        _, start = self.peft_model("mistral", ["q_proj"])
        config, path = self.config("mistral", start, steps=1, learning_rate=1e-20)
        data = config["data"]["train"]
        result = self.workspace.tenon_json("run", path, "--set", f"data.eval={data}")
        self.assertAlmostEqual(
            result["eval"]["before"]["loss"], result["eval"]["after"]["loss"], delta=1e-6
        )
        told = self.workspace.tenon_json("eval", path, "--adapter", start, "--data", data)
        self.assertAlmostEqual(told["loss"], result["eval"]["before"]["loss"], delta=1e-6)

    def test_a_block_that_is_run_once_more_has_the_same_noise(self):
        _, start = self.peft_model("mistral", ["embed_tokens", "q_proj"])
        _, path = self.config("mistral", start)
        plain = self.workspace.tenon_json("run", path)
        for blocks in (["model.embed_tokens", "model.layers.0"], ["model"]):
            config, path = self.config("mistral", start, checkpoint=blocks)
            again = self.workspace.tenon_json("run", path)
            for actual, loss in zip(again["losses"], plain["losses"], strict=True):
                self.assertAlmostEqual(actual, loss, delta=TOLERANCE * loss)

    def test_a_model_without_an_embedding_is_refused(self):
        config = {
            "model": {"layers": [{"name": "a", "type": "Linear", "in_features": 4, "out_features": 2}]},
            "adapter": {"target_modules": ["a"], "r": 2},
            "data": {
                "train": self.workspace.write_tensors(
                    {"input": torch.rand(4, 4), "labels": torch.zeros(4).long()}
                )
            },
            "train": {"neftune_noise_alpha": ALPHA},
            "output": {"directory": self.workspace.new_path()},
        }
        done = self.workspace.tenon("run", self.workspace.write_config(config))
        self.assertEqual(done.returncode, 2)
        self.assertIn("the model has none that looks up its input's ids", done.stderr)


if __name__ == "__main__":
    main()
