"""Tables, declared once: cells of the page, a CSV file, and Markdown for TensorBoard."""

import csv
import io
import math
import string
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from tfrs_scaling.common.words import FLOPS, UNKNOWN, compact, human, interval
from tfrs_scaling.fit.schemes import SIZES

Kind = Literal["text", "words", "number", "count", "estimate", "amount", "verdict"]
Value = str | float | None
Ends = tuple[float | None, float | None]
Record = TypeVar("Record")
Shown = TypeVar("Shown", contravariant=True)

# A verdict's look; whatever is not here looks like a caution. Its words say the same as its colour.
_LOOKS = {
    "sound": "ok", "agrees": "ok", "inside": "ok", ">": "ok", "<": "ok", "same": "ok", "no": "ok", "lower": "ok",
    "does not move": "ok",
    "fits": "ok", "untested": "unsure",
    "≈": "unsure", "cannot tell": "unsure", "too few points": "unsure", "no difference": "unsure", "": "unsure",
    "noise unknown": "unsure",
} | dict.fromkeys(SIZES, "ok")  # fmt: skip
# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Numbers outside these ranges say that a fit went astray, not how far.
_LARGEST = 1e9
_COUNTS = (1.0, 1e27)
_LEAST_SHOWN = 5e-5  # in four decimals
_MOST_DECIMALS = 6
_PUNCTUATION = str.maketrans({mark: f"&#{ord(mark)};" for mark in string.punctuation} | dict.fromkeys("\n\r", " "))


@dataclass(frozen=True)
class Column(Generic[Shown]):
    """A column of a table.

    Attributes:
        key: Column name in the CSV.
        heading: Column name on the page.
        value: Maps a record to its value; None: unknown.
        kind: How a cell is written. ``estimate`` has an interval, in the columns ``KEY_low`` and ``KEY_high`` of the
            CSV, and the digits that the interval leaves; ``count`` may be large, and is written in few characters;
            ``amount`` is a count with an interval; ``verdict`` stands out; ``words`` is a sentence.
        interval: Maps a record to the interval of an estimate.
        why: What a verdict rests on: shown by the page when the verdict is pointed at.
        note: The small print below a verdict.
        csv_only: Whether the page leaves it out.
    """

    key: str
    heading: str
    value: Callable[[Shown], Value]
    kind: Kind = "text"
    interval: Callable[[Shown], Ends] | None = None
    why: Callable[[Shown], str] | None = None
    note: Callable[[Shown], str] | None = None
    csv_only: bool = False

    @property
    def is_numeric(self) -> bool:
        """Whether its cells are aligned to the right."""
        return self.kind in ("number", "count", "estimate", "amount")

    @property
    def keys(self) -> tuple[str, ...]:
        """Its columns in the CSV."""
        return (self.key, f"{self.key}_low", f"{self.key}_high") if self.interval else (self.key,)

    def values(self, record: Shown) -> tuple[Value, ...]:
        """The values of ``keys``."""
        return (self.value(record), *(self.interval(record) if self.interval else ()))

    def cell(self, record: Shown) -> "Cell":
        """What the page shows."""
        value = self.value(record)
        text = UNKNOWN if value is None else str(value)
        if self.kind == "verdict":
            words = "" if value is None else str(value)
            note, why = (part(record) if part else "" for part in (self.note, self.why))
            return Cell(words or UNKNOWN, note, look=_LOOKS.get(words, "no"), title=why)
        if not self.is_numeric or value is None or isinstance(value, str):
            return Cell(text)
        order = float(value) if math.isfinite(value) else None
        if self.interval is None:
            text = _count(value) if self.kind == "count" else _number(value)
            return Cell(text, order=order if text != UNKNOWN else None)
        low, high = self.interval(record)
        if self.kind == "amount":
            text, small = _count(value), interval(low, _end(high), _count_or_less)
        else:
            write = _digits_of(float(value), low, high)
            text, small = write(float(value)), interval(low, high, write)
        return Cell(text, small, order=order) if text != UNKNOWN else Cell(text)


def _number(value: float) -> str:
    """A number in few characters; a dash where it is absurdly large, a bound where it is next to nothing."""
    if not math.isfinite(value) or abs(value) >= _LARGEST:
        return UNKNOWN
    if 0 < abs(value) < _LEAST_SHOWN:
        return "<0.0001" if value > 0 else ">−0.0001"
    return compact(value)


def _count(value: float) -> str:
    """A count of examples, parameters or FLOPs; a dash below one of them, and beyond any that there will be."""
    if value == 0 or _COUNTS[0] <= value < _COUNTS[1]:
        return human(float(value), FLOPS)
    return UNKNOWN


