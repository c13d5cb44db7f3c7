"""Small studies for the tests."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_scaling.common.locations import join
from tfrs_scaling.common.strict_yaml import validated
from tfrs_scaling.config import Config
from tfrs_scaling.input import shards
from tfrs_scaling.input.manifest import FORMAT_VERSION, MANIFEST, Manifest, RawFile, Split, SplitName, short_hash
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.rows import ParsedRows, Rows
from tfrs_scaling.input.prepare.sources import SyntheticSource
from tfrs_scaling.input.row_scores import Cost, RowScores, ScoresManifest, write_manifest, write_scores
from tfrs_scaling.input.schema import CategoricalFeature, Schema
from tfrs_scaling.input.shards import ClickData, write_shard
from tfrs_scaling.study.lead import Lead, Watch
from tfrs_scaling.study.workdir import Workdir

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIGS = REPOSITORY / "tuner_configs"
BY_NUMBER = Schema("click", (CategoricalFeature("row", 2**20, "id"),))  # the id tells which row of the log it was
BY_TIME = dataclasses.replace(BY_NUMBER, time="ts")


def tiny_content(**sweep: Any) -> dict[str, Any]:
    """A study of seconds, as its YAML file would hold it."""
    return {
        "study": "tiny",
        "model": {"embedding_dim": 4, "bottom": [8], "interaction": 8, "overarch": [16, 8]},
        "training": {"batch_size": 64, "learning_rates": [0.04], "evaluation_batch_size": 512},
        "sweep": {"examples": [256, 512, 1024], **sweep},
        "synthetic": {
            "rows": 2000,
            "seed": 2,  # under others chance may have it that so few rows teach nothing, and nothing can be fitted
            "dense": 2,
            "features": [
                {"name": "user", "ids": 100, "rows": 50, "zipf": 0.8},
                {"name": "item", "ids": 20, "rows": 20},
            ],
        },
    }


def tiny_config(**sweep: Any) -> Config:
    """The same, validated."""
    return validated(Config, tiny_content(**sweep), "tiny")


@contextlib.contextmanager
def leading(workdir: Workdir) -> Iterator[Lead]:
    """Lead the study in a folder; no other process can join."""
    lead = Watch(workdir.root).enter(join=False, alone=True)
    assert lead is not None
    with contextlib.closing(lead):
        yield lead


def tiny_data(config: Config, folder: Path) -> ClickData:
    """The clicks that the study makes."""
    assert config.synthetic is not None
    prepare(SyntheticSource(config.synthetic), folder, seed=config.synthetic.seed)
    return ClickData.open(folder)


@dataclasses.dataclass(frozen=True)
class RowsSource:
    """Rows that a test made, to be prepared block by block as they are."""

    schema: Schema
    blocks: tuple[Rows, ...]
    records: tuple[RawFile, ...] = ()
    parts: int = 1

    def pieces(self, part: int) -> Iterator[int]:
        """The numbers of the blocks."""
        yield from range(len(self.blocks))

    def rows(self, piece: int) -> ParsedRows:
        """A block."""
        return ParsedRows(self.blocks[piece], [], {})

    def part_bytes(self) -> tuple[int, ...]:
        """Not known."""
        return ()

    def raw_files(self) -> tuple[RawFile, ...]:
        """What the test says it is."""
        return self.records


def _written(folder: Path, split: SplitName, columns: dict[str, np.ndarray]) -> Split:
    rows, per_shard = len(columns["label"]), shards.ROWS_PER_RECORD * shards.RECORDS_PER_SHARD
    starts = range(0, rows, per_shard)
    parts = [{name: column[start : start + per_shard] for name, column in columns.items()} for start in starts]
    written = [write_shard(str(folder), split, k, len(parts), [part]) for k, part in enumerate(parts)]
    return Split(rows, int(columns["label"].sum()), tuple(written))


def stored(folder: Path, schema: Schema, splits: dict[SplitName, dict[str, np.ndarray]], **manifest: Any) -> ClickData:
    """Columns, per split and as ``column_specs`` says, in shards as they are; ``manifest`` adds to what it says."""
    folder.mkdir(parents=True)
    described: dict[str, Any] = {
        "format_version": FORMAT_VERSION, "tool_version": "test", "schema": schema, "split_by": "random", "seed": 0,
        "dense_mean": (0.0,) * len(schema.dense), "dense_deviation": (1.0,) * len(schema.dense),
        "vocabulary_sizes": {}, "missing": {}, "rejected": 0, "sources": (), "source_hash": "",
        "schema_hash": short_hash(schema.to_dict()), "rows_per_record": shards.ROWS_PER_RECORD,
        "splits": {name: _written(folder, name, columns) for name, columns in splits.items()},
    }  # fmt: skip
    described["read"] = sum(split.rows for split in described["splits"].values())
    (folder / MANIFEST).write_text(Manifest(**(described | manifest)).to_json())
    return ClickData.open(folder)


def stored_scores(
    folder: Path, data: ClickData, scores: np.ndarray, request: dict[str, Any] | None = None, **cost: float
) -> RowScores:
    """Scores of the training rows, in the order of the data's shards, as a scorer would have written them."""
    folder.mkdir(parents=True, exist_ok=True)
    splits = data.manifest.splits["train"].shards
    parts = np.split(scores, np.cumsum([shard.rows for shard in splits])[:-1])
    per_record = data.manifest.rows_per_record
    written = tuple(
        write_scores(folder, number, np.split(part, range(per_record, len(part), per_record)))
        for number, part in enumerate(parts)
    )
    took: dict[str, Any] = {"examples": 0, "flops": 0, "flops_per_row": 0, "seconds": 0} | cost
    spent = Cost(scored=len(scores), validation_ne=1, test_ne=1, **took)
    write_manifest(folder, ScoresManifest(1, request or {}, written, spent, "test"))
    return RowScores.open(folder, request or {}, splits)


def numbered(count: int, time: np.ndarray | None = None) -> Rows:
    """Rows that know their number, by position and by id, with labels at random."""
    label = np.random.default_rng(9).integers(0, 2, count).astype(np.uint8)
    number = np.arange(count)
    return Rows(number, label, np.empty((count, 0)), number[:, None].astype(np.uint64), time)


def source_of(*blocks: Rows, schema: Schema = BY_NUMBER) -> RowsSource:
    """Blocks to be prepared."""
    return RowsSource(schema, blocks)


def folder_bytes(folder: str | Path) -> dict[str, bytes]:
    """The files of a folder, wherever it is."""
    names = tf.io.gfile.listdir(str(folder))
    return {name: tf.io.gfile.GFile(join(folder, name), "rb").read() for name in names}


def read_split(folder: str | Path, split: SplitName) -> dict[str, np.ndarray]:
    """The columns of prepared rows, in the order of the shards."""
    data = ClickData.open(folder)
    schema = data.manifest.schema
    records = (
        tf.data.TFRecordDataset(data.files(split)).map(lambda r: shards.parse_record(r, schema)).as_numpy_iterator()
    )
    groups = list(records)
    return {name: np.concatenate([group[name] for group in groups]) for name in groups[0]}
