"""Adapters that start from data, EVA, CorDA and LoRA-GA: PEFT's numbers on the same batches."""

import json
from copy import deepcopy
from unittest.mock import patch

import torch
from cases import make_case
from peft import EvaConfig, LoraConfig, PeftModel, get_peft_model, initialize_lora_eva_weights
from peft.tuners.lora.config import CordaConfig, LoraGAConfig
from peft.tuners.lora.corda import preprocess_corda
from peft.tuners.lora.loraga import preprocess_loraga
from safetensors.torch import load_file
from support import ParityTest, main, relative_norm

BATCH = 16


def batches_of(data, size):
    rows = len(next(iter(data.values())))
    return [
        {name: tensor[first : first + size] for name, tensor in data.items()}
        for first in range(0, rows, size)
    ]


def data_of(case):
    data = case.data(64)
    if "x" in data:  # features that matter less and less, so that EVA settles soon
        data["x"] = data["x"] * 0.7 ** torch.arange(20)
    return data


def exact_svd(matrix, q, niter):
    """In place of torch.svd_lowrank, whose vectors PEFT draws anew at each start: what they are near."""
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    return left[:, :q], values[:q], right[:q].T


def lora_layers(peft_model):
    """By path: lora_A, lora_B and the scaling of each layer of PEFT's."""
    return {
        name.removeprefix("base_model.model."): (
            module.lora_A["default"].weight,
            module.lora_B["default"].weight,
            module.scaling["default"],
        )
        for name, module in peft_model.named_modules()
        if hasattr(module, "lora_A") and "default" in module.lora_A
    }


