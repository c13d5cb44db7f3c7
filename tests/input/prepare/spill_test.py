"""Rows through the disk and back in the order of the shuffle, against sorting them all at once."""

# mypy: allow-untyped-calls
# (absl has no types)

import dataclasses
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from scipy import stats

from tests.helpers import reference
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.prepare.rows import Rows
from tfrs_scaling.input.prepare.spill import (
    Spill,
    Spilled,
    from_bytes,
    pack,
    shard_of,
    shuffle_keys,
    shuffled,
    to_bytes,
    unpack,
)


def _rows(count: int, *, every_column: bool = True) -> Rows:
    rng = np.random.default_rng(count)
    words = rng.integers(0, 2**64, (count, 5), np.uint64)
    return Rows(
        position=rng.choice(2**50, count, replace=False) if count < 1000 else rng.permutation(count) * 3,
        label=rng.integers(0, 2, count).astype(np.uint8),
        dense=np.where(rng.random((count, 3)) < 0.2, np.nan, rng.normal(size=(count, 3))),
        codes=words,
        time=rng.integers(-(2**60), 2**60, count) if every_column else None,
        weight=rng.random(count) if every_column else None,
        click_probability=rng.random(count) if every_column else None,
    )


def _sorted(rows: Rows, seed: int) -> Rows:
    """By the keys that Python's integers give."""
    keys = [reference.draw(seed, "shuffle", position) for position in rows.position.tolist()]
    return rows.take(np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64))


def _in_order(spilled: Spilled) -> Rows:
    buckets = map(spilled.bucket, range(spilled.buckets))
    return Rows.concatenate([rows.take(shuffled(rows, spilled.seed)) for rows in buckets])


