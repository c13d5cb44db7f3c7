"""Tests of the commands fit and report on tables of other programs."""

import json
import re
from pathlib import Path

import tensorflow as tf
from click.testing import CliRunner

from tests.fit.curves.analysis_test import planted
from tests.helpers.planted import planted_about, planted_study
from tfrs_scaling.cli.main import main

REQUIRED = ["scheme", "multiplier", "examples", "test_ne"]


class FitCommandsTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.get_temp_dir()) / self._testMethodName
        self.folder.mkdir()
        self.table = self.folder / "mine.csv"

    def invoke(self, *arguments: str | Path) -> tuple[int, str]:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
        return result.exit_code, re.sub(r"\s+", " ", result.output)

    def test_two_columns_become_a_law_and_a_page(self) -> None:
        planted((1e6,))[["loss", "tokens"]].to_csv(self.table)
        code, output = self.invoke("fit", self.table, "--out", self.folder / "out")
        self.assertEqual(code, 0, output)
        self.assertIn("mine.csv: 9 rows; loss against tokens", output)
        self.assertRegex(output, r"beta 0\.\d+ .*status ok: .*residual runs p = .*Extrapolation .* 51\.2M 2× ")
        self.assertIn("</html>", (self.folder / "out" / "fit.html").read_text())
        self.assertEqual(json.loads((self.folder / "out" / "fit.json").read_text())["columns"]["x"], "tokens")

    def test_mistakes_are_located_and_have_no_traceback(self) -> None:
        planted().to_csv(self.table, index=False)
        code, output = self.invoke("fit", self.table)
        self.assertEqual(code, 1)
        self.assertIn("Numeric columns: run, params, tokens and loss; others: model", output)
        self.table.write_text("tokens,loss\n10,3\n20,much\n")
        code, output = self.invoke("fit", self.table, "--x", "tokens", "--y", "loss")
        self.assertEqual(code, 1)
        self.assertIn("mine.csv: row 2, column loss: 'much' is not a number", output)
        self.table.write_text("scheme,multiplier,examples\nD,1,1000\n")
        code, output = self.invoke("fit", self.table)
        self.assertEqual(code, 1)
        self.assertIn("a run table needs 1 more column: test_ne", output)
        self.assertEqual(self.invoke("report")[0], 2)

    def test_a_run_table_of_another_trainer_becomes_a_report(self) -> None:
        runs = planted_study(schemes="V")
        runs = runs[runs["learning_rate"] == 0.02]
        runs[REQUIRED].assign(note="mine").to_csv(self.table)
        code, output = self.invoke("report", "--runs", self.table)
        self.assertEqual(code, 0, output)
        self.assertIn("note: column 'note' is ignored", output)
        self.assertIn("note: The table has no column params_total, so the report has no laws of parameters", output)
        page = (self.folder / "mine-report" / "report.html").read_text()
        self.assertIn("The table has no column params_total, so the report has no laws of parameters", page)
        self.assertIn("not where a budget should go", page)
        code, output = self.invoke("fit", self.table)
        fits = json.loads((self.folder / "mine-fits.json").read_text())
        self.assertEqual((code, fits["best"]["scheme"]), (0, "V"))
        code, output = self.invoke("fit", self.table, "--out", self.folder / "zzz", "--level", "0.9", "--at", "3")
        self.assertEqual(code, 2)
        self.assertIn("is a run table, which takes no --at, --level, --out", output)

    def test_study_json_belongs_to_the_runs_csv_beside_it(self) -> None:
        runs = planted_study(schemes="D")[REQUIRED].drop_duplicates(["multiplier", "examples"])
        about = planted_about()
        about["data"]["bayes_ne"] = 0.7
        (self.folder / "study.json").write_text(json.dumps(about))
        for name, paths in (
            ("runs.csv", ("fits.json", "runs-report/fits.json")),
            ("other.csv", ("other-fits.json", "other-report/fits.json")),
        ):
            runs.to_csv(self.folder / name, index=False)
            self.assertEqual(self.invoke("fit", self.folder / name)[0], 0)
            self.assertEqual(self.invoke("report", "--runs", self.folder / name)[0], 0)
            for path in paths:
                best = json.loads((self.folder / path).read_text())["best"]
                self.assertEqual((best["bayes"] or {}).get("bayes_ne"), 0.7 if name == "runs.csv" else None)

    def test_a_table_without_its_columns_says_what_they_are_for(self) -> None:
        planted_study(schemes="V")[["scheme", "examples", "seed"]].to_csv(self.table)
        code, output = self.invoke("report", "--runs", self.table)
        self.assertEqual(code, 1)
        self.assertIn("a run table needs 2 more columns: multiplier: by how much it is scaled", output)
        self.assertIn("test_ne: normalized entropy on the test split; or give test_log_loss and base_ctr", output)


if __name__ == "__main__":
    tf.test.main()
