"""Columns of which a row can hold any number of values, as cells."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_scaling.input.logs.cells import Cells, Rejected
from tfrs_scaling.input.logs.parquet import cells_of
from tfrs_scaling.input.schema import Schema


def cells_of_lists(
    columns: dict[str, pa.Array],
    schema: Schema,
    file: str,
    number: int,
    ordinals: np.ndarray,
    malformed: Sequence[Rejected],
    unit: str,
) -> Cells:
    """Typed columns as cells; a row that has several values where the schema takes one is malformed.

    Args:
        columns: per column of the schema, an Arrow array [n] of values or of lists; an empty list is a missing value.
        schema: says which features take several values.
        file: where they come from, for errors.
        number: of the file in the log.
        ordinals: int64 [n], the rows' places in the file, from 0.
        malformed: the rows of the block that are none of the n.
        unit: what a row is called there.

    Raises:
        InputError: a column is of a type that holds no cells.
    """
    takes_several = {feature.name for feature in schema.categorical if feature.separator is not None}
    good = np.ones(len(ordinals), bool)
    rejected = list(malformed)
    single = {}
    for name, column in columns.items():
        if not pa.types.is_list(column.type) or name in takes_several:
            single[name] = column
            continue
        counts = pc.list_value_length(column).to_numpy(zero_copy_only=False)
        for index in np.flatnonzero((counts > 1) & good).tolist():
            shown = ", ".join(map(_shown, column[index].as_py()))
            why = f"{counts[index]} values in a feature of one; see max_values in the schema"
            rejected.append(Rejected(file, int(ordinals[index]) + 1, name, shown, why, unit))
        good &= counts <= 1
        single[name] = column.values.take(pa.array(column.offsets.to_numpy()[:-1], mask=counts == 0))
    kept = {name: column.filter(pa.array(good)) for name, column in single.items()}
    return Cells(file, number, ordinals[good], cells_of(kept, schema, file), rejected, unit=unit)


def list_array(values: pa.Array, splits: np.ndarray) -> pa.ListArray:
    """Lists out of the values of all, one list after the other, and the places (int [n + 1]) where each begins."""
    return pa.ListArray.from_arrays(pa.array(splits.astype(np.int32)), values)


def _shown(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
