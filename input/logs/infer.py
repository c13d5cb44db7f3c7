"""Infers a first schema for a log, to be reviewed and edited by someone who knows the columns."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.words import listed, plural, share
from tfrs_scaling.input.logs.arrow import is_list_type, unusable
from tfrs_scaling.input.logs.column import (
    LIST_SEPARATOR,
    MISSING_TEXTS,
    Column,
)
from tfrs_scaling.input.logs.files import file_kind, find_files, partition_values, recbole_tables
from tfrs_scaling.input.logs.formats import TextOptions, open_log
from tfrs_scaling.input.logs.header import header_advice, looks_like_row, text_columns
from tfrs_scaling.input.logs.jsonl import json_keys
from tfrs_scaling.input.logs.leaks import NOTABLE_AUC, auc_alone, telling_value
from tfrs_scaling.input.logs.parquet import parquet_file
from tfrs_scaling.input.logs.roles import LABEL_NAMES, other_outcomes, take_label, take_time
from tfrs_scaling.input.logs.values.cells import Cells, read
from tfrs_scaling.input.schema import LABEL_TEXTS, MAX_VALUES, NOTABLE_REPEATS, Schema

SAMPLE_ROWS = 100_000


@dataclasses.dataclass(frozen=True)
class Inferred:
    """A guessed schema.

    Attributes:
        text: text of the schema file.
        columns: the statistics of each, in the log's order.
        notes: what its reader should know or check.
    """

    text: str
    columns: list[Column]
    notes: list[str]


def infer(
    path: str | Path,
    label: str | None = None,
    *,
    label_at_least: float | None = None,
    text: TextOptions = TextOptions(),  # noqa: B008 -- frozen
) -> Inferred:
    """Guess a log's schema.

    Args:
        path: a file, folder or pattern (see ``find_files``) of delimited text with a header, JSON lines, Parquet or
            TFRecord, recognized by its content.
        label: the label's column; None looks for one of 0 and 1 that has a usual name.
        label_at_least: for a label that is a number, the smallest that is a click.
        text: how text is written.

    Raises:
        InputError: the files cannot be read, have no names for their columns, or no column can be the label.
    """
    path = str(path)
    files = find_files((path,))
    notes: list[str] = []
    columns, missing, sample, malformed = _read(files, path, text, notes, set())
    if commas := {column.name for column in columns.values() if column.has_decimal_commas()}:
        columns, missing, sample, malformed = _read(files, path, text, [], commas)
        notes += [f"{name}: numbers with a decimal comma, as the schema says" for name in columns if name in commas]
    found = list(columns.values())
    if not found or not found[0].rows:
        raise InputError(f"{path}: no rows" + (f"; the first line that is none: {malformed[0]}" if malformed else ""))
    if text.columns is None and _header_is_row(found, files[0], text):
        shown = ", ".join(column.name for column in found[:5])
        raise InputError(
            f"{files[0]}, line 1: looks like a row, not like names ({shown}): name the columns, for infer and prepare, "
            "as in --columns label,user,item"
        )
    if len(malformed) > found[0].rows:
        raise InputError(
            f"{path}: {plural(len(malformed), 'malformed row')} and {found[0].rows:,} others; the first: {malformed[0]}"
        )
    if malformed:
        notes.append(
            f"{plural(len(malformed), 'malformed row')} skipped, the first in {malformed[0]}; prepare lists them"
        )
    label_column = take_label(found, label, label_at_least, path, notes)
    take_time(found, notes)
    outcomes = other_outcomes(found)
    notes += [
        f"{column.name}: named like a label, too, so it is left out, as what is known only after the row"
        for column in outcomes
    ]
    is_text = text.columns is not None or file_kind(files[0], text.encoding) in ("csv", "jsonl")
    for column in found:
        if column.taken_as != "left out" or len(column.values) < 2 or column in outcomes:
            continue
        if column.holds_vectors():
            notes.append(f"{column.name}: holds vectors of numbers, which no feature takes, so it is left out")
            continue
        if column.infinite:
            notes.append(f"warning: {column.name}: infinite in {plural(column.infinite, 'row')}, which prepare rejects")
        if column.undecodable and not is_text:
            notes.append(f"{column.name}: holds bytes that are not text, so it is left out")
            continue
        if column.undecodable:
            notes.append(
                f"warning: {column.name}: {plural(column.undecodable, 'row')} not in UTF-8; if the text is in another "
                "encoding, give infer and prepare its --encoding, such as cp1252"
            )
        if column.is_row_number():
            notes.append(f"{column.name}: numbers the rows, so it is left out")
            continue
        column.taken_as = "dense" if column.is_dense() else "multi-hot" if column.separator else "categorical"
        if not column.is_number and column.may_be_thousands():
            example = min(value for value in column.values if "," in value).strip()
            notes.append(
                f"warning: {column.name}: the comma of {example} may be one of thousands, a decimal one, or stand "
                f"between ids; it is read as {column.taken_as}. If of thousands, write the numbers without it; if "
                'decimal, move the column to "dense", with "decimal_comma": true'
            )
        elif column.taken_as == "multi-hot" and column.may_be_decimal():
            notes.append(
                f"{column.name}: read as lists of up to two numbers; if the comma is a decimal one, move it to "
                '"dense", with "decimal_comma": true'
            )
        if column.holds_nested_lists():
            notes.append(
                f"warning: {column.name}: holds lists of lists, and each is read as one value; a feature holds one "
                "list: write it as [1, 2, 3]"
            )
        elif (by := column.unusual_separator()) is not None:
            notes.append(
                f"{column.name}: read as one value a row; if {by!r} separates several, give the feature "
                f'"max_values" and "separator": {json.dumps(by, ensure_ascii=False)}'
            )
        elif brackets := column.loose_brackets():
            notes.append(
                f"warning: {column.name}: {listed(map(repr, brackets))} hold a list's brackets, and are other values "
                "than those without; write lists as [1, 2, 3]"
            )
        elif (pair := column.weighted_values()) is not None:
            notes.append(
                f"warning: {column.name}: values such as {pair!r} seem to be ids with a weight, and each pair is "
                "read as an id; write the ids alone"
            )
        if column.numbers_rows_in_any_order():
            notes.append(f"{column.name}: another whole number in every row; leave it out if it only numbers the rows")
        elif column.has_only_unique_texts():
            notes.append(f"{column.name}: another value in every row, of which a model learns nothing; leave it out")
    if not any(column.taken_as in ("categorical", "multi-hot") for column in found):
        raise InputError(f"{path}: no column can be a categorical feature, and a schema needs one; edit one by hand")
    notes += _suspicions(sample, found, label_column, label_at_least)
    notes += _recbole_notes(files)
    return Inferred(_schema_text(found, missing, label_at_least), found, notes)


def _read(
    files: tuple[str, ...], path: str, text: TextOptions, notes: list[str], commas: set[str]
) -> tuple[dict[str, Column], set[str], pa.Table, list[str]]:
    """Every column's statistics, the texts of missing values, the first rows, and where malformed rows are.

    ``commas`` names the columns whose commas are decimal ones.
    """
    missing: set[str] = set()
    columns: dict[str, Column] = {}
    sample: list[pa.RecordBatch] = []
    malformed: list[str] = []
    names, lists, blocks = _blocks(files, path, text, notes)
    for block in blocks:
        malformed += [f"{row.file}, {row.unit} {row.line} ({row.why})" for row in block.malformed]
        texts = {}
        for name in names:
            column = columns.setdefault(name, Column(name, name in lists, name in commas))
            texts[name], undecodable = _as_text(block.batch.column(name))
            if name in commas:
                texts[name] = pc.replace_substring(texts[name], ",", ".")
            column.undecodable += undecodable
            column.add(texts[name], missing)
        if sum(map(len, sample)) < SAMPLE_ROWS:
            sample.append(pa.record_batch(texts))
    return columns, missing, pa.Table.from_batches(sample)[:SAMPLE_ROWS] if sample else pa.table({}), malformed


def _blocks(
    files: tuple[str, ...], path: str, text: TextOptions, notes: list[str]
) -> tuple[list[str], set[str], Iterator[Cells]]:
    """The columns in the log's order, which of them hold lists, and the cells of all as text."""
    kinds = {file: file_kind(file, text.encoding) for file in files if not _is_empty(file, files)}
    if len(set(kinds.values())) > 1:
        by_kind = {kind: file for file, kind in kinds.items()}
        raise InputError(f"{path}: holds files of different kinds: {listed(f'{f} ({k})' for k, f in by_kind.items())}")
    first, kind = next(iter(kinds.items()))
    lists: set[str] = set()
    if kind == "parquet":
        with parquet_file(first) as parquet:
            fields = list(parquet.schema_arrow)
        for field in fields:
            if unusable(field.type):
                notes.append(f"{field.name}: holds {field.type}, which no cell can, so it is left out")
        names = [field.name for field in fields if not unusable(field.type)]
        lists = {field.name for field in fields if is_list_type(field.type)}
    elif kind == "tfrecord":
        from tfrs_scaling.input.logs.tfrecord import tfrecord_features  # loads TensorFlow, which takes seconds

        several = tfrecord_features(first)
        names, lists = list(several), {name for name in several if several[name]}
    elif kind == "jsonl":
        keys = json_keys(first, text.encoding)
        if all(kind == "nested" for kind in keys.values()):
            raise InputError(
                f"{first}: no object of a row on each line; pandas writes them by to_json(orient='records', lines=True)"
            )
        for name in (name for name in keys if keys[name] == "nested"):
            notes.append(f"{name}: holds objects or lists of lists, which no cell can, so it is left out")
        names = [name for name in keys if keys[name] != "nested"]
        lists = {name for name in names if keys[name] == "list"}
    else:
        names = list(text.columns or text_columns(first, text.delimiter, text.encoding))
        for place, name in enumerate(names, 1):
            if not name.strip():
                notes.append(f"{first}, line 1: column {place} has no name, so it is left out (pandas' row number?)")
    names = [name for name in names if name.strip()]
    names += [name for name in partition_values(first) if name not in names]
    options = text if kind == "csv" else TextOptions(encoding=text.encoding) if kind == "jsonl" else TextOptions()
    return names, lists, read(open_log(kind, files, _everything(path, names, lists), options))


