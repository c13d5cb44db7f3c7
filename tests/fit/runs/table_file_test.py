"""Tests of tables that other programs wrote: what is read alike, and what is refused, where."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrs_scaling.fit.runs.table_file import TableFile, read_table_file

FRAME = pd.DataFrame({"tokens": [1000, 2000, 4000], "loss": [3.5, math.nan, 2.25], "model": ["a", "b", "a"]})


class TableFileTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.get_temp_dir()) / f"{self.id()}.csv"

    def read(self, text: str | bytes) -> TableFile:
        self.path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_table_file(self.path)

    def test_same_table_from_every_program(self) -> None:
        spreadsheet = "tokens;loss;model\r\n1000;3,5;a\r\n2000;;b\r\n4000;2,25;a\r\n;;\r\n"
        parquet = self.path.with_suffix(".parquet")
        FRAME.to_parquet(parquet)
        for file in (
            self.read(FRAME.to_csv(index=False)),
            self.read(FRAME.to_csv(sep="\t", index=False)),
            self.read(FRAME.to_csv()),  # with an index that has no name
            self.read(b"\xef\xbb\xbf" + FRAME.to_csv(index=False).encode()),
            self.read(FRAME.astype({"tokens": "float64"}).to_csv(sep="\t", index=False).encode("utf-16")),
            self.read(FRAME.to_csv(index=False, na_rep="NaN").replace("tokens", " tokens ")),
            self.read(spreadsheet),
            read_table_file(parquet),
        ):
            self.assertEqual(list(file.columns), ["tokens", "loss", "model"])
            self.assertEqual(file.whole_numbers("tokens"), [1000, 2000, 4000])
            np.testing.assert_array_equal(file.numbers("loss"), [3.5, math.nan, 2.25])
            self.assertEqual(file.texts("model"), ["a", "b", "a"])
            self.assertTrue(file.is_numeric("loss"))
            self.assertFalse(file.is_numeric("model"))

    def test_whole_numbers_as_spreadsheets_write_them(self) -> None:
        file = self.read("n\n512.0\n1e6\n+7\n123456789012345678901\n 8 \n")
        self.assertEqual(file.whole_numbers("n"), [512, 10**6, 7, 123456789012345678901, 8])

    def test_a_wrong_value_is_located(self) -> None:
        for value, message in (
            ("low", "row 2, column loss: 'low' is not a number"),
            ("inf", "row 2, column loss: 'inf' is not finite"),
            ('"1,5"', "row 2, column loss: '1,5' is not a number"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                self.read(f"loss\n1\n{value}\n").numbers("loss")
        for value in ("1.5", "1e400", "true"):
            with self.assertRaisesRegex(ValueError, f"row 1, column n: '{value}' is not a whole number"):
                self.read(f"n,m\n{value},1\n").whole_numbers("n")
        with self.assertRaisesRegex(ValueError, "row 1, column n: the field is empty"):
            self.read("n,m\n,1\n").whole_numbers("n")
        parquet = self.path.with_suffix(".parquet")
        pd.DataFrame({"day": pd.to_datetime(["2026-01-01"]), "flag": [True]}).to_parquet(parquet)
        for column in ("day", "flag"):
            with self.assertRaisesRegex(ValueError, f"row 1, column {column}: .* is not a number"):
                read_table_file(parquet).numbers(column)

    def test_points_that_may_separate_thousands_are_refused(self) -> None:
        for values in (("1.000", "2.000", "16.000"), ("500", "", "1.000"), ("1.000.000", "2.000.000", "0")):
            file = self.read("tokens;loss\n" + "".join(f"{value};2,5\n" for value in values))
            for read in (file.numbers, file.whole_numbers):
                with self.assertRaisesRegex(ValueError, "column tokens: '1.0.*without a point between thousands"):
                    read("tokens")
        for values in (("0.125", "1.250", "2.500"), ("1.000", "2.25", "4.5")):
            file = self.read("tokens;loss\n" + "".join(f"{value};2,5\n" for value in values))
            self.assertAllEqual(file.numbers("tokens"), [float(value) for value in values])

    def test_what_is_no_table_is_refused(self) -> None:
        for content, message in (
            (b"", "the file is empty"),
            (b"\n \n", "the file is empty"),
            (b"a,a\n1,2\n", "repeated columns: a"),
            (b"a,b\n1\n", "row 1 has 1 fields, the header 2"),
            (b'a,b\n1,"2\n', "delimited text"),
            (b"\x1f\x8b\x08\x00\xff", "compressed by gzip"),
            (b"\xffab", "neither Parquet nor readable as delimited text"),
            (b"1000.0,2.5e-1\n2000.0,0.2\n", "the first line, 1000.0,2.5e-1, holds numbers; it must name the columns"),
            ("größe,b\n1,2\n".encode("latin-1"), "save it as UTF-8"),
            (b"My experiment\n\na,b\n1,2\n", "delete the lines above it"),
            (b"PAR1 and no more", "not readable as Parquet"),
            (b",,\n1,2,3\n", "no column has a name"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                self.read(content)


if __name__ == "__main__":
    tf.test.main()
