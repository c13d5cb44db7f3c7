"""The manifest of prepared data: what a folder of shards holds, and how it was made. Reading it loads no TensorFlow."""

import dataclasses
import hashlib
import json
from typing import Annotated, Any, Literal

import pydantic
from pydantic.dataclasses import dataclass

from tfrs_scaling.common.words import listed, share
from tfrs_scaling.input.schema import NOTABLE_REPEATS, STRICT, Schema, repeats_by_chance

FORMAT_VERSION = 3
MANIFEST = "manifest.json"
SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")

SplitBy = Literal["time", "order", "random"]
SPLIT_WORDS: dict[SplitBy, str] = {"time": "by time", "order": "by the order of the log", "random": "at random"}

Count = Annotated[int, pydantic.Field(ge=0, le=2**62)]
# The pattern keeps a manifest from naming a file outside its folder.
ShardName = Annotated[str, pydantic.Field(pattern=r"^clicks-[a-z]+\.tfrecord-[0-9]{5}-of-[0-9]{5}$")]


@dataclass(frozen=True, config=STRICT)
class Shard:
    """A TFRecord file: its name, rows, records, size in bytes and SHA-256."""

    file: ShardName
    rows: Count
    records: Count
    bytes: Count
    sha256: str


@dataclass(frozen=True, config=STRICT)
class Split:
    """Rows and clicks of a split, and its shards in order."""

    rows: Annotated[int, pydantic.Field(ge=1, le=2**62)]
    clicks: Count
    shards: tuple[Shard, ...]

    @property
    def ctr(self) -> float:
        """Clicks per row."""
        return self.clicks / self.rows


@dataclass(frozen=True, config=STRICT)
class RawFile:
    """A raw file that the rows were read from.

    Attributes:
        file: its name.
        bytes: its size.
        sha256: its SHA-256.
        rows: well-formed rows read from it; 0 if it is one of several files that make a row.
        rows_hash: hash of their content, in whatever order, 16 hexadecimal digits; empty if there is no such number.
    """

    file: str
    bytes: Count
    sha256: str
    rows: Count = 0
    rows_hash: str = ""


@dataclass(frozen=True, config=STRICT)
class Bayes:
    """The loss of the true click probabilities on the test split, which a model can beat only by luck.

    Attributes:
        log_loss: mean of -ln(probability of the label), in nats.
        ne: ``log_loss`` over the entropy of the test split's CTR.
        ne_standard_error: standard error of ``ne`` over test rows.
    """

    log_loss: float
    ne: float
    ne_standard_error: float


