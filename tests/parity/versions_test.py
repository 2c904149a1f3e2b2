"""Adapters of older versions of PEFT (tests/data/peft) load and give the output they had."""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from support import ParityTest, main

DATA = Path(__file__).resolve().parent.parent / "data/peft"
sys.path.insert(0, str(DATA))
import make_adapters  # noqa: E402


class VersionsTest(ParityTest):
    def test_every_version_of_peft_is_understood(self):
        model = make_adapters.build_model()
        x = torch.arange(8).view(make_adapters.INPUT_SHAPE)
        program = self.workspace.new_path(".pt2")
        torch.export.save(torch.export.export(model, (x,)), program)
        versions = sorted(folder.name for folder in DATA.iterdir() if folder.name[0].isdigit())
        self.assertEqual(len(versions), 12)
        for version in versions:
            for name in make_adapters.adapters():
                with self.subTest(version=version, adapter=name):
                    folder = DATA / version / name
                    expected = load_file(folder / "output.safetensors")["output"]
                    base = model(x).detach()
                    self.assertGreater((expected - base).abs().max().item(), 1e-3)
                    predicted = self.workspace.predict({"path": program}, {"x": x}, folder)
                    self.assert_within(predicted, expected, 1e-5)
                    facts = self.workspace.tenon_json("inspect", folder)
                    self.assertEqual(facts["peft_type"], "LORA")
                    ranks = {layer["name"]: layer["r"] for layer in facts["layers"]}
                    self.assertEqual(ranks["second"], 2)


if __name__ == "__main__":
    main()
