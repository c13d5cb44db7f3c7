"""Publishes prepared data atomically: written to a draft folder nearby, moved into place when complete."""

import contextlib
import dataclasses
import fcntl
import logging
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

import tfrs_scaling
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.inert import inert_line
from tfrs_scaling.common.locations import check_utf8, is_remote, join, opened, size
from tfrs_scaling.input.logs.values.cells import Rejected
from tfrs_scaling.input.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    SPLITS,
    Bayes,
    Manifest,
    RawFile,
    Split,
    SplitName,
    short_hash,
)
from tfrs_scaling.input.prepare.encoding import WrittenShard
from tfrs_scaling.input.prepare.leaks import telling_features
from tfrs_scaling.input.prepare.split import Decisions, Sizes
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.shards import REJECTED, shard_file

_INNER_DRAFT = ".partial"
WRITE_ERRORS = (OSError, tf.errors.OpError)


@dataclasses.dataclass(frozen=True)
class Prepared:
    """The outcome of preparing a whole log.

    Attributes:
        decisions: how it was split and scaled.
        shards: shards of each split, in order.
        vocabulary_sizes: distinct training values per ``vocabulary`` feature.
        missing: missing values per feature.
        rejected: the malformed rows, in the order of the log.
        bayes: whether the true click probabilities are known.
        files: per file number, its well-formed rows and their digest (see ``census.Census``).
        repeated: the share of the rows that repeat another.
        dropped: negatives that training does not keep.
    """

    decisions: Decisions
    shards: dict[SplitName, list[WrittenShard]]
    vocabulary_sizes: dict[str, int]
    missing: dict[str, int]
    rejected: list[Rejected]
    bayes: bool
    files: dict[int, tuple[int, int]]
    repeated: float
    dropped: int


def check_shards(shards: dict[SplitName, list[WrittenShard]], counts: np.ndarray, sizes: Sizes) -> None:
    """Check that every split has the shards, rows and clicks that were counted beforehand.

    Args:
        shards: those that were written, in order.
        counts: result of ``count_splits``.
        sizes: sizes of shards.

    Raises:
        InputError: a shard was lost, or written twice, or in another division.
    """
    for name, (rows, clicks) in zip(SPLITS, counts.tolist(), strict=False):
        written, total = shards[name], sizes.shard_count(rows)
        expected = [shard_file(name, number, total) for number in range(total)]
        found = (
            [each.shard.file for each in written],
            sum(s.shard.rows for s in written),
            sum(s.clicks for s in written),
        )
        if found != (expected, rows, clicks):
            raise InputError(
                f"the {name} split has {len(written)} shards of {found[1]:,} rows with {found[2]:,} clicks; {total} of "
                f"{rows:,} with {clicks:,} were to be written, {expected[0]} the first: what did the work is faulty, "
                "and nothing was kept"
            )


@contextlib.contextmanager
def drafted(folder: str) -> Iterator[str]:
    """An empty folder to prepare data in, deleted at the end if it was not published.

    It lies next to ``folder``; or in it, if that is a mount point or a folder in a place that cannot be written. It is
    locked (on this machine), so that no other process takes it for the leftovers of a killed run, which are deleted.

    Raises:
        InputError: ``folder`` is neither new nor empty, another process is writing it, or it cannot be written.
    """
    _check_free(folder)
    with contextlib.ExitStack() as stack:
        draft = _draft_place(folder)
        try:
            if not is_remote(folder):
                stack.callback(os.close, _locked(Path(draft), folder))
                _check_free(folder)  # while waiting for nobody, another process may have finished
            elif tf.io.gfile.exists(draft):
                tf.io.gfile.rmtree(draft)
            tf.io.gfile.makedirs(draft)
        except WRITE_ERRORS as error:
            raise not_written(folder, error) from None
        try:
            yield draft
        finally:
            if tf.io.gfile.exists(draft):
                tf.io.gfile.rmtree(draft)


def _check_free(folder: str) -> None:
    if is_remote(folder):
        taken = size(join(folder, MANIFEST)) is not None
    else:
        place = Path(folder)
        check_utf8(place.absolute())  # the draft's name, which is not relative
        taken = place.is_symlink() or (place.exists() and not (place.is_dir() and _is_empty(place)))
    if taken:
        raise InputError(f"{folder}: already exists; remove it or choose another folder")


def _is_empty(folder: Path) -> bool:
    return all(path.name in (_INNER_DRAFT, "lost+found") for path in folder.iterdir())


def _draft_place(folder: str) -> str:
    if not is_remote(folder):
        target = Path(folder).resolve()
        if target.is_dir() and (target.is_mount() or not os.access(target.parent, os.W_OK)):
            return str(target / _INNER_DRAFT)  # it cannot be replaced, or nothing can lie beside it
    parent, _, name = (folder.rstrip("/") if is_remote(folder) else str(target)).rpartition("/")
    return f"{parent}/.{name}.partial"


