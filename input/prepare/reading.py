"""Parses a source into rows on disk, in this process or in several, and counts what was read."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.parallel import Pool
from tfrs_scaling.input.logs.values.cells import Rejected, Rejects
from tfrs_scaling.input.prepare.census import KEPT, Census
from tfrs_scaling.input.prepare.sources import Source
from tfrs_scaling.input.prepare.spill import Spill, Spilled

_PROCESS_BYTES = 16 << 20  # of a log, below which a further process takes longer to start than it saves
_BUCKET_BYTES = 4 << 20  # of a log, packed or not, that are worth a bucket


@dataclasses.dataclass(frozen=True)
class Part:
    """A task: a part of the source as a whole. The other kind of task is one of its pieces."""

    number: int


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What is known of a piece once its rows are on disk."""

    rows: int
    rejected: list[Rejected]


@dataclasses.dataclass(frozen=True)
class Read:
    """What was read, in one process or in all.

    Attributes:
        rows: how many well-formed rows.
        missing: missing values per feature.
        census: counts of the rows.
        spilled: where they are.
    """

    rows: int
    missing: Counter[str]
    census: Census
    spilled: Spilled


class Reader:
    """Reads tasks into a spill of its own."""

    def __init__(self, number: int, source: Source, folder: Path, seed: int, bucket_bits: int, max_bad_rows: int):
        self._source, self._max_bad_rows = source, max_bad_rows
        self._spill = Spill(folder / str(number), seed, bucket_bits)
        self._rows, self._missing, self._counted = 0, Counter[str](), [Census.merge([])]

    def work(self, task: Any) -> Iterator[Outcome]:
        """The outcome of each piece; ends early where more rows are malformed than may be."""
        left = self._max_bad_rows
        for piece in self._source.pieces(task.number) if isinstance(task, Part) else [task]:
            parsed = self._source.rows(piece)
            self._spill.add(parsed.rows)
            self._rows += len(parsed.rows)
            self._missing.update(parsed.missing)
            self._counted.append(Census.count(parsed.rows, self._counted[0].level))
            if sum(len(part.hashes.hashes) for part in self._counted[1:]) > 2 * KEPT:
                self._counted = [Census.merge(self._counted)]
            yield Outcome(len(parsed.rows), parsed.rejected[: self._max_bad_rows + 1])
            left -= len(parsed.rejected)
            if left < 0:
                return

    def finish(self) -> Read:
        """What it has read."""
        return Read(self._rows, self._missing, Census.merge(self._counted), self._spill.spilled())


def read(
    source: Source,
    folder: Path,
    seed: int,
    bucket_bits: int,
    max_bad_rows: int,
    jobs: int,
    progress: Callable[[str], None],
) -> tuple[Read, list[Rejected]]:
    """Parse every row of a source into ``folder``.

    Args:
        source: the rows.
        folder: a new folder.
        seed: seed of the shuffle.
        bucket_bits: as in ``Sizes``; fewer, whose files are made and read faster, are taken where the source is small.
        max_bad_rows: the number of malformed rows to skip.
        jobs: the largest number of processes to read in; one stands for this process.
        progress: called now and then with a description of the current step.

    Returns:
        What was read, and the malformed rows in the order of the log.

    Raises:
        InputError: the source cannot be read, or rows are malformed; the first fault in the order of the log.
    """
    sizes = source.part_bytes()
    if sizes:
        jobs = min(jobs, 1 + sum(sizes) // _PROCESS_BYTES)
        bucket_bits = min(bucket_bits, (sum(sizes) // _BUCKET_BYTES).bit_length())
    arguments = (source, folder, seed, bucket_bits, max_bad_rows)
    rejects, in_order, arrived = Rejects(max_bad_rows), 0, 0

    def count(outcome: Outcome) -> None:
        nonlocal arrived
        arrived += outcome.rows
        progress(f"{arrived:,} rows read")

    def add(outcomes: Iterable[Outcome]) -> None:
        nonlocal in_order
        for outcome in outcomes:
            rejects.add(outcome.rejected)
            in_order += outcome.rows

    if jobs == 1:
        reader = Reader(0, *arguments)
        for part in range(source.parts):
            for outcome in reader.work(Part(part)):
                count(outcome)
                add([outcome])
        found = [reader.finish()]
    else:
        with Pool(jobs, Reader, *arguments) as pool:
            add(pool.outcomes(_tasks(source, sizes, jobs), count))
            found = pool.finish()
    together = _together(found)
    for where, rows in (("kept", together.rows), ("counted", together.census.rows), ("spilled", together.spilled.rows)):
        check_rows(where, rows, in_order)
    return together, rejects.rows


def check_rows(what: str, found: int, expected: int) -> None:
    """Check that rows were handed on without loss.

    Raises:
        InputError: says what was done with how many of them.
    """
    if found != expected:
        raise InputError(
            f"{expected:,} rows were handed over, and {found:,} {what}: files of the draft were lost or changed "
            "meanwhile; prepare the data again"
        )


def _tasks(source: Source, sizes: tuple[int, ...], jobs: int) -> Iterator[Any]:
    """Whole parts where none is more than its share of the work: then whoever parses them unpacks them, too."""
    if sizes and max(sizes) * jobs <= sum(sizes):
        yield from map(Part, range(source.parts))
        return
    for part in range(source.parts):
        yield from source.pieces(part)


def _together(found: list[Read]) -> Read:
    missing = Counter[str]()
    for each in found:
        missing.update(each.missing)
    return Read(
        sum(each.rows for each in found),
        missing,
        Census.merge([each.census for each in found]),
        Spilled.together([each.spilled for each in found]),
    )
