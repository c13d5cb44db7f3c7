"""Rows on disk, read back in shuffled order, bucket by bucket: the log may be larger than memory."""

import dataclasses
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.prepare.hashing import draws
from tfrs_scaling.input.prepare.rows import Rows

_BUFFER_BYTES = 1 << 22  # of rows that wait to be written


def shuffle_keys(rows: Rows, seed: int) -> np.ndarray:
    """The keys that rows are sorted by to shuffle them: uint64 [n], unique."""
    return draws(seed, "shuffle", rows.position)


def in_shuffled_order(packed: np.ndarray, seed: int) -> Rows:
    """Packed rows by ascending shuffle key."""
    return unpack(packed[np.argsort(draws(seed, "shuffle", packed["position"]))])


def shard_of(keys: np.ndarray, shards: int) -> np.ndarray:
    """The shard numbers (int64) of rows with these shuffle keys (uint64), non-decreasing in the key."""
    return (((keys >> np.uint64(32)) * np.uint64(shards)) >> np.uint64(32)).astype(np.int64)


def pack(rows: Rows) -> np.ndarray:
    """The rows as a structured array [n]."""
    columns = rows.columns()
    packed = np.empty(len(rows), [(name, column.dtype, column.shape[1:]) for name, column in columns.items()])
    for name, column in columns.items():
        packed[name] = column
    return packed


def unpack(packed: np.ndarray) -> Rows:
    """The rows of a structured array; their columns are views of it."""
    return Rows(**{name: packed[name] for name in packed.dtype.names or ()})


def without_codes(rows: Rows) -> Rows:
    """The rows with zero slots: decisions on a sample do not need the codes, which are most of a row."""
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
    """A folder that takes rows in any order and returns them by ascending shuffle key.

    A row's bucket is the first ``bucket_bits`` bits of its key, so sorting each bucket sorts all rows. A bucket is a
    file, and one of them is in memory at a time; only one is open at a time, for systems that allow few open files.
    """

    def __init__(self, folder: Path, seed: int, bucket_bits: int):
        folder.mkdir(parents=True)
        self._folder, self._seed, self._bucket_bits = folder, seed, bucket_bits
        self._waiting: list[np.ndarray] = []
        self._type: np.dtype[Any] | None = None
        self._counts = np.zeros(1 << bucket_bits, np.int64)

    def add(self, rows: Rows) -> None:
        """Put rows into their buckets."""
        packed = pack(rows)
        self._type = packed.dtype
        self._waiting.append(packed)
        if sum(part.nbytes for part in self._waiting) >= _BUFFER_BYTES:
            self.close()

    def close(self) -> None:
        """Finish adding rows: write those that wait."""
        if not self._waiting:
            return
        packed = np.concatenate(self._waiting) if len(self._waiting) > 1 else self._waiting[0]
        self._waiting = []
        keys = draws(self._seed, "shuffle", packed["position"])
        bucket = (keys >> np.uint64(64 - self._bucket_bits)).astype(np.int64)
        packed = packed[np.argsort(bucket, kind="stable")]
        counts = np.bincount(bucket, minlength=1 << self._bucket_bits)
        self._counts += counts
        ends = np.cumsum(counts)
        for number, part in enumerate(np.split(packed, ends[:-1])):
            if len(part):
                with self._path(number).open("ab") as file:
                    file.write(part.tobytes())

    def buckets(self) -> Iterator[Rows]:
        """The rows of each bucket by ascending shuffle key, bucket after bucket."""
        for rows, _ in self.buckets_with_ends():
            yield rows

    def buckets_with_ends(self) -> Iterator[tuple[Rows, np.ndarray | None]]:
        """The same, each with a lower bound (uint64 []) of the keys that follow; None with the last.

        Raises:
            InputError: a file does not hold what was written to it.
        """
        if self._type is None:
            return
        last = (1 << self._bucket_bits) - 1
        for bucket in range(last + 1):
            path = self._path(bucket)
            packed = np.fromfile(path, self._type) if path.exists() else np.empty(0, self._type)
            if len(packed) != self._counts[bucket]:
                raise InputError(
                    f"{path}: {self._counts[bucket]:,} rows were written here, and it holds {len(packed):,}: it was "
                    "lost or changed meanwhile; prepare the data again"
                )
            to_come = None if bucket == last else np.array((bucket + 1) << (64 - self._bucket_bits), np.uint64)
            yield in_shuffled_order(packed, self._seed), to_come

    def first(self, count: int) -> Rows | None:
        """The ``count`` rows of lowest shuffle key (or all, if fewer), without codes; None if there are no rows."""
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
        self._waiting = []
        shutil.rmtree(self._folder)

    def _path(self, bucket: int) -> Path:
        return self._folder / f"bucket-{bucket:03d}"