def _locked(draft: Path, folder: str) -> int:
    """Make the draft's folder, empty and locked; returns what to close to unlock it."""
    while True:
        draft.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)  # it is emptied
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise InputError(
                f"{folder}: another prepare is writing it; wait for it, or choose another folder"
            ) from None
        except OSError:
            pass  # a file system without locks
        try:
            if os.path.samestat(os.fstat(descriptor), draft.stat()):
                break
        except FileNotFoundError:
            pass
        os.close(descriptor)  # another process moved it away meanwhile
    for path in draft.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return descriptor


def publish(
    draft: str, folder: str, prepared: Prepared, schema: Schema, sources: tuple[RawFile, ...], source_hash: str
) -> Manifest:
    """Complete a draft that holds the shards, and move it to ``folder``.

    Raises:
        OSError, tf.errors.OpError, InputError: it cannot be written, or holds other rows than were read.
    """
    telling = telling_features(draft, [written.shard.file for written in prepared.shards["train"]], schema)
    manifest = _manifest(prepared, schema, _with_rows(sources, prepared.files))
    manifest = dataclasses.replace(manifest, telling=telling, source_hash=source_hash)
    _write_metadata(draft, manifest)
    _write_rejected(draft, prepared.rejected)
    with opened(join(draft, MANIFEST), "wb") as stream:
        stream.write(manifest.to_json().encode())
    _move(draft, folder)
    return manifest


def not_written(folder: str, error: Exception) -> InputError:
    """The error for one of ``WRITE_ERRORS``."""
    reason = getattr(error, "strerror", None) or getattr(error, "message", None) or error
    filename = getattr(error, "filename", None)
    where = f" ({filename})" if filename and str(filename) != folder else ""
    return InputError(f"{folder}: cannot be written: {reason}{where}")


def _move(draft: str, folder: str) -> None:
    if not is_remote(folder) and Path(draft).parent != Path(folder).resolve():
        Path(draft).replace(Path(folder).resolve())
        return
    # Neither a mount point nor a remote folder can be replaced; the manifest, which marks it as complete, comes last.
    tf.io.gfile.makedirs(folder)
    for name in sorted(tf.io.gfile.listdir(draft), key=lambda name: name == MANIFEST):
        tf.io.gfile.rename(join(draft, name), join(folder, name), overwrite=True)
    tf.io.gfile.rmtree(draft)


def _with_rows(sources: tuple[RawFile, ...], files: dict[int, tuple[int, int]]) -> tuple[RawFile, ...]:
    """The raw files with what was read of each; as they are where files of the log are no raw files."""
    if files.keys() - set(range(len(sources))):
        return sources
    read = [files.get(number, (0, 0)) for number in range(len(sources))]
    return tuple(
        dataclasses.replace(source, rows=rows, rows_hash=f"{digest:016x}")
        for source, (rows, digest) in zip(sources, read, strict=True)
    )


def _manifest(prepared: Prepared, schema: Schema, sources: tuple[RawFile, ...]) -> Manifest:
    """What was prepared.

    Raises:
        InputError: rows were lost on the way.
    """
    request = prepared.decisions.request
    splits: dict[SplitName, Split] = {}
    for name in SPLITS:
        written = prepared.shards[name]
        splits[name] = Split(
            rows=sum(w.shard.rows for w in written),
            clicks=sum(w.clicks for w in written),
            shards=tuple(w.shard for w in written),
        )
    read, kept = sum(rows for rows, _ in prepared.files.values()), sum(split.rows for split in splits.values())
    if read != kept + prepared.dropped:
        raise InputError(
            f"{read:,} rows were read, and {kept:,} written with {prepared.dropped:,} left out: files of the draft "
            "were lost or changed meanwhile; prepare the data again"
        )
    return Manifest(
        format_version=FORMAT_VERSION,
        tool_version=tfrs_scaling.__version__,
        schema=schema,
        schema_hash=short_hash(schema.to_dict()),
        source_hash="",
        request_hash=request.hash,
        splits=splits,
        rows_per_record=request.sizes.rows_per_record,
        split_by=request.split_by,
        seed=request.seed,
        dense_mean=prepared.decisions.dense_mean,
        dense_deviation=prepared.decisions.dense_deviation,
        vocabulary_sizes=prepared.vocabulary_sizes,
        missing=prepared.missing,
        read=read + len(prepared.rejected),
        rejected=len(prepared.rejected),
        dropped=prepared.dropped,
        repeated=prepared.repeated,
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


def load_tfds() -> None:
    """Load TensorFlow Datasets, which takes half a second, so that ``publish`` need not."""
    import tfrs_scaling.input.tfds_metadata  # noqa: F401


def _write_metadata(draft: str, manifest: Manifest) -> None:
    try:
        from tfrs_scaling.input.tfds_metadata import write_tfds_metadata  # takes a second, and does not load everywhere
    except Exception as error:  # whatever a library of its own raises: protobuf's VersionError is derived from nothing
        logging.getLogger(__name__).warning(
            "TensorFlow Datasets does not load here (%s), so it cannot open these data; nothing else needs it", error
        )
        return
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
        lines = [
            "\t".join([inert_line(row.file), str(row.line), inert_line(row.column), row.why, ascii(row.value)[1:-1]])
            for row in rejected
        ]
        with opened(join(draft, REJECTED), "wb") as stream:
            stream.write(("\n".join(["file\tline\tcolumn\twhy\tvalue", *lines]) + "\n").encode())
