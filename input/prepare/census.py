"""What is counted of all rows that are read: how many there are of each file, and how many repeat another."""

import dataclasses

import numpy as np

from tfrs_scaling.input.logs.values.cells import POSITION_BITS
from tfrs_scaling.input.prepare.hashing import draws
from tfrs_scaling.input.prepare.rows import Rows
from tfrs_scaling.input.prepare.vocabulary import ValueCounts

KEPT = 1 << 18  # hashes of rows: the share that repeats another is exact in logs that are no longer


@dataclasses.dataclass(frozen=True)
class Census:
    """Counts of rows, which add up in any order.

    Attributes:
        files: per file number, its rows and the sum of their hashes modulo 2**64: files of equal rows have equal sums.
        level: the hashes below ``2**(64 - level)`` are counted, as few levels as leave at most ``KEPT`` of them.
        hashes: how often each of them occurs.
    """

    files: dict[int, tuple[int, int]]
    level: int
    hashes: ValueCounts

    @staticmethod
    def count(rows: Rows, level: int = 0) -> "Census":
        """Count rows; ``level``: one that counts added to these have reached already."""
        hashes, numbers = row_hashes(rows), rows.position >> POSITION_BITS
        files = {}
        for number in np.unique(numbers).tolist():
            within = hashes[numbers == number]
            files[number] = len(within), int(within.sum(dtype=np.uint64))
        kept = hashes[hashes >> np.uint64(64 - level) == 0] if level else hashes
        return Census(files, level, ValueCounts(*np.unique(kept, return_counts=True)))

    @staticmethod
    def merge(parts: "list[Census]") -> "Census":
        """The sum of several counts."""
        files: dict[int, tuple[int, int]] = {}
        for part in parts:
            for number, (rows, total) in part.files.items():
                before = files.get(number, (0, 0))
                files[number] = before[0] + rows, (before[1] + total) % 2**64
        hashes = ValueCounts.merge([ValueCounts.empty(), *(part.hashes for part in parts)])
        level = max((part.level for part in parts), default=0)
        count = _below(hashes.hashes, level)
        while count > KEPT:
            level += 1
            count = _below(hashes.hashes, level)
        return Census(files, level, ValueCounts(hashes.hashes[:count], hashes.counts[:count]))

    @property
    def rows(self) -> int:
        """The rows of all files."""
        return sum(rows for rows, _ in self.files.values())

    @property
    def repeated(self) -> float:
        """The share of the rows that are equal to an earlier one in every column of the schema."""
        rows = int(self.hashes.counts.sum())
        return 1 - len(self.hashes.hashes) / rows if rows else 0.0


def row_hashes(rows: Rows) -> np.ndarray:
    """A 64-bit hash of each row's content, wherever it is in the log: uint64 [n]."""
    columns = [rows.codes, rows.label[:, None].astype(np.uint64)]
    for numbers in (rows.dense, rows.time, rows.weight):
        if numbers is not None and numbers.size:
            bits = np.ascontiguousarray(numbers).view(np.uint64).reshape(len(rows), -1)
            columns.append(bits ^ (bits >> np.uint64(32)))  # small integers as float64 have zeros in half of their bits
    factors = draws(0, "census", np.arange(sum(column.shape[1] for column in columns))) | np.uint64(1)
    total, start = np.zeros(len(rows), np.uint64), 0
    for column in columns:
        total += column @ factors[start : start + column.shape[1]]
        start += column.shape[1]
    return draws(0, "census", total)


def _below(hashes: np.ndarray, level: int) -> int:
    """How many of the ascending hashes a level counts."""
    return int(np.searchsorted(hashes, np.uint64((1 << (64 - level)) - 1), side="right"))
