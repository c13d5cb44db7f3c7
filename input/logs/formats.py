"""The formats of raw logs, by name."""

import dataclasses
from collections.abc import Callable

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.avazu import AvazuLog, avazu
from tfrs_scaling.input.logs.cells import Log
from tfrs_scaling.input.logs.movielens import MovieLensLog, movielens_1m
from tfrs_scaling.input.logs.parquet import ParquetLog
from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.schema import Schema, criteo


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of raw logs.

    Attributes:
        schema: its own; None where the user gives one.
        read: makes the log of files, the schema and the separator that the user gave.
    """

    schema: Callable[[], Schema] | None
    read: Callable[[tuple[str, ...], Schema, str | None], Log]


def _tfrecord(files: tuple[str, ...], schema: Schema, _: str | None) -> Log:
    from tfrs_scaling.input.logs.tfrecord import TFRecordLog  # loads TensorFlow, which takes seconds

    return TFRecordLog(schema, files)


# Datasets of TensorFlow Datasets are no files; ``prepare tfds:NAME`` has the name in place of the format's.
TFDS_PREFIX = "tfds:"
FORMATS = {
    "csv": Format(None, lambda files, schema, separator: TextLog(schema, files, separator)),
    "parquet": Format(None, lambda files, schema, _: ParquetLog(schema, files)),
    "tfrecord": Format(None, _tfrecord),
    "criteo": Format(criteo, lambda files, schema, _: TextLog(schema, files, "\t", tuple(schema.columns))),
    "avazu": Format(avazu, lambda files, schema, _: AvazuLog(schema, files, ",")),
    "movielens-1m": Format(movielens_1m, lambda files, schema, _: MovieLensLog.open(files, schema)),
}


def open_log(
    name: str, files: tuple[str, ...], schema: Schema | None, separator: str | None, tfds_dir: str | None = None
) -> Log:
    """The log in files of the format ``name``, or the TFDS dataset that it names.

    Args:
        name: a key of ``FORMATS``, or ``tfds:NAME``.
        files: the paths, in the order of the log; of a TFDS dataset there are none.
        schema: the columns; a format that has a schema of its own takes this one instead, if it is given.
        separator: between columns, where the format's separator is not known.
        tfds_dir: TFDS's folder; None is its usual one.

    Raises:
        InputError: the format needs a schema and there is none, or takes no separator, or no folder of TFDS's; or what
            is opened at once cannot be.
    """
    is_tfds = name.startswith(TFDS_PREFIX)
    if separator is not None and name != "csv":
        raise InputError(f"--separator is for csv; {name} needs none")
    if tfds_dir is not None and not is_tfds:
        raise InputError(f"--tfds-dir is for tfds:NAME; {name} needs none")
    if schema is None:
        own_schema = None if is_tfds else FORMATS[name].schema
        if own_schema is None:
            raise InputError(
                f"prepare {name} needs --schema FILE, which names the columns (see tuner_configs/schemas/)"
            )
        schema = own_schema()
    if is_tfds:
        from tfrs_scaling.input.logs.tfds import TfdsLog

        return TfdsLog.open(name, schema, tfds_dir)
    return FORMATS[name].read(files, schema, separator)
