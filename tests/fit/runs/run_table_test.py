"""Tests of the run table: what goes through a file unchanged, and what is refused, where."""

import csv
import math
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.planted import planted_row, planted_study
from tfrs_scaling.fit.runs.columns import REQUIRED
from tfrs_scaling.fit.runs.run_table import (
    COLUMNS,
    TIMING_COLUMNS,
    is_recorded,
    read_run_table,
    read_runs,
    recorded_axes,
    write_runs,
)

DESIGNED = (
    "study trial_id architecture scheme multiplier seed learning_rate examples epochs embedding_dim embedding_rows "
    "params_embedding params_bottom params_interaction params_overarch params_total flops_forward flops_train "
    "compute teacher_examples teacher_compute teacher_seconds test_ne test_log_loss test_auc test_calibration "
    "validation_ne train_ne base_ctr examples_per_second wall_seconds strategy "
    "status reason flags config_hash data_hash code_version libraries machine"
)


def failed_row() -> dict[str, object]:
    """A trial that never reached a rung."""
    nothing = {name: np.nan for name, kind in COLUMNS.items() if kind == "float64"}
    row = planted_row("V", 64.0, 0, 0.02, 0, 0.0) | nothing
    row |= {"multiplier": 64.0, "learning_rate": 0.02, "trial_id": "V-64", "status": "failed"}
    return row | {"reason": 'out of memory, "killed"\nat rung 3'}


