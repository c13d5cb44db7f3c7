"""Rows on disk, to be read back in the order of the shuffle: a log larger than memory passes through in buckets."""

import dataclasses
import io
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np

from tfrs_scaling.input.prepare.hashing import draws
from tfrs_scaling.input.prepare.rows import Rows

BUCKET_BITS = 8
_BUFFER_BYTES = 1 << 17


def shuffle_keys(rows: Rows, seed: int) -> np.ndarray:
    """What the rows are shuffled by: uint64 [n], different for each row."""
    return draws(seed, "shuffle", rows.position)


def in_shuffled_order(packed: np.ndarray, seed: int) -> Rows:
    """Packed rows by rising shuffle key."""
    return unpack(packed[np.argsort(draws(seed, "shuffle", packed["position"]))])


def shard_of(keys: np.ndarray, shards: int) -> np.ndarray:
    """The number of the shard that rows of these shuffle keys (uint64) belong to; rises with the key: int64."""
    return (((keys >> np.uint64(32)) * np.uint64(shards)) >> np.uint64(32)).astype(np.int64)


def pack(rows: Rows) -> np.ndarray:
    """The rows as a structured array [n], one element a row."""
    columns = rows.columns()
    packed = np.empty(len(rows), [(name, column.dtype, column.shape[1:]) for name, column in columns.items()])
    for name, column in columns.items():
        packed[name] = column
    return packed


def unpack(packed: np.ndarray) -> Rows:
    """The rows of a structured array; their columns are views of it."""
    return Rows(**{name: packed[name] for name in packed.dtype.names or ()})


def without_codes(rows: Rows) -> Rows:
    """The rows with no slots: what is decided on a sample does not need them, and they are most of a row."""
    return dataclasses.replace(rows, codes=rows.codes[:, :0])


def to_bytes(rows: Rows) -> bytes:
    """The rows as bytes, for another process."""
    stream = io.BytesIO()
    np.save(stream, pack(rows), allow_pickle=False)
    return stream.getvalue()


def from_bytes(content: bytes) -> Rows:
    """The rows that ``to_bytes`` wrote."""
    return unpack(np.load(io.BytesIO(content), allow_pickle=False))


class Spill:
    """A folder that rows are put into in any order, and come out of by rising shuffle key.

    A row's bucket is the first bits of its key, so sorting each bucket sorts all; a bucket is a file, and what is in
    memory is one of them.
    """

    def __init__(self, folder: Path, seed: int):
        folder.mkdir(parents=True)
        self._folder, self._seed = folder, seed
        self._open_files = ExitStack()
        self._files: list[IO[bytes]] = []
        self._type: np.dtype[Any] | None = None

    def add(self, rows: Rows) -> None:
        """Put rows into their buckets."""
        if not self._files:
            self._type = pack(rows.take(np.arange(0))).dtype
            self._files = [
                self._open_files.enter_context(self._path(bucket).open("wb", buffering=_BUFFER_BYTES))
                for bucket in range(1 << BUCKET_BITS)
            ]
        bucket = (shuffle_keys(rows, self._seed) >> np.uint64(64 - BUCKET_BITS)).astype(np.int64)
        packed = pack(rows)[np.argsort(bucket, kind="stable")]
        ends = np.cumsum(np.bincount(bucket, minlength=1 << BUCKET_BITS))
        for file, part in zip(self._files, np.split(packed, ends[:-1]), strict=True):
            file.write(part.tobytes())

    def close(self) -> None:
        """No more rows will come."""
        self._open_files.close()

    def buckets(self) -> Iterator[Rows]:
        """The rows of each bucket by rising shuffle key, bucket after bucket."""
        for rows, _ in self.buckets_with_ends():
            yield rows

    def buckets_with_ends(self) -> Iterator[tuple[Rows, np.ndarray | None]]:
        """The same, each with the key (uint64 []) that none of the rows to come is below; None with the last."""
        if self._type is None:
            return
        last = (1 << BUCKET_BITS) - 1
        for bucket in range(last + 1):
            packed = np.fromfile(self._path(bucket), self._type)
            to_come = None if bucket == last else np.array((bucket + 1) << (64 - BUCKET_BITS), np.uint64)
            yield in_shuffled_order(packed, self._seed), to_come

    def first(self, count: int) -> Rows | None:
        """The ``count`` rows of lowest shuffle key, or all if there are fewer, without their codes; None if there are
        none."""
        taken: list[Rows] = []
        left = count
        for rows in self.buckets():
            taken.append(without_codes(rows).take(np.arange(min(left, len(rows)))))
            left -= len(taken[-1])
            if not left:
                break
        return Rows.concatenate(taken) if left < count else None

    def remove(self) -> None:
        """Delete the files."""
        self.close()
        shutil.rmtree(self._folder)

    def _path(self, bucket: int) -> Path:
        return self._folder / f"bucket-{bucket:03d}"
