"""`adapter status`: what is on each layer, as PEFT's get_layer_status and get_model_status."""

import warnings

from peft import LoraConfig, get_peft_model
from support import ParityTest, main, models, toys

ONE = {"r": 2, "target_modules": ["lin0"], "modules_to_save": ["lin1"]}
OTHER = {"r": 3, "target_modules": ["conv", "lin0"]}


class StatusTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        warnings.simplefilter("ignore")
        path = cls.workspace.new_path(".pt2")
        example = models.Example(toys.toy("conv2d"), {"X": toys.example_input()}, {"X": None})
        models.export_to(path, example)
        cls.table = {"path": path}
        cls.peft_model = get_peft_model(toys.toy("conv2d"), LoraConfig(**ONE))
        cls.peft_model.add_adapter("other", LoraConfig(**OTHER))
        folder = cls.workspace.new_path()
        cls.peft_model.save_pretrained(folder)
        cls.folders = ("--adapter", folder, "--adapter", f"other={folder / 'other'}")

    def status(self, *arguments, adapters=()):
        config = {"model": self.table, **({"adapter": list(adapters)} if adapters else {})}
        return self.workspace.tenon_json(
            "adapter", "status", self.workspace.write_config(config), *arguments
        )

    def check(self, status, trains):
        """All of PEFT's layers, and what it lists of each."""
        layers = {layer["name"]: layer for layer in status["layers"]}
        wanted = self.peft_model.get_layer_status()
        self.assertEqual(set(layers), {layer.name.removeprefix("model.") for layer in wanted})
        for layer in wanted:
            found = layers[layer.name.removeprefix("model.")]
            with self.subTest(layer.name):
                self.assertEqual(found["active"], [
                    name for name in layer.active_adapters if name in layer.available_adapters
                ])
                self.assertEqual(found["merged"], layer.merged_adapters)
                self.assertEqual(sorted(found["available"]), sorted(layer.available_adapters))
                self.assertEqual(found["enabled"], layer.enabled)
                self.assertEqual(
                    found["devices"], {name: list(on) for name, on in layer.devices.items()}
                )
                if trains:
                    self.assertEqual(found["trainable"], layer.requires_grad)
                else:
                    self.assertFalse(any(found["trainable"].values()))
                for dtypes in found["dtypes"].values():
                    self.assertEqual(dtypes, ["float32"])
        model = self.peft_model.get_model_status()
        self.assertEqual(status["available"], model.available_adapters)
        if model.active_adapters != "irregular":  # PEFT's, where a saved module is another's
            self.assertEqual(status["active"], model.active_adapters)
        self.assertEqual(status["merged"], model.merged_adapters)
        self.assertEqual(status["all_params"], model.total_params)
        if trains:
            self.assertEqual(status["trainable_params"], model.trainable_params)
            self.assertEqual(status["trainable"], model.requires_grad)
        return layers

    def test_of_saved_adapters(self):
        for active in ("default", "other"):
            self.peft_model.set_adapter(active)
            layers = self.check(self.status(*self.folders, "--active", active), trains=False)
        self.assertEqual(layers["conv"]["type"], "torch.nn.Conv2d")
        self.assertEqual(layers["conv"]["plugin"], "tenon.lora-conv")
        self.assertIsNone(layers["lin1"]["plugin"])

    def test_of_the_adapters_of_a_config(self):
        adapters = [
            {"method": "lora", "name": "default", **ONE},
            {"method": "lora", "name": "other", "active": False, "trainable": False, **OTHER},
        ]
        self.peft_model.set_adapter("default")
        self.check(self.status(adapters=adapters), trains=True)

    def test_as_text(self):
        config = self.workspace.write_config({"model": self.table})
        done = self.workspace.tenon_ok(
            "adapter", "status", config, *self.folders, "--active", "other"
        )
        for line in (
            "conv: torch.nn.Conv2d  (tenon.lora-conv)",
            "  other: active, frozen, float32, cpu",
            "  default: not active, frozen, float32, cpu",
            "lin1: torch.nn.Linear  (saved whole)",
            "adapters: default, other; active: other; merged: none; adapted layers: 3",
        ):
            self.assertIn(line + "\n", done.stdout)

    def test_without_adapters_it_says_what_to_give(self):
        config = self.workspace.write_config({"model": self.table})
        done = self.workspace.tenon("adapter", "status", config)
        self.assertEqual(done.returncode, 2)
        self.assertIn("give --adapter [NAME=]DIR, or an [adapter] in the config", done.stderr)


if __name__ == "__main__":
    main()
