"""Encoded rows against values worked out by hand."""

# mypy: allow-untyped-calls
# (absl has no types)

from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_scaling.input.prepare.encoding import encode
from tfrs_scaling.input.prepare.hashing import MISSING
from tfrs_scaling.input.prepare.rows import Rows
from tfrs_scaling.input.prepare.split import Decisions, Request
from tfrs_scaling.input.prepare.vocabulary import Vocabulary, count_values
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema


class EncodeTest(tf.test.TestCase):
    """``count_values`` and ``encode``."""

    SCHEMA = Schema(
        "click",
        (
            CategoricalFeature("user", 10),
            CategoricalFeature("tags", 10, max_values=2, separator="|"),
            CategoricalFeature("ad", 10, "id"),
            CategoricalFeature("words", 10, "hash", max_values=2, separator="|"),
        ),
        (DenseFeature("log"), DenseFeature("standard", "standardize"), DenseFeature("flat", "standardize")),
        "ts",
        "w",
    )
    NO, LARGEST = 2**64 - 1, 2**31 - 1

    def _rows(self, **changes: Any) -> Rows:
        no, missing = self.NO, int(MISSING)
        codes = [
            [50, 70, 50, 7, 5, 6],
            [50, 60, no, 0, self.LARGEST, no],
            [40, missing, 70, self.LARGEST, 0, no],
            [missing, 80, no, 3, 5, 5],
        ]
        columns: dict[str, Any] = {
            "position": np.arange(4),
            "label": np.array([1, 0, 0, 1], np.uint8),
            "dense": np.array([[3.0, 1.0, 0.1], [-2.0, np.nan, 0.1], [np.nan, -3.0, 7.1], [0.0, 2.0, np.nan]]),
            "codes": np.array(codes, np.uint64),
            "time": np.array([2**40, -5, 0, 1]),
            "weight": np.array([1.0, 0.0, 0.1, 2.5]),
        }
        return Rows(**columns | changes)

    def test_counted_rows_alone_are_counted(self) -> None:
        counted = count_values(self._rows(), np.array([True, True, True, False]), self.SCHEMA)
        plain = {name: dict(zip(v.hashes.tolist(), v.counts.tolist(), strict=True)) for name, v in counted.items()}
        self.assertEqual(plain, {"user": {50: 2, 40: 1}, "tags": {70: 2, 50: 1, 60: 1}})

    def test_columns_by_hand(self) -> None:
        def vocabulary(ids: dict[int, int]) -> Vocabulary:
            hashes = sorted(ids)
            return Vocabulary(np.array(hashes, np.uint64), np.array([ids[h] for h in hashes], np.int32), len(ids))

        decisions = Decisions(Request("random"), 0, 0, (9.0, -1.0, 0.1), (9.0, 2.0, 0.0))
        vocabularies = {"user": vocabulary({50: 1, 40: 2}), "tags": vocabulary({70: 1, 50: 2, 60: 3})}
        columns = encode(self._rows(), self.SCHEMA, decisions, vocabularies).columns
        self.assertEqual(columns["ids"].tolist(), [
            [1, 1, 2, 7, 5, 6],
            [1, 3, -1, 0, self.LARGEST, -1],
            [2, 0, 1, self.LARGEST, 0, -1],
            [0, 0, -1, 3, 5, 5],
        ])  # fmt: skip
        expected = [[np.log(4), 1, 0], [0, 0, 0], [0, -1, 7], [0, 1.5, 0]]
        self.assertAllClose(columns["dense"], expected, rtol=1e-6)
        self.assertEqual(columns["label"].tolist(), [[1], [0], [0], [1]])
        self.assertEqual(columns["time"].tolist(), [[2**40], [-5], [0], [1]])
        self.assertAllEqual(columns["weight"], np.array([[1.0], [0.0], [0.1], [2.5]], np.float32))
        self.assertEqual({name: column.dtype.name for name, column in columns.items()}, {
            "label": "uint8", "ids": "int32", "dense": "float32", "time": "int64", "weight": "float32",
        })  # fmt: skip

    def test_columns_that_the_schema_has_not(self) -> None:
        schema = Schema("click", (CategoricalFeature("ad", 10, "id"),))
        rows = Rows(np.arange(2), np.ones(2, np.uint8), np.empty((2, 0)), np.array([[4], [5]], np.uint64))
        columns = encode(rows, schema, Decisions(Request("random"), 0, 0), {}).columns
        self.assertEqual([*columns], ["label", "ids"])
        self.assertEqual(columns["ids"].tolist(), [[4], [5]])


if __name__ == "__main__":
    tf.test.main()
