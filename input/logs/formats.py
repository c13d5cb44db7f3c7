"""The formats of raw logs, by name."""

import dataclasses
from collections.abc import Callable

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.avazu import AvazuLog, avazu
from tfrs_scaling.input.logs.congress import CongressLog, congress
from tfrs_scaling.input.logs.criteo import criteo, criteo_log
from tfrs_scaling.input.logs.files import find_files
from tfrs_scaling.input.logs.jsonl import JsonLinesLog
from tfrs_scaling.input.logs.movielens import MovieLensLog, movielens_1m
from tfrs_scaling.input.logs.nycflights13 import NycFlightsLog, nycflights13
from tfrs_scaling.input.logs.parquet import ParquetLog
from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.logs.values.cells import TFDS_PREFIX, Log
from tfrs_scaling.input.schema import Schema


@dataclasses.dataclass(frozen=True)
class TextOptions:
    r"""What a user can say of text.

    Attributes:
        separator: separator of the columns of ``csv``; ``\t`` and ``tab`` are a tab; None detects it.
        columns: names of the columns, if the files of ``csv`` have no header line.
        encoding: encoding of ``csv`` and ``jsonl``; None: UTF-8.
    """

    separator: str | None = None
    columns: tuple[str, ...] | None = None
    encoding: str | None = None

    @property
    def delimiter(self) -> str | None:
        """The separator as one character."""
        return "\t" if self.separator in ("\\t", "tab") else self.separator


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of raw logs.

    Attributes:
        schema: the format's own schema; None if the user must give one.
        open: the log, from the files, the schema, and what the user says of text.
        is_folder: whether the log is a folder of files that belong together, which ``open`` finds.
    """

    schema: Callable[[], Schema] | None
    open: Callable[[tuple[str, ...], Schema, TextOptions], Log]
    is_folder: bool = False


def _tfrecord(files: tuple[str, ...], schema: Schema, _: TextOptions) -> Log:
    from tfrs_scaling.input.logs.tfrecord import TFRecordLog  # loads TensorFlow, which takes seconds

    return TFRecordLog(schema, files)


FORMATS = {
    "csv": Format(
        None, lambda files, schema, text: TextLog(schema, files, text.delimiter, text.columns, encoding=text.encoding)
    ),
    "jsonl": Format(None, lambda files, schema, text: JsonLinesLog(schema, files, text.encoding)),
    "parquet": Format(None, lambda files, schema, _: ParquetLog(schema, files)),
    "tfrecord": Format(None, _tfrecord),
    "criteo": Format(criteo, lambda files, schema, _: criteo_log(files, schema)),
    "avazu": Format(avazu, lambda files, schema, _: AvazuLog(schema, files, ",")),
    "movielens-1m": Format(movielens_1m, lambda files, schema, _: MovieLensLog.open(files, schema), is_folder=True),
    "congress": Format(congress, lambda files, schema, _: CongressLog.open(files, schema), is_folder=True),
    "nycflights13": Format(nycflights13, lambda files, schema, _: NycFlightsLog.open(files, schema), is_folder=True),
}


def open_log(
    name: str,
    files: tuple[str, ...],
    schema: Schema | None,
    text: TextOptions | None = None,
    tfds_dir: str | None = None,
) -> Log:
    """The log in files of the format ``name``, or the TFDS dataset that it names.

    Args:
        name: a key of ``FORMATS``, or ``tfds:NAME``.
        files: paths, folders and patterns (see ``find_files``), in the order of the log; empty for a TFDS dataset.
        schema: the columns; None for the format's own.
        text: what the user says of text; None: nothing.
        tfds_dir: TFDS's folder; None for its default.

    Raises:
        InputError: the schema is missing, an option does not apply to the format, or there is no file of such a name.
    """
    text = text or TextOptions()
    is_tfds = name.startswith(TFDS_PREFIX)
    for option, applies_to in (("separator", ["csv"]), ("columns", ["csv"]), ("encoding", ["csv", "jsonl"])):
        if getattr(text, option) is not None and name not in applies_to:
            raise InputError(f"--{option} applies to {' and '.join(applies_to)} only, not to {name}")
    if tfds_dir is not None and not is_tfds:
        raise InputError(f"--tfds-dir applies to tfds:NAME only, not to {name}")
    if schema is None:
        own_schema = None if is_tfds else FORMATS[name].schema
        if own_schema is None:
            raise InputError(
                f"prepare {name} needs --schema FILE, which names the columns (see tuner_configs/schemas/)"
            )
        schema = own_schema()
    if is_tfds:
        try:
            from tfrs_scaling.input.logs.tfds import TfdsLog
        except Exception as error:  # whatever a library of its own raises
            raise InputError(f"{name}: TensorFlow Datasets does not load here: {error}") from error

        return TfdsLog.open(name, schema, tfds_dir)
    return FORMATS[name].open(files if FORMATS[name].is_folder else find_files(files), schema, text)
