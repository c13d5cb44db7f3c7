"""What every format of raw log is read into: blocks of cells that know their place in the log."""

import dataclasses
import difflib
from collections.abc import Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import pyarrow as pa

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.schema import Schema

POSITION_BITS = 40  # of a row in its file; the bits above hold the file's number
TFDS_PREFIX = "tfds:"  # starts the name of a log that is a TensorFlow Datasets dataset instead of files
Content = TypeVar("Content")


@dataclasses.dataclass(frozen=True)
class Cells:
    """A block of rows as they are in the log.

    Attributes:
        file: the path read.
        number: number of the file in the log, from 0.
        ordinals: int64 [n], the place of each row in its file, from 0; malformed rows count.
        batch: the columns, binary and without nulls.
        malformed: rows of this block without cells, such as those with too few columns.
        first: the number that users see for place 0: 2 below a header line.
        unit: the word for what ``ordinals`` counts.
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
        """int64 [n], increasing in the order of the log."""
        return (self.number << POSITION_BITS) + self.ordinals

    def rejected(self, index: int, column: str, why: str, advice: str = "") -> "Rejected":
        """The row at ``index`` of this block as one that cannot be used because of its cell in ``column``."""
        value = self.batch.column(column)[index].as_py().decode("utf-8", "backslashreplace")
        return Rejected(self.file, int(self.ordinals[index]) + self.first, column, value, why, self.unit, advice)


@dataclasses.dataclass(frozen=True)
class Rejected:
    """A malformed row: where it is, why it cannot be used, and what to do if leaving it out would be wrong."""

    file: str
    line: int
    column: str
    value: str
    why: str
    unit: str = "line"
    advice: str = ""

    def __str__(self) -> str:
        column = f", column {self.column!r}" if self.column else ""
        return f"{self.file}, {self.unit} {self.line}{column}: {self.why}, got {self.value[:80]!r}"


class Rejects:
    """Collects malformed rows: up to ``allowed`` are kept, one more is an error."""

    def __init__(self, allowed: int = 0):
        self.allowed = allowed
        self.rows: list[Rejected] = []

    def add(self, rows: list[Rejected]) -> None:
        """Add malformed rows, in the order of the log.

        Raises:
            InputError: there are now more than allowed; names the first one over the limit.
        """
        room = self.allowed - len(self.rows)
        self.rows += rows[:room]
        if len(rows) > room:
            advice = rows[room].advice or (
                "fix the row, or use --max-bad-rows to skip, count and list such rows"
                if self.allowed == 0
                else f"that is one more malformed row than the {self.allowed} allowed"
            )
            raise InputError(f"{rows[room]}; {advice}")


@dataclasses.dataclass(frozen=True)
class Piece(Generic[Content]):
    """A part of a file that is parsed on its own, on any machine.

    Attributes:
        number: number of the file in the log, from 0.
        first: place of the piece's first row in the file, from 0.
        content: what the log's ``cells`` needs to parse the piece.
    """

    number: int
    first: int
    content: Content


class Log(Protocol):
    """A raw log: files of one format.

    Reading has two steps, so that the second can run on many machines: ``pieces`` goes through a file in order and is
    cheap; ``cells`` parses one piece, independently of all others.

    Attributes:
        schema: the columns to read.
        files: what holds the rows, in the order of the log: paths, or names that identify them as well.
    """

    @property
    def schema(self) -> Schema: ...  # noqa: D102
    @property
    def files(self) -> tuple[str, ...]: ...  # noqa: D102

    def pieces(self, number: int) -> Iterator[Piece[Any]]:
        """The pieces of file ``number``, in order.

        Raises:
            InputError: it cannot be read.
        """
        ...

    def cells(self, piece: Piece[Any]) -> Cells:
        """The cells of a piece.

        Raises:
            InputError: it cannot be read. Malformed rows do not raise; the cells list them.
        """
        ...

    def fingerprints(self) -> tuple[tuple[str, int, str], ...]:
        """Name, size in bytes and SHA-256 of everything that the rows are made from.

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
    """The error for a log without a column that the schema names."""
    near = difflib.get_close_matches(column, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(repr, names[:30]))}"
    return InputError(f"{place}: there is no column {column!r}; {hint}")
