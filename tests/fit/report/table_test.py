"""Tests of tables: cells of the page, and CSV that is read back, by people's spreadsheets too."""

import csv
import io

from tfrs_scaling.fit.report.table import Column, Table, interval, number, signed

import tensorflow as tf  # isort: skip -- after tfrs_scaling, which chooses the Keras it comes with

COLUMNS = (
    Column("architecture", "Architecture"),
    Column("name", "Name"),
    Column("beta", "β", "estimate"),
    Column("verdict", "Verdict", "verdict"),
    Column("why", "Why", "words", csv_only=True),
)


def table(*names: str) -> Table:
    """A row for each name."""
    rest = {"architecture": "dot", "beta": -0.25, "beta_low": -0.5, "beta_high": None, "verdict": "agrees", "why": "w"}
    return Table("t", "T", COLUMNS, [rest | {"name": name} for name in names])


class TableTest(tf.test.TestCase):
    """Columns, rows and CSV."""

    def test_csv_reads_back_as_it_was(self) -> None:
        names = ('a "quoted", name', "two\nlines", "🎯 <b>", "")
        rows = list(csv.reader(io.StringIO(table(*names).csv())))
        self.assertEqual(rows[0], ["architecture", "name", "beta", "beta_low", "beta_high", "verdict", "why"])
        self.assertEqual([row[1] for row in rows[1:]], list(names))
        self.assertEqual(rows[1][2:5], ["-0.25", "-0.5", ""])  # a negative number stays a number

    def test_no_text_becomes_a_formula(self) -> None:
        names = ("=HYPERLINK(1)", "+1", "-1+cmd", "@SUM(A1)", "\t=1", "\r=1")
        rows = list(csv.reader(io.StringIO(table(*names).csv(), newline="")))
        self.assertEqual([row[1] for row in rows[1:]], [f"'{name}" for name in names])

    def test_the_page_leaves_out_what_says_nothing(self) -> None:
        self.assertEqual([column.key for column in table("a").shown], ["name", "beta", "verdict"])
        two = Table("t", "T", COLUMNS, [*table("a").records, {**table("b").records[0], "architecture": "cross"}])
        self.assertEqual([column.key for column in two.shown], ["architecture", "name", "beta", "verdict"])
        self.assertFalse(two.wordy)

    def test_cells(self) -> None:
        name, beta, verdict = table("a").rows[0]
        self.assertEqual(name["text"], "a")
        self.assertEqual((beta["text"], beta["small"]), ("−0.2500", "−0.5000 to open"))
        self.assertEqual((verdict["text"], verdict["look"]), ("agrees", "ok"))

    def test_numbers_for_people(self) -> None:
        cases = ((None, "–"), (0.25, "0.2500"), (-0.25, "−0.2500"), (16.0, "16"), (1234.5, "1,234"), (1e-9, "1e−09"))
        for value, text in cases:
            self.assertEqual(number(value), text)
        self.assertEqual([signed(v) for v in (None, 0.01, -0.01, 1e-6)], ["–", "+0.0100", "−0.0100", "0.0000"])
        self.assertEqual(interval(None, None), "")
        self.assertEqual(interval(None, 2e6), "open to 2M")


if __name__ == "__main__":
    tf.test.main()
