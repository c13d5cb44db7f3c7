"""Which columns of a log are its label and its time, by their names and values."""

import re

import numpy as np
import pyarrow as pa

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.words import listed, plural
from tfrs_scaling.input.logs.column import Column
from tfrs_scaling.input.logs.values.times import (
    BAD,
    DATE,
    LATEST,
    are_day_first,
    is_ambiguous,
    mixed_units,
    parse_times,
    spell_dates,
    unit_of,
)

# In order of preference; names are compared in lower case with underscores.
LABEL_NAMES = (
    "label", "labels", "target", "y", "click", "clicked", "clicks", "is_click", "is_clicked", "clk", "is_clk",
    "has_click", "was_clicked", "click_flag", "click_label", "ad_click", "ctr_label", "label_click", "is_attributed",
    "converted", "conversion", "is_conversion", "is_converted", "purchased", "is_purchase", "purchase", "is_buy", "buy",
    "bought", "is_like", "like", "liked", "long_view", "is_long_view", "is_favorite", "favorite", "response", "outcome",
)  # fmt: skip
RATING_NAMES = ("rating", "ratings", "score", "stars", "overall", "watch_ratio")
_TIME = r"(ts|time|timestamp|time_stamp|date_?time|unix_?time|unix_?timestamp|review_time|utc)(_(ms|us|ns|s|sec|utc))?$"
_DATE = r"(date|day|dt|hour|created_at|updated_at|logged_at|created|at)$"
# From the names that say most to those that say least; numbers under the first are times of any origin.
TIME_NAMES = tuple(map(re.compile, (rf"^(event_)?{_TIME}", rf"_{_TIME}", rf"^{_DATE}", rf"_{_DATE}")))
# Durations, and moments of a user's or an item's life rather than of the row.
OTHER_TIMES = re.compile(
    r"(^|_)(watch|dwell|play|view|load|wait|response|session|stay)_time(_(ms|us|ns|s|sec))?$"
    r"|(^|_)(sign_?up|birth|release|regist\w*|upload|publish\w*)_?(time|timestamp|ts|date|day|dt|at)(_|$)"
)
FIRST_USUAL, LAST_USUAL = 946_684_800, 2_051_222_400  # epoch seconds of 2000 and 2035
FIRST_EPOCH_SECOND = 10**8  # in 1973; smaller numbers are parts of a date, durations or counters


def take_label(columns: list[Column], label: str | None, at_least: float | None, path: str, notes: list[str]) -> str:
    """Mark the label among the columns; returns its name.

    Args:
        columns: of the log, with their statistics.
        label: its name; None looks for a usual one.
        at_least: the smallest number that is a click, for a label that is a number.
        path: of the log, for messages.
        notes: what a reader should know is added here.

    Raises:
        InputError: there is no such column, or none can be the label.
    """
    labels = [c for c in columns if c.is_label()]
    binary = [c for c in labels if not c.missing]
    usual = [c for name in LABEL_NAMES for c in columns if c.plain_name == name]
    if label is not None:
        named = next((c for c in columns if c.name == label), None)
        if named is None:
            raise InputError(f"{path}: there is no column {label!r}; it has {', '.join(c.name for c in columns)}")
    else:
        ratings = [c for name in RATING_NAMES for c in columns if c.plain_name == name]
        named = next((c for c in usual if c in binary), None) or next((c for c in usual if c in labels), None)
        if named is None:  # a column of the right name with other values says more than one of 0 and 1 of another name
            named = next((c for c in (*usual, *([] if binary and at_least is None else ratings)) if c.is_number), None)
        if named is None and binary:
            shown = listed(repr(c.name) for c in binary[:5])
            raise InputError(
                f"{path}: no column has a label's usual name, such as 'label' or 'click'; give --label NAME. "
                f"{shown} {'holds' if len(binary) == 1 else 'hold'} 0 and 1 alone"
            )
        if named is None:
            raise InputError(
                f"{path}: no column holds only 0 and 1, so none can be the label; add such a column, or give --label "
                "NAME and --label-at-least NUMBER for one of ratings"
            )
    if at_least is None and named in labels and named.missing:
        notes.append(
            f"warning: {named.name}: {plural(named.missing, 'row')} without a label, which prepare rejects: write 0 if "
            f"no label means no click, or leave them out with --max-bad-rows {named.missing}"
        )
    if at_least is None and named not in labels:
        shown = ", ".join(sorted(named.values)[:5])
        advice = (
            "; if numbers from a limit up are clicks, give it with --label-at-least (the schema's key "
            f'"label_at_least"){": 1 where labels are -1 and 1" if named.low == -1 else ""}'
            if named.is_number and not named.missing
            else ""
        )
        raise InputError(
            f"{path}, column {named.name!r}: a label is 0 or 1 in every row; this column holds {shown}"
            + (f" and {named.missing:,} missing values" if named.missing else "")
            + ("; if no value means no click, write 0 there" if named.missing and len(named.values) == 1 else "")
            + advice
        )
    if at_least is not None and (not named.is_number or named.missing):
        raise InputError(f"{path}, column {named.name!r}: --label-at-least needs a number in every row")
    named.taken_as = "label"
    return named.name