def _is_empty(file: str, files: tuple[str, ...]) -> bool:
    from tfrs_scaling.common.locations import size

    return len(files) > 1 and size(file) == 0


def _everything(path: str, names: list[str], lists: set[str]) -> Schema:
    """A schema that reads every column; the roles do not matter."""
    label = next((name for name in names if name not in lists), None)
    if label is None or len(names) < 2:
        hint = header_advice(names[0]) if len(names) == 1 else ""
        raise InputError(f"{path}: a click log has a label and at least one feature; the columns are {names}{hint}")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"{path}: the column {repeated[0]!r} appears twice; rename one")
    several = {"max_values": MAX_VALUES, "separator": LIST_SEPARATOR}
    features = [
        {"name": name, "cardinality": 2, "encoding": "hash", **(several if name in lists else {})}
        for name in names
        if name != label
    ]
    return Schema.from_dict({"label": label, "categorical": features}, f"{path}: its columns")


def _as_text(cells: pa.Array) -> tuple[pa.Array, int]:
    """The cells as text, and how many are not UTF-8."""
    try:
        return cells.cast(pa.string()), 0
    except pa.ArrowInvalid:  # prepare reports the place
        texts = [value.decode("utf-8", "backslashreplace") for value in cells.to_pylist()]
        strange = sum(text.encode() != value for text, value in zip(texts, cells.to_pylist(), strict=True))
        return pa.array(texts, pa.string()), strange


