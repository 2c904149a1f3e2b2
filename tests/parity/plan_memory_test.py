"""`tenon plan` tells what a training takes at its peak, within a fifth of what it then takes."""

from cases import make_case
from support import ParityTest, main


class PlanMemoryTest(ParityTest):
    def check(self, config):
        path = self.workspace.write_config(config)
        plan = self.workspace.tenon_json("plan", path)["memory"]
        parts = [value for name, value in plan.items() if name != "total_mb"]
        self.assertAlmostEqual(sum(parts), plan["total_mb"], places=6)
        peak = self.workspace.tenon_json("run", path)["peak_rss_mb"]
        self.assertLess(abs(plan["total_mb"] - peak) / peak, 0.2, (plan, peak))

    def test_the_estimate_is_near_what_a_training_takes(self):
        for name, length, batch_size in (("minilm", 64, 32), ("mistral", 48, 16)):
            case = make_case(name, self.workspace.folder, training=True)
            data = case.data(2 * batch_size, length=length)
            config = {
                "model": case.table,
                "adapter": case.adapter_table(),
                "data": {"train": self.workspace.write_tensors(data)},
                "train": {"loss": case.loss, "steps": 3, "batch_size": batch_size, "threads": 1},
                "output": {"directory": self.workspace.new_path()},
            }
            with self.subTest(name):
                self.check(config)

    def test_without_data_there_is_no_estimate_and_the_plan_is_as_ever(self):
        case = make_case("mlp", self.workspace.folder, training=True)
        config = {"model": case.table, "adapter": case.adapter_table()}
        plan = self.workspace.tenon_json("plan", self.workspace.write_config(config))
        self.assertIsNone(plan["memory"])
        self.assertTrue(plan["layers"])


if __name__ == "__main__":
    main()
