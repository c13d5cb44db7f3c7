"""Rows as the model will see them: values become ids, dense features are scaled."""

import dataclasses

import numpy as np

from tfrs_scaling.input.prepare.hashing import MISSING
from tfrs_scaling.input.prepare.rows import NO_CODE, PADDING, Rows
from tfrs_scaling.input.prepare.split import Decisions
from tfrs_scaling.input.schema import CategoricalFeature, Schema


@dataclasses.dataclass(frozen=True)
class ValueCounts:
    """How often each value of a feature occurs.

    Attributes:
        hashes: uint64 [distinct], rising.
        counts: int64 [distinct].
    """

    hashes: np.ndarray
    counts: np.ndarray

    @staticmethod
    def of(codes: np.ndarray) -> "ValueCounts":
        """The counts of a vocabulary feature's codes (uint64, any shape); neither padding nor missing is a value."""
        return ValueCounts(*np.unique(codes[codes < MISSING], return_counts=True))

    @staticmethod
    def none() -> "ValueCounts":
        """The counts of no values."""
        return ValueCounts(np.empty(0, np.uint64), np.empty(0, np.int64))

    @staticmethod
    def merged(parts: list["ValueCounts"]) -> "ValueCounts":
        """The sum of several counts (at least one)."""
        hashes = np.concatenate([part.hashes for part in parts])
        distinct, inverse = np.unique(hashes, return_inverse=True)
        counts = np.zeros(len(distinct), np.int64)
        np.add.at(counts, inverse, np.concatenate([part.counts for part in parts]))
        return ValueCounts(distinct, counts)

    def most_frequent(self, count: int) -> "ValueCounts":
        """The ``count`` most frequent values, equally frequent ones by their hashes."""
        kept = np.sort(np.lexsort((self.hashes, -self.counts))[:count])
        return ValueCounts(self.hashes[kept], self.counts[kept])


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The ids of a feature's values.

    Attributes:
        hashes: uint64 [values], rising.
        ids: int32 [values], from 1 by falling frequency.
        size: distinct values in the training split, with an id or without.
    """

    hashes: np.ndarray
    ids: np.ndarray
    size: int

    @staticmethod
    def ranked(values: ValueCounts, feature: CategoricalFeature, size: int) -> "Vocabulary":
        """Ids for the most frequent values, as many as the feature's table has room for."""
        frequent = values.counts >= feature.min_count
        kept = ValueCounts(values.hashes[frequent], values.counts[frequent]).most_frequent(feature.cardinality - 1)
        ids = np.empty(len(kept.hashes), np.int32)
        ids[np.lexsort((kept.hashes, -kept.counts))] = np.arange(1, len(ids) + 1)
        return Vocabulary(kept.hashes, ids, size)

    def ids_of(self, codes: np.ndarray) -> np.ndarray:
        """int32 ids of the codes, 0 for those without one; the same shape."""
        if not len(self.hashes):
            return np.zeros(codes.shape, np.int32)
        place = np.minimum(np.searchsorted(self.hashes, codes), len(self.hashes) - 1)
        return np.where(self.hashes[place] == codes, self.ids[place], np.int32(0))


def count_values(rows: Rows, counted: np.ndarray, schema: Schema) -> dict[str, ValueCounts]:
    """Per ``vocabulary`` feature, how often its values occur in the rows that are ``counted`` (bool [n])."""
    return {
        feature.name: ValueCounts.of(rows.codes[counted, slots.start : slots.stop])
        for feature, slots in zip(schema.categorical, schema.slots, strict=True)
        if feature.encoding == "vocabulary"
    }


def encode(
    rows: Rows, schema: Schema, decisions: Decisions, vocabularies: dict[str, Vocabulary]
) -> dict[str, np.ndarray]:
    """The rows as ``shards.column_specs`` has them: per column an array [rows, values]."""
    ids = np.empty(rows.codes.shape, np.int32)
    for feature, slots in zip(schema.categorical, schema.slots, strict=True):
        codes = np.ascontiguousarray(rows.codes[:, slots.start : slots.stop])
        known = vocabularies[feature.name].ids_of(codes) if feature.encoding == "vocabulary" else codes.astype(np.int32)
        ids[:, slots.start : slots.stop] = np.where(codes == NO_CODE, PADDING, known) if len(slots) > 1 else known
    columns = {"label": rows.label[:, None], "ids": ids}
    if schema.dense:
        columns["dense"] = _scaled(rows.dense, schema, decisions)
    if rows.time is not None:
        columns["time"] = rows.time[:, None]
    if rows.weight is not None:
        columns["weight"] = rows.weight[:, None].astype(np.float32)
    return columns


def _scaled(dense: np.ndarray, schema: Schema, decisions: Decisions) -> np.ndarray:
    """float32 values as the schema transforms them, missing ones 0."""
    scaled = np.empty(dense.shape, np.float32)
    for k, feature in enumerate(schema.dense):
        if feature.transform == "log1p":
            transformed = np.log1p(np.maximum(dense[:, k], 0))
        else:
            transformed = (dense[:, k] - decisions.dense_mean[k]) / (decisions.dense_deviation[k] or 1.0)
        scaled[:, k] = np.where(np.isnan(dense[:, k]), 0, transformed)
    return scaled
