"""PoolFormer, the image model of PEFT's guide "Custom models": its listing, its count, its outputs."""

from copy import deepcopy

import torch
from cases import trainable_line
from peft import LoraConfig, get_peft_model
from support import ParityTest, main, models

# As in the guide.
LORA = {"target_modules": r".*\.mlp\.fc\d", "modules_to_save": ["head.fc"]}
GUIDES_LINE = "trainable params: 1,062,147 || all params: 56,467,974 || trainable%: 1.8810"


def noticeable_poolformer():
    """Its random start scales every block by 1e-6, which would hide what a block computes."""
    built = models.example("poolformer")
    with torch.no_grad():
        for name, parameter in built.model.named_parameters():
            if "layer_scale" in name:
                parameter.fill_(0.1)
    return built


class PoolformerTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.built = noticeable_poolformer()
        cls.path = cls.workspace.new_path(".pt2")
        models.export_to(cls.path, cls.built)

    def test_tree_lists_the_layers_that_the_guide_chooses_from(self):
        types = {m["name"]: m["type"] for m in self.workspace.tenon_json("tree", self.path)}
        self.assertEqual(types["stem.conv"], "torch.nn.Conv2d")
        self.assertEqual(types["stages.0.blocks.0.mlp.fc1"], "torch.nn.Conv2d")
        self.assertEqual(types["stages.3.blocks.5.mlp.fc2"], "torch.nn.Conv2d")
        self.assertEqual(types["head.fc"], "torch.nn.Linear")
        python = [n for n, m in self.built.model.named_modules() if next(m.parameters(False), None) is not None]
        self.assertEqual([name for name in types if name in python], python)

    def test_plan_prints_the_guides_line_and_targets_what_peft_targets(self):
        config = self.workspace.write_config(
            {"model": {"path": self.path}, "adapter": {"method": "lora", **LORA}}
        )
        text = self.workspace.tenon_ok("plan", config).stdout
        self.assertEqual(text.splitlines()[-1], GUIDES_LINE)
        peft_model = get_peft_model(deepcopy(self.built.model), LoraConfig(**LORA))
        self.assertEqual(trainable_line(peft_model), GUIDES_LINE)
        plan = self.workspace.tenon_json("plan", config)
        self.assertEqual(plan["targeted_module_names"], peft_model.targeted_module_names)

    def test_forward_equals_pythons_at_another_batch_size(self):
        torch.manual_seed(1)
        inputs = {"x": torch.randn(3, 3, 224, 224)}
        with torch.no_grad():
            expected = self.built.model(**inputs)
        actual = self.workspace.predict({"path": self.path}, inputs)
        self.assert_within(actual, expected, 1e-5 * expected.abs().max().item())


if __name__ == "__main__":
    main()
