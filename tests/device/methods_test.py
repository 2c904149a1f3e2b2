"""A training step waits for the device once, whatever the method."""

from pathlib import Path

from device_case import DeviceCase, on_test_device
from method_cases import case_of
from method_test import read_table
from support import main

ROOT = Path(__file__).resolve().parents[2]


class MethodsTest(DeviceCase):
    @on_test_device
    def test_a_step_of_every_method_waits_once(self):
        for folder in sorted((ROOT / "plugins").glob("*/parity.py")):
            table = read_table(folder.parent)
            case = case_of(table.layers)
            path = case.export_to(self.workspace.new_path(".pt2"))
            data = self.workspace.write_tensors(case.tensors())
            keys = next(iter(table.ADAPTERS.values()))
            if "target_modules" not in keys:
                keys = {**keys, "target_modules": list(table.layers())}

            def config():
                return {
                    "model": {"path": path},
                    "adapter": {"method": getattr(table, "METHOD", folder.parent.name), **keys},
                    "data": {"train": data},
                    "train": {"loss": case.loss, "batch_size": case.batch, "learning_rate": 0.01},
                    "output": {"directory": self.workspace.new_path()},
                }

            with self.subTest(method=folder.parent.name):
                self.assert_one_wait_a_step(config)


if __name__ == "__main__":
    main()
