"""The schema that editors check a config by says what the program says: every config that ships is
valid, and a slip that the one refuses is refused by the other, by the jsonschema package."""

import copy
import json
import tomllib
from pathlib import Path

from jsonschema import Draft7Validator
from support import ParityTest, main

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


class SchemaTest(ParityTest):
    def setUp(self):
        self.schema = json.loads(self.workspace.tenon_ok("schema").stdout)
        Draft7Validator.check_schema(self.schema)
        self.validator = Draft7Validator(self.schema)
        self.mlp = tomllib.loads((CONFIGS / "mlp.toml").read_text())

    def test_every_config_that_ships_is_valid(self):
        configs = sorted(CONFIGS.glob("*.toml"))
        self.assertGreater(len(configs), 5)
        for config in configs:
            with self.subTest(config.name):
                self.validator.validate(tomllib.loads(config.read_text()))

    def changed(self, section, key, value):
        config = copy.deepcopy(self.mlp)
        config.setdefault(section, {})[key] = value
        return config

    def is_taken_by_tenon(self, config):
        # The data are named from the config's own folder, and are not what this is about.
        config = copy.deepcopy(config)
        for key in ("train", "eval"):
            config["data"][key] = str(CONFIGS / config["data"][key])
        config["output"]["directory"] = str(self.workspace.new_path())
        if isinstance(config.get("train"), dict):
            config["train"].setdefault("steps", 1)
            config["train"].pop("epochs", None)
        done = self.workspace.tenon("run", self.workspace.write_config(config))
        return done.returncode == 0, done.stderr

    def test_a_slip_is_refused_by_the_schema_and_by_the_program(self):
        slips = [
            ("adapter", "rr", 4),
            ("adapter", "r", 0),
            ("adapter", "r", "four"),
            ("adapter", "lora_dropout", 1.5),
            ("adapter", "method", "lorra"),
            ("adapter", "target_modules", 3),
            ("train", "batch_size", 2.5),
            ("train", "batch_size", 0),
            ("train", "loss", "crossentropy"),
            ("train", "loss", "tenon.focall"),
            ("train", "betas", [0.9]),
            ("train", "betas", [0.9, 1.0]),
            ("train", "lr_scheduler_type", "cosin"),
            ("train", "learning_rate", 0),
            ("output", "save_steps", "epochs"),
            ("output", "force", "yes"),
            ("data", "eval_fraction", 1.5),
            ("model", "dtype", "float8"),
            ("trian", "steps", 1),
        ]
        for section, key, value in slips:
            with self.subTest(section=section, key=key, value=value):
                config = self.changed(section, key, value)
                self.assertFalse(self.validator.is_valid(config))
                taken, text = self.is_taken_by_tenon(config)
                self.assertFalse(taken)
                self.assertIn(key if section != "trian" else section, text)

    def test_what_the_program_takes_is_valid(self):
        taken = [
            ("adapter", "r", 3),
            ("adapter", "target_modules", "seq\\.[02]"),
            ("adapter", "rank_pattern", {"seq.0": 2}),
            ("adapter", "init_lora_weights", "pissa"),
            ("adapter", "init_lora_weights", False),
            ("adapter", "modules_to_save", ["seq.4"]),
            ("train", "betas", [0.5, 0.9]),
            ("train", "lr_scheduler_type", "linear"),
            ("train", "loss", "tenon.focal"),
            ("output", "save_steps", "epoch"),
            ("output", "save_steps", 0.5),
            ("plugins", "prefer", {"lora:torch.nn.Linear": "tenon.lora-linear"}),
        ]
        for section, key, value in taken:
            with self.subTest(section=section, key=key, value=value):
                config = self.changed(section, key, value)
                is_taken, text = self.is_taken_by_tenon(config)
                self.assertTrue(is_taken, text)
                self.validator.validate(config)

    def test_keys_of_a_method_are_those_that_its_plugin_declares(self):
        def adapter(**keys):
            config = copy.deepcopy(self.mlp)
            config["adapter"] = {"target_modules": ["seq.0"], **keys}
            return config

        self.validator.validate(adapter(method="loha", r=4, alpha=8))
        self.assertFalse(self.validator.is_valid(adapter(method="loha", r=4, alpha="8")))
        self.assertFalse(self.validator.is_valid(adapter(method="loha", init_boft_weights=True)))
        self.assertFalse(self.validator.is_valid(adapter(boft_block_size=4)), "the method is lora")
        several = adapter(r=4)
        several["adapter"] = [several["adapter"], {"name": "b", "target_modules": ["seq.2"], "r": 2}]
        self.validator.validate(several)
        several["adapter"][1]["rr"] = 2
        self.assertFalse(self.validator.is_valid(several))

    def test_keys_are_described_as_in_the_documentation(self):
        rate = self.schema["properties"]["train"]["properties"]["learning_rate"]
        self.assertIn(rate["description"], (CONFIGS / "README.md").read_text())
        undescribed = [
            f"{section}.{key}"
            for section, schema in self.schema["properties"].items()
            for key, value in schema.get("properties", {}).items()
            if "description" not in value
        ]
        self.assertEqual(undescribed, [])


if __name__ == "__main__":
    main()
