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


@dataclasses.dataclass(frozen=True)
class Encoded:
    """Encoded rows.

    Attributes:
        columns: those of ``shards.column_specs``, each an array [rows, values].
        click_probability: as in ``Rows``.
    """

    columns: dict[str, np.ndarray]
    click_probability: np.ndarray | None


def write_encoded(
    folder: str, split: SplitName, number: int, total: int, blocks: Sequence[Encoded], rows_per_record: int
) -> WrittenShard:
    """Write encoded rows as one shard of a split.

    Args:
        folder: folder to write to.
        split: name of the split.
        number: number of the shard, from 0.
        total: how many shards the split has.
        blocks: the rows by ascending shuffle key, in blocks (at least one).
        rows_per_record: rows in every record except the last.
    """
    label = np.concatenate([block.columns["label"][:, 0] for block in blocks])
    probabilities = [block.click_probability for block in blocks if block.click_probability is not None]
    loss = np.zeros(0)
    if probabilities:
        probability = np.concatenate(probabilities)
        loss = -np.log(np.where(label == 1, probability, 1 - probability))
    shard = write_shard(folder, split, number, total, (block.columns for block in blocks), rows_per_record)
    return WrittenShard(shard, int(label.sum()), float(loss.sum()), float((loss**2).sum()))


def encode(rows: Rows, schema: Schema, decisions: Decisions, vocabularies: dict[str, Vocabulary]) -> Encoded:
    """Encode rows.

    Args:
        rows: the rows.
        schema: their columns.
        decisions: how dense features are scaled.
        vocabularies: vocabulary of each ``vocabulary`` feature.
    """
    ids = rows.codes.astype(np.int32)  # what codes are but in a vocabulary; the low half of NO_CODE is PADDING
    for feature, slots in zip(schema.categorical, schema.slots, strict=True):
        if feature.encoding == "vocabulary":
            codes = np.ascontiguousarray(rows.codes[:, slots.start : slots.stop])
            known = vocabularies[feature.name].ids_of(codes)
            ids[:, slots.start : slots.stop] = np.where(codes == NO_CODE, PADDING, known) if len(slots) > 1 else known
    columns = {"label": rows.label[:, None], "ids": ids}
    if schema.dense:
        columns["dense"] = _scale(rows.dense, schema, decisions)
    if rows.time is not None:
        columns["time"] = rows.time[:, None]
    if rows.weight is not None:
        columns["weight"] = rows.weight[:, None].astype(np.float32)
    return Encoded(columns, rows.click_probability)


def _scale(dense: np.ndarray, schema: Schema, decisions: Decisions) -> np.ndarray:
    """float32 values, transformed as the schema says; missing ones become 0."""
    scaled = np.empty(dense.shape, np.float32)
    logarithmic = np.array([feature.transform == "log1p" for feature in schema.dense])
    scaled[:, logarithmic] = np.log1p(np.maximum(dense[:, logarithmic], 0))
    mean, deviation = (np.array(each)[~logarithmic] for each in (decisions.dense_mean, decisions.dense_deviation))
    scaled[:, ~logarithmic] = (dense[:, ~logarithmic] - mean) / np.where(deviation == 0, 1.0, deviation)
    scaled[np.isnan(dense)] = 0
    return scaled
