"""Describes prepared data in one pass: splits, features, frequencies, collisions and the click rate over time."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Literal

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.describe.frequency import Collisions, Tally, Zipf, collisions, fit_zipf, thinned
from tfrs_scaling.input.manifest import SPLITS, Manifest, SplitName, describe
from tfrs_scaling.input.prepare.hashing import MISSING, hash_values
from tfrs_scaling.input.prepare.rows import ID_BITS
from tfrs_scaling.input.schema import CategoricalFeature, scaled_size
from tfrs_scaling.input.shards import PADDING, ClickData, parse_record

MULTIPLIERS = (Fraction(1, 64), Fraction(1, 16), Fraction(1, 4), Fraction(1))
BINS = 50
BLOCK_ROWS = 1 << 17
MAX_TIME_CELLS = 1 << 17  # per split; neighbouring moments are merged to stay below
_NORMAL_95 = 1.959963984540054  # 97.5th percentile of the standard normal distribution
Block = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Rate:
    """A click-through rate.

    Attributes:
        rows, clicks: counted.
        ctr: clicks per row.
        low, high: the 95 % Wilson interval of ``ctr``, as if rows were independent.
        weighted_ctr: share of the rows' weight that is on clicks; None without weights.
    """

    rows: int
    clicks: int
    ctr: float
    low: float
    high: float
    weighted_ctr: float | None


@dataclasses.dataclass(frozen=True)
class TimeBin:
    """The rows of a split from the moment ``first`` to the moment ``last``, in the log's unit of time."""

    first: int
    last: int
    rate: Rate


@dataclasses.dataclass(frozen=True)
class FeatureSummary:
    """A categorical feature, in the training split unless said otherwise.

    A multi-hot row counts once for each of its distinct ids. The id of missing values does not count as an id here, but
    it takes a table row like any other and so may collide.

    Attributes:
        name, encoding, cardinality, max_values: from the schema.
        distinct: how many ids there are.
        missing: the share of the log's rows without a value, before encoding; None if unknown: for multi-hot features,
            and if negatives were left out of training (the manifest counts those, too).
        no_own_id: for each split, the share of rows that hold id 0 of a ``vocabulary`` (missing, rare, or unseen in
            training), or the hash of the missing value; None for the encoding ``id``, which has no missing values.
        unseen: the share of test rows with an id that no training row has.
        unseen_is_bound: ``unseen`` is an upper bound: unseen values have id 0, like values that are missing or rare in
            training.
        ids_per_row: mean number of ids of a row.
        top_share: the share of rows that hold the most frequent id.
        curve: (rank, rows that hold the id of this rank), thinned to about 200 ranks.
        occurrences: number of occurrences of all ids together.
        zipf: the rank-frequency law; None if there are fewer than two ids.
        collisions: collisions in the table, by V multiplier.
    """

    name: str
    encoding: Literal["vocabulary", "hash", "id"]
    cardinality: int
    max_values: int
    distinct: int
    missing: float | None
    no_own_id: dict[SplitName, float] | None
    unseen: float
    unseen_is_bound: bool
    ids_per_row: float
    top_share: float
    curve: tuple[tuple[int, int], ...]
    occurrences: int
    zipf: Zipf | None
    collisions: dict[Fraction, Collisions]


@dataclasses.dataclass(frozen=True)
class DenseSummary:
    """A dense feature as stored, that is after its transform, in the training split.

    Attributes:
        name, transform: from the schema.
        low, mean, high: statistics over all rows.
        zero: share of rows that hold exactly 0; missing values are stored as 0, too.
        missing: the share of the log's rows without a value; None if negatives were left out of training.
    """

    name: str
    transform: Literal["log1p", "standardize"]
    low: float
    mean: float
    high: float
    zero: float
    missing: float | None


