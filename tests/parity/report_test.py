"""`tenon report`: one page that needs nothing else, with every curve; rendered where a Chromium is."""

import json
import shutil
import subprocess
from html.parser import HTMLParser

import torch
from support import ParityTest, main

NET = {
    "layers": [
        {"name": "hidden", "type": "Linear", "in_features": 4, "out_features": 16},
        {"name": "act", "type": "ReLU"},
        {"name": "head", "type": "Linear", "in_features": 16, "out_features": 3},
    ],
}


class Page(HTMLParser):
    """What a page is made of."""

    void = {"meta", "link"}

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text, self.sources, self.points = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "action"):
                self.sources.append(value)
            if name == "points":
                self.points.append(value.split())
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.void:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)


class ReportTest(ParityTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        torch.manual_seed(5)
        truth = torch.randint(3, (60,))
        rows = {"input": torch.randn(60, 4) + truth[:, None], "labels": truth}
        cls.folders = []
        for rate in (0.01, 0.1):
            config = {
                "model": NET,
                "adapter": {"target_modules": ["hidden"], "r": 2, "modules_to_save": ["head"]},
                "data": {"train": cls.workspace.write_tensors(rows), "eval_fraction": 0.3},
                "train": {
                    "learning_rate": rate,
                    "epochs": 5,
                    "batch_size": 8,
                    "eval_steps": "epoch",
                    "max_grad_norm": 1.0,
                    "lr_scheduler_type": "cosine",
                    "metrics": ["f1_macro"],
                },
                "output": {"directory": cls.workspace.new_path("-<b>&run"), "log_steps": 2},
            }
            cls.folders.append(config["output"]["directory"])
            cls.workspace.tenon_ok("run", cls.workspace.write_config(config))

    def page(self, *folders):
        file = self.workspace.new_path(".html")
        self.workspace.tenon_ok("report", *folders, "--output", file)
        return file, Page(file.read_text())

    def test_one_run_has_its_curves_tables_and_config(self):
        file, page = self.page(self.folders[0])
        self.assertEqual(page.open, [])
        self.assertNotIn("script", page.tags)
        self.assertEqual(page.sources, ["data:,"])
        self.assertNotIn("http", file.read_text())
        text = "\n".join(page.text)
        for part in ("loss", "learning_rate", "grad_norm", "rows_per_second", "f1_macro"):
            self.assertIn(part, text)
        for part in ("Confusion matrix", "Adapted layers", "hidden.weight", "log_steps = 2"):
            self.assertIn(part, text)
        self.assertIn("<b>&run", text)  # a name is no markup
        # 42 rows in steps of 8 are 30 steps, of which each second is logged; the evaluations are
        # one before and one after each epoch.
        self.assertEqual({15, 6}, {len(points) for points in page.points})
        record = json.loads((self.folders[0] / "run.json").read_text())
        for layer in record["layers"]:
            self.assertGreater(layer["update"], 0, layer)

    def test_runs_stand_side_by_side(self):
        _, one = self.page(self.folders[0])
        _, two = self.page(*self.folders)
        self.assertEqual(len(two.points), 2 * len(one.points))
        self.assertEqual(two.tags.count("section"), 2)

    def test_what_is_no_run_and_what_is_there_is_refused(self):
        file, _ = self.page(self.folders[0])
        done = self.workspace.tenon("report", self.folders[0], "--output", file)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is there already", done.stderr)
        model = self.workspace.new_path(".pt2")
        model.write_text("mine")
        done = self.workspace.tenon("report", self.folders[0], "--output", model, "--force")
        self.assertEqual(done.returncode, 2)
        self.assertIn("must be a .html", done.stderr)
        self.assertEqual(model.read_text(), "mine")
        done = self.workspace.tenon("report", self.workspace.folder, "--output", "x.html")
        self.assertIn("this is no run's folder", done.stderr)

    def test_a_browser_renders_it_without_an_error(self):
        browser = shutil.which("chromium") or shutil.which("google-chrome")
        if browser is None:
            self.skipTest("there is no Chromium")
        file, _ = self.page(*self.folders)
        picture = self.workspace.new_path(".png")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
        command += [f"--screenshot={picture}", "--window-size=1200,1600", file.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        self.assertTrue(picture.exists(), done.stderr)
        self.assertNotIn(":CONSOLE", done.stderr)


if __name__ == "__main__":
    main()
