"""Modules, targets, counts and the base's fingerprint, told as PEFT and PyTorch tell them."""

import json

from cases import CASES, declared_mlp, make_case, trainable_line
from peft import LoraConfig, get_peft_model
from support import ParityTest, main, models

# Rules that take and leave layers in each of PEFT's ways.
RULES = [
    ("mlp", {"target_modules": ["0", "seq.2"]}),
    ("mlp", {"target_modules": r".*\.[02]", "modules_to_save": ["seq.4"]}),
    ("minilm", {"target_modules": ["query", "value"], "layers_to_transform": [0, 3]}),
    ("minilm", {"target_modules": ["dense"], "exclude_modules": ["pooler.dense"]}),
    ("minilm", {"target_modules": r"bert\.encoder\.layer\.[0-2]\.attention\.self\.(query|key)"}),
    (
        "mistral",
        {"target_modules": ["self_attn.q_proj", "up_proj"], "exclude_modules": r".*\.0\..*"},
    ),
    (
        "mistral",
        {
            "target_modules": ["q_proj", "gate_proj"],
            "layers_to_transform": [1],
            "layers_pattern": ["layers"],
        },
    ),
    ("minilm", {}),  # the presets for the models' types
    ("mistral", {"r": 2}),
    ("mistral", {"target_modules": "all-linear"}),
    ("mistral_tied", {"target_modules": "All-Linear", "exclude_modules": ["mlp"]}),
]


class NamingTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        names = (*CASES, "mistral_tied")
        cls.cases = {name: make_case(name, cls.workspace.folder) for name in names}

    def test_tree_lists_the_named_modules(self):
        for name in CASES:
            with self.subTest(case=name):
                case = self.cases[name]
                tree = self.workspace.tenon_json("tree", case.table["path"])
                self.check_tree(tree, case.built.model, _modules_that_run(case.program))

    def test_tree_of_a_config_lists_the_declared_modules(self):
        case = self.cases["mlp"]
        config = {"model": declared_mlp(self.workspace.folder, case)}
        tree = self.workspace.tenon_json("tree", self.workspace.write_config(config))
        self.assertEqual([module["name"] for module in tree], _names(case.built.model))
        self.assertEqual(
            [module["type"] for module in tree],
            ["MLP", *(_public_type(module) for module in list(case.built.model.modules())[1:])],
        )

    def test_tree_tells_which_modules_run_nothing(self):
        path = self.workspace.new_path(".pt2")
        built = models.example("bypass")
        program = models.export_to(path, built)
        self.assertEqual(_modules_that_run(program), {"", "used"})
        self.check_tree(self.workspace.tenon_json("tree", path), built.model, {"", "used"})

    def check_tree(self, tree, model, running):
        modules = dict(model.named_modules())
        self.assertEqual([entry["name"] for entry in tree], list(modules))
        for entry in tree:
            module = modules[entry["name"]]
            own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
            self.assertEqual(entry["parameters"], own, entry)
            self.assertEqual(entry["runs"], entry["name"] in running, entry)
            self.assertEqual(entry["type"], _public_type(module) if entry["runs"] else None, entry)

    def test_plan_targets_and_counts_as_peft_does(self):
        for name, case in self.cases.items():
            with self.subTest(case=name):
                self.check_plan(case, case.lora)
        for name, rule in RULES:
            with self.subTest(case=name, rule=rule):
                self.check_plan(self.cases[name], {"r": 4, "lora_alpha": 8, **rule})

    def test_plan_of_a_declared_model_prints_the_guides_line(self):
        case = self.cases["mlp"]
        table = declared_mlp(self.workspace.folder, case)
        line = "trainable params: 52,162 || all params: 4,100,164 || trainable%: 1.2722"
        self.assertEqual(trainable_line(case.peft_model()), line)
        config = {"model": table, "adapter": case.adapter_table()}
        text = self.workspace.tenon_ok("plan", self.workspace.write_config(config)).stdout
        self.assertEqual(text.rstrip().splitlines()[-1], line)

    def check_plan(self, case, lora):
        peft_model = get_peft_model(models.example(case.name).model, LoraConfig(**lora))
        trainable, all_params = peft_model.get_nb_trainable_parameters()

        config = {"model": case.table, "adapter": {"method": "lora", **lora}}
        path = self.workspace.write_config(config)
        plan = self.workspace.tenon_json("plan", path)
        self.assertEqual(plan["targeted_module_names"], peft_model.targeted_module_names)
        self.assertEqual(plan["modules_to_save"], lora.get("modules_to_save", []))
        self.assertEqual(plan["trainable_params"], trainable)
        self.assertEqual(plan["all_params"], all_params)
        text = self.workspace.tenon_ok("plan", path).stdout
        self.assertEqual(text.rstrip().splitlines()[-1], trainable_line(peft_model))

    def test_run_prints_the_line_and_gives_the_figures(self):
        case = self.cases["mistral"]
        trainable, all_params = case.peft_model().get_nb_trainable_parameters()
        done = self.workspace.tenon_ok("run", self.run_config(case, case.table))
        self.assertIn(trainable_line(case.peft_model()), done.stdout.splitlines())
        report = self.workspace.tenon_json("run", self.run_config(case, case.table))
        self.assertEqual(report["trainable_params"], trainable)
        self.assertEqual(report["all_params"], all_params)
        self.assertEqual(report["steps"], 1)
        self.assertEqual(len(report["losses"]), 1)
        self.assertGreater(report["step_ms"]["median"], 0)
        self.assertGreater(report["peak_rss_mb"], 0)

    def test_fingerprint_does_not_depend_on_the_file(self):
        """The same weights as a program and as safetensors; other weights differ."""
        case = self.cases["mlp"]
        tables = [case.table, declared_mlp(self.workspace.folder, case)]
        tables.append({**tables[1], "weights": self.other_weights(case)})
        fingerprints = []
        for table in tables:
            path = self.run_config(case, table)
            self.workspace.tenon_ok("run", path)
            side_file = path.with_suffix("") / "tenon.json"
            fingerprints.append(json.loads(side_file.read_text())["base"])
        self.assertEqual(fingerprints[0], fingerprints[1])
        self.assertNotEqual(fingerprints[0], fingerprints[2])

    def other_weights(self, case):
        weights = {name: tensor.clone() for name, tensor in case.built.model.state_dict().items()}
        weights["seq.2.bias"][7] += 1
        return self.workspace.write_tensors(weights)

    def run_config(self, case, table):
        """One step; the adapter goes into a folder named like the config."""
        path = self.workspace.new_path(".toml")
        config = {
            "model": table,
            "adapter": case.adapter_table(),
            "data": {
                "train": self.workspace.write_tensors(case.data(8)),
                **({"inputs": ["x"]} if "layers" in table else {}),
            },
            "train": {"loss": case.loss, "steps": 1, "batch_size": 8},
            "output": {"directory": path.with_suffix("")},
        }
        return self.workspace.write_config(config, path)


def _names(model):
    return [name for name, _ in model.named_modules()]


def _modules_that_run(program):
    """Paths of the modules that an operator of the program ran in."""
    return {
        path
        for graph in program.graph_module.modules()
        if hasattr(graph, "graph")
        for node in graph.graph.nodes
        if node.op == "call_function"
        for path, _ in node.meta.get("nn_module_stack", {}).values()
        if "_empty_nn_module_stack" not in path
    }


def _public_type(module):
    """A class of torch.nn by its public name, any other by its full name."""
    cls = type(module)
    if cls.__module__.startswith("torch.nn.modules."):
        return f"torch.nn.{cls.__name__}"
    return f"{cls.__module__}.{cls.__name__}"


if __name__ == "__main__":
    main()
