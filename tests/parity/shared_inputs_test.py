"""Inputs without rows, programs that take some sizes only, files of other programs: as in Python."""

import json

import torch
from safetensors.torch import load_file, save_file
from support import ParityTest, main
from torch import nn


class GraphNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(8, 16), nn.Linear(16, 3)

    def forward(self, x, edge_index):
        x = self.lin1(x)
        x = torch.zeros_like(x).index_add(0, edge_index[1], x[edge_index[0]])
        return self.lin2(x.relu())


class Masked(nn.Module):
    """A table that is the same for all rows."""

    def __init__(self):
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(4, 5), nn.Linear(5, 2)

    def forward(self, x, table):
        return self.lin2(torch.tanh(self.lin1(x) @ table))


class Pairs(nn.Module):
    """Takes even numbers of rows only."""

    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 2)

    def forward(self, x):
        return self.lin((x.view(2, -1, 4) * 1.5).reshape(-1, 4))


class SharedInputsTest(ParityTest):
    def export(self, model, example, shapes=None):
        path = self.workspace.new_path(".pt2")
        torch.export.save(
            torch.export.export(model.eval(), example, dynamic_shapes=shapes), path
        )
        return path

    def config(self, path, tensors, train, **data):
        folder = self.workspace.new_path()
        file = self.workspace.write_tensors(tensors)
        return folder, self.workspace.write_config(
            {
                "model": {"path": path},
                "adapter": {"method": "lora", "r": 2, "target_modules": ["lin1"]},
                "data": {"train": file, "eval": file, **data},
                "train": {"optimizer": "sgd", "learning_rate": 0.1, **train},
                "output": {"directory": folder},
            }
        )

    def test_a_graph_is_one_batch_in_its_order(self):
        torch.manual_seed(0)
        model = GraphNetwork()
        x, edges = torch.randn(18, 8), torch.randint(0, 18, (2, 40))
        labels = torch.randint(0, 3, (18,))
        nodes, links = torch.export.Dim("nodes", min=2), torch.export.Dim("links", min=2)
        for shapes in (None, {"x": {0: nodes}, "edge_index": {1: links}}):
            path = self.export(model, (x, edges), shapes)
            _, config = self.config(
                path, {"x": x, "edge_index": edges, "labels": labels}, {"steps": 2}
            )
            done = self.workspace.tenon_ok("run", config, "--json")
            expected = nn.functional.cross_entropy(model(x, edges), labels).item()
            self.assertAlmostEqual(json.loads(done.stdout)["losses"][0], expected, places=5)
            self.assertIn("`edge_index` holds pairs of rows' numbers", done.stderr)

    def test_a_table_is_the_same_for_all_rows(self):
        torch.manual_seed(0)
        model = Masked()
        x, table, labels = torch.randn(10, 4), torch.randn(5, 5), torch.randint(0, 2, (10,))
        path = self.export(model, (x[:3], table), {"x": {0: torch.export.Dim("rows")}, "table": None})
        tensors = {"x": x, "table": table, "labels": labels}
        _, config = self.config(path, tensors, {"batch_size": 4, "steps": 3, "shuffle": False})
        done = self.workspace.tenon_ok("run", config, "--json")
        losses = json.loads(done.stdout)["losses"]
        expected = nn.functional.cross_entropy(model(x[:4], table), labels[:4]).item()
        self.assertAlmostEqual(losses[0], expected, places=5)
        self.assertIn("`table` has 5 in dimension 0 where the others have 10 rows", done.stderr)
        # As many as rows by chance: the config says what they are.
        tensors = {"x": x[:5], "table": table, "labels": labels[:5]}
        _, config = self.config(path, tensors, {"batch_size": 2, "steps": 1, "shuffle": False},
                                shared=["table"])
        losses = json.loads(self.workspace.tenon_ok("run", config, "--json").stdout)["losses"]
        expected = nn.functional.cross_entropy(model(x[:2], table), labels[:2]).item()
        self.assertAlmostEqual(losses[0], expected, places=5)

    def test_sizes_that_the_program_cannot_take(self):
        torch.manual_seed(0)
        half = torch.export.Dim("half", min=1)
        path = self.export(Pairs(), (torch.randn(6, 4),), ({0: 2 * half},))
        tensors = {"x": torch.randn(11, 4), "labels": torch.randint(0, 2, (11,))}
        folder, config = self.config(path, tensors, {"batch_size": 4, "epochs": 1})
        changes = ("--set", "adapter.target_modules=['lin']")
        done = self.workspace.tenon_ok("run", config, *changes)
        self.assertIn("3 rows of each epoch were left out", done.stderr)
        self.assertIn("3 rows left out", done.stdout)
        done = self.workspace.tenon("run", config, *changes, "--force", "--set", "train.batch_size=3")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the program takes no batch of 3 rows", done.stderr)
        self.assertIn("batch_size = 4", done.stderr)
        self.assertNotIn("step 1/", done.stdout)


