"""Avazu's click log, as Kaggle distributes it: train.csv, plain or gz."""

import dataclasses
import datetime
import re

import numpy as np
import pyarrow as pa

from tfrs_scaling.input.logs.text import Lines, TextLog
from tfrs_scaling.input.logs.values.cells import Cells, Piece
from tfrs_scaling.input.schema import CategoricalFeature, Schema

HOUR = "hour"
# Rows of each table at V = 1; in comments, the distinct values in the ten days of the log. The two large tables have
# the next power of two; the others can afford four times as many rows as values, so that few values share one.
_TABLES = {
    "C1": 32,  # 7
    "banner_pos": 32,  # 7
    "site_id": 2**15,  # 4,737
    "site_domain": 2**15,  # 7,745
    "site_category": 128,  # 26
    "app_id": 2**16,  # 8,552
    "app_domain": 2**12,  # 559
    "app_category": 256,  # 36
    "device_id": 2**22,  # 2,686,408
    "device_ip": 2**23,  # 6,729,486
    "device_model": 2**16,  # 8,251
    "device_type": 32,  # 5
    "device_conn_type": 16,  # 4
    "C14": 2**14,  # 2,626
    "C15": 32,  # 8
    "C16": 64,  # 9
    "C17": 2**11,  # 435
    "C18": 16,  # 4
    "C19": 512,  # 68
    "C20": 1024,  # 172
    "C21": 256,  # 60
}


def avazu() -> Schema:
    """All columns but the row's id: the click, the hour as the time, and 21 categories as hashes.

    Values are hashed, so some share a table row; ``_TABLES`` has the number of values per table.
    """
    return Schema(
        label="click",
        categorical=tuple(CategoricalFeature(name, rows, "hash") for name, rows in _TABLES.items()),
        time=HOUR,
    )


class AvazuLog(TextLog):
    """Avazu's files: delimited text whose hours (YYMMDDHH, UTC) are read as seconds since 1970.

    Raw hours are not evenly spaced in time: from the last hour of a day to the first of the next, they jump by 77.
    """

    def cells(self, piece: Piece[Lines]) -> Cells:
        """The cells of a block of lines; a line whose hour is not an hour is malformed.

        Raises:
            InputError: the lines cannot be parsed.
        """
        cells = super().cells(piece)
        if self.schema.time != HOUR:
            return cells
        hours = cells.batch.column(HOUR).dictionary_encode()  # a file has few distinct hours
        seconds = pa.array([_seconds(value) for value in hours.dictionary.to_pylist()], pa.binary())
        times = seconds.take(hours.indices)
        bad = times.is_null().to_numpy(zero_copy_only=False)
        why = "the hour is not of the form YYMMDDHH"
        rejected = [cells.rejected(int(index), HOUR, why) for index in np.flatnonzero(bad)]
        place = cells.batch.schema.get_field_index(HOUR)
        return dataclasses.replace(
            cells,
            ordinals=cells.ordinals[~bad],
            batch=cells.batch.set_column(place, HOUR, times).filter(pa.array(~bad)),
            malformed=cells.malformed + rejected,
        )


def _seconds(hour: bytes) -> bytes | None:
    """Seconds since 1970 at an hour, in decimal; None if it is not an hour."""
    if not re.fullmatch(rb"[0-9]{8}", hour):
        return None
    year, month, day, hour_of_day = (int(hour[i : i + 2]) for i in (0, 2, 4, 6))
    try:
        moment = datetime.datetime(2000 + year, month, day, hour_of_day, tzinfo=datetime.UTC)
    except ValueError:
        return None
    return str(int(moment.timestamp())).encode()
