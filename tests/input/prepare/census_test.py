"""Counts of rows against counts in Python, whatever the blocks and their order."""

# mypy: allow-untyped-calls
# (absl has no types)

import dataclasses

import numpy as np
import tensorflow as tf

from tfrs_scaling.input.logs.values.cells import POSITION_BITS
from tfrs_scaling.input.prepare.census import KEPT, Census, row_hashes
from tfrs_scaling.input.prepare.rows import Rows


def _rows(count: int, seed: int = 0, most: int = 2**31) -> Rows:
    rng = np.random.default_rng(seed)
    return Rows(
        position=np.arange(count),
        label=rng.integers(0, 2, count).astype(np.uint8),
        dense=rng.integers(0, most, (count, 2)).astype(np.float64),
        codes=rng.integers(0, most, (count, 3)).astype(np.uint64),
        time=rng.integers(0, most, count),
    )


class CensusTest(tf.test.TestCase):
    def test_rows_are_equal_where_all_columns_are_and_only_there(self) -> None:
        rows = _rows(1000, most=2)
        assert rows.time is not None
        content = np.column_stack([rows.label, rows.dense, rows.codes.astype(float), rows.time])
        distinct = len(np.unique(content, axis=0))
        self.assertLess(distinct, 129)
        self.assertLen(np.unique(row_hashes(rows)), distinct)
        self.assertAlmostEqual(Census.count(rows).repeated, 1 - distinct / 1000)
        for name, column in rows.columns().items():
            other = dataclasses.replace(rows, **{name: column[::-1] if name == "position" else column ^ 1
                                                 if column.dtype.kind in "iu" else column + 2.0**-40})  # fmt: skip
            equal = row_hashes(other) == row_hashes(rows)
            self.assertEqual((name, bool(equal.all()), bool(equal.any())), (name, *(name == "position",) * 2))

    def test_small_integers_as_floats_do_not_collide(self) -> None:
        rows = _rows(1 << 17)
        numbers = np.stack(np.meshgrid(np.arange(256), np.arange(512)), -1).reshape(-1, 2).astype(np.float64)
        rows = dataclasses.replace(
            rows, dense=numbers, codes=rows.codes * np.uint64(0), label=rows.label * 0, time=rows.position * 0
        )
        self.assertLen(np.unique(row_hashes(rows)), 1 << 17)

    def test_files_of_equal_rows_have_equal_sums_in_any_order(self) -> None:
        rows, number = _rows(500), np.arange(500) % 2
        twice = Rows.concatenate([
            dataclasses.replace(rows, position=rows.position + (k << POSITION_BITS)).take(
                np.random.default_rng(k).permutation(500)
            )
            for k in (0, 1)
        ])  # fmt: skip
        parts = [Census.count(twice.take(np.flatnonzero(np.arange(1000) % 7 == k))) for k in range(7)]
        census = Census.merge(parts[::-1])
        self.assertEqual((census.files[0], census.rows, census.repeated), (census.files[1], 1000, 0.5))
        other = dataclasses.replace(rows, label=(rows.label ^ (number == 0)).astype(np.uint8))
        self.assertNotEqual(Census.count(other).files[0], census.files[0])

    def test_share_is_estimated_in_long_logs_alike_in_any_order(self) -> None:
        blocks = [_rows(KEPT, seed % 3) for seed in range(4)]  # the first again as the last
        census = Census.merge([Census.count(block) for block in blocks])
        level, other = 0, Census.merge([])
        for block in blocks[::-1]:
            other = Census.merge([other, Census.count(block, other.level)])
            level = max(level, other.level)
        self.assertEqual((census.files, census.level, census.repeated), (other.files, other.level, other.repeated))
        self.assertEqual(level, 2)
        self.assertLess(abs(census.repeated - 0.25), 5 * (0.25 * 0.75 / (4 * KEPT / 2**level)) ** 0.5)

    def test_nothing(self) -> None:
        census = Census.merge([Census.count(_rows(0))])
        self.assertEqual((census.rows, census.repeated, census.files), (0, 0.0, {}))


if __name__ == "__main__":
    tf.test.main()
