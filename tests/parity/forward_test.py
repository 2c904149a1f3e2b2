"""`tenon predict` without an adapter gives what the loaded program gives in Python."""

from cases import CASES, declared_mlp, make_case
from support import ParityTest, main, models


class ForwardTest(ParityTest):
    def check(self, case, table, expected_by):
        # The export saw 3 or 4 rows of 12 tokens.
        for rows, length in ((1, 1), (2, 20), (5, 12), (16, 7)):
            with self.subTest(case=case.name, rows=rows, length=length):
                inputs = case.inputs(rows, length)
                predicted = self.workspace.predict(table, inputs)
                self.assert_equal_forward(predicted, case.predict(expected_by, inputs))

    def test_exported_programs_give_what_python_gives(self):
        for name in (*CASES, "mistral_tied"):
            case = make_case(name, self.workspace.folder)
            self.check(case, case.table, expected_by=case.program.module())

    def test_declared_model_gives_what_the_module_gives(self):
        case = make_case("mlp", self.workspace.folder)
        table = declared_mlp(self.workspace.folder, case)
        self.check(case, table, expected_by=case.built.model)

    def test_training_export_predicts_in_eval_mode(self):
        """Dropout at 0.1 and eager attention, whose own dropout is an operator of its own."""
        case = make_case("minilm", self.workspace.folder)
        for attention in ("sdpa", "eager"):
            built = models.example("minilm", attention=attention)
            path = self.workspace.folder / f"minilm-{attention}-train.pt2"
            models.export_to(path, built, training=True)
            self.check(case, {"path": path}, expected_by=built.model.eval())


if __name__ == "__main__":
    main()
