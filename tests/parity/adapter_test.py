"""Adapters go both ways: what one of PEFT and Tenon saved, the other loads with equal output."""

from cases import CASES, declared_mlp, make_case, saved_config
from safetensors.torch import load_file
from support import ParityTest, main

# The folder or hub name that the model was loaded from is not in an exported program.
NOT_IN_A_PROGRAM = "base_model_name_or_path"


class AdapterTest(ParityTest):
    def test_tenon_applies_what_peft_saved(self):
        for name in CASES:
            with self.subTest(case=name):
                case = make_case(name, self.workspace.folder)
                self.check_applied(case, case.table)

    def test_tenon_applies_what_peft_saved_to_a_declared_model(self):
        case = make_case("mlp", self.workspace.folder)
        self.check_applied(case, declared_mlp(self.workspace.folder, case))

    def check_applied(self, case, table):
        adapter = self.workspace.new_path()
        peft_model = case.save_by_peft(adapter)
        for rows, length in ((3, 12), (5, 9)):
            inputs = case.inputs(rows, length)
            base = self.workspace.predict(table, inputs)
            expected = case.predict(peft_model, inputs)
            self.assertGreater((expected - base).abs().max().item(), 1e-3)
            predicted = self.workspace.predict(table, inputs, adapter)
            self.assert_within(predicted, expected, 1e-5)

    def test_peft_loads_what_tenon_trained(self):
        for name in CASES:
            with self.subTest(case=name):
                case = make_case(name, self.workspace.folder, training=True)
                adapter = self.train(case, case.table)
                self.check_files(case, adapter, exported=True)
                self.check_loaded(case, case.table, adapter)

    def test_peft_loads_what_tenon_trained_on_a_declared_model(self):
        case = make_case("mlp", self.workspace.folder)
        table = declared_mlp(self.workspace.folder, case)
        adapter = self.train(case, table)
        self.check_files(case, adapter, exported=False)
        self.check_loaded(case, table, adapter)

    def train(self, case, table):
        """A few steps from Tenon's own start, far enough to change the output."""
        adapter = self.workspace.new_path()
        config = {
            "model": table,
            "adapter": case.adapter_table(),
            "data": {
                "train": self.workspace.write_tensors(case.data(24)),
                # A declared model calls its input otherwise than the file.
                **({"inputs": ["x"]} if "layers" in table else {}),
            },
            "train": {
                "loss": case.loss,
                "optimizer": "adamw",
                "learning_rate": 1e-2,
                "steps": 5,
                "batch_size": 8,
            },
            "output": {"directory": adapter},
        }
        self.workspace.tenon_ok("run", self.workspace.write_config(config))
        return adapter

    def check_files(self, case, adapter, exported):
        """The files are as PEFT writes them for the same model."""
        reference = self.workspace.new_path()
        case.save_by_peft(reference)

        tensors = load_file(adapter / "adapter_model.safetensors")
        wanted = load_file(reference / "adapter_model.safetensors")
        self.assertEqual(_kinds(tensors), _kinds(wanted))

        config, wanted = saved_config(adapter), saved_config(reference)
        self.assertEqual(list(config), list(wanted))
        wanted["init_lora_weights"] = True  # Tenon's start was the default one
        wanted[NOT_IN_A_PROGRAM] = config[NOT_IN_A_PROGRAM]
        if not exported:
            self.assertEqual(config["auto_mapping"]["base_model_class"], "MLP")
            wanted["auto_mapping"] = config["auto_mapping"]
        self.assertEqual(config, wanted)

    def check_loaded(self, case, table, adapter):
        peft_model = case.load_by_peft(adapter)
        for rows, length in ((3, 12), (5, 9)):
            inputs = case.inputs(rows, length)
            predicted = self.workspace.predict(table, inputs, adapter)
            base = self.workspace.predict(table, inputs)
            self.assertGreater((predicted - base).abs().max().item(), 1e-3)
            self.assert_within(predicted, case.predict(peft_model, inputs), 1e-5)


def _kinds(tensors):
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}


if __name__ == "__main__":
    main()
