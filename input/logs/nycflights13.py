"""The R package nycflights13's tables: the flights from New York in 2013, joined with the aircraft that flew them."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path, PurePath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.locations import fingerprints, join, size
from tfrs_scaling.input.logs.arrow import binary_columns
from tfrs_scaling.input.logs.files import decompressed
from tfrs_scaling.input.logs.values.cells import Cells, Piece, missing_column
from tfrs_scaling.input.schema import Schema

FLIGHTS, PLANES = ("flights.csv", "flights.csv.zip"), ("planes.csv", "planes.csv.zip")
LATE = 15  # minutes; an arrival later than that is a click
_NUMBERS = ("year", "month", "day", "sched_dep_time", "arr_delay", "flight", "distance")
_TEXTS = ("carrier", "origin", "dest", "tailnum")
_OF_PLANES = ("year", "manufacturer", "model", "seats", "engine")
COLUMNS = (
    *("label", "ts", "distance", "sched_min", "seats", "plane_year", "month", "weekday"),
    *("carrier", "origin", "dest", "flight", "tailnum", "manufacturer", "model", "engine"),
)
_PIECE = 1 << 16  # rows


def nycflights13() -> Schema:
    """That of ``tuner_configs/schemas/flights.json``."""
    return Schema.read(Path("flights"))


@dataclasses.dataclass(frozen=True)
class NycFlightsLog:
    """The flights that arrived, in the order of their scheduled departure, then of carrier and number.

    What is known only after the departure makes the label and is no feature. ``ts`` is the scheduled departure by the
    local clock, taken as UTC, in seconds since 1970; ``sched_min`` its minute of the day; ``weekday`` counts from
    Monday, 0. Of aircraft that are not in the table of planes, nothing is known.

    Attributes:
        schema: the columns to read, out of ``COLUMNS``.
        files: the path of the flights.
        planes: the path of the planes.
        rows: the columns of ``COLUMNS``, a row per flight.
    """

    schema: Schema
    files: tuple[str, ...]
    planes: str
    rows: pa.Table

    @staticmethod
    def open(raw: tuple[str, ...], schema: Schema) -> "NycFlightsLog":
        """The log in a folder that holds the flights and the planes as CSV files, zipped or not.

        Raises:
            InputError: a file or a column is missing or malformed, or the schema names an unknown column.
        """
        if len(raw) != 1:
            raise InputError(f"nycflights13 takes the folder with {FLIGHTS[0]} and {PLANES[0]}; got {' '.join(raw)}")
        for column in schema.columns:
            if column not in COLUMNS:
                raise missing_column("nycflights13", column, COLUMNS)
        flights, planes = (_file(raw[0], names) for names in (FLIGHTS, PLANES))
        about = _read(planes, ("tailnum", *_OF_PLANES), ())
        return NycFlightsLog(schema, (flights,), planes, _joined(_read(flights, _TEXTS, _NUMBERS), about))

    def pieces(self, number: int) -> Iterator[Piece[int]]:
        """The places of blocks of rows; the content is how many rows."""
        for first in range(0, len(self.rows), _PIECE):
            yield Piece(number, first, min(_PIECE, len(self.rows) - first))

    def cells(self, piece: Piece[int]) -> Cells:
        """The cells of a block of rows."""
        path, rows = self.files[piece.number], self.rows.slice(piece.first, piece.content)
        columns = {name: rows.column(name).combine_chunks() for name in self.schema.columns}
        ordinals = piece.first + np.arange(piece.content)
        return Cells(path, piece.number, ordinals, binary_columns(columns, self.schema, path), [], unit="flight")

    def fingerprints(self) -> tuple[tuple[str, int, str], ...]:
        """Name, size in bytes and SHA-256 of both files.

        Raises:
            InputError: one cannot be read.
        """
        return fingerprints((*self.files, self.planes))


def _file(folder: str, names: tuple[str, ...]) -> str:
    found = [path for path in (join(folder, name) for name in names) if size(path) is not None]
    if not found:
        raise InputError(f"{folder}: has no {names[0]}; nycflights13 takes the folder with that of flights and planes")
    return found[0]


def _read(path: str, texts: tuple[str, ...], numbers: tuple[str, ...]) -> pa.Table:
    """Columns of a CSV file as R writes it, ``NA`` being null."""
    kinds = dict.fromkeys(texts, pa.string()) | dict.fromkeys(numbers, pa.float64())
    convert = pa.csv.ConvertOptions(
        column_types=kinds, include_columns=list(kinds), null_values=["NA", ""], strings_can_be_null=True
    )
    with decompressed(path) as stream:
        try:
            return pa.csv.read_csv(stream, convert_options=convert)
        except (pa.ArrowException, KeyError) as error:
            raise InputError(f"{path}: cannot be read as {PurePath(path).name} of nycflights13: {error}") from None


def _joined(flights: pa.Table, planes: pa.Table) -> pa.Table:
    """The rows of ``COLUMNS``, in order."""
    arrived = flights.filter(pc.is_valid(flights["arr_delay"]))
    number = {name: arrived[name].to_numpy().astype(np.int64) for name in _NUMBERS}
    date = (number["year"] - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (number["month"] - 1)
    day = date.astype("datetime64[D]").astype(np.int64) + number["day"] - 1
    minute = number["sched_dep_time"] // 100 * 60 + number["sched_dep_time"] % 100
    moment = day * 86_400 + minute * 60
    order = np.lexsort((number["flight"], arrived["carrier"].to_numpy().astype(str), moment))
    plane = pc.index_in(arrived["tailnum"], planes["tailnum"].combine_chunks())
    of_plane = {name: planes[name].combine_chunks().take(plane.combine_chunks()) for name in _OF_PLANES}
    columns = {
        **{name: arrived[name] for name in _TEXTS},
        **{name: pa.array(number[name]) for name in ("distance", "month", "flight")},
        **{"plane_year" if name == "year" else name: column for name, column in of_plane.items()},
        "label": pa.array((number["arr_delay"] > LATE).astype(np.int8)),
        "ts": pa.array(moment),
        "sched_min": pa.array(minute),
        "weekday": pa.array((day + 3) % 7),  # 1 January 1970 was a Thursday
    }
    return pa.table({name: columns[name] for name in COLUMNS}).take(pa.array(order)).combine_chunks()
