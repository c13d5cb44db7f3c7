"""The formats of raw logs, by name."""

import dataclasses
from collections.abc import Callable

from tfrs_scaling.input.cells import Log
from tfrs_scaling.input.parquet import ParquetLog
from tfrs_scaling.input.schema import Schema, criteo
from tfrs_scaling.input.text import TextLog
from tfrs_scaling.input.validated import InputError


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of raw logs.

    Attributes:
        describes: what it is, in a line.
        schema: its own; None where the user gives one.
        read: makes the log of files, the schema and the separator that the user gave.
    """

    describes: str
    schema: Callable[[], Schema] | None
    read: Callable[[tuple[str, ...], Schema, str | None], Log]


def _criteo(files: tuple[str, ...], schema: Schema, separator: str | None) -> Log:
    return TextLog(schema, files, separator or "\t", tuple(schema.columns), integer_dense=True, hexadecimal=True)


FORMATS = {
    "csv": Format(
        "delimited text with a header line (gz, xz, bz2 too)",
        None,
        lambda files, schema, separator: TextLog(schema, files, separator),
    ),
    "parquet": Format("Parquet files", None, lambda files, schema, _: ParquetLog(schema, files)),
    "criteo": Format("Criteo's label, 13 integers and 26 categories, plain or gz", criteo, _criteo),
}


def open_log(name: str, files: tuple[str, ...], schema: Schema | None, separator: str | None) -> Log:
    """The log in files of the format ``name``.

    Args:
        name: a key of ``FORMATS``.
        files: the paths, in the order of the log.
        schema: the columns; a format that has a schema of its own takes this one instead, if it is given.
        separator: between columns, where the format's separator is not known.

    Raises:
        InputError: the format needs a schema and there is none, or takes no separator.
    """
    chosen = FORMATS[name]
    if separator is not None and name != "csv":
        raise InputError(f"--separator is for csv; {name} needs none")
    if schema is None and chosen.schema is None:
        raise InputError(f"prepare {name} needs --schema FILE, which names the columns (see tuner_configs/schemas/)")
    return chosen.read(files, schema or chosen.schema(), separator)  # type: ignore[misc]
