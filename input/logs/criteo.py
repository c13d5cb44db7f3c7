"""Criteo's display advertising logs: tab-separated text without a header."""

from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema


def criteo() -> Schema:
    """13 integer counts, 26 categories as 32-bit hexadecimal numbers.

    The tables have 2**16 rows at V = 1: the raw cardinalities run from 4 to 10 million, and hashing them into
    equal tables is the usual way to fit them in memory.
    """
    return Schema(
        label="label",
        dense=tuple(DenseFeature(f"I{i}", integer=True) for i in range(1, 14)),
        categorical=tuple(CategoricalFeature(f"C{i}", 2**16, "hash", hexadecimal=True) for i in range(1, 27)),
    )


def criteo_log(files: tuple[str, ...], schema: Schema) -> TextLog:
    """Files whose lines hold the schema's columns in its order."""
    return TextLog(schema, files, "\t", tuple(schema.columns))
