"""The older rows of a training split, held apart from those that trials are trained on."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from tfrs_scaling.input.manifest import Manifest
from tfrs_scaling.input.shards import ClickData, parse_record

SAMPLED_RECORDS = 64  # the shards hold the rows shuffled, so their first records are a random sample
STANDARD_DEVIATIONS = 4  # a count is off by so many, in one direction, once in 30,000 times


@dataclasses.dataclass(frozen=True)
class History:
    """Which rows of the training split are held apart.

    Where the data are split by time they are the oldest. Elsewhere they are drawn: the shards hold the rows shuffled,
    and nothing in them tells which came first.

    Attributes:
        until: the time up to which rows are held apart, in the unit of the schema's column; None where they are drawn.
        share: the share held apart of the rows at that time exactly, or of all where they are drawn.
    """

    until: int | None
    share: float


def rows_held_apart(total: int, rows: int, sampled: int = 0) -> tuple[int, int]:
    """How many rows to hold apart for at least ``rows`` to be among them, and how many are left beside them at least.

    Rows are drawn, and a time is measured on a sample: the margin on both sides is ``STANDARD_DEVIATIONS``.

    Args:
        total: rows of the training split.
        rows: rows wanted.
        sampled: rows that the time is measured on, where the oldest are held apart; 0 where rows are drawn.

    Returns:
        The expected number of rows held apart, and the least number of others; 0 where there are too few.

    Examples:
        >>> rows_held_apart(1_000_000, 200_000), rows_held_apart(1_000_000, 999_999)
        ((201600, 796800), (1000000, 0))
    """
    share = min(1.0, rows / total)
    variance = total * share * (1 - share)
    if sampled:
        variance *= 1 + total / min(total, sampled)
    margin = math.ceil(STANDARD_DEVIATIONS * math.sqrt(variance))
    return min(total, rows + margin), max(0, total - rows - 2 * margin)


def rows_sampled(manifest: Manifest) -> int:
    """Rows that a time is measured on; 0 where rows are drawn."""
    return SAMPLED_RECORDS * manifest.rows_per_record if manifest.split_by == "time" else 0


def find_history(data: ClickData, rows: int) -> History:
    """The history of at least ``rows`` rows; the same on every machine."""
    total = data.manifest.splits["train"].rows
    share = rows_held_apart(total, rows, rows_sampled(data.manifest))[0] / total
    if data.manifest.split_by != "time":
        return History(None, share)
    schema = data.manifest.schema
    records = tf.data.TFRecordDataset(data.files("train")).take(SAMPLED_RECORDS)
    times = np.sort(np.concatenate([parse_record(record, schema)["time"].numpy()[:, 0] for record in records]))
    until = times[min(int(share * len(times)), len(times) - 1)]
    earlier, same = np.mean(times < until), np.mean(times == until)
    return History(int(until), float((share - earlier) / same))
