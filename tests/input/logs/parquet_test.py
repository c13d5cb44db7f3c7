"""Parquet files against the same log as text."""

import datetime
import lzma
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from absl.testing import parameterized

from tests.helpers.studies import CONFIGS, REPOSITORY
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.parquet import ParquetLog
from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.logs.values.cells import Log, Rejected, read
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.rows import RowParser, Rows
from tfrs_scaling.input.prepare.sources import LogSource
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema

SCHEMA = Schema(
    "y",
    (CategoricalFeature("user", 10, "hash"), CategoricalFeature("tags", 10, "hash", max_values=3, separator="|")),
    (DenseFeature("age"),),
    "ts",
)
TEXT = """y,user,tags,age,ts,unused
1,a,x|y,3,10,
0,,z,,20,
0,7,,2.5,30,
"""
COLUMNS: dict[str, Any] = {
    "y": pa.array([1, 0, 0], pa.int8()),
    "user": pa.array(["a", None, "7"]),
    "tags": pa.array([["x", "y"], ["z"], []]),
    "age": pa.array([3.0, None, 2.5]),
    "ts": pa.array([10, 20, 30]),
    "unused": pa.array([None, None, None]),
}


def _parsed(log: Log) -> tuple[Rows, list[Rejected]]:
    blocks = [RowParser(log.schema).parse(cells) for cells in read(log)]
    return Rows.concatenate([block.rows for block in blocks]), [row for block in blocks for row in block.rejected]


class ParquetTest(parameterized.TestCase, tf.test.TestCase):
    """``ParquetLog``."""

    def _path(self, columns: dict[str, Any], **options: Any) -> Path:
        path = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "log.parquet"
        pq.write_table(pa.table(columns), path, **options)
        return path

    def _rows(self, columns: dict[str, Any], schema: Schema = SCHEMA, **options: Any) -> tuple[Rows, list[Rejected]]:
        return _parsed(ParquetLog(schema, (str(self._path(columns, **options)),)))

    def _as_text(self) -> Rows:
        path = Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "log.csv"
        path.write_text(TEXT)
        return _parsed(TextLog(SCHEMA, (str(path),)))[0]

    @parameterized.named_parameters(
        ("as_they_are", {}),
        ("boolean_label", {"y": pa.array([True, False, False])}),
        ("float_label_and_time", {"y": pa.array([1.0, 0.0, 0.0]), "ts": pa.array([10.0, 20.0, 30.0])}),
        ("dictionary", {"user": pa.array(["a", None, "7"]).dictionary_encode()}),
        ("binary", {"user": pa.array([b"a", None, b"7"])}),
        ("large_types", {"tags": pa.array([["x", "y"], ["z"], None], pa.large_list(pa.large_string()))}),
        ("text_lists", {"tags": pa.array(["x|y", "z", ""])}),
        ("nan_is_missing", {"age": pa.array([3.0, float("nan"), 2.5])}),
        ("timestamps", {"ts": pa.array([10_000, 20_000, 30_000], pa.timestamp("ms"))}),
    )
    def test_same_rows_as_text(self, changed: dict[str, Any]) -> None:
        text = self._as_text().columns()
        for group_rows in (1, 2, 1000):
            rows, _ = self._rows({**COLUMNS, **changed}, row_group_size=group_rows)
            self.assertEqual([*rows.columns()], [*text])
            for name, column in rows.columns().items():
                np.testing.assert_array_equal(column, text[name])

    def test_dates_are_seconds(self) -> None:
        days = pa.array([datetime.date(1970, 1, 1), datetime.date(1970, 1, 2), datetime.date(2013, 1, 1)])
        rows, _ = self._rows({**COLUMNS, "ts": days})
        self.assertAllEqual(rows.time, [0, 86400, 1356998400])

    def test_integer_ids_that_pandas_made_floats(self) -> None:
        schema = Schema("y", (CategoricalFeature("user", 10, "id"),))
        user = pa.array([3.0, 2147483647.0, 0.0])
        self.assertAllEqual(self._rows({"y": COLUMNS["y"], "user": user}, schema)[0].codes, [[3], [2147483647], [0]])

    def test_malformed_rows_are_told_by_their_number(self) -> None:
        changed = {**COLUMNS, "y": pa.array([1, 2, None], pa.int8())}
        for group_rows in (1, 2, 1000):
            rows, rejected = self._rows(changed, row_group_size=group_rows)
            self.assertEqual(rows.position.tolist(), [0])
            self.assertEqual([(row.line, row.column) for row in rejected], [(2, "y"), (3, "y")])
            self.assertRegex(str(rejected[0]), r"log\.parquet, row 2, column 'y': the label is neither 0 nor 1")
        _, rejected = self._rows({**COLUMNS, "age": pa.array([3.0, float("inf"), 2.5])})
        self.assertRegex(str(rejected[0]), "row 2, column 'age': not a finite number")

    def test_columns_that_cannot_be_used_are_named(self) -> None:
        for changed, message in (
            ({"user": pa.array([{"a": 1}] * 3)}, r"column 'user': holds struct"),
            ({"user": pa.array([[1], [2], [3]])}, r"column 'user': holds lists; give the feature max_values"),
            ({"tags": pa.array([["x|y"], [], []])}, r"column 'tags': a value holds the separator '\|'"),
        ):
            with self.assertRaisesRegex(InputError, message):
                self._rows({**COLUMNS, **changed})
        without = {name: column for name, column in COLUMNS.items() if name != "age"}
        with self.assertRaisesRegex(InputError, r"log\.parquet: there is no column 'age'"):
            self._rows(without)

    @parameterized.parameters(
        ("movielens_1m/interactions.tsv.xz", "movielens"),
        ("nycflights13/flights.tsv.xz", "flights"),
    )
    def test_real_log_gives_the_same_shards_as_its_text(self, file: str, name: str) -> None:
        path = REPOSITORY.parent / "shared" / "data" / "ctr" / file
        if not path.exists():
            self.skipTest(f"the real log {file} is not beside the checkout")
        schema = Schema.read(CONFIGS / "schemas" / f"{name}.json")
        folder = Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
        typed = pd.read_csv(path, sep="\t")  # numbers as integers and floats, NaN where missing
        for feature in schema.categorical:
            if feature.separator is not None:
                typed[feature.name] = typed[feature.name].str.split(feature.separator, regex=False)
            elif not pd.api.types.is_numeric_dtype(typed[feature.name]):
                typed[feature.name] = typed[feature.name].astype("category")
        typed.to_parquet(folder / "log.parquet")
        hashes: list[str] = []
        for log in (TextLog(schema, (str(path),)), ParquetLog(schema, (str(folder / "log.parquet"),))):
            manifest = prepare(LogSource(log), folder / f"data{len(hashes)}", split_by="random")
            hashes.append(manifest.data_hash)
        self.assertEqual(hashes[0], hashes[1])

    def test_what_is_no_parquet_file_is_named(self) -> None:
        path = self._path(COLUMNS)
        whole = path.read_bytes()
        for content in (b"", b"y,user\n1,a\n", whole[:-20], whole[:100], lzma.compress(whole)):
            path.write_bytes(content)
            with self.assertRaisesRegex(InputError, r"log\.parquet: cannot be read as Parquet"):
                list(read(ParquetLog(SCHEMA, (str(path),))))
        with self.assertRaisesRegex(InputError, "none: cannot be read: No such file or directory"):
            list(read(ParquetLog(SCHEMA, (str(path.with_name("none")),))))


if __name__ == "__main__":
    tf.test.main()