class ForeignFilesTest(ParityTest):
    def setUp(self):
        torch.manual_seed(0)
        self.model = nn.Sequential()
        self.model.add_module("down_blocks", nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 3)]))

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.mid_block = nn.ModuleList([nn.Linear(4, 6), nn.Linear(6, 3)])

            def forward(self, x):
                return self.mid_block[1](self.mid_block[0](x).relu())

        self.net = Net().eval()
        self.path = self.workspace.new_path(".pt2")
        rows = torch.export.Dim("rows", min=2)
        torch.export.save(
            torch.export.export(self.net, (torch.randn(3, 4),), dynamic_shapes=({0: rows},)),
            self.path,
        )
        self.pairs = [(torch.randn(2, 4), torch.randn(6, 2)), (torch.randn(3, 6), torch.randn(3, 3))]

    def convert(self, tensors, program, *more):
        file = self.workspace.write_tensors(tensors)
        folder = self.workspace.new_path()
        config = self.workspace.write_config({"model": {"path": self.path}})
        return folder, self.workspace.tenon(
            *("adapter", "convert", config, "--from", program, "--adapter", file),
            *("--output", folder, *more),
        )

    def expected(self, x, scales):
        x = x @ (self.net.mid_block[0].weight + scales[0] * self.pairs[0][1] @ self.pairs[0][0]).T
        x = (x + self.net.mid_block[0].bias).relu()
        x = x @ (self.net.mid_block[1].weight + scales[1] * self.pairs[1][1] @ self.pairs[1][0]).T
        return x + self.net.mid_block[1].bias

    def check(self, folder, scales):
        x = torch.randn(5, 4)
        predicted = self.workspace.predict({"path": self.path}, {"x": x}, folder)
        with torch.no_grad():
            self.assert_within(predicted, self.expected(x, scales), 1e-5)

    def test_kohya(self):
        tensors = {"lora_te_text_model_layers_0_q_proj.lora_down.weight": torch.zeros(2, 2),
                   "lora_te_text_model_layers_0_q_proj.lora_up.weight": torch.zeros(2, 2)}
        for i, (down, up) in enumerate(self.pairs):
            tensors |= {f"lora_unet_mid_block_{i}.lora_down.weight": down,
                        f"lora_unet_mid_block_{i}.lora_up.weight": up,
                        f"lora_unet_mid_block_{i}.alpha": torch.tensor(1.0 + i)}
        folder, done = self.convert(tensors, "kohya")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("left out 1 layers of `lora_te_`", done.stderr)
        self.check(folder, [1 / 2, 2 / 3])

    def test_diffusers(self):
        tensors = {}
        for i, (down, up) in enumerate(self.pairs):
            tensors |= {f"unet.mid_block.{i}.lora_A.weight": down,
                        f"unet.mid_block.{i}.lora_B.weight": up}
        folder, done = self.convert(tensors, "diffusers")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check(folder, [1, 1])

    def test_a_layer_that_the_model_does_not_have(self):
        (down, up), (other_down, other_up) = self.pairs
        tensors = {"lora_unet_mid_block_0.lora_down.weight": down,
                   "lora_unet_mid_block_0.lora_up.weight": up,
                   "lora_unet_end_block_7.lora_down.weight": other_down,
                   "lora_unet_end_block_7.lora_up.weight": other_up}
        folder, done = self.convert(tensors, "kohya")
        self.assertEqual(done.returncode, 1)
        self.assertIn("`lora_unet_end_block_7` names no module of the model", done.stderr)
        self.assertFalse(folder.exists())

    def test_files_are_refused_by_what_they_are(self):
        config = self.workspace.write_config({"model": {"path": self.path}})
        for content, what in (
            (b"<!DOCTYPE html><html><body>404</body></html>" * 9, "a web page (HTML)"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS"),
            (b"\x80\x02}q\x00." * 9, "pickle"),
        ):
            with self.subTest(what=what):
                file = self.workspace.new_path(".safetensors")
                file.write_bytes(content)
                outputs = self.workspace.new_path(".safetensors")
                done = self.workspace.tenon(
                    "predict", config, "--inputs", file, "--outputs", outputs
                )
                self.assertEqual(done.returncode, 1)
                self.assertIn(what, done.stderr)
        folder = self.workspace.new_folder()
        (folder / "adapter_config.json").write_text(json.dumps(
            {"peft_type": "LORA", "target_modules": ["x"]}))
        save_file({"lora_unet_mid_block_0.lora_down.weight": torch.zeros(2, 2)},
                  folder / "adapter_model.safetensors")
        inputs = self.workspace.write_tensors({"x": torch.randn(2, 4)})
        done = self.workspace.tenon(
            *("predict", config, "--adapter", folder, "--inputs", inputs),
            *("--outputs", self.workspace.new_path(".safetensors")),
        )
        self.assertIn("--from kohya", done.stderr)
        self.assertEqual(load_file(inputs)["x"].shape, (2, 4))


if __name__ == "__main__":
    main()
