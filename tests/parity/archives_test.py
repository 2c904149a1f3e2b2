"""Programs that other versions of torch wrote (tests/data/torch), and files that are none."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from support import ParityTest, main
from torch import nn

DATA = Path(__file__).resolve().parent.parent / "data/torch"


class ArchivesTest(ParityTest):
    def archives(self):
        found = sorted(path for path in DATA.glob("2.*/*.pt2"))
        self.assertGreaterEqual(len({path.parent for path in found}), 6)
        return found

    def predict_all(self, path, *arguments):
        tensors = load_file(path.parent / "expected.safetensors")
        inputs = {n: t for n, t in tensors.items() if not n.startswith("output_")}
        outputs = self.workspace.new_path(".safetensors")
        facts = self.workspace.tenon_json("plan", self.config(path))
        self.workspace.tenon_ok(
            *("predict", self.config(path), *arguments),
            *("--inputs", self.workspace.write_tensors(self.renamed(inputs))),
            *("--outputs", outputs),
        )
        return facts, load_file(outputs), tensors

    @staticmethod
    def renamed(inputs):
        return {"tokens": inputs["tokens"], "scale_angles": inputs["angles"]}

    def config(self, path):
        adapter = {"method": "lora", "r": 2, "target_modules": ["mlp.0", "conv"]}
        return self.workspace.write_config({"model": {"path": path}, "adapter": adapter})

    def test_every_version_of_torch_is_read_and_gives_what_it_gave(self):
        for path in self.archives():
            with self.subTest(version=path.parent.name, archive=path.name):
                facts, outputs, expected = self.predict_all(path)
                self.assertEqual(facts["targeted_module_names"], ["conv", "mlp.0"])
                for index, name in enumerate(["logits", "rows"]):
                    got, wanted = outputs[f"output_{index}"], expected[f"output_{name}"]
                    finite = wanted.isfinite()
                    self.assertTrue(torch.equal(got.isfinite(), finite))
                    self.assertTrue(torch.equal(got[~finite], wanted[~finite]))
                    self.assert_equal_forward(got[finite], wanted[finite])

    def test_every_version_of_torch_has_the_same_tree(self):
        trees = {}
        for path in self.archives():
            tree = self.workspace.tenon_json("tree", path)
            # Decomposition leaves no operator of a dropout in eval mode, or one that does nothing.
            shown = {
                entry["name"]: entry["type"]
                for entry in tree
                if entry["runs"] and entry["type"] != "torch.nn.Dropout"
            }
            trees.setdefault(path.name, {})[path.parent.name] = shown
        for name, versions in trees.items():
            first = versions[min(versions)]
            self.assertEqual(first["mlp.0"], "torch.nn.Linear")
            self.assertEqual(first["conv"], "torch.nn.Conv1d")
            for version, tree in versions.items():
                with self.subTest(version=version, archive=name):
                    self.assertEqual(tree, first)

    def refusal(self, path):
        """The error's text; as JSON too."""
        config = self.workspace.write_config({"model": {"path": path}})
        done = self.workspace.tenon("tree", config)
        self.assertEqual(done.returncode, 1, done.stderr)
        error = json.loads(self.workspace.tenon("tree", config, "--json").stdout)["error"]
        self.assertEqual(error["location"], str(path))
        self.assertIn(error["message"], done.stderr)
        return f"{error['message']}: {error['hint']}"

    def test_other_files_of_torch_are_refused_by_what_they_are(self):
        model = nn.Linear(2, 2)
        path = self.workspace.new_path(".pt")
        torch.jit.save(torch.jit.trace(model, torch.ones(1, 2)), path)
        text = self.refusal(path)
        self.assertIn("this is a TorchScript model (torch.jit.save)", text)
        self.assertIn("torch.export.save", text)
        torch.save(model.state_dict(), path)
        text = self.refusal(path)
        self.assertIn("this is a torch.save checkpoint (pickled)", text)
        self.assertIn("[model] weights", text)
        torch.save(model.state_dict(), path, _use_new_zipfile_serialization=False)
        self.assertIn("this is a Python pickle (an old torch.save file)", self.refusal(path))
        save_file(model.state_dict(), path)
        text = self.refusal(path)
        self.assertIn("this is a safetensors file: weights only", text)
        self.assertIn("[model] weights", text)
        self.assertIn("this is a folder", self.refusal(path.parent))


if __name__ == "__main__":
    main()
