"""The formats of raw logs, by name."""

import dataclasses
from collections.abc import Callable

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.input.logs.avazu import AvazuLog, avazu
from tfrs_scaling.input.logs.cells import TFDS_PREFIX, Log
from tfrs_scaling.input.logs.criteo import criteo, criteo_log
from tfrs_scaling.input.logs.movielens import MovieLensLog, movielens_1m
from tfrs_scaling.input.logs.parquet import ParquetLog
from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.schema import Schema


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of raw logs.

    Attributes:
        schema: its own; None if the user must give one.
        open: the log, from the files, the schema, and the separator that the user gave, if any.
    """

    schema: Callable[[], Schema] | None
    open: Callable[[tuple[str, ...], Schema, str | None], Log]


def _tfrecord(files: tuple[str, ...], schema: Schema, _: str | None) -> Log:
    from tfrs_scaling.input.logs.tfrecord import TFRecordLog  # loads TensorFlow, which takes seconds

    return TFRecordLog(schema, files)


FORMATS = {
    "csv": Format(None, lambda files, schema, separator: TextLog(schema, files, separator)),
    "parquet": Format(None, lambda files, schema, _: ParquetLog(schema, files)),
    "tfrecord": Format(None, _tfrecord),
    "criteo": Format(criteo, lambda files, schema, _: criteo_log(files, schema)),
    "avazu": Format(avazu, lambda files, schema, _: AvazuLog(schema, files, ",")),
    "movielens-1m": Format(movielens_1m, lambda files, schema, _: MovieLensLog.open(files, schema)),
}


def open_log(
    name: str, files: tuple[str, ...], schema: Schema | None, separator: str | None, tfds_dir: str | None = None
) -> Log:
    """The log in files of the format ``name``, or the TFDS dataset that it names.

    Args:
        name: a key of ``FORMATS``, or ``tfds:NAME``.
        files: the paths, in the order of the log; empty for a TFDS dataset.
        schema: the columns; None for the format's own.
        separator: between the columns of ``csv``; None detects it.
        tfds_dir: TFDS's folder; None for its default.

    Raises:
        InputError: the schema is missing, ``separator`` or ``tfds_dir`` does not apply to the format, or a file that is
            read at once cannot be.
    """
    is_tfds = name.startswith(TFDS_PREFIX)
    if separator is not None and name != "csv":
        raise InputError(f"--separator applies to csv only, not to {name}")
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
        from tfrs_scaling.input.logs.tfds import TfdsLog

        return TfdsLog.open(name, schema, tfds_dir)
    return FORMATS[name].open(files, schema, separator)
