"""Which row goes into which split, one row at a time in Python; and what a sample settles for a whole log."""

# mypy: allow-untyped-calls
# (absl has no types)

from typing import Any

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from scipy import stats

from tests.helpers import reference
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.manifest import SPLITS
from tfrs_scaling.input.prepare.rows import Rows
from tfrs_scaling.input.prepare.split import DROPPED, Decisions, Request, check_counts, count_splits, decide
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema

SCHEMA = Schema("click", (CategoricalFeature("c", 2, "id"),), time="ts")
TRAIN, VALIDATION, TEST = range(3)


def _rows(count: int, time: np.ndarray | None = None, dense: np.ndarray | None = None, ctr: float = 0.3) -> Rows:
    rng = np.random.default_rng(count)
    label = (rng.random(count) < ctr).astype(np.uint8)
    position = np.sort(rng.choice(50 * count, count, replace=False)) + (2 << 40)
    dense = np.empty((count, 0)) if dense is None else dense
    return Rows(position, label, dense, np.zeros((count, 1), np.uint64), time)


class SplitTest(parameterized.TestCase, tf.test.TestCase):
    """``decide`` and ``Decisions.splits``."""

    @parameterized.parameters((0.05, 0.1, 0), (0.3, 0.3, 5), (1e-3, 0.9, 1))
    def test_random_split_is_drawn_row_by_row(self, validation: float, test: float, seed: int) -> None:
        rows = _rows(5000)
        splits = decide(rows, SCHEMA, Request("random", validation, test, seed)).splits(rows)
        for split, position in zip(splits.tolist(), rows.position.tolist(), strict=True):
            drawn = reference.fraction(seed, "split", position)
            self.assertEqual(split, TEST if drawn < test else VALIDATION if drawn < test + validation else TRAIN)
        for number, share in ((TEST, test), (VALIDATION, validation)):
            self.assertGreater(stats.binomtest(int((splits == number).sum()), 5000, share).pvalue, 1e-4)

    @parameterized.parameters(0, 1, 2)
    def test_random_split_depends_on_the_row_alone(self, seed: int) -> None:
        rows = _rows(1000)
        request = Request("random", seed=seed)
        whole = decide(rows, SCHEMA, request).splits(rows)
        order = np.random.default_rng(1).permutation(1000)
        part = rows.take(order[:100])
        self.assertAllEqual(decide(part, SCHEMA, request).splits(part), whole[order[:100]])

    @parameterized.product(moment_rows=[1, 7, 400], split_by=["time", "order"])
    def test_latest_moments_are_held_out(self, moment_rows: int, split_by: Any) -> None:
        count = 4000 // moment_rows * moment_rows
        rng = np.random.default_rng(2)
        rows = _rows(count, rng.permutation(count) // moment_rows - 50)
        assert rows.time is not None
        moments = (rows.time if split_by == "time" else rows.position).tolist()
        splits = decide(rows.take(rng.permutation(count)), SCHEMA, Request(split_by, 0.1, 0.2)).splits(rows)
        # Rows from the latest back: the test split opens with the moment of the row that fills its share.
        backwards = sorted(moments, reverse=True)
        from_test = backwards[round(0.2 * count) - 1]
        from_validation = backwards[round((0.1 + 0.2) * count) - 1]
        expected = [TEST if m >= from_test else VALIDATION if m >= from_validation else TRAIN for m in moments]
        self.assertAllEqual(splits, expected)
        self.assertLen(set(zip(moments, splits.tolist(), strict=True)), len(set(moments)))  # none in two splits
        if split_by == "order" or moment_rows == 1:
            test, held_out = round(0.2 * count), round(0.3 * count)
            self.assertEqual(np.bincount(splits).tolist(), [count - held_out, held_out - test, test])

    @parameterized.parameters("time", "order")
    def test_sample_smaller_than_the_log_comes_near(self, split_by: Any) -> None:
        count, sampled = 50_000, 2000
        rng = np.random.default_rng(3)
        rows = _rows(count, rng.integers(0, 10**9, count))
        decisions = decide(rows.take(rng.choice(count, sampled, replace=False)), SCHEMA, Request(split_by, 0.1, 0.2))
        splits = decisions.splits(rows)
        # The threshold is an order statistic of the sample: its place in the log spreads like a binomial share.
        for held_out, share in ((splits == TEST, 0.2), (splits != TRAIN, 0.3)):
            self.assertLess(abs(held_out.mean() - share), 4.5 * (share * (1 - share) / sampled) ** 0.5)
        moments = rows.time if split_by == "time" else rows.position
        assert moments is not None
        self.assertLess(moments[splits == TRAIN].max(), moments[splits == VALIDATION].min())
        self.assertLess(moments[splits == VALIDATION].max(), moments[splits == TEST].min())

    def test_few_rows_give_one_to_each_held_out_split(self) -> None:
        rows = _rows(5, np.array([3, 1, 4, 0, 2]))
        self.assertAllEqual(decide(rows, SCHEMA, Request("time", 0.01, 0.01)).splits(rows), [1, 0, 2, 0, 0])
        one = rows.take(np.array([2]))
        self.assertAllEqual(decide(one, SCHEMA, Request("time")).splits(one), [2])

    @parameterized.parameters("random", "time", "order")
    def test_negatives_are_dropped_from_training_alone(self, split_by: Any) -> None:
        rows = _rows(20_000, np.arange(20_000), ctr=0.1)
        all_kept = decide(rows, SCHEMA, Request(split_by, seed=4)).splits(rows)
        kept_before = np.ones(20_000, bool)
        for rate in (0.9, 0.5, 0.1, 0.01):
            splits = decide(rows, SCHEMA, Request(split_by, seed=4, negative_rate=rate)).splits(rows)
            dropped = splits == DROPPED
            self.assertAllEqual(splits[~dropped], all_kept[~dropped])
            self.assertTrue(((all_kept == TRAIN) & (rows.label == 0))[dropped].all())
            candidates = np.flatnonzero((all_kept == TRAIN) & (rows.label == 0))
            drawn = [reference.fraction(4, "negatives", int(rows.position[i])) for i in candidates]
            self.assertAllEqual(dropped[candidates], np.array(drawn) >= rate)
            kept = int((~dropped[candidates]).sum())
            self.assertGreater(stats.binomtest(kept, len(candidates), rate).pvalue, 1e-4)
            # Who is kept at a rate is kept at every higher one.
            self.assertTrue((kept_before | dropped).all())
            kept_before = ~dropped

    def test_dense_means_are_of_the_sample_s_training_rows(self) -> None:
        rng = np.random.default_rng(6)
        dense = rng.normal(3, 5, (3000, 4))
        dense[rng.random((3000, 4)) < 0.1] = np.nan
        dense[:, 2], dense[:, 3] = 0.1, np.nan
        rows = _rows(3000, rng.permutation(3000), dense)
        assert rows.time is not None
        dense[rows.time == 2999, 2] = 5.0  # a row of the test split: the training values are constant
        schema = Schema("click", SCHEMA.categorical, tuple(DenseFeature(name) for name in "pqrs"), "ts")
        for rate, most in ((1.0, 2600), (0.3, 1500)):
            decisions = decide(rows, schema, Request("time", negative_rate=rate))
            training = dense[decisions.splits(rows) == TRAIN]
            self.assertLess(len(training), most)
            self.assertAllClose(decisions.dense_mean[:2], np.nanmean(training[:, :2], axis=0), rtol=1e-12)
            self.assertAllClose(decisions.dense_deviation[:2], np.nanstd(training[:, :2], axis=0), rtol=1e-12)
            self.assertAllClose(decisions.dense_mean[2:], [0.1, 0.0], rtol=1e-12)
            self.assertEqual(decisions.dense_deviation[2:], (0.0, 0.0))

    @parameterized.parameters((0.0, 0.1), (0.1, 0.0), (0.5, 0.5), (-0.1, 0.5), (float("nan"), 0.1))
    def test_impossible_shares(self, validation: float, test: float) -> None:
        with self.assertRaisesRegex(InputError, "both must be above 0, and their sum below 1"):
            Request("random", validation, test)

    @parameterized.parameters(0.0, -0.5, 1.01, float("nan"))
    def test_impossible_rates(self, rate: float) -> None:
        with self.assertRaisesRegex(
            InputError, f"the rate of kept negatives is {rate}; it must be above 0 and at most 1"
        ):
            Request("random", negative_rate=rate)

    def test_times_of_several_units_are_refused(self) -> None:
        seconds = 1_700_000_000 + np.arange(100)
        rows = _rows(100, time=np.where(np.arange(100) < 60, seconds, seconds * 10**6))
        with self.assertRaisesRegex(InputError, "column 'ts': seconds and microseconds are mixed.*write all times in"):
            decide(rows, SCHEMA, Request("time"))
        # Dates of 8 digits in one file, and dates with hyphens, which are seconds by now, in another.
        rows = _rows(100, time=np.where(np.arange(100) < 60, seconds, 20200704))
        with self.assertRaisesRegex(InputError, "column 'ts': seconds and dates of 8 digits are mixed"):
            decide(rows, SCHEMA, Request("time"))


class CountsTest(parameterized.TestCase, tf.test.TestCase):
    """``count_splits`` and ``check_counts``."""

    def test_counts_by_hand(self) -> None:
        rows = _rows(7)
        rows.label[:] = [1, 0, 1, 1, 0, 0, 0]
        counts = count_splits(rows, np.array([TRAIN, TRAIN, TEST, TEST, DROPPED, DROPPED, VALIDATION]))
        self.assertAllEqual(counts, [[2, 1], [1, 0], [2, 2], [2, 0]])
        self.assertAllEqual(count_splits(rows.take(np.arange(0)), np.zeros(0, np.int64)), np.zeros((4, 2)))

    def test_every_split_needs_both_labels(self) -> None:
        good = np.array([[10, 5], [3, 1], [2, 1], [0, 0]])
        decisions = Decisions(Request("random"), 0, 0)
        check_counts(good, decisions)
        for number, name in enumerate(SPLITS):
            for spoilt, message in (
                ((0, 0), f"the {name} split is empty"),
                ((4, 0), f"every label of the {name} split is 0"),
                ((4, 4), f"every label of the {name} split is 1"),
            ):
                counts = good.copy()
                counts[number] = spoilt
                with self.assertRaisesRegex(InputError, message):
                    check_counts(counts, decisions)

    def test_too_few_times_for_a_split_by_time(self) -> None:
        rows = _rows(100, time=np.repeat([5, 9], [39, 61]))
        decisions = decide(rows, SCHEMA, Request("time"))
        with self.assertRaisesRegex(InputError, "the log has 2 distinct times, the latest with 61.0% of the rows"):
            check_counts(count_splits(rows, decisions.splits(rows)), decisions)


if __name__ == "__main__":
    tf.test.main()