def _recbole_notes(files: tuple[str, ...]) -> list[str]:
    """What is not read of RecBole's tables."""
    tables = [table for file in files for table in recbole_tables(file)]
    return (
        [f"{listed(tables)} not read: to use their columns, merge them into the .inter file, as with pandas.merge"]
        if tables
        else []
    )


def _header_is_row(columns: list[Column], file: str, text: TextOptions) -> bool:
    """Whether the names of delimited text are rather the values of a row."""
    if file_kind(file, text.encoding) != "csv":
        return False
    names = [column.name for column in columns]
    if names == [str(place) for place in range(len(names))] or any(c.plain_name in LABEL_NAMES for c in columns):
        return False  # pandas numbers columns without names
    among_values = sum(column.name in column.values for column in columns)
    return looks_like_row(names) or 2 * among_values > len(names)


def _suspicions(sample: pa.Table, columns: list[Column], label: str, at_least: float | None) -> list[str]:
    """What the first rows show: repeated rows, and features that alone reveal the label; they are left out."""
    notes, told = [], []
    texts = [text.strip().lower() for text in sample.column(label).to_pylist()]
    if at_least is None:
        known = [text in LABEL_TEXTS for text in texts]
        sample, texts = sample.filter(pa.array(known)), [text for text in texts if text in LABEL_TEXTS]
        clicked = np.array([LABEL_TEXTS[text] for text in texts])
    else:
        clicked = np.array([float(text) >= at_least for text in texts])
    for column in columns:
        if column.taken_as in ("dense", "categorical", "multi-hot"):
            codes = sample.column(column.name).combine_chunks().dictionary_encode()
            numbers = None
            if column.is_number:
                values = pc.if_else(pc.is_in(codes.dictionary, pa.array(MISSING_TEXTS)), None, codes.dictionary)
                numbers = pc.fill_null(values.cast(pa.float64()), np.nan).to_numpy()[codes.indices.to_numpy()]
            auc = auc_alone(codes.indices.to_numpy(), clicked, numbers)
            if auc > NOTABLE_AUC:
                told.append((column, auc))
            elif (value := telling_value(codes.indices.to_numpy(), clicked)) is not None:
                text = codes.dictionary[value].as_py()
                notes.append(
                    f"warning: {column.name}: every row with {text!r} is a click; leave it out if known only after one"
                )
    names = {column.name for column, _ in told}
    enough = any(c.taken_as in ("categorical", "multi-hot") and c.name not in names for c in columns)
    for column, auc in told:
        if enough:
            column.taken_as = "left out"
        notes.append(
            f"warning: {column.name} alone tells the label (AUC {auc:.3f}), as what is known only after a click does"
            + ("; it is left out" if enough else "")
        )
    repeated, by_chance = _repeats(sample), _repeats(_shuffled(sample))
    if repeated > by_chance + NOTABLE_REPEATS:
        first = f" (the first {len(sample):,})" if len(sample) == SAMPLE_ROWS else ""
        notes.append(
            f"{share(repeated)} of the rows{first} repeat another in every column: was a part of the log read twice?"
        )
    return notes


