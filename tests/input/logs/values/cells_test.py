"""Where cells stand, and how malformed rows are told and counted."""

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.values.cells import Cells, Rejected, Rejects, missing_column


class CellsTest(tf.test.TestCase):
    """A block of cells."""

    def test_positions_grow_in_the_order_of_the_log(self) -> None:
        batch = pa.record_batch({"a": pa.array([b"1", b"2"])})
        last_of_first = Cells("x", 0, np.array([5, 2**40 - 1]), batch, [])
        second = Cells("y", 1, np.array([0, 7]), batch, [])
        self.assertEqual(last_of_first.positions.tolist(), [5, 2**40 - 1])
        self.assertEqual(second.positions.tolist(), [2**40, 2**40 + 7])
        self.assertEqual(second.positions.dtype, np.int64)

    def test_rejected_row_is_told_with_its_place(self) -> None:
        batch = pa.record_batch({"a": pa.array([b"1", b"caf\xe9"]), "b": pa.array([b"", b"x"])})
        cells = Cells("log.csv", 2, np.array([10, 12]), batch, [], first=2)
        self.assertEqual(
            cells.rejected(1, "a", "not text"), Rejected("log.csv", 14, "a", "caf\\xe9", "not text", "line")
        )
        group = Cells("log.parquet", 0, np.array([0, 1]), batch, [], unit="row")
        self.assertEqual(str(group.rejected(0, "b", "blank")), "log.parquet, row 1, column 'b': blank, got ''")

    def test_missing_column_names_the_nearest_or_all(self) -> None:
        self.assertEqual(
            str(missing_column("f", "user", ["usr", "x"])), "f: there is no column 'user'; did you mean 'usr'?"
        )
        self.assertEqual(str(missing_column("f", "user", ["a", "b"])), "f: there is no column 'user'; it has 'a', 'b'")


class RejectsTest(tf.test.TestCase):
    """Counting malformed rows."""

    def test_allowed_ones_are_kept_and_the_next_is_an_error(self) -> None:
        def bad(line: int) -> Rejected:
            return Rejected("log.csv", line, "age", "x" * 200, "no number")

        rejects = Rejects(3)
        rejects.add([bad(4), bad(9)])
        rejects.add([])
        self.assertEqual([row.line for row in rejects.rows], [4, 9])
        with self.assertRaises(InputError) as caught:
            rejects.add([bad(20), bad(21), bad(30)])
        self.assertEqual(
            str(caught.exception),
            f"log.csv, line 21, column 'age': no number, got {'x' * 80!r}; "
            "that is one more malformed row than the 3 allowed",
        )
        self.assertEqual([row.line for row in rejects.rows], [4, 9, 20])

    def test_none_is_allowed_unless_said(self) -> None:
        with self.assertRaisesRegex(InputError, r"log\.csv, line 7: short, got '1'; fix the row, or use --max-bad"):
            Rejects().add([Rejected("log.csv", 7, "", "1", "short")])


if __name__ == "__main__":
    tf.test.main()