class SpillTest(parameterized.TestCase, tf.test.TestCase):
    """``Spill`` and ``Spilled``, and rows as bytes."""

    def _spill(self, bucket_bits: int = 8) -> Spill:
        return Spill(Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / "spill", 3, bucket_bits)

    def _same(self, rows: Rows, expected: Rows) -> None:
        self.assertEqual([*rows.columns()], [*expected.columns()])
        for name, column in expected.columns().items():
            self.assertEqual(rows.columns()[name].dtype, column.dtype)
            np.testing.assert_array_equal(rows.columns()[name], column, name)

    @parameterized.product(bucket_bits=[1, 3, 8], count=[1, 2, 700, 20_000])
    def test_comes_out_sorted_and_whole(self, bucket_bits: int, count: int) -> None:
        rows, spill = _rows(count), self._spill(bucket_bits)
        for block in np.array_split(np.arange(count), 7):  # empty ones among them, if there are few rows
            spill.add(rows.take(block))
        spilled = spill.spilled()
        self.assertEqual((spilled.buckets, spilled.rows), (2**bucket_bits, count))
        for _ in range(2):  # buckets can be read repeatedly
            self._same(_in_order(spilled), _sorted(rows, 3))

    @parameterized.parameters(1, 2, 5)
    def test_of_several_processes_comes_out_sorted_and_whole(self, spills: int) -> None:
        rows, parts = _rows(900), []
        for share in np.array_split(np.arange(900), spills):
            spill = self._spill(3)
            spill.add(rows.take(share))
            parts.append(spill.spilled())
        spilled = Spilled.together([self._spill(3).spilled(), *parts])  # one has read nothing
        self.assertEqual((spilled.buckets, spilled.rows), (8, 900))
        self._same(_in_order(spilled), _sorted(rows, 3))
        self.assertEqual(
            (spilled.at_once(6), dataclasses.replace(spilled, counts=spilled.counts << 24).at_once(6)), (6, 1)
        )

    @parameterized.parameters(lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-1]))
    def test_rows_lost_on_disk_are_missed(self, damage: Callable[[Path], Any]) -> None:
        rows, spill = _rows(500), self._spill(3)
        spill.add(rows)
        spilled = spill.spilled()
        folder = next(Path(self.get_temp_dir()).glob("*/spill"))
        (bucket,) = (path for path in folder.iterdir() if path.name == "bucket-005")
        damage(bucket)
        with self.assertRaisesRegex(InputError, "bucket-005: .* rows were written here, and it holds"):
            _in_order(spilled)

    def test_order_of_arrival_does_not_matter(self) -> None:
        rows, outcomes = _rows(500), []
        for order in (np.arange(500), np.arange(500)[::-1], np.random.default_rng(0).permutation(500)):
            spill = self._spill()
            for block in np.array_split(order, 3):
                spill.add(rows.take(block))
            outcomes.append(_in_order(spill.spilled()))
        self._same(outcomes[1], outcomes[0])
        self._same(outcomes[2], outcomes[0])

    def test_columns_that_are_not_there(self) -> None:
        rows, spill = _rows(50, every_column=False), self._spill()
        spill.add(rows)
        self._same(_in_order(spill.spilled()), _sorted(rows, 3))

    @parameterized.parameters(1, 4, 8)
    def test_key_ranges_hold_the_rows_and_cover_all_keys(self, bucket_bits: int) -> None:
        rows, spill = _rows(3000), self._spill(bucket_bits)
        spill.add(rows)
        spilled = spill.spilled()
        ranges = [spilled.key_range(bucket) for bucket in range(spilled.buckets)]
        for bucket, (lowest, highest) in enumerate(ranges):
            keys = shuffle_keys(spilled.bucket(bucket), 3)
            self.assertTrue(((keys >= lowest) & (keys <= highest)).all())
        ends = [end for lowest, highest in ranges for end in (int(lowest), int(highest) + 1)]
        self.assertEqual((ends[0], ends[-1], ends[1:-1:2]), (0, 2**64, ends[2::2]))

    @parameterized.parameters(1, 2, 99, 699, 700, 701, 10**9)
    def test_first_rows_are_those_of_lowest_key_without_codes(self, count: int) -> None:
        rows, spill = _rows(700), self._spill()
        spill.add(rows)
        first = spill.spilled().first(count, jobs=1 + count % 2)
        assert first is not None
        expected = _sorted(rows, 3).take(np.arange(min(count, 700)))
        self.assertEqual(first.codes.shape, (min(count, 700), 0))
        for name, column in expected.columns().items():
            if name != "codes":
                np.testing.assert_array_equal(first.columns()[name], column, name)

    def test_nothing_put_in(self) -> None:
        for blocks in ([], [_rows(0)]):
            spill = self._spill()
            for block in blocks:
                spill.add(block)
            spilled = spill.spilled()
            self.assertIsNone(spilled.first(10))
            self.assertEqual([len(spilled.bucket(bucket)) for bucket in range(spilled.buckets)], [0] * spilled.buckets)

    @parameterized.product(count=[0, 1, 100], every_column=[True, False])
    def test_rows_as_records_and_as_bytes(self, count: int, every_column: bool) -> None:
        rows = _rows(count, every_column=every_column)
        packed = pack(rows)
        self.assertEqual(packed.shape, (count,))
        self._same(unpack(packed), rows)
        self._same(unpack(np.frombuffer(packed.tobytes(), packed.dtype)), rows)
        self._same(from_bytes(to_bytes(rows)), rows)
        self.assertEqual(to_bytes(from_bytes(to_bytes(rows))), to_bytes(rows))

    def test_bytes_with_pickles_are_refused(self) -> None:
        stream = io.BytesIO()
        np.save(stream, np.array([{}]), allow_pickle=True)
        with self.assertRaisesRegex(ValueError, "allow_pickle"):
            from_bytes(stream.getvalue())

    def test_keys_are_python_s_and_differ(self) -> None:
        rows = _rows(500)
        expected = [reference.draw(8, "shuffle", position) for position in rows.position.tolist()]
        self.assertEqual(shuffle_keys(rows, 8).tolist(), expected)
        self.assertLen(set(expected), 500)

    @parameterized.parameters(1, 2, 3, 7, 175, 100_000)
    def test_shards_share_the_keys_evenly_and_in_order(self, shards: int) -> None:
        rng = np.random.default_rng(shards)
        keys = np.sort(rng.integers(0, 2**64, 200_000, np.uint64))
        number = shard_of(keys, shards)
        exact = [(key >> 32) * shards >> 32 for key in keys[:1000].tolist()]
        self.assertEqual(number[:1000].tolist(), exact)
        self.assertTrue((np.diff(number) >= 0).all())
        self.assertEqual(shard_of(np.array([0, 2**64 - 1], np.uint64), shards).tolist(), [0, shards - 1])
        if shards > 1:
            parts = min(shards, 1000)  # so many rows to a part that chi-square holds
            counts = np.bincount(number * parts // shards, minlength=parts)
            spans = np.bincount(np.arange(shards) * parts // shards, minlength=parts)
            self.assertGreater(stats.chisquare(counts, spans / shards * len(keys)).pvalue, 1e-4)


if __name__ == "__main__":
    tf.test.main()