def _repeats(table: pa.Table) -> float:
    """The share of the rows that equal an earlier one."""
    return 1 - table.group_by(table.column_names).aggregate([]).num_rows / max(1, len(table))


def _shuffled(table: pa.Table) -> pa.Table:
    """The table with each column in an order of its own, so that rows repeat by chance alone."""
    rng, names = np.random.default_rng(0), table.column_names
    return pa.table({name: table.column(name).take(pa.array(rng.permutation(len(table)))) for name in names})


def _schema_text(columns: list[Column], missing: set[str], label_at_least: float | None) -> str:
    def lines(kinds: tuple[str, ...]) -> str:
        features = [json.dumps(c.feature(), ensure_ascii=False) for c in columns if c.taken_as in kinds]
        return "[\n    " + ",\n    ".join(features) + "\n  ]" if features else "[]"

    entries = {"label": json.dumps(next(c.name for c in columns if c.taken_as == "label"), ensure_ascii=False)}
    if label_at_least is not None:
        entries["label_at_least"] = json.dumps(label_at_least)
    for column in columns:
        if column.taken_as == "time":
            entries["time"] = json.dumps(column.name, ensure_ascii=False)
    if missing - {""}:
        entries["missing"] = json.dumps(["", *sorted(missing - {""})])
    entries["dense"] = lines(("dense",))
    entries["categorical"] = lines(("categorical", "multi-hot"))
    return "{\n" + ",\n".join(f'  "{key}": {value}' for key, value in entries.items()) + "\n}\n"