class RunTableTest(tf.test.TestCase):
    """Writing and reading."""

    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.get_temp_dir()) / f"{self.id()}.csv"
        self.runs = planted_study()

    def damaged(self, row: int, column: str, value: str) -> str:
        """Write the study with one field replaced; the file's name."""
        write_runs(self.runs, self.path)
        lines = list(csv.reader(self.path.read_text().splitlines()))
        lines[row][lines[0].index(column)] = value
        self.path.write_text("\n".join(",".join(line) for line in lines) + "\n")
        return str(self.path)

    def test_columns_are_the_designed_ones_in_order(self) -> None:
        self.assertEqual(list(COLUMNS), DESIGNED.split())
        self.assertTrue(set(TIMING_COLUMNS) < set(COLUMNS))

    def test_numbers_survive_to_the_last_digit(self) -> None:
        self.runs.loc[0, "test_ne"] = 0.1 + 0.2
        self.runs.loc[1, "test_ne"] = np.nextafter(0.8, 1)
        write_runs(self.runs, self.path)
        again = read_runs(self.path)
        keys = ["trial_id", "examples"]
        pd.testing.assert_frame_equal(
            again.sort_values(keys).reset_index(drop=True),
            self.runs.sort_values(keys).reset_index(drop=True),
            check_exact=True,
        )

    def test_same_table_in_any_order_gives_the_same_bytes(self) -> None:
        write_runs(self.runs, self.path)
        first = self.path.read_bytes()
        write_runs(self.runs.sample(frac=1, random_state=1), self.path)
        self.assertEqual(self.path.read_bytes(), first)
        write_runs(read_runs(self.path), self.path)
        self.assertEqual(self.path.read_bytes(), first)
        self.assertLen(list(self.path.parent.glob(f".{self.path.name}*")), 0)

    def test_a_failed_trial_keeps_its_row_and_reason(self) -> None:
        runs = pd.concat([self.runs, pd.DataFrame([failed_row()]).astype(COLUMNS)])
        write_runs(runs, self.path)
        row = read_runs(self.path).query("status == 'failed'")
        self.assertLen(row, 1)
        self.assertEqual(row["reason"].iloc[0], 'out of memory, "killed"\nat rung 3')
        self.assertEqual(row["examples"].iloc[0], 0)
        self.assertTrue(np.isnan(row["test_ne"].iloc[0]))

    def test_compute_may_exceed_int64(self) -> None:
        self.runs["flops_train"] = 10**15
        self.runs["compute"] = 1e15 * self.runs["examples"]
        write_runs(self.runs, self.path)
        self.assertAllClose(read_runs(self.path)["compute"].max(), 1.28e21, rtol=1e-15)

    def test_a_wrong_value_is_located(self) -> None:
        for column, value, message in (
            ("test_ne", "", "row 3, column test_ne: .*nan.* must be finite where status is ok"),
            ("test_ne", "low", "row 3, column test_ne: 'low' is not a number"),
            ("examples", "1.5", "row 3, column examples: '1.5' is not a whole number"),
            ("scheme", "X", "row 3, column scheme: 'X' must be one of D, V, H, O, M, VH, F, N, E"),
            ("status", "done", "row 3, column status: 'done' must be one of ok, failed, skipped"),
            ("status", "failed", "row 3, column reason: '' must say why"),
            ("flags", "plateau;odd", "row 3, column flags: .* must be of collapsed, lr_at_edge, plateau"),
            ("params_total", "7", "row 3, column params_total: .*7.* must be the sum of its parts"),
            ("compute", "7", "row 3, column compute: .*7.* must be flops_train x examples"),
            ("learning_rate", "-1", "row 3, column learning_rate: .*-1.* must be above 0"),
            ("seed", "9" * 30, "column seed holds a number beyond 64 bits"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                read_runs(self.damaged(3, column, value))

    def test_a_point_that_stands_twice_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "column examples: .*20000.* is repeated"):
            write_runs(pd.concat([self.runs, self.runs[self.runs["examples"] == 20_000].head(1)]), self.path)

    def test_missing_and_unknown_columns_are_named(self) -> None:
        with self.assertRaisesRegex(ValueError, "missing columns: seed; unknown columns: sed"):
            write_runs(self.runs.rename(columns={"seed": "sed"}), self.path)
        self.path.write_text("study,study\n")
        with self.assertRaisesRegex(ValueError, "repeated columns: study"):
            read_runs(self.path)

    def test_a_truncated_file_is_refused(self) -> None:
        write_runs(self.runs, self.path)
        text = self.path.read_text()
        self.path.write_text(text[:-60])
        with self.assertRaisesRegex(ValueError, "row 408 has 30 fields, the header 40"):
            read_runs(self.path)
        self.path.write_text("")
        with self.assertRaisesRegex(ValueError, "the file is empty"):
            read_runs(self.path)

    def test_a_refused_table_leaves_the_old_file(self) -> None:
        write_runs(self.runs, self.path)
        before = self.path.read_bytes()
        with self.assertRaisesRegex(ValueError, "column test_ne"):
            write_runs(self.runs.assign(test_ne=np.inf), self.path)
        with self.assertRaisesRegex(ValueError, "column seed must hold whole numbers"):
            write_runs(self.runs.assign(seed=0.5), self.path)
        self.assertEqual(self.path.read_bytes(), before)

    def outsiders(self, *columns: str) -> pd.DataFrame:
        """A table with the four columns that are needed and some others, as another trainer writes it."""
        rows = self.runs[self.runs["learning_rate"] == 0.02]
        return rows[[*REQUIRED, *columns]]

    def test_four_columns_are_a_run_table(self) -> None:
        self.outsiders().to_csv(self.path, index=False)
        table = read_run_table(self.path)
        runs = table.runs
        self.assertEqual(runs.dtypes.astype("str").to_dict(), self.runs[list(COLUMNS)].dtypes.astype("str").to_dict())
        self.assertEqual(runs["trial_id"].nunique(), self.outsiders().groupby(["scheme", "multiplier"]).ngroups)
        self.assertEqual(set(runs["status"]), {"ok"})
        self.assertEqual(set(runs["study"]), {self.path.stem})
        self.assertEqual(table.absent, tuple(name for name in COLUMNS if name not in REQUIRED))
        self.assertFalse(any(is_recorded(runs, name) for name in ("params_total", "compute", "learning_rate")))
        self.assertEqual([recorded_axes(runs, scheme) for scheme in "VO"], [("data",), ("data",)])
        again = self.path.with_suffix(".again.csv")
        write_runs(runs, again)
        pd.testing.assert_frame_equal(read_runs(again), runs)

    def test_notices_are_the_sections_that_are_lacking(self) -> None:
        self.outsiders("wall_seconds", "params_total").assign(Seed=0).to_csv(self.path, index=False)
        notices = read_run_table(self.path).notices
        self.assertEqual(notices[0], "column 'Seed' is ignored; did you mean 'seed'?")
        self.assertIn("The table has no column train_ne, so the report has no training against test.", notices)
        for name in ("params_total", "examples_per_second", "study", "strategy"):
            self.assertNotRegex(" ".join(notices), rf"no column {name}\b")

    def test_each_further_column_adds_its_axes(self) -> None:
        for columns, axes in (
            (["params_total"], {"V": ("data", "parameters"), "O": ("data",)}),
            (["params_total", "params_embedding"], {"O": ("data", "parameters")}),
            (["flops_train"], {"V": ("data",), "H": ("data", "compute")}),
            (["compute"], {"H": ("data", "compute")}),
        ):
            self.outsiders(*columns).to_csv(self.path, index=False)
            runs = read_runs(self.path)
            self.assertEqual({scheme: recorded_axes(runs, scheme) for scheme in axes}, axes)
        self.assertAllEqual(runs["flops_train"] * runs["examples"], runs["compute"])

    def test_a_table_edited_in_a_spreadsheet_is_the_same_table(self) -> None:
        write_runs(self.runs, self.path)
        frame, expected = pd.read_csv(self.path, keep_default_na=False), read_runs(self.path)
        whole = [name for name, kind in COLUMNS.items() if kind == "int64"]
        frame[whole] = frame[whole].astype("float64")
        frame.to_csv(self.path, encoding="utf-8-sig")
        pd.testing.assert_frame_equal(read_runs(self.path), expected)

    def test_ne_follows_from_log_loss_and_base_ctr(self) -> None:
        rows = self.outsiders().rename(columns={"test_ne": "test_log_loss"}).assign(base_ctr=0.25)
        rows.to_csv(self.path, index=False)
        runs = read_runs(self.path)
        entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
        self.assertAllClose(runs["test_ne"], runs["test_log_loss"] / entropy, rtol=1e-12)

    def test_what_was_not_measured_is_a_failed_trial(self) -> None:
        rows = self.outsiders()
        rows.iloc[3, 3] = np.nan
        rows.to_csv(self.path, index=False)
        failed = read_runs(self.path).query("status == 'failed'")
        self.assertEqual(failed["reason"].tolist(), ["test_ne is empty"])

    def test_an_outsiders_mistakes_are_named(self) -> None:
        rows = self.outsiders()
        log_loss = rows.rename(columns={"test_ne": "test_log_loss"})
        for wrong, message in (
            (rows.drop(columns=["scheme", "test_ne"]), r"2 more columns:\n  scheme: what is scaled: D .*\n  test_ne: "),
            (
                pd.concat([rows, rows]),
                f"row {len(rows) + 1}, column examples: .* is repeated .* a column seed or trial_id says which",
            ),
            (rows.assign(params_total=[7, *[0] * (len(rows) - 1)]), "column params_total: 0 must be above 0"),
            (
                rows.rename(columns={"scheme": "Scheme"}),
                "scheme: what is scaled.* .is it the column 'Scheme'",
            ),
            (rows.assign(test_ne=np.nan), "column test_ne is empty: no row holds its normalized entropy"),
            (rows.head(0), "there are no rows below the header"),
            (log_loss.assign(base_ctr=30), "row 1, column base_ctr: 30.0 must lie between 0 and 1"),
            (log_loss.assign(base_ctr=0), "row 1, column base_ctr: 0.0 must lie between 0 and 1"),
            (rows.assign(wall_seconds=-1), "row 1, column wall_seconds: -1.0 must be 0 or above"),
            (rows.assign(seed=["", *[0] * (len(rows) - 1)]), "row 1, column seed: the field is empty"),
            (rows.assign(test_auc=[0.7, *[np.nan] * (len(rows) - 1)]), "column test_auc: nan must be finite"),
        ):
            wrong.to_csv(self.path, index=False)
            with self.assertRaisesRegex(ValueError, message):
                read_runs(self.path)

    def test_an_unknown_column_is_ignored_and_said(self) -> None:
        self.outsiders().assign(sed=0).to_csv(self.path, index=False)
        with self.assertWarnsRegex(UserWarning, "column 'sed' is ignored; did you mean 'seed'"):
            read_runs(self.path)


if __name__ == "__main__":
    tf.test.main()
