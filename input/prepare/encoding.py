"""Writes rows as the model will see them: values become ids, dense features are scaled."""

import dataclasses

import numpy as np

from tfrs_scaling.input.manifest import Shard, SplitName
from tfrs_scaling.input.prepare.hashing import MISSING
from tfrs_scaling.input.prepare.rows import NO_CODE, Rows
from tfrs_scaling.input.prepare.split import Decisions
from tfrs_scaling.input.schema import CategoricalFeature, Schema
from tfrs_scaling.input.shards import PADDING, write_shard


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


@dataclasses.dataclass(frozen=True)
class WrittenShard:
    """A shard, and sums over its rows.

    Attributes:
        shard: the file.
        clicks: rows with label 1.
        loss, squared_loss: sums over rows of -ln(true probability of the label) and of its square; 0 if the true
            probability is unknown.
    """

    shard: Shard
    clicks: int
    loss: float
    squared_loss: float


def write_rows(
    folder: str,
    split: SplitName,
    number: int,
    total: int,
    rows: Rows,
    schema: Schema,
    decisions: Decisions,
    vocabularies: dict[str, Vocabulary],
) -> WrittenShard:
    """Encode rows and write them as one shard of a split.

    Args:
        folder: folder to write to.
        split: name of the split.
        number: number of the shard, from 0.
        total: how many shards the split has.
        rows: rows by ascending shuffle key.
        schema: columns of the rows.
        decisions: how dense features are scaled and records cut.
        vocabularies: vocabulary of each ``vocabulary`` feature.
    """
    loss = np.zeros(0)
    if rows.click_probability is not None:
        probability = np.ascontiguousarray(rows.click_probability)
        loss = -np.log(np.where(rows.label == 1, probability, 1 - probability))
    columns = encode(rows, schema, decisions, vocabularies)
    shard = write_shard(folder, split, number, total, columns, decisions.request.sizes.rows_per_record)
    return WrittenShard(shard, int(rows.label.sum()), float(loss.sum()), float((loss**2).sum()))


def encode(
    rows: Rows, schema: Schema, decisions: Decisions, vocabularies: dict[str, Vocabulary]
) -> dict[str, np.ndarray]:
    """The rows in the columns of ``shards.column_specs``, each an array [rows, values]."""
    ids = np.empty(rows.codes.shape, np.int32)
    for feature, slots in zip(schema.categorical, schema.slots, strict=True):
        codes = np.ascontiguousarray(rows.codes[:, slots.start : slots.stop])
        known = vocabularies[feature.name].ids_of(codes) if feature.encoding == "vocabulary" else codes.astype(np.int32)
        ids[:, slots.start : slots.stop] = np.where(codes == NO_CODE, PADDING, known) if len(slots) > 1 else known
    columns = {"label": rows.label[:, None], "ids": ids}
    if schema.dense:
        columns["dense"] = _scale(rows.dense, schema, decisions)
    if rows.time is not None:
        columns["time"] = rows.time[:, None]
    if rows.weight is not None:
        columns["weight"] = rows.weight[:, None].astype(np.float32)
    return columns


def _scale(dense: np.ndarray, schema: Schema, decisions: Decisions) -> np.ndarray:
    """float32 values, transformed as the schema says; missing ones become 0."""
    scaled = np.empty(dense.shape, np.float32)
    for k, feature in enumerate(schema.dense):
        if feature.transform == "log1p":
            transformed = np.log1p(np.maximum(dense[:, k], 0))
        else:
            transformed = (dense[:, k] - decisions.dense_mean[k]) / (decisions.dense_deviation[k] or 1.0)
        scaled[:, k] = np.where(np.isnan(dense[:, k]), 0, transformed)
    return scaled
