"""Plugins that use LibTorch itself: their stamp says what they need, and the host compares it before it
opens them. Slow to build, since they include LibTorch's headers."""

import json
import subprocess
from pathlib import Path

import torch
import torch.nn.functional as F
from plugins_test import SDK, SOURCES
from safetensors.torch import load_file, save_file
from support import ParityTest, main

TORCH = Path(torch.__file__).parent


class LibTorchPluginTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folders = {}
        for name in ("full_libtorch", "stable_torch"):
            cls.folders[name] = cls.workspace.new_folder()
            cls.build(name, cls.folders[name] / "plugin.so")

    @classmethod
    def build(cls, name, library, *flags):
        includes = (TORCH / "include", TORCH / "include/torch/csrc/api/include")
        command = ["c++", "-std=c++20", "-O1", "-shared", "-fPIC", "-fvisibility=hidden", "-I", SDK]
        for include in includes:
            command += ["-isystem", include]
        subprocess.run([*command, *flags, SOURCES / f"{name}.cpp", "-o", library], check=True)

    def test_both_compute_what_they_should(self):
        torch.manual_seed(3)
        weights = {"lin.weight": torch.randn(4, 4), "lin.bias": torch.randn(4)}
        model = {
            "name": "Net",
            "weights": self.workspace.write_tensors(weights),
            "layers": [{"name": "lin", "type": "Linear", "in_features": 4, "out_features": 4}],
        }
        adapter = self.workspace.new_folder()
        factor = torch.randn(4)
        save_file({"base_model.model.lin.factor": factor}, adapter / "adapter_model.safetensors")
        config = {"peft_type": "TANH", "target_modules": ["lin"]}
        (adapter / "adapter_config.json").write_text(json.dumps(config))
        x = torch.randn(5, 4)
        expected = F.linear(x, weights["lin.weight"], weights["lin.bias"]) + factor.tanh() * x
        for name, folder in self.folders.items():
            with self.subTest(plugin=name):
                outputs = self.workspace.new_path(".safetensors")
                self.workspace.tenon_ok(
                    *("predict", self.workspace.write_config({"model": model})),
                    *("--adapter", adapter, "--plugin-dir", folder, "--outputs", outputs),
                    *("--inputs", self.workspace.write_tensors({"input": x})),
                )
                self.assert_within(load_file(outputs)["output_0"], expected, 1e-5)

    def test_only_the_full_one_needs_cxx_symbols(self):
        def symbols(name):
            listed = subprocess.run(
                ["nm", "-DC", "--undefined-only", self.folders[name] / "plugin.so"],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            return [line for line in listed.splitlines() if " at::" in line or " c10::" in line]

        self.assertEqual(symbols("stable_torch"), [])
        self.assertNotEqual(symbols("full_libtorch"), [])

    def refusal(self, name, *flags):
        folder = self.workspace.new_folder()
        self.build(name, folder / "plugin.so", *flags)
        listed = self.workspace.tenon_json("plugins", "--load", "--plugin-dir", folder)
        return next(each for each in listed["refused"] if str(folder) in each["path"])

    def test_another_version_is_refused_by_name_before_it_is_opened(self):
        refused = self.refusal(
            "full_libtorch",
            *("-include", TORCH / "include/torch/headeronly/version.h"),
            *("-UTORCH_VERSION", "-include", self.version_header("2.99.1")),
        )
        self.assertEqual(refused["rule"], "full-libtorch")
        self.assertIn("it needs exactly LibTorch 2.99.1, this Tenon runs on 2.", refused["reason"])
        self.assertIn("build it again against that", refused["reason"])

    def version_header(self, version):
        header = self.workspace.new_path(".h")
        header.write_text(f'#undef TORCH_VERSION\n#define TORCH_VERSION "{version}"\n')
        return header


if __name__ == "__main__":
    main()
