"""What `tenon merge` writes is a model: PyTorch loads it and gets the adapted output."""

import json
from copy import deepcopy

import torch
from cases import CASES, declared_mlp, make_case
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from support import ParityTest, main
from torch import nn


class Tied(nn.Module):
    """The output layer has the embedding's weight, and one module has two names."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 4)
        self.middle = nn.Linear(4, 4)
        self.head = nn.Linear(4, 11, bias=False)
        self.head.weight = self.embedding.weight
        self.alias = self.middle

    def forward(self, x):
        return self.head(self.middle(self.embedding(x)))


class MergeTest(ParityTest):
    def merge(self, table, adapters, suffix=".pt2"):
        output = self.workspace.new_path(suffix)
        named = [argument for adapter in adapters for argument in ("--adapter", adapter)]
        config = self.workspace.write_config({"model": table})
        answer = self.workspace.tenon_json("merge", config, *named, "--output", output)
        self.assertEqual(answer["output"], str(output))
        return output, answer

    def peft(self, model, folder, **lora):
        """PEFT's model with an adapter that changes the output, saved to `folder`."""
        torch.manual_seed(4)
        peft_model = get_peft_model(
            deepcopy(model), LoraConfig(init_lora_weights=False, **lora)
        ).eval()
        peft_model.save_pretrained(folder)
        return peft_model

    def test_a_merged_program_is_loaded_by_pytorch_and_gives_the_adapted_output(self):
        for name in CASES:
            with self.subTest(case=name):
                case = make_case(name, self.workspace.folder)
                adapter = self.workspace.new_path()
                peft_model = case.save_by_peft(adapter)
                output, answer = self.merge(case.table, [adapter])
                self.assertEqual(answer["untied"], [])
                program = torch.export.load(output).module()
                for rows, length in ((3, 12), (5, 9)):
                    inputs = case.inputs(rows, length)
                    expected = case.predict(peft_model, inputs)
                    self.assert_within(case.predict(program, inputs), expected, 1e-5)
                    predicted = self.workspace.predict({"path": output}, inputs)
                    self.assert_within(predicted, expected, 1e-5)
                merged = peft_model.merge_and_unload().state_dict()
                self.check_state(torch.export.load(output).state_dict, merged, answer["merged"])

    def check_state(self, state, wanted, changed):
        """The merged tensors within rounding, all others bit for bit."""
        self.assertEqual(set(state), set(wanted))
        for name, tensor in wanted.items():
            if name in changed:
                self.assert_within(state[name], tensor, 1e-5)
            else:
                self.assertTrue(torch.equal(state[name], tensor), name)

    def test_a_merged_state_dict_is_loaded_by_pytorch(self):
        for name in CASES:
            with self.subTest(case=name):
                case = make_case(name, self.workspace.folder)
                adapter = self.workspace.new_path()
                wanted = case.save_by_peft(adapter).merge_and_unload()
                output, answer = self.merge(case.table, [adapter], ".safetensors")
                state = load_file(output)
                self.check_state(state, wanted.state_dict(), answer["merged"])
                fresh = deepcopy(case.built.model)
                fresh.load_state_dict(state, strict=True)
                inputs = case.inputs(3)
                self.assert_within(
                    case.predict(fresh.eval(), inputs), case.predict(wanted, inputs), 1e-5
                )

    def test_two_adapters_are_summed(self):
        case = make_case("mlp", self.workspace.folder)
        one, other = self.workspace.new_path(), self.workspace.new_path()
        lora = {"target_modules": ["seq.0", "seq.2"], "init_lora_weights": False}
        torch.manual_seed(5)
        peft_model = get_peft_model(deepcopy(case.built.model), LoraConfig(r=3, **lora), "one")
        peft_model.add_adapter("other", LoraConfig(r=2, lora_alpha=5, **lora))
        peft_model.base_model.set_adapter(["one", "other"])
        peft_model.eval().save_pretrained(one)
        output, answer = self.merge(case.table, [f"a={one / 'one'}", f"b={one / 'other'}"])
        self.assertEqual(answer["adapters"], ["a", "b"])
        inputs = case.inputs(4)
        self.assert_within(
            case.predict(torch.export.load(output).module(), inputs),
            case.predict(peft_model, inputs),
            1e-5,
        )

    def test_tied_weights_part_where_one_of_their_layers_is_adapted(self):
        model = Tied().eval()
        x = torch.arange(6).view(2, 3) % 4
        every = {"head": ["head.weight"], "embedding": ["embedding.weight"]}
        every["head|embedding"] = ["embedding.weight", "head.weight"]
        for strict in (False, True):
            path = self.workspace.new_path(".pt2")
            torch.export.save(torch.export.export(model, (x,), strict=strict), path)
            for rule, untied in every.items():
                with self.subTest(adapted=rule, strict=strict):
                    adapter = self.workspace.new_path()
                    peft_model = self.peft(
                        model, adapter, target_modules=rule.split("|"), r=2, lora_alpha=4
                    )
                    expected = peft_model(x).detach()
                    output, answer = self.merge({"path": path}, [adapter])
                    self.assertEqual(sorted(answer["untied"]), untied)
                    loaded = torch.export.load(output)
                    self.assert_within(loaded.module()(x).detach(), expected, 1e-5)
                    state = loaded.state_dict
                    self.assertFalse(torch.equal(state["head.weight"], state["embedding.weight"]))
                    predicted = self.workspace.predict({"path": output}, {"x": x})
                    self.assert_within(predicted, expected, 1e-5)

    def test_a_state_dict_that_parts_tied_names_does_not_go_into_a_model_that_ties_them(self):
        model = Tied().eval()
        path, adapter = self.workspace.new_path(".pt2"), self.workspace.new_path()
        torch.export.save(torch.export.export(model, (torch.arange(6).view(2, 3),)), path)
        self.peft(model, adapter, target_modules=["head"])
        weights, answer = self.merge({"path": path}, [adapter], ".safetensors")
        self.assertEqual(answer["untied"], ["head.weight"])
        table = {"path": path, "weights": weights}
        done = self.workspace.tenon("tree", self.workspace.write_config({"model": table}))
        self.assertEqual(done.returncode, 1)
        self.assertIn("shares its tensor with other names in the model", done.stderr)

    def test_a_module_of_two_names_keeps_both(self):
        model = Tied().eval()
        x = torch.arange(6).view(2, 3)
        path = self.workspace.new_path(".pt2")
        torch.export.save(torch.export.export(model, (x,)), path)
        adapter = self.workspace.new_path()
        expected = self.peft(model, adapter, target_modules=["middle"])(x).detach()
        output, answer = self.merge({"path": path}, [adapter])
        self.assertEqual(answer["untied"], [])
        self.assertEqual(sorted(answer["merged"]), ["alias.weight", "middle.weight"])
        loaded = torch.export.load(output)
        self.assertTrue(
            torch.equal(loaded.state_dict["alias.weight"], loaded.state_dict["middle.weight"])
        )
        self.assert_within(loaded.module()(x).detach(), expected, 1e-5)

    def test_saved_modules_go_over_with_their_buffers(self):
        model = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Linear(6, 2)).eval()
        x = torch.rand(4, 5)
        path = self.workspace.new_path(".pt2")
        torch.export.save(torch.export.export(model, (x,)), path)
        adapter = self.workspace.new_path()
        peft_model = self.peft(model, adapter, target_modules=["0"], modules_to_save=["1"])
        peft_model.train()
        for _ in range(3):
            peft_model(torch.rand(8, 5) * 3)
        peft_model.eval().save_pretrained(adapter)
        expected = peft_model(x).detach()
        wanted = peft_model.merge_and_unload().state_dict()
        for suffix in (".pt2", ".safetensors"):
            output, _ = self.merge({"path": path}, [adapter], suffix)
            is_program = suffix == ".pt2"
            state = torch.export.load(output).state_dict if is_program else load_file(output)
            self.assertEqual(state["1.num_batches_tracked"].item(), 3)
            self.check_state(state, wanted, ["0.weight"])
        program, _ = self.merge({"path": path}, [adapter])
        self.assert_within(torch.export.load(program).module()(x).detach(), expected, 1e-5)

    def test_half_precision_is_merged_in_float32_and_rounded_once(self):
        for dtype in (torch.bfloat16, torch.float16):
            with self.subTest(dtype=dtype):
                model = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)).to(dtype)
                x = torch.rand(3, 16, dtype=dtype)
                path = self.workspace.new_path(".pt2")
                torch.export.save(torch.export.export(model.eval(), (x,)), path)
                adapter = self.workspace.new_path()
                peft_model = self.peft(model, adapter, target_modules=["0"], r=4, lora_alpha=4)
                layer = peft_model.base_model.model[0]
                delta = layer.lora_B.default.weight @ layer.lora_A.default.weight
                wanted = (model[0].weight.float() + delta).to(dtype)
                for suffix in (".pt2", ".safetensors"):
                    output, _ = self.merge({"path": path}, [adapter], suffix)
                    program = suffix == ".pt2"
                    state = torch.export.load(output).state_dict if program else load_file(output)
                    self.assertEqual(state["0.weight"].dtype, dtype)
                    equal = (state["0.weight"] == wanted).float().mean().item()
                    self.assertGreater(equal, 0.99)  # float32's own rounding moves a few
                    self.assertTrue(torch.equal(state["2.weight"], model[2].weight))

    def test_a_declared_model_gives_a_state_dict_and_no_program(self):
        case = make_case("mlp", self.workspace.folder)
        table = declared_mlp(self.workspace.folder, case)
        adapter = self.workspace.new_path()
        wanted = case.save_by_peft(adapter).merge_and_unload().state_dict()
        output, answer = self.merge(table, [adapter], ".safetensors")
        self.check_state(load_file(output), wanted, answer["merged"])
        refused = self.refuse(table, adapter, ".pt2", status=2)
        self.assertIn("this model did not come from an exported program", refused)

    def test_weights_of_the_config_are_the_programs(self):
        case = make_case("mlp", self.workspace.folder)
        weights = self.workspace.new_path(".safetensors")
        other = {name: tensor + 0.01 for name, tensor in case.built.model.state_dict().items()}
        save_file(other, weights)
        adapter = self.workspace.new_path()
        case.save_by_peft(adapter)
        table = {**case.table, "weights": weights}
        output, _ = self.merge(table, [adapter])
        inputs = case.inputs(3)
        predicted = self.workspace.predict(table, inputs, adapter)
        program = torch.export.load(output).module()
        self.assert_within(case.predict(program, inputs), predicted, 1e-5)
        self.assertTrue(torch.equal(program.state_dict()["seq.0.bias"], other["seq.0.bias"]))

    def refuse(self, table, adapter, suffix, status=1, output=None):
        output = output or self.workspace.new_path(suffix)
        before = output.read_bytes() if output.exists() else None
        done = self.workspace.tenon(
            "merge",
            self.workspace.write_config({"model": table}),
            *("--adapter", adapter, "--output", output, "--json"),
        )
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertEqual(output.read_bytes() if output.exists() else None, before)
        self.assertEqual(list(output.parent.glob(output.name + ".*")), [])
        return json.loads(done.stdout)["error"]["message"]

    def test_broken_adapters_and_wrong_names_write_nothing(self):
        case = make_case("mlp", self.workspace.folder)
        for value in (float("nan"), float("inf")):
            adapter = self.workspace.new_path()
            peft_model = case.peft_model(init_lora_weights=False)
            layer = peft_model.base_model.model.seq[0]
            layer.lora_B.default.weight.data[0, 0] = value
            peft_model.save_pretrained(adapter)
            for suffix in (".pt2", ".safetensors"):
                text = self.refuse(case.table, adapter, suffix, status=2)
                self.assertIn("NaNs or infinities in the merged weight of `seq.0`", text)
        adapter = self.workspace.new_path()
        case.save_by_peft(adapter)
        text = self.refuse(case.table, adapter, ".bin", status=2)
        self.assertIn("is neither a .pt2", text)
        text = self.refuse(case.table, adapter, "", status=2, output=case.table["path"])
        self.assertIn("is [model] path itself, which this command reads", text)


if __name__ == "__main__":
    main()