def _count_or_less(value: float) -> str:
    return "<1" if 0 < value < _COUNTS[0] else human(value, FLOPS)


def _end(value: float | None) -> float | None:
    """The upper end of an interval of counts; None, which is open, beyond any that there will be."""
    return None if value is None or value >= _COUNTS[1] else value


def _digits_of(value: float, low: float | None, high: float | None) -> Callable[[float], str]:
    """Writes an estimate and the ends of its interval with two digits of the distance to the nearer end."""
    ends = [abs(value - end) for end in (low, high) if end is not None and end != value]
    if not ends or abs(value) >= 1e4 or not 0 < min(ends) < math.inf:
        return _number
    decimals = min(max(1 - math.floor(math.log10(min(ends))), 0), _MOST_DECIMALS)

    def write(number: float) -> str:
        if abs(number) >= 1e4:
            return _number(number)
        shown = decimals if abs(number) < 100 else 0
        return f"{round(number, shown) + 0.0:,.{shown}f}".replace("-", "−")  # never "-0.000"

    return write


@dataclass(frozen=True)
class Cell:
    """A cell of the page.

    Attributes:
        text: What it says.
        small: The small print below.
        look: The look of a verdict.
        title: What a verdict says when pointed at.
        order: The number to sort the column by; None: by the text.
    """

    text: str
    small: str = ""
    look: str = ""
    title: str = ""
    order: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Table(Generic[Record]):
    """A table of the report.

    Attributes:
        name: Name of its CSV file, without ``.csv``.
        title: Heading on the page.
        records: The records shown, one per row.
        columns: Columns of the table.
        note: A sentence on how to read it.
        hidden: Whether the page offers it as CSV alone.
        listed_by: Where there is no room for a table, as in TensorBoard, a table with sentences becomes a list of
            them, each after the columns of these keys. None: it stays a table.
    """

    name: str
    title: str
    records: Sequence[Record]
    columns: tuple[Column[Record], ...]
    note: str = ""
    hidden: bool = False
    listed_by: tuple[str, ...] | None = None

    @property
    def shown(self) -> list[Column[Record]]:
        """The columns of the page, which needs no name for the only architecture."""
        return [c for c in self.columns if not c.csv_only and (c.key != "architecture" or self._several(c))]

    @property
    def wordy(self) -> bool:
        """Whether a column holds sentences, for which a phone has no room beside other columns."""
        return any(column.kind == "words" for column in self.shown)

    @property
    def rows(self) -> list[list[Cell]]:
        """The cells of the page."""
        return [[column.cell(record) for column in self.shown] for record in self.records]

    def csv(self) -> str:
        """The table as CSV (RFC 4180, UTF-8). A text that a spreadsheet would take for a formula is quoted by ``'``."""
        text = io.StringIO()
        # Every text is quoted: Python leaves a lone carriage return bare otherwise.
        writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow([key for column in self.columns for key in column.keys])
        for record in self.records:
            writer.writerow([_csv_cell(value) for column in self.columns for value in column.values(record)])
        return text.getvalue()

    def markdown(self) -> str:
        """The table as Markdown: with intervals in parentheses, or as the list of its sentences."""
        if self.listed_by is None:
            rows = [[_with_small(cell) for cell in row] for row in self.rows]
            return markdown_table([column.heading for column in self.shown], rows)
        words = next(column for column in self.columns if column.kind == "words")
        named = [column for column in self.shown if column.key in ("architecture", *self.listed_by)]
        names = [" ".join(column.cell(record).text for column in named) for record in self.records]
        sentences = [words.cell(record).text for record in self.records]
        return bullets(
            f"{name}: {sentence}" if name else sentence for name, sentence in zip(names, sentences, strict=True)
        )

    def _several(self, column: Column[Record]) -> bool:
        return len({column.value(record) for record in self.records}) > 1


def plain(text: str) -> str:
    """Markdown that shows a text as it is, on one line, whatever markup it holds."""
    return text.translate(_PUNCTUATION)


def bullets(sentences: Iterable[str]) -> str:
    """A Markdown list of texts, shown as they are."""
    return "\n".join(f"- {plain(sentence)}" for sentence in sentences)


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose cells are shown as they are."""
    return "\n".join(
        f"| {' | '.join(cells)} |"
        for cells in (map(plain, columns), ["---"] * len(columns), *(map(plain, row) for row in rows))
    )


def _with_small(cell: Cell) -> str:
    return f"{cell.text} ({cell.small})" if cell.small else cell.text


def _csv_cell(value: Value) -> Value:
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
