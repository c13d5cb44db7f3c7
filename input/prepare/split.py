"""Which rows train, validate and test, and the statistics that are measured on a sample beforehand."""

import dataclasses

import numpy as np

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.parallel import in_order
from tfrs_scaling.common.words import listed, plural, share
from tfrs_scaling.input.logs.values.times import mixed_units
from tfrs_scaling.input.manifest import SPLITS, SplitBy, short_hash
from tfrs_scaling.input.prepare.hashing import draws, fractions
from tfrs_scaling.input.prepare.rows import Rows
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.shards import RECORDS_PER_SHARD, ROWS_PER_RECORD, shard_count

DROPPED = len(SPLITS)  # the split of negatives that are left out of training


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of blocks and buffers; the defaults suit logs of any length.

    Attributes:
        rows_per_record: rows in every record of a shard except the last.
        records_per_shard: mean number of records in a shard; the number of shards is rounded.
        sample_rows: the rows of lowest shuffle key, a random sample on which the time thresholds and the dense scales
            are measured; the whole log if it is no longer.
        bucket_bits: rows are sorted on disk in ``2**bucket_bits`` buckets, one at a time in memory.
        unmerged_values: distinct values of a feature that are counted before the counts are merged.
    """

    rows_per_record: int = ROWS_PER_RECORD
    records_per_shard: int = RECORDS_PER_SHARD
    sample_rows: int = 1 << 20
    bucket_bits: int = 8
    unmerged_values: int = 1 << 22

    def shard_count(self, rows: int) -> int:
        """The number of shards of a split with ``rows`` rows."""
        return shard_count(rows, self.rows_per_record * self.records_per_shard)


@dataclasses.dataclass(frozen=True)
class Request:
    """How a log is to be split, shuffled and cut.

    Attributes:
        split_by: ``time`` puts the latest rows into test and those before into validation, never dividing a moment;
            ``order`` does the same by the order of the log; ``random`` draws.
        validation: share of the rows in the validation split.
        test: share of the rows in the test split.
        seed: seed of the random draws and the shuffle.
        negative_rate: the share of the negatives that the training split keeps.
        sizes: sizes of blocks and buffers.

    Raises:
        InputError: a share is out of range.
    """

    split_by: SplitBy
    validation: float = 0.05
    test: float = 0.1
    seed: int = 0
    negative_rate: float = 1.0
    sizes: Sizes = Sizes()

    def __post_init__(self) -> None:
        if not (self.validation > 0 and self.test > 0 and self.validation + self.test < 1):
            raise InputError(
                f"validation {self.validation} and test {self.test}: both must be above 0, and their sum below 1"
            )
        if not 0 < self.negative_rate <= 1:
            raise InputError(f"the rate of kept negatives is {self.negative_rate}; it must be above 0 and at most 1")

    @property
    def hash(self) -> str:
        """16 hexadecimal digits that change with which rows are in which split, and their order."""
        return short_hash([self.split_by, self.validation, self.test, self.seed, self.negative_rate])


@dataclasses.dataclass(frozen=True)
class Decisions:
    """What is decided on a sample of the log.

    Attributes:
        request: how the log is to be split.
        from_validation, from_test: the first moment of each; 0 if the split is random.
        dense_mean, dense_deviation: for each dense feature, over the sample's training rows.
        moments: distinct times in the sample, if the split is by time.
        latest_share: the share of the sample's rows at the latest of them.
    """

    request: Request
    from_validation: int
    from_test: int
    dense_mean: tuple[float, ...] = ()
    dense_deviation: tuple[float, ...] = ()
    moments: int = 0
    latest_share: float = 0.0

    def splits(self, rows: Rows) -> np.ndarray:
        """Per row the number of its split in ``SPLITS``, or ``DROPPED``: int64 [n]."""
        request = self.request
        if request.split_by == "random":
            drawn = fractions(draws(request.seed, "split", rows.position))
            in_test, held_out = drawn < request.test, drawn < request.test + request.validation
        else:
            moment = _moments(rows, request.split_by)
            in_test, held_out = moment >= self.from_test, moment >= self.from_validation
        split = np.where(in_test, SPLITS.index("test"), np.where(held_out, SPLITS.index("validation"), 0))
        if request.negative_rate < 1:
            dropped = fractions(draws(request.seed, "negatives", rows.position)) >= request.negative_rate
            split[(split == SPLITS.index("train")) & (rows.label == 0) & dropped] = DROPPED
        return split


def decide(sample: Rows, schema: Schema, request: Request, threads: int = 1) -> Decisions:
    """Measure thresholds, means and deviations on a sample.

    Args:
        sample: the ``sample_rows`` rows of lowest shuffle key, in that order.
        schema: columns of the rows.
        request: how the log is to be split.
        threads: how many measure means and deviations.

    Raises:
        InputError: the times are of several units.
    """
    if sample.time is not None and (mixed := mixed_units(sample.time)):
        raise InputError(
            f"column {schema.time!r}: {listed(mixed)} are mixed, and which row is later is not known: write all times "
            "in one unit"
        )
    from_validation = from_test = moments = 0
    latest_share = 0.0
    if request.split_by != "random":
        earliest_first = np.sort(_moments(sample, request.split_by))
        count = len(earliest_first)
        from_test = int(earliest_first[count - max(1, round(request.test * count))])
        held_out = max(2, round((request.test + request.validation) * count))
        from_validation = int(earliest_first[max(0, count - held_out)])
        moments = 1 + int((np.diff(earliest_first) > 0).sum())
        latest_share = float((earliest_first == earliest_first[-1]).mean())
    decisions = Decisions(request, from_validation, from_test, moments=moments, latest_share=latest_share)
    training = decisions.splits(sample) == SPLITS.index("train")

    def measured(k: int) -> tuple[float, float]:
        column = np.ascontiguousarray(sample.dense[training, k])
        known = column[~np.isnan(column)]
        constant = len(known) == 0 or known.min() == known.max()  # then the computed deviation may be a rounding error
        return float(known.mean()) if len(known) else 0.0, 0.0 if constant else float(known.std())

    scales = list(in_order(measured, range(len(schema.dense)), threads))
    return dataclasses.replace(
        decisions,
        dense_mean=tuple(mean for mean, _ in scales),
        dense_deviation=tuple(deviation for _, deviation in scales),
    )


def _moments(rows: Rows, split_by: SplitBy) -> np.ndarray:
    if split_by == "order":
        return rows.position
    assert rows.time is not None
    return rows.time


def count_splits(rows: Rows, splits: np.ndarray) -> np.ndarray:
    """Rows and clicks of each split and of ``DROPPED``: int64 [splits + 1, 2]."""
    return np.stack(
        [np.bincount(chosen, minlength=len(SPLITS) + 1) for chosen in (splits, splits[rows.label == 1])], axis=1
    )


def check_counts(counts: np.ndarray, decisions: Decisions) -> None:
    """Check that every split has rows of both labels.

    Args:
        counts: results of ``count_splits``, summed over the log.
        decisions: decisions by which the rows were split.

    Raises:
        InputError: a split is empty, or all its labels are the same.
    """
    for name, (rows, clicks) in zip(SPLITS, counts.tolist(), strict=False):
        if not rows and decisions.request.split_by == "time":
            raise InputError(
                f"the {name} split is empty: a split by time never divides a moment, and the log has "
                f"{plural(decisions.moments, 'distinct time')}, the latest with {share(decisions.latest_share)} of the "
                "rows; use finer times, or --split order or random"
            )
        if not rows:
            raise InputError(f"the {name} split is empty: use more rows or a larger share")
        if clicks in (0, rows):
            raise InputError(
                f"every label of the {name} split is {clicks // rows}: use a log, or a split, with both labels"
            )
