"""Tables that are shown on the page and written as CSV: one content, two forms."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tfrs_scaling.common.words import FLOPS, human

Kind = Literal["text", "words", "number", "count", "estimate", "verdict", "signed"]
Record = Mapping[str, Any]

# A verdict's look; whatever is not here looks like a caution. Its words say the same as its colour.
_LOOKS = {
    "sound": "ok", "agrees": "ok", "inside": "ok", ">": "ok", "<": "ok", "same": "ok", "no": "ok", "lower": "ok",
    "V": "ok", "H": "ok", "O": "ok", "M": "ok",
    "≈": "unsure", "cannot tell": "unsure", "too few points": "unsure", "no difference": "unsure", "": "unsure",
}  # fmt: skip
# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        key: Its name in the CSV, and in the records.
        heading: Its name on the page.
        kind: How a cell is written. ``estimate`` has its interval in ``KEY_low`` and ``KEY_high``. ``count`` may be
            large, and is written in few characters on the page. ``verdict`` stands out.
        csv_only: Whether the page does without it.
    """

    key: str
    heading: str
    kind: Kind = "text"
    csv_only: bool = False

    @property
    def is_numeric(self) -> bool:
        """Whether its cells are aligned to the right."""
        return self.kind in ("number", "count", "estimate", "signed")

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of the CSV that it stands for."""
        return (self.key, f"{self.key}_low", f"{self.key}_high") if self.kind == "estimate" else (self.key,)


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: The CSV file's, without ``.csv``.
        title: Its heading on the page.
        columns: Its columns.
        records: Its rows, by the keys of the columns; None is what cannot be told.
        note: A sentence on how to read it.
        folded: Whether the page shows it only when asked.
        hidden: Whether the page offers it as CSV alone.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    records: Sequence[Record]
    note: str = ""
    folded: bool = False
    hidden: bool = False

    @property
    def shown(self) -> list[Column]:
        """The columns of the page, which needs no name for the only architecture."""
        several = len({record.get("architecture") for record in self.records}) > 1
        return [c for c in self.columns if not c.csv_only and (several or c.key != "architecture")]

    @property
    def wordy(self) -> bool:
        """Whether a column holds sentences, which a phone has no room for beside others."""
        return any(column.kind == "words" for column in self.shown)

    @property
    def rows(self) -> list[list[dict[str, str]]]:
        """Cells of the page: text, small print and look."""
        return [[_cell(column, record) for column in self.shown] for record in self.records]

    def csv(self) -> str:
        """The table as CSV (RFC 4180, UTF-8). A text that a spreadsheet would take for a formula is quoted by ``'``."""
        text = io.StringIO()
        # Every text is quoted: Python leaves a lone carriage return bare otherwise.
        writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        keys = [key for column in self.columns for key in column.keys]
        writer.writerow(keys)
        writer.writerows([_csv_cell(record[key]) for key in keys] for record in self.records)
        return text.getvalue()


def number(value: float | None) -> str:
    """A number in about four digits; a dash for none."""
    if value is None:
        return "–"
    if value == round(value) and 2 <= abs(value) < 1000:
        return f"{value:.0f}".replace("-", "−")
    if value == 0 or 1e-3 <= abs(value) < 10:
        return f"{value:.4f}".replace("-", "−")
    return (f"{value:,.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}").replace("-", "−")


def signed(value: float | None) -> str:
    """A change, with its sign; none where it is nothing to four digits."""
    if value is None:
        return "–"
    return "0.0000" if abs(value) < 5e-5 else f"{value:+.4f}".replace("-", "−")


def interval(low: float | None, high: float | None) -> str:
    """An interval whose open ends are written as such; nothing where neither end is known."""
    if low is None and high is None:
        return ""
    return f"{'open' if low is None else _compact(low)} to {'open' if high is None else _compact(high)}"


def _compact(value: float) -> str:
    return human(value, FLOPS) if abs(value) >= 1e4 else number(value)


def _cell(column: Column, record: Record) -> dict[str, str]:
    value = record[column.key]
    cell = {"text": "–" if value is None else str(value), "small": "", "look": "", "title": ""}
    if column.kind == "verdict":
        text = "" if value is None else str(value)
        cell |= {"text": text or "–", "look": _LOOKS.get(text, "no"), "title": str(record.get(f"{column.key}_why", ""))}
    elif column.kind == "count":
        cell["text"] = "–" if value is None else (value if isinstance(value, str) else human(float(value), FLOPS))
    elif column.kind == "signed":
        cell["text"] = signed(value)
    elif column.kind in ("number", "estimate"):
        cell["text"] = "–" if value is None else _compact(float(value))
    if column.kind == "estimate":
        low, high = (record[key] for key in column.keys[1:])
        cell["small"] = interval(low, high) if value is not None else ""
    return cell


def _csv_cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