@dataclass(frozen=True, config=STRICT)
class Manifest:
    """What a folder of shards holds, and how it was made.

    Attributes:
        format_version: format version of the shards; only the current one can be read.
        tool_version: the version of tfrs_scaling that wrote them.
        schema: the columns.
        schema_hash: hash of the schema, 16 hexadecimal digits.
        source_hash: hash of the raw files' checksums, or of the settings of synthetic clicks, likewise.
        request_hash: hash of how they were split and shuffled, likewise; empty in data of earlier versions.
        splits: all three splits by name, each in a seeded random order of its own.
        rows_per_record: rows in every record except the last of a shard.
        split_by: ``time``, ``order`` (of the log) or ``random``.
        seed: seed of the split and the shuffle.
        dense_mean, dense_deviation: float per dense feature, as used by ``standardize``: over the training rows
            among the first 2**20 rows of the shuffle.
        vocabulary_sizes: distinct training values per ``vocabulary`` feature.
        missing: per dense and categorical feature, how many values are missing in the whole log.
        read: rows of the log; all are in a split, ``dropped`` or ``rejected``.
        rejected: malformed rows that were left out, and listed beside the manifest.
        dropped: negatives that training does not keep, by ``negative_rate``.
        repeated: the share of the well-formed rows that equal an earlier one in every column of the schema; estimated
            in logs of more than 2**18 rows.
        negative_rate: the share of the negatives that the training split kept; the other splits keep all.
        sources: the raw files.
        bayes: the Bayes loss; for synthetic clicks only.
        telling: AUC of each feature that alone reveals the label (see ``prepare.leaks``).
    """

    format_version: int
    tool_version: str
    schema: Schema
    schema_hash: str
    source_hash: str
    splits: dict[SplitName, Split]
    rows_per_record: Annotated[int, pydantic.Field(ge=1)]
    split_by: SplitBy
    seed: int
    dense_mean: tuple[float, ...]
    dense_deviation: tuple[float, ...]
    vocabulary_sizes: dict[str, Count]
    missing: dict[str, Count]
    read: Count
    rejected: Count
    sources: tuple[RawFile, ...]
    request_hash: str = ""
    negative_rate: Annotated[float, pydantic.Field(gt=0, le=1)] = 1.0
    dropped: Count = 0
    repeated: Annotated[float, pydantic.Field(ge=0, le=1)] = 0.0
    bayes: Bayes | None = None
    telling: dict[str, Annotated[float, pydantic.Field(ge=0, le=1)]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ValueError(
                f"format version {self.format_version}; this version reads {FORMAT_VERSION}: prepare the data again"
            )
        for name in SPLITS:
            if name not in self.splits:
                raise ValueError(f"the split {name!r} is missing")
        for name, split in self.splits.items():
            rows = sum(shard.rows for shard in split.shards)
            if split.rows != rows or split.clicks > rows:
                raise ValueError(
                    f"splits.{name}: {split.rows} rows with {split.clicks} clicks, and the shards have {rows} rows: "
                    "prepare the data again"
                )
            if len({shard.file for shard in split.shards}) < len(split.shards):
                raise ValueError(f"splits.{name}: a shard is named twice: prepare the data again")
        if self.schema_hash != short_hash(self.schema.to_dict()):
            raise ValueError("schema_hash: the schema was changed after the data were prepared: prepare them again")
        if not len(self.dense_mean) == len(self.dense_deviation) == len(self.schema.dense):
            raise ValueError("dense_mean, dense_deviation: not one number per dense feature: prepare the data again")
        kept = sum(split.rows for split in self.splits.values())
        if self.read != kept + self.dropped + self.rejected:
            raise ValueError(
                f"read: {self.read} rows, and the splits hold {kept} with {self.dropped} dropped and {self.rejected} "
                "rejected: prepare the data again"
            )

    def to_json(self) -> str:
        """The manifest as JSON text, keys sorted."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True) + "\n"

    @property
    def warnings(self) -> list[str]:
        """What makes results misleading: features that tell the label, files or rows that are in the data twice."""
        words = [
            f"{name} alone tells the label (AUC {auc:.3f}): a feature that is known only after a click must not be one"
            for name, auc in self.telling.items()
        ]
        for files in _groups([(raw.sha256, raw.file) for raw in self.sources if raw.bytes]):
            words.append(f"{listed(files)} hold the same bytes: their rows are in the data {len(files)} times")
        once = {raw.sha256: raw for raw in self.sources if raw.rows}.values()
        for files in _groups([(raw.rows_hash, raw.file) for raw in once]):
            words.append(f"{listed(files)} hold the same rows: they are in the data {len(files)} times")
        by_chance = repeats_by_chance(self.read - self.rejected, self.schema.possible_rows(self.vocabulary_sizes))
        if self.sources and self.repeated > by_chance + NOTABLE_REPEATS:
            words.append(
                f"{share(self.repeated)} of the rows equal an earlier one in every column of the schema: was a part of "
                "the log read twice?"
            )
        return words

    @property
    def data_hash(self) -> str:
        """16 hexadecimal digits that change with any row, the order of the rows, the splits or the schema."""
        shards = {name: [shard.sha256 for shard in self.splits[name].shards] for name in SPLITS}
        return short_hash([self.schema.to_dict(), shards])


def _groups(pairs: list[tuple[str, str]]) -> list[list[str]]:
    """The second values of pairs whose first are equal, where there are several."""
    groups: dict[str, list[str]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return [group for group in groups.values() if len(group) > 1]


def short_hash(content: Any) -> str:
    """16 hexadecimal digits of the SHA-256 of plain JSON values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def describe(manifest: Manifest) -> dict[str, Any]:
    """Facts about the data for a report."""
    source = ", ".join(raw.file for raw in manifest.sources) or "synthetic clicks"
    return {
        "rows": {name: manifest.splits[name].rows for name in SPLITS},
        "base_ctr": {name: manifest.splits[name].ctr for name in SPLITS},
        "bayes_ne": manifest.bayes.ne if manifest.bayes else None,
        "bayes_ne_standard_error": manifest.bayes.ne_standard_error if manifest.bayes else None,
        "description": "; warning: ".join([f"{source}, split {SPLIT_WORDS[manifest.split_by]}", *manifest.warnings]),
    }
