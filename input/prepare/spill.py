"""Rows on disk, read back in shuffled order, bucket by bucket: the log may be larger than memory."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.parallel import in_order
from tfrs_scaling.input.prepare.hashing import draws
from tfrs_scaling.input.prepare.rows import Rows

_BUFFER_BYTES = 1 << 22  # of rows that wait to be written
_READ_BYTES = 1 << 29  # of buckets that are in memory at a time, unless a single one is larger


def shuffle_keys(rows: Rows, seed: int) -> np.ndarray:
    """The keys that rows are sorted by to shuffle them: uint64 [n], unique."""
    return draws(seed, "shuffle", rows.position)


def shuffled(rows: Rows, seed: int) -> np.ndarray:
    """The places of rows by ascending shuffle key: int64 [n]."""
    return np.argsort(shuffle_keys(rows, seed))


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
    """A folder that takes rows in any order, for ``Spilled`` to return them nearly in the order of their shuffle keys.

    A row's bucket is the first ``bucket_bits`` bits of its key, so sorting each bucket sorts all rows. A bucket is a
    file; only one is open at a time, for systems that allow few open files.
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
            self._write()

    def spilled(self) -> "Spilled":
        """The rows, once all have been added."""
        if self._waiting:
            self._write()
        return Spilled((self._folder,), self._counts[None], self._type, self._seed)

    def _write(self) -> None:
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
                with _path(self._folder, number).open("ab") as file:
                    file.write(part.tobytes())


@dataclasses.dataclass(frozen=True)
class Spilled:
    """Rows on disk, in buckets by shuffle key.

    Attributes:
        folders: what each process wrote.
        counts: int64 [folders, buckets], the rows in each file.
        type: of a packed row; None if there are no rows.
        seed: seed of the shuffle.
    """

    folders: tuple[Path, ...]
    counts: np.ndarray
    type: np.dtype[Any] | None
    seed: int

    @staticmethod
    def together(parts: "list[Spilled]") -> "Spilled":
        """The rows of several (at least one), spilled with the same seed and number of buckets."""
        folders = tuple(folder for part in parts for folder in part.folders)
        types = [part.type for part in parts if part.type is not None]
        return Spilled(folders, np.concatenate([part.counts for part in parts]), next(iter(types), None), parts[0].seed)

    @property
    def rows(self) -> int:
        """How many there are."""
        return int(self.counts.sum())

    @property
    def buckets(self) -> int:
        """How many there are: a power of two."""
        return self.counts.shape[1] if self.type is not None else 0

    def at_once(self, jobs: int) -> int:
        """How many buckets, at most ``jobs``, to have in memory at a time."""
        largest = int(self.counts.sum(axis=0).max()) * (self.type.itemsize if self.type is not None else 0)
        return max(1, min(jobs, _READ_BYTES // max(1, largest)))

    def bucket(self, number: int) -> Rows:
        """The rows of a bucket, in any order.

        Raises:
            InputError: a file does not hold what was written to it.
        """
        assert self.type is not None
        found = []
        for folder, count in zip(self.folders, self.counts[:, number].tolist(), strict=True):
            path = _path(folder, number)
            packed = np.fromfile(path, self.type) if path.exists() else np.empty(0, self.type)
            if len(packed) != count:
                raise InputError(
                    f"{path}: {count:,} rows were written here, and it holds {len(packed):,}: it was lost or changed "
                    "meanwhile; prepare the data again"
                )
            found.append(packed)
        return unpack(np.concatenate(found) if len(found) > 1 else found[0])

    def key_range(self, number: int) -> np.ndarray:
        """The lowest and the highest key that a row of a bucket can have: uint64 [2]."""
        width = 2**64 // self.buckets
        return np.array([number * width, (number + 1) * width - 1], np.uint64)

    def first(self, count: int, jobs: int = 1) -> Rows | None:
        """The ``count`` rows of lowest shuffle key (or all, if fewer), without codes; None if there are no rows."""

        def lowest(bucket: int) -> Rows:
            rows = without_codes(self.bucket(bucket))
            return rows.take(shuffled(rows, self.seed)[:count])

        taken: list[Rows] = []
        left = count
        for rows in in_order(lowest, range(self.buckets), jobs):
            taken.append(rows.take(slice(left)))
            left -= len(taken[-1])
            if not left:
                break
        return Rows.concatenate(taken) if left < count else None


def _path(folder: Path, bucket: int) -> Path:
    return folder / f"bucket-{bucket:03d}"
