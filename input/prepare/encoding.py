"""Writes rows as the model will see them: values become ids, dense features are scaled."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfrs_scaling.input.manifest import Shard, SplitName
from tfrs_scaling.input.prepare.rows import NO_CODE, Rows
from tfrs_scaling.input.prepare.split import Decisions
from tfrs_scaling.input.prepare.vocabulary import Vocabulary
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.shards import PADDING, write_shard


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
    blocks: Sequence[Rows],
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
        blocks: the rows by ascending shuffle key, in blocks (at least one) that are encoded one by one: temporary
            arrays of the size of a shard take longer to allocate than to fill.
        schema: columns of the rows.
        decisions: how dense features are scaled and records cut.
        vocabularies: vocabulary of each ``vocabulary`` feature.
    """
    label = np.concatenate([rows.label for rows in blocks])
    probabilities = [rows.click_probability for rows in blocks if rows.click_probability is not None]
    loss = np.zeros(0)
    if probabilities:
        probability = np.concatenate(probabilities)
        loss = -np.log(np.where(label == 1, probability, 1 - probability))
    encoded = [encode(rows, schema, decisions, vocabularies) for rows in blocks]
    columns = {name: np.concatenate([block[name] for block in encoded]) for name in encoded[0]}
    shard = write_shard(folder, split, number, total, columns, decisions.request.sizes.rows_per_record)
    return WrittenShard(shard, int(label.sum()), float(loss.sum()), float((loss**2).sum()))


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
