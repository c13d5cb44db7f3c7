"""Publishes prepared data atomically: written to a draft folder nearby, moved into place when complete."""

import dataclasses
import math
import shutil
import tempfile
from pathlib import Path

import tensorflow as tf

import tfrs_scaling
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import is_remote, join, opened, size
from tfrs_scaling.input.logs.cells import Rejected
from tfrs_scaling.input.prepare.encoding import WrittenShard
from tfrs_scaling.input.prepare.split import Decisions
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.shards import (
    FORMAT_VERSION,
    MANIFEST,
    SPLITS,
    Bayes,
    Manifest,
    RawFile,
    Split,
    SplitName,
    short_hash,
    write_tfds_metadata,
)

REJECTED = "rejected.tsv"
WRITE_ERRORS = (OSError, tf.errors.OpError)


@dataclasses.dataclass(frozen=True)
class Prepared:
    """The outcome of preparing a whole log.

    Attributes:
        decisions: how it was split and scaled.
        shards: of each split, in order.
        vocabulary_sizes: distinct training values per ``vocabulary`` feature.
        missing: missing values per feature.
        rejected: the malformed rows, in the order of the log.
        bayes: whether the true click probabilities are known.
    """

    decisions: Decisions
    shards: dict[SplitName, list[WrittenShard]]
    vocabulary_sizes: dict[str, int]
    missing: dict[str, int]
    rejected: list[Rejected]
    bayes: bool


def check_free(folder: str) -> None:
    """Check that ``folder`` is free.

    Raises:
        InputError: it exists and is not an empty folder.
    """
    if is_remote(folder):
        taken = size(join(folder, MANIFEST)) is not None
    else:
        place = Path(folder)
        taken = place.is_symlink() or (place.exists() and not (place.is_dir() and not any(place.iterdir())))
    if taken:
        raise InputError(f"{folder}: already exists; remove it or choose another folder")


def new_draft(folder: str) -> str:
    """An empty folder next to ``folder``; leftovers of a killed run are deleted.

    Raises:
        InputError: it cannot be written.
    """
    place = folder.rstrip("/") if is_remote(folder) else str(Path(folder).resolve())
    parent, _, name = place.rpartition("/")
    draft = f"{parent}/.{name}.partial"
    try:
        if tf.io.gfile.exists(draft):
            tf.io.gfile.rmtree(draft)
        if is_remote(folder):
            tf.io.gfile.makedirs(draft)
        else:
            Path(draft).mkdir(parents=True)  # its error is clearer than TensorFlow's
    except WRITE_ERRORS as error:
        raise not_written(folder, error) from None
    return draft


def publish(draft: str, folder: str, prepared: Prepared, schema: Schema, sources: tuple[RawFile, ...]) -> Manifest:
    """Complete a draft that holds the shards, and move it to ``folder``.

    Raises:
        OSError, tf.errors.OpError, InputError: it cannot be written.
    """
    manifest = _manifest(prepared, schema, sources)
    _write_metadata(draft, manifest)
    _write_rejected(draft, prepared.rejected)
    with opened(join(draft, MANIFEST), "wb") as stream:
        stream.write(manifest.to_json().encode())
    _move(draft, folder)
    return manifest


def discard(draft: str) -> None:
    """Delete a draft."""
    tf.io.gfile.rmtree(draft)


def not_written(folder: str, error: Exception) -> InputError:
    """The error for one of ``WRITE_ERRORS``."""
    reason = getattr(error, "strerror", None) or getattr(error, "message", None) or error
    return InputError(f"{folder}: cannot be written: {reason}")


def _move(draft: str, folder: str) -> None:
    if not is_remote(folder):
        Path(draft).replace(Path(folder).resolve())
        return
    # Remote file systems cannot move a folder atomically; the manifest, which marks it as complete, comes last.
    tf.io.gfile.makedirs(folder)
    for name in sorted(tf.io.gfile.listdir(draft), key=lambda name: name == MANIFEST):
        tf.io.gfile.rename(join(draft, name), join(folder, name), overwrite=True)
    tf.io.gfile.rmtree(draft)


def _manifest(prepared: Prepared, schema: Schema, sources: tuple[RawFile, ...]) -> Manifest:
    request = prepared.decisions.request
    splits: dict[SplitName, Split] = {}
    for name in SPLITS:
        written = prepared.shards[name]
        splits[name] = Split(
            rows=sum(w.shard.rows for w in written),
            clicks=sum(w.clicks for w in written),
            shards=tuple(w.shard for w in written),
        )
    return Manifest(
        format_version=FORMAT_VERSION,
        tool_version=tfrs_scaling.__version__,
        schema=schema,
        schema_hash=short_hash(schema.to_dict()),
        source_hash=short_hash([source.sha256 for source in sources]) if sources else "",
        splits=splits,
        rows_per_record=request.sizes.rows_per_record,
        split_by=request.split_by,
        seed=request.seed,
        dense_mean=prepared.decisions.dense_mean,
        dense_deviation=prepared.decisions.dense_deviation,
        vocabulary_sizes=prepared.vocabulary_sizes,
        missing=prepared.missing,
        rejected=len(prepared.rejected),
        sources=sources,
        negative_rate=request.negative_rate,
        bayes=_bayes(splits["test"], prepared.shards["test"]) if prepared.bayes else None,
    )


def _bayes(test: Split, written: list[WrittenShard]) -> Bayes:
    mean = math.fsum(w.loss for w in written) / test.rows
    variance = (math.fsum(w.squared_loss for w in written) - test.rows * mean**2) / (test.rows - 1)
    entropy = -(test.ctr * math.log(test.ctr) + (1 - test.ctr) * math.log(1 - test.ctr))
    standard_error = (max(0.0, variance) / test.rows) ** 0.5
    return Bayes(log_loss=mean, ne=mean / entropy, ne_standard_error=standard_error / entropy)


def _write_metadata(draft: str, manifest: Manifest) -> None:
    if not is_remote(draft):
        write_tfds_metadata(Path(draft), manifest)
        return
    shards = {shard.file for split in manifest.splits.values() for shard in split.shards}
    with tempfile.TemporaryDirectory() as local:  # TFDS does not support every file system that TensorFlow does
        for name in shards:
            (Path(local) / name).touch()  # TFDS checks their names, not their content
        write_tfds_metadata(Path(local), manifest)
        for path in Path(local).iterdir():
            if path.name not in shards:
                with path.open("rb") as source, opened(join(draft, path.name), "wb") as target:
                    shutil.copyfileobj(source, target)


def _write_rejected(draft: str, rejected: list[Rejected]) -> None:
    if rejected:
        lines = ["\t".join([row.file, str(row.line), row.column, row.why, ascii(row.value)[1:-1]]) for row in rejected]
        with opened(join(draft, REJECTED), "wb") as stream:
            stream.write(("\n".join(["file\tline\tcolumn\twhy\tvalue", *lines]) + "\n").encode())
