"""What tests need of logs and of synthetic clicks."""

import dataclasses
import pickle  # noqa: TID251 -- of bytes made here, as Beam does with a log
from collections.abc import Iterator
from typing import TypeVar

from tfrs_scaling.input.logs.values.cells import Log, Rejected, read
from tfrs_scaling.input.prepare.rows import RowParser, Rows
from tfrs_scaling.input.prepare.sources import LogSource
from tfrs_scaling.input.prepare.synthetic import Synthetic, block_count, make_teacher, rows_of_block

L = TypeVar("L", bound=Log)


@dataclasses.dataclass(frozen=True)
class SizedSource(LogSource):
    """A log that says it is larger than it is, so that several processes read it.

    Attributes:
        sizes: what it says of each part.
    """

    sizes: tuple[int, ...] = ()

    def part_bytes(self) -> tuple[int, ...]:
        """As it says."""
        return self.sizes


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


def synthetic_blocks(settings: Synthetic) -> Iterator[Rows]:
    """The blocks of synthetic clicks, in order."""
    teacher = make_teacher(settings)
    for block in range(block_count(settings)):
        yield rows_of_block(settings, teacher, block)