class DataStartTest(ParityTest):
    def case(self, name):
        case = make_case(name, self.workspace.folder, training=True)
        # What a module to save learns is not this test's.
        case.lora = {key: value for key, value in case.lora.items() if key != "modules_to_save"}
        return case

    def run_tenon(self, case, data, adapter, batch_size=BATCH, status=0, **train):
        folder = self.workspace.new_path()
        config = {
            "model": case.table,
            "adapter": case.adapter_table(**adapter),
            "data": {"train": self.workspace.write_tensors(data)},
            "train": {
                "loss": case.loss,
                "optimizer": "sgd",
                "learning_rate": 1e-30,  # what is saved is the start
                "steps": 1,
                "batch_size": batch_size,
                "shuffle": False,
                **train,
            },
            "output": {"directory": folder},
        }
        done = self.workspace.tenon("run", self.workspace.write_config(config))
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return (folder, done.stderr) if status == 0 else done.stderr

    def eva_by_peft(self, case, data, eva, **lora):
        lora = {**case.lora, **lora}
        config = LoraConfig(**lora, init_lora_weights="eva", eva_config=EvaConfig(**eva))
        model = get_peft_model(deepcopy(case.built.model), config)
        if data["labels"].dim() == 1:  # PEFT takes labels for those of positions
            data = {name: tensor for name, tensor in data.items() if name != "labels"}
        batches = batches_of(data, BATCH)
        if case.built.by_keyword:
            initialize_lora_eva_weights(model, batches, show_progress_bar=False)
        else:
            initialize_lora_eva_weights(
                model,
                [batch["x"] for batch in batches],
                forward_fn=lambda model, x: model(x),
                prepare_model_inputs_fn=None,
                prepare_layer_inputs_fn=None,
                show_progress_bar=False,
            )
        return model

    def check_eva(self, case, data, eva, **lora):
        wanted = self.eva_by_peft(case, data, eva, **lora)
        adapter = {"init_lora_weights": "eva", "eva_config": eva, **lora}
        folder, notes = self.run_tenon(case, data, adapter)
        loaded = PeftModel.from_pretrained(deepcopy(case.built.model), folder)
        layers, wanted_layers = lora_layers(loaded), lora_layers(wanted)
        self.assertEqual(list(layers), list(wanted_layers))
        for path, (a, _, scaling) in layers.items():
            wanted_a, _, wanted_scaling = wanted_layers[path]
            self.assertAlmostEqual(scaling, wanted_scaling, places=6)
            self.assert_within(a.detach(), wanted_a.detach(), 1e-4)
        return wanted, folder, notes

    def test_eva_starts_as_peft_does(self):
        settings = ({}, {"rho": 1.0}, {"tau": 0.9, "adjust_scaling_factors": False})
        for name, of_case in (("mlp", settings), ("mistral", settings), ("minilm", settings[:1])):
            case = self.case(name)
            data = data_of(case)
            for eva in of_case:
                with self.subTest(case=name, **eva):
                    self.check_eva(case, data, eva)

    def test_eva_whitens_as_peft_does(self):
        case = self.case("mlp")
        self.check_eva(case, data_of(case), {"whiten": True})

    def test_eva_counts_labelled_positions_only_if_it_is_to(self):
        case = self.case("mistral")
        data = data_of(case)
        data["labels"][:, :6] = -100
        data["labels"][:, 6] = 5
        for eva in ({"use_label_mask": False}, {"label_mask_value": 5}, {}):
            with self.subTest(**eva):
                self.check_eva(case, data, eva)

    def test_eva_config_is_written_as_peft_writes_it(self):
        case = self.case("mlp")
        wanted, folder, _ = self.check_eva(case, data_of(case), {"rho": 1.0})
        reference = self.workspace.new_path()
        wanted.save_pretrained(reference)
        config, other = (
            json.loads((each / "adapter_config.json").read_text()) for each in (folder, reference)
        )
        for key in ("init_lora_weights", "eva_config", "r", "lora_alpha"):
            self.assertEqual(config[key], other[key])

    def test_layers_that_eva_gives_no_rank_are_left_out_and_told(self):
        case = self.case("mistral")
        lora = {"r": 1, "lora_alpha": 2, "rank_pattern": {}, "alpha_pattern": {}}
        wanted, _, notes = self.check_eva(case, data_of(case), {"rho": 4.0}, **lora)
        self.assertEqual(len(lora_layers(wanted)), 2)  # of four
        self.assertIn("EVA leaves no rank for `model.layers.0.self_attn.q_proj`, `model", notes)

    def test_training_goes_on_from_eva_as_in_peft(self):
        case = self.case("mlp")
        data = data_of(case)
        model = self.eva_by_peft(case, data, {})
        self.train_by_peft(model, case, data, BATCH)
        folder, _ = self.run_tenon(
            case, data, {"init_lora_weights": "eva"}, learning_rate=0.05, steps=4
        )
        loaded = PeftModel.from_pretrained(deepcopy(case.built.model), folder)
        x = data["x"]
        self.assert_within(loaded(x).detach(), model(x).detach(), 1e-5)

    @staticmethod
    def train_by_peft(model, case, data, batch_size):
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05)
        for batch in batches_of(data, batch_size)[:4]:
            labels = batch["labels"]
            inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
            case.peft_loss(case.forward(model, inputs), labels).backward()
            optimizer.step()
            optimizer.zero_grad()

    def corda_by_peft(self, case, data, method, batch_size, **lora):
        lora = {**case.lora, **lora}
        config = LoraConfig(
            **lora, init_lora_weights="corda", corda_config=CordaConfig(corda_method=method)
        )
        model = deepcopy(case.built.model)

        def run():
            for batch in batches_of(data, batch_size):
                inputs = {name: value for name, value in batch.items() if name != "labels"}
                case.predict(model, inputs)

        preprocess_corda(model, config, run_model=run)
        model = get_peft_model(model, config).eval()
        start = self.workspace.new_path()
        model.peft_config["default"].init_lora_weights = True
        model.save_pretrained(start)
        model.peft_config["default"].init_lora_weights = "corda"
        self.train_by_peft(model, case, data, batch_size)
        folder = self.workspace.new_path()
        model.save_pretrained(folder, path_initial_model_for_weight_conversion=start)
        return model, folder

    def check_corda(self, case, data, method, batch_size, **lora):
        model, reference = self.corda_by_peft(case, data, method, batch_size, **lora)
        adapter = {
            "init_lora_weights": "corda",
            "corda_config": {"corda_method": method},
            **lora,
        }
        folder, _ = self.run_tenon(
            case, data, adapter, batch_size=batch_size, learning_rate=0.05, steps=4
        )
        tensors, wanted = (
            load_file(each / "adapter_model.safetensors") for each in (folder, reference)
        )
        self.assertEqual(sorted(tensors), sorted(wanted))
        for name, tensor in tensors.items():
            self.assertEqual(tensor.shape, wanted[name].shape)
            if ".lora_A." not in name:
                continue
            other = name.replace("lora_A", "lora_B")
            change, wanted_change = tensors[other] @ tensor, wanted[other] @ wanted[name]
            self.assertLess(relative_norm(change, wanted_change), 2e-3)
        config, wanted_config = (
            json.loads((each / "adapter_config.json").read_text()) for each in (folder, reference)
        )
        for key in ("r", "lora_alpha", "rank_pattern", "alpha_pattern", "init_lora_weights"):
            self.assertEqual(config[key], wanted_config[key])
        inputs = {name: value for name, value in data.items() if name != "labels"}
        predicted = self.workspace.predict(case.table, inputs, folder)
        self.assert_within(predicted, case.predict(model, inputs), 1e-4)

    def test_corda_trains_as_in_peft_and_is_saved_as_it_converts_it(self):
        case = self.case("mlp")
        case.lora["target_modules"] = ["seq.0", "seq.4"]  # the middle one is 2000 wide both ways
        data = data_of(case)
        for method in ("ipm", "kpm"):
            for rslora in (False, True):
                with self.subTest(method=method, rslora=rslora):
                    self.check_corda(case, data, method, BATCH, r=2, use_rslora=rslora)

    def test_corda_of_a_language_model(self):
        case = self.case("mistral")
        data = case.data(8)
        data["attention_mask"][:] = 1  # PEFT counts padding too
        plain = {"rank_pattern": {}, "alpha_pattern": {}}  # which PEFT cannot convert
        self.check_corda(case, data, "ipm", 1, **plain)

    def lora_ga_by_peft(self, case, data, batch_size, settings, **lora):
        lora = {**case.lora, **lora}
        config = LoraConfig(
            **lora, init_lora_weights="lora_ga", lora_ga_config=LoraGAConfig(**settings)
        )
        model = deepcopy(case.built.model)
        for module in model.modules():  # PEFT draws dropout, Tenon does not
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0

        def run():
            for batch in batches_of(data, batch_size):
                inputs = {name: value for name, value in batch.items() if name != "labels"}
                case.peft_loss(case.forward(model, inputs), batch["labels"]).backward()

        preprocess_loraga(model, config, run)
        with patch.object(torch, "svd_lowrank", exact_svd):
            return get_peft_model(model, config).eval()

    def check_lora_ga(self, case, data, batch_size, settings, **lora):
        model = self.lora_ga_by_peft(case, data, batch_size, settings, **lora)
        adapter = {"init_lora_weights": "lora_ga", "lora_ga_config": settings, **lora}
        folder, _ = self.run_tenon(case, data, adapter, batch_size=batch_size)
        tensors = load_file(folder / "adapter_model.safetensors")
        # What is saved has the start beside what was trained. A singular vector may point either way:
        # each of A and of B is turned as PEFT's.
        for path, (a, b, _) in lora_layers(model).items():
            rank = len(a)
            ours_a = tensors[f"base_model.model.{path}.lora_A.weight"]
            ours_b = tensors[f"base_model.model.{path}.lora_B.weight"]
            self.assertEqual(len(ours_a), 2 * rank)
            for ours, wanted in ((ours_a[:rank], a), (ours_b[:, :rank].T, b.T)):
                signs = (ours * wanted).sum(1, keepdim=True).sign()
                share = relative_norm(ours * signs, wanted.detach())
                self.assertLess(share, 2e-3, f"{path} {settings}")
        inputs = {name: value for name, value in data.items() if name != "labels"}
        base = self.workspace.predict(case.table, inputs)
        self.assert_within(self.workspace.predict(case.table, inputs, folder), base, 1e-4)

    def test_lora_ga_starts_as_peft_does(self):
        case = self.case("mlp")
        case.lora["target_modules"] = ["seq.0"]
        data = data_of(case)
        for settings in (
            {},
            {"direction": "A2rBr", "scale": "gd_scale"},
            {"direction": "ArBr", "scale": "unit"},
            {"direction": "ArB2r", "scale": "weight_svd"},
            {"stable_gamma": 4},
        ):
            with self.subTest(**settings):
                self.check_lora_ga(case, data, BATCH, settings, r=4, lora_alpha=6)

    def test_lora_ga_of_a_language_model(self):
        case = self.case("mistral")
        self.check_lora_ga(case, case.data(8), 4, {"direction": "ArBr"})

    def test_lora_ga_refuses_a_rank_that_the_gradient_does_not_have(self):
        case = self.case("mlp")
        case.lora["target_modules"] = ["seq.4"]  # of two outputs
        told = self.run_tenon(case, data_of(case), {"init_lora_weights": "lora_ga", "r": 2}, status=1)
        self.assertIn("`seq.4` can have rank 1 at most, not 2", told)

    def test_dora_keeps_its_magnitude_beside_both(self):
        case = self.case("mlp")
        case.lora["target_modules"] = ["seq.0"]
        data = data_of(case)
        inputs = {"x": data["x"]}
        base = self.workspace.predict(case.table, inputs)
        for init in ("eva", "corda", "lora_ga"):
            with self.subTest(init=init):
                folder, _ = self.run_tenon(case, data, {"init_lora_weights": init, "use_dora": True})
                predicted = self.workspace.predict(case.table, inputs, folder)
                self.assert_within(predicted, base, 1e-4)

    def test_plan_and_status_do_without_the_data(self):
        case = self.case("mlp")
        config = {
            "model": case.table,
            "adapter": case.adapter_table(init_lora_weights="eva"),
        }
        file = self.workspace.write_config(config)
        note = 'init_lora_weights = "eva": how the adapter starts is worked out from the data by'
        self.assertIn(note, self.workspace.tenon_ok("plan", file).stdout)
        self.assertIn(note, self.workspace.tenon_ok("adapter", "status", file).stderr)

    def test_an_adapter_that_goes_on_needs_no_data_to_start(self):
        case = self.case("mlp")
        data = data_of(case)
        folder, _ = self.run_tenon(case, data, {"init_lora_weights": "eva"})
        table = {"init_from": folder}
        config = {
            "model": case.table,
            "adapter": table,
            "data": {"train": self.workspace.write_tensors(data)},
            "train": {"loss": case.loss, "optimizer": "sgd", "learning_rate": 1e-30, "steps": 1},
            "output": {"directory": self.workspace.new_path()},
        }
        self.workspace.tenon_ok("run", self.workspace.write_config(config))
        before, after = (
            load_file(each / "adapter_model.safetensors")
            for each in (folder, config["output"]["directory"])
        )
        for name, tensor in before.items():
            self.assert_within(after[name], tensor, 1e-30)

    def test_embeddings_are_left_to_the_default_start_by_eva_and_refused_by_corda(self):
        case = self.case("mistral")
        data = data_of(case)
        lora = {"target_modules": ["q_proj", "embed_tokens"], "rank_pattern": {}, "alpha_pattern": {}}
        _, notes = self.run_tenon(case, data, {"init_lora_weights": "eva", **lora})
        self.assertIn("EVA starts Linear layers only; `model.embed_tokens` (", notes)
        error = self.run_tenon(case, data, {"init_lora_weights": "corda", **lora}, status=2)
        self.assertIn("starts Linear layers only, not `model.embed_tokens`", error)


if __name__ == "__main__":
    main()
