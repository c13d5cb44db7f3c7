"""The ids of categorical values, by how often they occur."""

import dataclasses

import numpy as np

from tfrs_scaling.input.prepare.hashing import MISSING
from tfrs_scaling.input.prepare.rows import Rows
from tfrs_scaling.input.schema import CategoricalFeature, Schema


@dataclasses.dataclass(frozen=True)
class ValueCounts:
    """How often each value of a feature occurs.

    Attributes:
        hashes: uint64 [distinct], ascending.
        counts: int64 [distinct].
    """

    hashes: np.ndarray
    counts: np.ndarray

    @staticmethod
    def count(codes: np.ndarray) -> "ValueCounts":
        """Count a vocabulary feature's codes (uint64, any shape), ignoring padding and missing values."""
        return ValueCounts(*np.unique(codes[codes < MISSING], return_counts=True))

    @staticmethod
    def empty() -> "ValueCounts":
        """Counts of no values."""
        return ValueCounts(np.empty(0, np.uint64), np.empty(0, np.int64))

    @staticmethod
    def merge(parts: list["ValueCounts"]) -> "ValueCounts":
        """The sum of several counts (at least one)."""
        hashes = np.concatenate([part.hashes for part in parts])
        distinct, inverse = np.unique(hashes, return_inverse=True)
        counts = np.zeros(len(distinct), np.int64)
        np.add.at(counts, inverse, np.concatenate([part.counts for part in parts]))
        return ValueCounts(distinct, counts)

    def most_frequent(self, count: int) -> "ValueCounts":
        """The ``count`` most frequent values, ties resolved by hash."""
        kept = np.sort(np.lexsort((self.hashes, -self.counts))[:count])
        return ValueCounts(self.hashes[kept], self.counts[kept])


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The ids of a feature's values.

    Attributes:
        hashes: uint64 [values], ascending.
        ids: int32 [values], from 1 by descending frequency.
        size: distinct values in the training split, with an id or without.
    """

    hashes: np.ndarray
    ids: np.ndarray
    size: int

    @staticmethod
    def rank(values: ValueCounts, feature: CategoricalFeature, size: int) -> "Vocabulary":
        """Give ids to the most frequent values, as many as fit the feature's table."""
        frequent = values.counts >= feature.min_count
        kept = ValueCounts(values.hashes[frequent], values.counts[frequent]).most_frequent(feature.cardinality - 1)
        ids = np.empty(len(kept.hashes), np.int32)
        ids[np.lexsort((kept.hashes, -kept.counts))] = np.arange(1, len(ids) + 1)
        return Vocabulary(kept.hashes, ids, size)

    def ids_of(self, codes: np.ndarray) -> np.ndarray:
        """int32 ids of the codes, 0 for those without an id; the same shape."""
        if not len(self.hashes):
            return np.zeros(codes.shape, np.int32)
        place = np.minimum(np.searchsorted(self.hashes, codes), len(self.hashes) - 1)
        return np.where(self.hashes[place] == codes, self.ids[place], np.int32(0))


def count_values(rows: Rows, counted: np.ndarray, schema: Schema) -> dict[str, ValueCounts]:
    """Counts per ``vocabulary`` feature over the rows where ``counted`` (bool [n]) is true."""
    return {
        feature.name: ValueCounts.count(rows.codes[counted, slots.start : slots.stop])
        for feature, slots in zip(schema.categorical, schema.slots, strict=True)
        if feature.encoding == "vocabulary"
    }
