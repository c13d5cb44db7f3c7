"""Tests of the commands fit and report on tables of other programs."""

import json
import re
from pathlib import Path

import tensorflow as tf
from click.testing import CliRunner

from tests.fit.curves.analysis_test import planted
from tests.helpers.planted import planted_study
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
        self.assertEqual(self.invoke("report")[0], 2)

    def test_a_run_table_of_another_trainer_becomes_a_report(self) -> None:
        runs = planted_study(schemes="V")
        runs = runs[runs["learning_rate"] == 0.02]
        runs[REQUIRED].assign(note="mine").to_csv(self.table)
        code, output = self.invoke("report", "--runs", self.table)
        self.assertEqual(code, 0, output)
        self.assertIn("note: column 'note' is ignored", output)
        self.assertIn("no params_total: no laws of parameters, zones or joint laws, and no advice", output)
        page = (self.folder / "mine-report" / "report.html").read_text()
        self.assertIn("Without the column params_total: no laws of parameters", page)
        self.assertIn("not where a budget should go", page)
        code, output = self.invoke("fit", self.table)
        self.assertEqual((code, json.loads((self.folder / "fits.json").read_text())["best"]["scheme"]), (0, "V"))

    def test_a_table_without_its_columns_says_what_they_are_for(self) -> None:
        planted_study(schemes="V")[["scheme", "examples", "seed"]].to_csv(self.table)
        code, output = self.invoke("report", "--runs", self.table)
        self.assertEqual(code, 1)
        self.assertIn("a run table needs 2 more columns: multiplier: by how much it is scaled", output)
        self.assertIn("test_ne: normalized entropy on the test split; or give test_log_loss and base_ctr", output)


if __name__ == "__main__":
    tf.test.main()