@dataclasses.dataclass(frozen=True)
class Description:
    """What a folder of prepared data holds.

    Attributes:
        source: where the rows are from and how they were split, in words.
        data_hash, negative_rate: as in the manifest.
        splits: the click-through rate of each.
        categorical, dense: the features, in the schema's order.
        repeated: the share of rows that equal an earlier one in every column.
        warnings: warnings in the manifest.
        time_bins: for each split, the rate over time in bins of about equal rows, ``BINS`` over all splits; None if the
            schema has no time column.
    """

    source: str
    data_hash: str
    negative_rate: float
    splits: dict[SplitName, Rate]
    categorical: tuple[FeatureSummary, ...]
    dense: tuple[DenseSummary, ...]
    repeated: float
    warnings: tuple[str, ...]
    time_bins: dict[SplitName, tuple[TimeBin, ...]] | None


def describe_data(
    data: ClickData,
    progress: Callable[[int], None],
    *,
    block_rows: int = BLOCK_ROWS,
    time_cells: int = MAX_TIME_CELLS,
) -> Description:
    """Read every shard once; memory grows with the distinct ids of the training split, not with the rows.

    Args:
        data: the opened folder.
        progress: called after each block with the number of rows read so far.
        block_rows: rows to read at a time.
        time_cells: distinct moments to keep per split; neighbours are merged if there are more.

    Raises:
        InputError: names the split that cannot be read.
    """
    manifest = data.manifest
    schema = manifest.schema
    features = [_Feature(feature) for feature in schema.categorical]
    dense = _Dense(len(schema.dense))
    clicks, times = {name: np.zeros(4) for name in SPLITS}, {name: _Times(time_cells) for name in SPLITS}
    read, repeats = 0, _Repeats()
    for name in SPLITS:
        for block in _blocks(data, name, block_rows):
            sums = _click_columns(block)
            clicks[name] += sums.sum(axis=0)
            for feature, slots in zip(features, schema.slots, strict=True):
                feature.add(name, block["ids"][:, slots.start : slots.stop])
            if schema.dense and name == "train":
                dense.add(block["dense"])
            if schema.time is not None:
                times[name].add(block["time"][:, 0], sums)
            repeats.add(block)
            read += len(sums)
            progress(read)
    weighted, missing = schema.weight is not None, _missing_shares(manifest)
    rows_per_bin = read / BINS
    return Description(
        source=describe(manifest)["description"],
        data_hash=manifest.data_hash,
        negative_rate=manifest.negative_rate,
        splits={name: _rate(clicks[name], weighted) for name in SPLITS},
        categorical=tuple(feature.summary(missing) for feature in features),
        dense=tuple(
            DenseSummary(feature.name, feature.transform, *numbers, missing[feature.name])
            for feature, numbers in zip(schema.dense, dense.summaries(), strict=True)
        ),
        repeated=repeats.share(),
        warnings=tuple(manifest.warnings),
        time_bins=None if schema.time is None else {name: times[name].bins(rows_per_bin, weighted) for name in SPLITS},
    )


def _missing_shares(manifest: Manifest) -> dict[str, float | None]:
    """By feature, the share of the log's rows without a value."""
    rows = sum(split.rows for split in manifest.splits.values())
    dense = [feature.name for feature in manifest.schema.dense]
    several = {feature.name: feature.max_values > 1 for feature in manifest.schema.categorical}
    return {
        name: None if manifest.negative_rate < 1 or several.get(name) else manifest.missing.get(name, 0) / rows
        for name in (*dense, *several)
    }


def _blocks(data: ClickData, split: SplitName, block_rows: int) -> Iterator[Block]:
    """The split's rows: per column of ``column_specs``, an array [rows, values]."""
    schema = data.manifest.schema
    records = tf.data.TFRecordDataset(data.files(split)).map(lambda record: parse_record(record, schema))
    try:
        yield from records.rebatch(block_rows).as_numpy_iterator()
    except tf.errors.OpError as error:
        raise InputError(
            f"{data.folder}: the {split} split cannot be read ({error.message}); "
            "`tfrs-scaling data check` says which shard is damaged"
        ) from None


def _click_columns(block: Block) -> np.ndarray:
    """What rates are computed from, per row: 1, click, weight, weight if clicked. float64 [rows, 4]."""
    label = block["label"][:, 0].astype(np.float64)
    weight = block["weight"][:, 0].astype(np.float64) if "weight" in block else np.ones_like(label)
    return np.stack([np.ones_like(label), label, weight, weight * label], axis=1)


