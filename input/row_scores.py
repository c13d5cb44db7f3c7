"""Scores of a training split's rows, in shards of their own: for each shard of the data one, a float32 for each row.

A folder of them holds ``scores.json``, written last; it is moved into place whole.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pydantic
from pydantic.dataclasses import dataclass

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.files import write_json
from tfrs_scaling.common.locations import fingerprint
from tfrs_scaling.common.strict_yaml import read_state
from tfrs_scaling.input.manifest import Count, Shard, short_hash
from tfrs_scaling.input.schema import STRICT

FORMAT_VERSION = 1
MANIFEST = "scores.json"
_REMEDY = "delete this folder, and the same command makes it again"


@dataclass(frozen=True, config=STRICT)
class Cost:
    """What making the scores took.

    Attributes:
        examples: rows that the model was trained on.
        scored: rows that it predicted.
        flops: FLOPs of its training.
        flops_per_row: those of predicting a row.
        seconds: from the start of its process to the last score.
        validation_ne, test_ne: of its predictions, as of a trial's.
    """

    examples: Count
    scored: Count
    flops: Annotated[float, pydantic.Field(ge=0)]
    flops_per_row: Annotated[float, pydantic.Field(ge=0)]
    seconds: Annotated[float, pydantic.Field(ge=0)]
    validation_ne: Annotated[float, pydantic.Field(ge=0)]
    test_ne: Annotated[float, pydantic.Field(ge=0)]


@dataclass(frozen=True, config=STRICT)
class ScoreShard:
    """Rows of a shard, its size in bytes and its SHA-256."""

    rows: Count
    bytes: Count
    sha256: str


@dataclass(frozen=True, config=STRICT)
class ScoresManifest:
    """What ``scores.json`` says.

    Attributes:
        request: all that decides the scores, as plain JSON values: the model, how and on which rows it was trained.
        code_version: of the program that made them.
    """

    format_version: int
    request: dict[str, Any]
    shards: tuple[ScoreShard, ...]
    cost: Cost
    code_version: str

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ValueError(f"format version {self.format_version}; this version reads {FORMAT_VERSION}")


@dataclasses.dataclass(frozen=True)
class RowScores:
    """An opened folder of scores."""

    folder: str
    manifest: ScoresManifest

    @staticmethod
    def open(folder: Path, request: Mapping[str, Any], shards: Iterable[Shard]) -> "RowScores":
        """Check that the scores are those that the request asks for, one for each row of the data's shards.

        Raises:
            InputError: they are another request's or another split's, or a shard is missing or was changed.
            FileNotFoundError: there are none.
        """
        manifest = read_scores_manifest(folder, request)
        if [own.rows for own in manifest.shards] != [shard.rows for shard in shards]:
            raise InputError(f"{folder / MANIFEST}: shards: have other numbers of rows than the data's; {_REMEDY}")
        found = RowScores(str(folder), manifest)
        for file, shard in zip(found.files, manifest.shards, strict=True):
            path = Path(file)
            is_file = path.is_file() and not path.is_symlink()
            if not is_file or fingerprint(path) != (shard.bytes, shard.sha256):
                raise InputError(f"{path}: is missing, or its bytes are not those that were written; {_REMEDY}")
        return found

    @property
    def files(self) -> list[str]:
        """Paths of the shards, in the order of the data's."""
        return [str(Path(self.folder) / _file(number)) for number in range(len(self.manifest.shards))]


def read_scores_manifest(folder: Path, request: Mapping[str, Any]) -> ScoresManifest:
    """The manifest in a folder of scores.

    Raises:
        InputError: they are another request's, or the file was damaged.
        FileNotFoundError: there is none.
    """
    manifest = read_state(ScoresManifest, folder / MANIFEST, _REMEDY)
    if manifest.request != request:
        raise InputError(f"{folder / MANIFEST}: request: is not what the study asks for; {_REMEDY}")
    return manifest


def record_bytes(rows: int) -> int:
    """Bytes that the scores of a record of ``rows`` rows take in their file; see ``shards.record_bytes``."""
    return 8 + 4 + 4 * rows + 4


def write_scores(folder: Path, number: int, records: Iterable[np.ndarray]) -> ScoreShard:
    """Write one shard, from the scores of each record of the data's shard: float32 [rows]."""
    import tensorflow as tf  # takes seconds to load, and what only reads a manifest does not need it

    path, rows = folder / _file(number), 0
    with tf.io.TFRecordWriter(str(path)) as writer:
        for scores in records:
            writer.write(np.ascontiguousarray(scores, "<f4").tobytes())
            rows += len(scores)
    return ScoreShard(rows, *fingerprint(path))


def write_manifest(folder: Path, manifest: ScoresManifest) -> None:
    """Write the manifest, after the last shard."""
    write_json(folder / MANIFEST, dataclasses.asdict(manifest), durably=True)


def request_hash(request: Mapping[str, Any]) -> str:
    """A name for the folder of a request's scores: 16 hexadecimal digits."""
    return short_hash(dict(request))


def _file(number: int) -> str:
    return f"scores.tfrecord-{number:05d}"
