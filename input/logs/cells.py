"""What every format of raw log is read into: blocks of cells, each of which knows where it stands."""

import dataclasses
import difflib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.schema import Schema

POSITION_BITS = 40  # of a row in its file; the bits above number the file


@dataclasses.dataclass(frozen=True)
class Cells:
    """A block of rows as they stand in the log.

    Attributes:
        file: the path read.
        number: of the file in the log, from 0.
        ordinals: int64 [n], the place of each row in its file, from 0; malformed rows count.
        batch: the columns, binary and without nulls.
        malformed: rows of this block that have no cells, such as those with too few columns.
        first: what the place 0 is called: 2 below a header line.
        unit: what is counted there, in words.
    """

    file: str
    number: int
    ordinals: np.ndarray
    batch: pa.RecordBatch
    malformed: list["Rejected"]
    first: int = 1
    unit: str = "line"

    @property
    def positions(self) -> np.ndarray:
        """int64 [n], growing in the order of the log."""
        return (self.number << POSITION_BITS) + self.ordinals

    def rejected(self, index: int, column: str, why: str) -> "Rejected":
        """The row at ``index`` of this block as one that cannot be used because of its cell in ``column``."""
        value = self.batch.column(column)[index].as_py().decode("utf-8", "backslashreplace")
        return Rejected(self.file, int(self.ordinals[index]) + self.first, column, value, why, self.unit)


@dataclasses.dataclass(frozen=True)
class Rejected:
    """A malformed row: where it stands, and why it cannot be used."""

    file: str
    line: int
    column: str
    value: str
    why: str
    unit: str = "line"

    def __str__(self) -> str:
        column = f", column {self.column!r}" if self.column else ""
        return f"{self.file}, {self.unit} {self.line}{column}: {self.why}, got {self.value[:80]!r}"


class Rejects:
    """Malformed rows: the first one is an error, unless some are allowed; then they are counted and listed."""

    def __init__(self, allowed: int = 0):
        self.allowed = allowed
        self.rows: list[Rejected] = []

    def add(self, rows: list[Rejected]) -> None:
        """Take note of malformed rows, in the order of the log.

        Raises:
            InputError: more rows than are allowed are malformed; names the one too many.
        """
        room = self.allowed - len(self.rows)
        self.rows += rows[:room]
        if len(rows) > room:
            advice = (
                "mend the row, or let --max-bad-rows skip, count and list such rows"
                if self.allowed == 0
                else f"that is one more malformed row than the {self.allowed} allowed"
            )
            raise InputError(f"{rows[room]}; {advice}")


class Log(Protocol):
    """A raw log: files of one format.

    Reading has two steps, so that the second can be done on many machines: ``pieces`` goes through a file in order and
    does little; ``cells`` parses one piece apart from all others.

    Attributes:
        schema: the columns that are read.
        files: what holds the rows, in the order of the log: paths, or names that say as much.
    """

    @property
    def schema(self) -> Schema: ...  # noqa: D102
    @property
    def files(self) -> tuple[str, ...]: ...  # noqa: D102

    def pieces(self, number: int) -> Iterator[Any]:
        """What file ``number`` consists of.

        Raises:
            InputError: it cannot be read.
        """
        ...

    def cells(self, piece: Any) -> Cells:
        """The cells of a piece.

        Raises:
            InputError: it cannot be read; malformed rows are among the cells instead.
        """
        ...

    def origins(self) -> tuple[tuple[str, int, str], ...]:
        """All that the rows are made from: the name, size in bytes and SHA-256 of each.

        Raises:
            InputError: one cannot be read.
        """
        ...


def read(log: Log) -> Iterator[Cells]:
    """All cells of a log, in order."""
    for number in range(len(log.files)):
        for piece in log.pieces(number):
            yield log.cells(piece)


def missing_column(place: str, column: str, names: Sequence[str]) -> InputError:
    """What to say of a log that lacks a column of the schema."""
    near = difflib.get_close_matches(column, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(repr, names[:30]))}"
    return InputError(f"{place}: there is no column {column!r}; {hint}")
