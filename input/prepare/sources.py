"""What can be prepared: raw logs and synthetic clicks."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, Protocol

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import size
from tfrs_scaling.input.logs.values.cells import Log, Piece
from tfrs_scaling.input.manifest import RawFile, short_hash
from tfrs_scaling.input.prepare.rows import ParsedRows, RowParser
from tfrs_scaling.input.prepare.synthetic import Synthetic, block_count, make_teacher, rows_of_block
from tfrs_scaling.input.schema import Schema


class Source(Protocol):
    """Rows to prepare, in pieces that can be produced on different machines.

    Attributes:
        schema: columns of the rows.
        parts: the number of parts, each a sequence of pieces that must be read in order.
    """

    @property
    def schema(self) -> Schema: ...  # noqa: D102
    @property
    def parts(self) -> int: ...  # noqa: D102

    def pieces(self, part: int) -> Iterator[Any]:
        """The pieces of a part; cheap."""
        ...

    def rows(self, piece: Any) -> ParsedRows:
        """The rows of a piece; does most of the work."""
        ...

    def part_bytes(self) -> tuple[int, ...]:
        """About how many bytes each part is; empty if that is not known."""
        ...

    def raw_files(self) -> tuple[RawFile, ...]:
        """The raw files, for the manifest."""
        ...


@dataclasses.dataclass(frozen=True)
class LogSource:
    """The rows of a raw log."""

    log: Log

    @property
    def schema(self) -> Schema:
        """The log's."""
        return self.log.schema

    @property
    def parts(self) -> int:
        """Its files."""
        return len(self.log.files)

    def pieces(self, part: int) -> Iterator[Piece[Any]]:
        """The pieces of a file.

        Raises:
            InputError: it cannot be read.
        """
        return self.log.pieces(part)

    def rows(self, piece: Piece[Any]) -> ParsedRows:
        """The rows of a piece.

        Raises:
            InputError: it cannot be read.
        """
        return RowParser(self.log.schema).parse(self.log.cells(piece))

    def part_bytes(self) -> tuple[int, ...]:
        """The sizes of the files, packed if they are; empty if the log is not in files."""
        sizes = [size(file) for file in self.log.files]
        return tuple(known for known in sizes if known is not None) if None not in sizes else ()

    def raw_files(self) -> tuple[RawFile, ...]:
        """Names, sizes and checksums of everything that the rows are made from.

        Raises:
            InputError: one cannot be read.
        """
        return tuple(RawFile(*fingerprint) for fingerprint in self.log.fingerprints())


@dataclasses.dataclass(frozen=True)
class SyntheticSource:
    """Synthetic clicks; a piece is the number of a block."""

    settings: Synthetic
    parts: int = 1

    @property
    def schema(self) -> Schema:
        """The generator's."""
        return self.settings.schema()

    def pieces(self, part: int) -> Iterator[int]:
        """The numbers of the blocks."""
        yield from range(block_count(self.settings))

    def rows(self, piece: int) -> ParsedRows:
        """The rows of a block."""
        return ParsedRows(rows_of_block(self.settings, _teacher(self.settings), piece), [], {})

    def part_bytes(self) -> tuple[int, ...]:
        """What the rows take in memory."""
        return (self.settings.rows * 8 * len(self.schema.columns),)

    def raw_files(self) -> tuple[RawFile, ...]:
        """Empty: there are no files."""
        return ()


_teacher = functools.lru_cache(maxsize=1)(make_teacher)


def source_hash(source: Source, raw_files: tuple[RawFile, ...]) -> str:
    """16 hexadecimal digits that change with what the rows are made from: raw files, or synthetic settings."""
    if isinstance(source, SyntheticSource):
        return short_hash(dataclasses.asdict(source.settings))
    return short_hash([raw.sha256 for raw in raw_files]) if raw_files else ""


def no_rows(source: Source) -> InputError:
    """The error for a source without rows."""
    return InputError(f"{', '.join(raw.file for raw in source.raw_files()) or 'the log'}: no rows")
