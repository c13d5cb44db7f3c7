"""What a test wants of any log."""

import pickle  # noqa: TID251 -- of bytes made here: what Beam does to a log
from typing import TypeVar

from tfrs_scaling.input.logs.cells import Log, Rejected, read
from tfrs_scaling.input.prepare.rows import RowParser, Rows

L = TypeVar("L", bound=Log)


def parsed(log: Log) -> tuple[Rows, list[Rejected]]:
    """All rows of a log, and all malformed ones."""
    blocks = [RowParser(log.schema).parse(cells) for cells in read(log)]
    return Rows.concatenate([block.rows for block in blocks]), [row for block in blocks for row in block.rejected]


def contents(rows: Rows) -> dict[str, list[object]]:
    """The columns as lists, to be compared."""
    return {name: column.tolist() for name, column in rows.columns().items()}


def sent(log: L) -> L:
    """The log as another process receives it."""
    copy: L = pickle.loads(pickle.dumps(log))  # noqa: S301
    return copy
