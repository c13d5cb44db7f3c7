"""Tests of tables: cells of the page, CSV that is read back, by people's spreadsheets too, and Markdown."""

import csv
import io
from dataclasses import dataclass

import tensorflow as tf

from tfrs_scaling.fit.report.tables.table import Cell, Column, Ends, Kind, Table


@dataclass(frozen=True)
class Row:
    name: str
    architecture: str = "dot"
    beta: float = -0.25
    why: str = "because"


COLUMNS: tuple[Column[Row], ...] = (
    Column("architecture", "Architecture", lambda r: r.architecture),
    Column("name", "Name", lambda r: r.name),
    Column("beta", "β", lambda r: r.beta, "estimate", lambda r: (-0.5, None)),
    Column("verdict", "Verdict", lambda _: "agrees", "verdict", why=lambda r: r.why),
    Column("why", "Why", lambda r: r.why, "words", csv_only=True),
)


def table(*names: str) -> Table[Row]:
    """A row for each name."""
    return Table("t", "T", [Row(name) for name in names], COLUMNS)


def shown(kind: Kind, value: float, ends: Ends | None = None) -> Cell:
    """What the page shows of a number."""
    return Column[Row]("k", "K", lambda _: value, kind, (lambda _: ends) if ends else None).cell(Row("a"))


class TableTest(tf.test.TestCase):
    """Columns, rows, CSV and Markdown."""

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

    def test_the_page_leaves_out_the_only_architecture(self) -> None:
        self.assertEqual([column.key for column in table("a").shown], ["name", "beta", "verdict"])
        two = Table("t", "T", [Row("a"), Row("b", "cross")], COLUMNS)
        self.assertEqual([column.key for column in two.shown], ["architecture", "name", "beta", "verdict"])
        self.assertFalse(two.wordy)

    def test_cells(self) -> None:
        name, beta, verdict = table("a").rows[0]
        self.assertEqual(name, Cell("a"))
        self.assertEqual(beta, Cell("−0.25", small="−0.50 to open"))
        self.assertEqual(verdict, Cell("agrees", look="ok", title="because"))

    def test_digits_of_an_estimate_are_those_its_interval_leaves(self) -> None:
        for value, low, high, text, small in (
            (0.23751234, 0.19, 0.3, "0.238", "0.190 to 0.300"),
            (0.84571234, 0.8456, 0.8459, "0.84571", "0.84560 to 0.84590"),
            (44.5123, 9.58, 825.4, "45", "10 to 825"),
            (0.0028123, 0.000665, 0.0053, "0.0028", "0.0007 to 0.0053"),
            (-0.00003, -0.012, 0.0119, "0.000", "−0.012 to 0.012"),
            (16.0, 16.0, 32.0, "16", "16 to 32"),
            (0.25, None, None, "0.2500", ""),
        ):
            self.assertEqual(shown("estimate", value, (low, high)), Cell(text, small))

    def test_absurd_numbers_are_dashes(self) -> None:
        self.assertEqual(shown("estimate", 3.46e73, (1e50, None)), Cell("–"))  # an alpha
        self.assertEqual(shown("amount", 3e-7, (1e-9, 0.5)), Cell("–"))  # of examples
        self.assertEqual(shown("amount", 62_200.0, (0.02, 1e40)), Cell("62.2k", "<1 to open"))
        self.assertEqual(shown("amount", 0.0, (0.0, None)), Cell("0", "0 to open"))
        self.assertEqual(shown("number", 8.98e-30), Cell("<0.0001"))  # of per cent
        self.assertEqual(shown("number", -1e-12), Cell(">−0.0001"))
        self.assertEqual(shown("number", 0.0), Cell("0.0000"))
        self.assertEqual(shown("count", 1e30), Cell("–"))

    def test_markdown_is_a_table_or_a_list_of_sentences(self) -> None:
        columns = (*COLUMNS[:3], Column[Row]("why", "Why", lambda r: r.why, "words"))
        shown = Table("t", "T", [Row("a")], columns).markdown().splitlines()
        self.assertLen(shown, 3)
        self.assertEqual(shown[2].count("|"), len(columns))  # without the only architecture
        listed = Table("t", "T", [Row("a"), Row("b", "cross")], columns, listed_by=("name",)).markdown()
        self.assertEqual(listed.replace("&#58;", ":"), "- dot a: because\n- cross b: because")


if __name__ == "__main__":
    tf.test.main()
