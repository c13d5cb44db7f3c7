"""Ids by frequency against ``collections.Counter``."""

# mypy: allow-untyped-calls
# (absl has no types)

import collections

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tfrs_scaling.input.prepare.hashing import MISSING
from tfrs_scaling.input.prepare.rows import NO_CODE
from tfrs_scaling.input.prepare.vocabulary import ValueCounts, Vocabulary
from tfrs_scaling.input.schema import CategoricalFeature


def _codes(count: int, distinct: int, seed: int = 0) -> np.ndarray:
    """Hashes of values, frequent and rare ones, with missing ones and padding among them."""
    rng = np.random.default_rng(seed)
    hashes = np.random.default_rng(99).integers(0, 2**64 - 2, distinct, np.uint64)
    codes = hashes[np.minimum(rng.geometric(0.05, count) - 1, distinct - 1)]
    codes[rng.random(count) < 0.05] = MISSING
    codes[rng.random(count) < 0.05] = NO_CODE
    return codes


def _counter(codes: np.ndarray) -> collections.Counter[int]:
    return collections.Counter(code for code in codes.ravel().tolist() if code < 2**64 - 2)


def _by_rank(counts: collections.Counter[int], min_count: int = 1) -> list[int]:
    frequent = [value for value, count in counts.items() if count >= min_count]
    return sorted(frequent, key=lambda value: (-counts[value], value))


class ValueCountsTest(parameterized.TestCase, tf.test.TestCase):
    """``ValueCounts``."""

    def _equals(self, values: ValueCounts, expected: dict[int, int]) -> None:
        self.assertEqual(dict(zip(values.hashes.tolist(), values.counts.tolist(), strict=True)), expected)
        self.assertEqual(values.hashes.tolist(), sorted(expected))
        self.assertEqual((values.hashes.dtype, values.counts.dtype), (np.uint64, np.int64))

    @parameterized.parameters((0, 5), (1, 5), (5000, 40), (5000, 5000))
    def test_equal_counter(self, count: int, distinct: int) -> None:
        codes = _codes(count, distinct)
        self._equals(ValueCounts.count(codes), _counter(codes))
        self._equals(ValueCounts.count(codes.reshape(-1, 1)), _counter(codes))

    def test_largest_and_smallest_hash_are_values(self) -> None:
        codes = np.array([0, 2**64 - 3, 2**64 - 2, 2**64 - 1, 0], np.uint64)
        self._equals(ValueCounts.count(codes), {0: 2, 2**64 - 3: 1})

    @parameterized.parameters(1, 2, 5, 50)
    def test_merged_parts_are_counted_together(self, parts: int) -> None:
        codes = _codes(3000, 60)
        merged = ValueCounts.merge([ValueCounts.count(part) for part in np.array_split(codes, parts)])
        self._equals(merged, _counter(codes))
        again = ValueCounts.merge([merged, ValueCounts.empty(), ValueCounts.count(codes)])
        self._equals(again, {value: 2 * count for value, count in _counter(codes).items()})
        self._equals(ValueCounts.merge([ValueCounts.empty()]), {})

    def test_most_frequent_are_counter_s_with_ties_by_hash(self) -> None:
        codes = _codes(2000, 90)
        counts = _counter(codes)
        self.assertLess(len(set(counts.values())), len(counts) - 5)  # there are ties
        for kept in (0, 1, 10, 50, 89, 90, 91, 1000):
            expected = {value: counts[value] for value in _by_rank(counts)[:kept]}
            self._equals(ValueCounts.count(codes).most_frequent(kept), expected)


class VocabularyTest(parameterized.TestCase, tf.test.TestCase):
    """``Vocabulary``."""

    @parameterized.product(cardinality=[1, 2, 10, 60, 1000], min_count=[1, 2, 5, 10_000])
    def test_ids_are_ranks(self, cardinality: int, min_count: int) -> None:
        codes = _codes(2000, 90)
        values = ValueCounts.count(codes)
        feature = CategoricalFeature("c", cardinality, min_count=min_count)
        vocabulary = Vocabulary.rank(values, feature, len(values.hashes))
        ranked = _by_rank(_counter(codes), min_count)[: cardinality - 1]
        ids = {value: rank for rank, value in enumerate(ranked, 1)}
        seen_and_unseen = np.concatenate([codes, np.array([0, 1, 2**63, 2**64 - 3], np.uint64)])
        found = vocabulary.ids_of(seen_and_unseen)
        self.assertEqual(found.dtype, np.int32)
        self.assertEqual(found.tolist(), [ids.get(code, 0) for code in seen_and_unseen.tolist()])
        self.assertEqual(vocabulary.ids_of(codes.reshape(-1, 4)).shape, (500, 4))
        self.assertEqual(vocabulary.size, len(_counter(codes)))

    def test_of_what_was_cut_before_is_the_same(self) -> None:
        # Workers pass on no more values than a table has room for.
        values = ValueCounts.count(_codes(2000, 90))
        feature = CategoricalFeature("c", 20, min_count=3)
        whole = Vocabulary.rank(values, feature, 90)
        cut = Vocabulary.rank(values.most_frequent(19), feature, 90)
        self.assertAllEqual(whole.hashes, cut.hashes)
        self.assertAllEqual(whole.ids, cut.ids)

    def test_empty_vocabulary_gives_zeros(self) -> None:
        vocabulary = Vocabulary.rank(ValueCounts.empty(), CategoricalFeature("c", 10), 0)
        self.assertEqual(vocabulary.ids_of(np.array([[1, 2], [int(MISSING), 0]], np.uint64)).tolist(), [[0, 0], [0, 0]])


if __name__ == "__main__":
    tf.test.main()