def _rate(sums: np.ndarray, weighted: bool) -> Rate:
    rows, clicks, weight, clicked_weight = (float(value) for value in sums)
    low, high = wilson_interval(clicks, rows)
    weighted_ctr = clicked_weight / weight if weighted and weight > 0 else None
    return Rate(int(rows), int(clicks), clicks / rows, low, high, weighted_ctr)


def wilson_interval(clicks: float, rows: float) -> tuple[float, float]:
    """The 95 % interval of a probability that came true ``clicks`` times in ``rows``, rows > 0 (Wilson 1927)."""
    rate, z2 = clicks / rows, _NORMAL_95**2
    middle = (rate + z2 / (2 * rows)) / (1 + z2 / rows)
    half = _NORMAL_95 / (1 + z2 / rows) * math.sqrt(rate * (1 - rate) / rows + z2 / (4 * rows**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _missing_id(feature: CategoricalFeature) -> int | None:
    """The id of missing values; None for the encoding ``id``, which rejects rows without a value."""
    if feature.encoding == "vocabulary":
        return 0
    return int(MISSING & np.uint64(2**ID_BITS - 1)) if feature.encoding == "hash" else None


class _Feature:
    """Accumulates the statistics of a categorical feature."""

    def __init__(self, feature: CategoricalFeature):
        self._feature = feature
        self._missing_id = _missing_id(feature)
        self._tally = Tally()
        self._ids = self._unseen = 0
        self._rows, self._no_own_id = dict.fromkeys(SPLITS, 0), dict.fromkeys(SPLITS, 0)

    def add(self, split: SplitName, ids: np.ndarray) -> None:
        """Add the ids (int32 [rows, slots]) of a block; the training split must come first."""
        self._rows[split] += len(ids)
        if self._missing_id is not None:
            self._no_own_id[split] += int((ids == self._missing_id).any(axis=1).sum())
        if split == "train":
            self._ids += int((ids != PADDING).sum())
            self._tally.add(unique_per_row(ids))
        elif split == "test":
            self._unseen += int((~_contains(self._tally.result()[0], ids) & (ids != PADDING)).any(axis=1).sum())

    def summary(self, missing: dict[str, float | None]) -> FeatureSummary:
        """The summary, given the shares of missing values by feature; every split must have been added."""
        feature, rows = self._feature, self._rows
        ids, sums = self._tally.result()
        counts = sums[:, 0].astype(np.int64)
        falling = np.sort(counts[ids != self._missing_id] if self._missing_id is not None else counts)[::-1]
        # If training has id 0, the unseen values of a vocabulary are among the rows of id 0.
        unseen_is_bound = feature.encoding == "vocabulary" and 0 in ids[:1]
        unseen = self._no_own_id["test"] if unseen_is_bound else self._unseen
        return FeatureSummary(
            name=feature.name,
            encoding=feature.encoding,
            cardinality=feature.cardinality,
            max_values=feature.max_values,
            distinct=len(falling),
            missing=missing[feature.name],
            no_own_id=None
            if self._missing_id is None
            else {name: self._no_own_id[name] / rows[name] for name in SPLITS},
            unseen=unseen / rows["test"],
            unseen_is_bound=unseen_is_bound,
            ids_per_row=self._ids / rows["train"],
            top_share=float(falling[:1].sum()) / rows["train"],
            curve=tuple(zip(*(part.tolist() for part in thinned(falling)), strict=True)) if len(falling) else (),
            occurrences=int(falling.sum()),
            zipf=fit_zipf(falling),
            collisions={v: collisions(ids, counts, scaled_size(feature.cardinality, v)) for v in MULTIPLIERS},
        )


def unique_per_row(ids: np.ndarray) -> np.ndarray:
    """The ids of all rows, [n], without repetition inside a row."""
    if ids.shape[1] == 1:
        return ids[:, 0]
    ids = np.sort(ids, axis=1)
    first = np.ones(ids.shape, bool)
    first[:, 1:] = ids[:, 1:] != ids[:, :-1]
    return ids[first & (ids != PADDING)]


def _contains(ascending: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Which ids are among ``ascending``, which is not empty: bool of the shape of ``ids``."""
    place = np.searchsorted(ascending, ids).clip(max=len(ascending) - 1)
    found: np.ndarray = ascending[place] == ids
    return found


class _Dense:
    """Accumulates the dense features' ranges."""

    def __init__(self, features: int):
        self._rows = 0
        self._low, self._high = np.full(features, np.inf), np.full(features, -np.inf)
        self._sum, self._zeros = np.zeros(features), np.zeros(features)

    def add(self, values: np.ndarray) -> None:
        """Add a block, float32 [rows, features]."""
        self._rows += len(values)
        self._low, self._high = np.minimum(self._low, values.min(axis=0)), np.maximum(self._high, values.max(axis=0))
        self._sum += values.sum(axis=0, dtype=np.float64)
        self._zeros += (values == 0).sum(axis=0)

    def summaries(self) -> list[tuple[float, float, float, float]]:
        """Per feature: lowest, mean and highest value, and the share of zeros."""
        columns = (self._low, self._sum / self._rows, self._high, self._zeros / self._rows)
        return list(zip(*(column.tolist() for column in columns), strict=True))


class _Repeats:
    """Counts rows that equal others, by their hashes; of long data, a sample of the hashes."""

    _KEPT = 1 << 20

    def __init__(self) -> None:
        self._hashes = np.empty(0, np.uint64)
        self._shift = 0  # the highest bits of a sampled hash, which are 0

    def add(self, block: Block) -> None:
        """Add a block."""
        columns = [np.ascontiguousarray(column) for _, column in sorted(block.items())]
        content = np.concatenate([column.view(np.uint8).reshape(len(column), -1) for column in columns], axis=1)
        texts = np.ascontiguousarray(content).view(f"V{content.shape[1]}")[:, 0].tolist()
        hashes = hash_values(pa.array(texts, pa.binary()))
        self._hashes = np.concatenate([self._hashes, hashes[self._sampled(hashes)]])
        while len(self._hashes) > self._KEPT:
            self._shift += 1
            self._hashes = self._hashes[self._sampled(self._hashes)]

    def _sampled(self, hashes: np.ndarray) -> np.ndarray:
        sampled: np.ndarray = hashes < np.uint64(2 ** (64 - self._shift) - 1)
        return sampled

    def share(self) -> float:
        """The share of rows that equal an earlier one."""
        return 1 - len(np.unique(self._hashes)) / max(1, len(self._hashes))


class _Times:
    """Accumulates clicks per moment of a split, merging neighbouring moments once there are too many.

    A cell is ``2**shift`` units of time wide. Cells without rows cost nothing, so a stray row in 1970 does not coarsen
    the rest, and the cells do not depend on the order of the rows.
    """

    def __init__(self, max_cells: int) -> None:
        self._max_cells = max_cells
        self._shift = 0
        self._cells = Tally(values=4)
        self._first, self._last = 2**62, -(2**62)

    def add(self, time: np.ndarray, sums: np.ndarray) -> None:
        """Add a block's moments, int64 [rows], with ``_click_columns``."""
        self._first, self._last = min(self._first, int(time.min())), max(self._last, int(time.max()))
        self._cells.add(time >> self._shift, sums)
        cells, values = self._cells.result()
        while len(cells) > self._max_cells:
            self._shift += 1
            self._cells = Tally(values=4)
            self._cells.add(cells >> 1, values)
            cells, values = self._cells.result()

    def bins(self, rows_per_bin: float, weighted: bool) -> tuple[TimeBin, ...]:
        """Bins of about ``rows_per_bin`` rows; a moment is never divided, so a bin may be larger."""
        cells, values = self._cells.result()
        rows = values[:, 0]
        count = max(1, round(rows.sum() / rows_per_bin))
        middle = np.cumsum(rows) - rows / 2
        starts = np.unique((middle * count / rows.sum()).astype(np.int64), return_index=True)[1]
        sums, stops = np.add.reduceat(values, starts), [*starts[1:], len(cells)]
        return tuple(
            TimeBin(
                max(self._first, int(cells[start]) << self._shift),
                min(self._last, ((int(cells[stop - 1]) + 1) << self._shift) - 1),
                _rate(bin_sums, weighted),
            )
            for start, stop, bin_sums in zip(starts, stops, sums, strict=True)
        )
