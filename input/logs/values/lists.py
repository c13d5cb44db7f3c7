"""Cells that hold several values, in the ways people write them."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# What Python, NumPy, pandas, PyTorch and Scala write before the brackets of a list.
WRAPPER = r"(?:np\.|numpy\.)?(?:array|tensor|list|tuple|set|frozenset|deque|Index|WrappedArray|ArrayBuffer|List|Seq)"
_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
# Brackets that hold no other ones, but for those in quoted values: ['Seven (1995)'].
_BRACKETED = rf"""(?s)^\s*[\[({{]([^\[\](){{}}]*|(?:[^\[\](){{}}'"]|{_QUOTED})*)[\])}}]\s*$""".encode()
_WRAPPED = rf"(?s)^\s*{WRAPPER}\(\s*([\[({{].*[\])}}])(?:,\s*\w+=[^()]*)*\)\s*$".encode()  # array([1, 7], dtype=int64)
_CALL = rf"(?s)^\s*{WRAPPER}(\([^()]*\))\s*$".encode()  # WrappedArray(1, 7), set()
_TYPED_VALUE = rb"\b(?:(?:np|numpy)\.\w+|Decimal|UUID|Timestamp)\(([^()]*)\)"  # as in [np.int64(1), np.int64(7)]
_NULLS = (b"", b"None", b"null", b"nan", b"NaN")  # in brackets and without quotes
_TOKEN = {
    ",": re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^,'"]*[^,'"\s])"""),
    " ": re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^\s'"]+)"""),
}


def split_lists(cells: pa.Array, separator: str) -> pa.ListArray:
    """The values of each cell.

    Blanks around values and separators at a cell's ends count for nothing. Where the separator is a comma or a blank, a
    cell may be a list of Python, JSON or NumPy: ``[1, 7]``, ``['a', 'b']``, ``{1, 7}``, ``[1 7]``, ``array([1, 7])``,
    ``[np.int64(1), np.int64(7)]``.

    Args:
        cells: binary [n], without nulls.
        separator: separator of the feature; ``", "`` is a comma, any number of blanks a blank.

    Returns:
        Lists of binary [n], each of one value or more; null for a missing one in a list of brackets, and for the empty
        list.
    """
    by = separator.strip(" ") or " "
    if by not in _TOKEN:
        quoted = re.escape(by)
        padding = rf"^(?:\s|{quoted})+|(?:\s|{quoted})+$"
        if pc.any(pc.match_substring_regex(cells, padding)).as_py():
            cells = pc.replace_substring_regex(cells, padding.encode(), b"")
        if pc.any(pc.match_substring_regex(cells, rf"\s{quoted}|{quoted}\s")).as_py():
            return pc.split_pattern_regex(cells, rf"\s*{quoted}\s*".encode())
        return pc.split_pattern(cells, by.encode())
    encoded = cells.dictionary_encode()  # logs repeat their values, and few are distinct
    distinct = _unwrapped(encoded.dictionary)
    bracketed = pc.match_substring_regex(distinct, _BRACKETED)
    inner = pc.replace_substring_regex(distinct, _BRACKETED, rb"\1")
    inner = pc.replace_substring_regex(inner, rb"^\s+|[\s,]+$" if by == "," else rb"^\s+|\s+$", b"")
    lists = pc.split_pattern_regex(inner, rb"\s*,\s*" if by == "," else rb"\s+")
    lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    in_brackets = np.repeat(bracketed.to_numpy(zero_copy_only=False), lengths)
    null = pc.and_(pa.array(in_brackets), pc.is_in(lists.flatten(), pa.array(_NULLS, pa.binary())))
    values = pc.if_else(null, pa.scalar(None, pa.binary()), lists.flatten())
    lists = pa.ListArray.from_arrays(pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32()), values)
    quoted = pc.and_(bracketed, pc.match_substring_regex(inner, rb"""['"]"""))
    if pc.any(quoted).as_py():
        parsed = [
            _quoted(cell.decode("utf-8", "surrogateescape"), by) if has_quotes else values
            for cell, has_quotes, values in zip(
                distinct.to_pylist(), quoted.to_pylist(), lists.to_pylist(), strict=True
            )
        ]
        lists = pa.array(parsed, pa.list_(pa.binary()))
    return lists.take(encoded.indices)


def _unwrapped(cells: pa.Array) -> pa.Array:
    """The cells without the names of types around lists and their values."""
    if not pc.any(pc.match_substring(cells, "(")).as_py():
        return cells
    for pattern in (_TYPED_VALUE, _WRAPPED, _CALL):
        cells = pc.replace_substring_regex(cells, pattern, rb"\1")
    return cells


def _quoted(cell: str, by: str) -> list[bytes | None]:
    """The values of a list in brackets, with quotes around some."""
    try:
        values = json.loads(cell, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        values = []
        for single, double, bare in _TOKEN[by].findall(cell.strip()[1:-1]):
            text = bare.strip() or re.sub(r"\\(.)", r"\1", single or double)
            values.append(None if bare and bare.strip().encode() in _NULLS else text)
    texts = [value if value is None or isinstance(value, str) else str(value).lower() for value in values]
    return [None if text is None else text.encode("utf-8", "surrogateescape") for text in texts] or [None]