def other_outcomes(columns: list[Column]) -> list[Column]:
    """Columns that are named and filled like a label but are not the one taken: what else came of the row."""
    return [c for c in columns if c.taken_as != "label" and c.is_label() and c.plain_name in LABEL_NAMES]


def take_time(columns: list[Column], notes: list[str]) -> None:
    """Mark the time among the columns, if there is one; what a reader should know is added to ``notes``."""
    named = [c for c in columns if c.taken_as == "left out" and len(c.values) > 1 and _time_rank(c) < len(TIME_NAMES)]
    found, others = [], []
    for column in sorted(named, key=_time_rank):
        why = _why_no_time(column, notes)
        if why:
            others.append(f"{column.name}: named like a time, but {why}")
        else:
            found.append(column)
    if not found:
        notes.append(
            "no column of times found, so prepare will split at random; if there is one, name it in the schema as "
            '"time"'
        )
        notes += others
        taken = {column.name for column in named}
        notes += [
            f'{column.name}: looks like a time; if it is when the row happened, name it in the schema as "time"'
            for column in columns
            if column.taken_as == "left out" and column.name not in taken and _looks_like_time(column)
        ]
        return
    found[0].taken_as = "time"
    if not found[0].is_number and are_day_first(pa.array([*found[0].values])).any():
        notes.append(f"{found[0].name}: dates such as {min(found[0].values)} are read as day, month, year")
    if len(found) > 1:
        notes.append(
            f"{found[0].name}: taken as the time of each row, by which prepare splits; it also could be "
            f"{' or '.join(column.name for column in found[1:])}"
        )


def _time_rank(column: Column) -> int:
    """The place of the first of ``TIME_NAMES`` that the column has; their number if it has none."""
    matches = (rank for rank, names in enumerate(TIME_NAMES) if names.search(column.plain_name))
    return next(matches, len(TIME_NAMES))


def _why_no_time(column: Column, notes: list[str]) -> str:
    """Why a column that is named like a time is none; empty if it is one. Mixed times are noted."""
    if OTHER_TIMES.search(column.plain_name):
        return 'its name is one of a duration or of another event; if it is when the row happened, name it as "time"'
    if column.missing:
        return f"{plural(column.missing, 'row')} of {column.rows:,} without a value, and every row needs one"
    mixed: list[str] = []
    if column.is_number:
        times = _integers(column)
        if _time_rank(column) > 0 and np.median(times) < FIRST_EPOCH_SECOND and not spell_dates(times):
            return 'its numbers are too small for times since 1970; if they grow with time, name it as "time"'
        mixed = mixed_units(times)
    else:
        texts = sorted(column.values)
        kinds = parse_times(pa.array(texts))[1]
        if (kinds == BAD).any():
            example = texts[int(np.argmax(kinds == BAD))]
            if is_ambiguous(example):
                return f"{example!r} is two dates, as day or month may come first; write 2020-07-04 16:08:23"
            return f"not every row holds a time that is read ({example!r})"
        mixed = ["numbers", "dates"] if len(set(kinds.tolist())) > 1 else []
    if mixed:
        notes.append(
            f"warning: {column.name}: {listed(mixed)} are mixed, and prepare refuses that: write all in one unit"
        )
    return ""


def _looks_like_time(column: Column) -> bool:
    """Whether every value is a date, or a number of seconds (or ms, us, ns) between 2000 and 2035."""
    if column.missing or len(column.values) < 2 or column.is_list:
        return False
    if not column.is_number:
        some = sorted(column.values)[:1000]
        return bool((parse_times(pa.array(some))[1] == DATE).all())
    times = _integers(column)
    (unit,) = set(unit_of(times[[0]]).tolist())
    scale = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}.get(unit)
    return scale is not None and bool((times >= FIRST_USUAL * scale).all() and (times < LAST_USUAL * scale).all())


def _integers(column: Column) -> np.ndarray:
    return np.array([float(value) for value in column.values]).clip(-LATEST, LATEST).astype(np.int64)
