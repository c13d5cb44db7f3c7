"""What a column of a log holds, gathered block by block, and what it is most likely used for."""

import dataclasses
import math
import re
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_scaling.input.logs.values.lists import WRAPPER, split_lists
from tfrs_scaling.input.schema import LABEL_TEXTS, MAX_VALUES

MISSING_TEXTS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "\\N")
ID_NAMES = re.compile(r"(^|_)(id|ids|code|zip)$", re.IGNORECASE)
SEPARATORS = ("|", ";", ",", "^", "\x02", "||", " ")  # \x02 is Hive's
# More often parts of names; a note asks.
RARE_SEPARATORS = ("::", "/", ":", "-", "_", "#", "&", "+", "~", "\t", "\x01", "，", "、")
LIST_SEPARATOR = "\x1f"  # between values of lists, while they are read
# Integers with few distinct values are more likely names (months, weekdays, slots) than measurements, and so are those
# that use nearly every number between the smallest and the largest (consecutive user numbers).
FEWEST_DENSE_VALUES = 50
DENSEST_NUMBERING = 0.9
LEAST_MULTI_HOT_SHARE = 0.05
_BRACKETS = rf"(?s)^\s*(?:{WRAPPER})?[\[({{].*[\])}}]\s*$"
_LOOSE_BRACKET = re.compile(r"^.*[<(\[{]|[>)\]}].*$")
_WEIGHTED = re.compile(r"[^:]+:\s*-?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_NESTED = r"^\s*[\[({]\s*[\[({]"
_CLOCK_OR_DATE = re.compile(r"\d{1,2}:\d\d(:\d\d.*)?|(\d{4}[-/]\d\d?[-/]\d\d?|\d\d?[-/]\d\d?[-/]\d{4}).*|.*://.*")
_COMMA_NUMBER = re.compile(r"\s*[-+]?(\d+(,\d+)?|,\d+)\s*")
_THOUSANDS = re.compile(r"\s*[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?\s*")
_INDEX_OF_PANDAS = re.compile(r"__index_level_\d+__|Unnamed: \d+|index")
_INDEX_NAMES = re.compile(rf"{_INDEX_OF_PANDAS.pattern}|row_?(id|number|num|no)?")

Role = Literal["label", "time", "dense", "categorical", "multi-hot", "left out"]


@dataclasses.dataclass
class Column:
    """Statistics of a column.

    Attributes:
        name: name of the column.
        is_list: whether the log holds lists, which are then joined by ``LIST_SEPARATOR``.
        rows: how many were read.
        missing: how many of them have no value.
        values: the distinct values, as text.
        tokens: per separator, the distinct parts that values split into, the largest number of parts of a value, and
            how many values have several.
        bracketed: how many values are in brackets.
        nested: how many of these are lists of lists.
        is_number, is_integer: whether all values are.
        undecodable: how many values are not UTF-8 text.
        infinite: how many values are infinite numbers, which count for none of the statistics below.
        decimal_comma: whether commas were replaced by points in what was added.
        counts_rows: whether the values so far are consecutive integers, row by row.
        low, high, last: the smallest, the largest and the latest number.
        total, squares: sums of the numbers and of their squares.
        taken_as: role of the column in the schema.
    """

    name: str
    is_list: bool = False
    decimal_comma: bool = False
    undecodable: int = 0
    infinite: int = 0
    rows: int = 0
    missing: int = 0
    values: set[str] = dataclasses.field(default_factory=set)
    tokens: dict[str, tuple[set[str], int, int]] = dataclasses.field(default_factory=dict)
    bracketed: int = 0
    nested: int = 0
    is_number: bool = True
    is_integer: bool = True
    counts_rows: bool = True
    low: float = np.inf
    high: float = -np.inf
    last: float = np.nan
    total: float = 0.0
    squares: float = 0.0
    taken_as: Role = "left out"

    @property
    def plain_name(self) -> str:
        """The name in lower case, its words joined by underscores."""
        return re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.name)).strip("_").lower()

    def add(self, texts: pa.Array, missing: set[str]) -> None:
        """Add a block of cells; the texts of missing values are added to ``missing``."""
        absent = pc.is_in(texts, pa.array(MISSING_TEXTS))
        missing.update(pc.unique(texts.filter(absent)).to_pylist())
        present = texts.filter(pc.invert(absent))
        self.rows += len(texts)
        self.missing += len(texts) - len(present)
        self.counts_rows = self.counts_rows and len(present) == len(texts)
        self.values.update(pc.unique(present).to_pylist())
        self._add_tokens(present)
        if self.is_number and len(present):
            try:
                numbers = present.cast(pa.float64()).to_numpy()
            except pa.ArrowInvalid:
                self.is_number = self.is_integer = self.counts_rows = False
                return
            self.infinite += int(np.isinf(numbers).sum())
            numbers = numbers[np.isfinite(numbers)]
            if not len(numbers):
                return
            self.is_integer = self.is_integer and bool((numbers == np.floor(numbers)).all())
            steps = np.diff(numbers, prepend=numbers[0] - 1 if math.isnan(self.last) else self.last)
            self.counts_rows = self.counts_rows and self.is_integer and bool((steps == 1).all())
            self.last = float(numbers[-1])
            self.low, self.high = min(self.low, numbers.min()), max(self.high, numbers.max())
            self.total, self.squares = self.total + numbers.sum(), self.squares + (numbers**2).sum()

    def _add_tokens(self, present: pa.Array) -> None:
        bracketed = pc.match_substring_regex(present, _BRACKETS)
        self.bracketed += pc.sum(bracketed).as_py() or 0
        self.nested += pc.sum(pc.match_substring_regex(present, _NESTED)).as_py() or 0
        for separator in (LIST_SEPARATOR,) if self.is_list else SEPARATORS:
            holds = pc.match_substring(present, separator)
            several = present.filter(holds if self.is_list else pc.or_(holds, bracketed))
            if not len(several):
                continue
            parts = split_lists(pc.unique(several).cast(pa.binary()), separator)
            distinct = pc.unique(parts.flatten().drop_null()).to_pylist()
            tokens, most, count = self.tokens.get(separator, (set(), 0, 0))
            tokens |= {value.decode("utf-8", "replace") for value in distinct}
            most = max(most, pc.max(pc.list_value_length(parts)).as_py())
            self.tokens[separator] = tokens, most, count + len(several)

    @property
    def separator(self) -> str | None:
        """The separator of the values if they are lists: then there are at most as many distinct parts as values."""
        if self.is_list:
            return LIST_SEPARATOR
        present = self.rows - self.missing
        if self.holds_nested_lists():
            return None
        in_brackets = present > 0 and self.bracketed >= 0.9 * present
        for separator, (tokens, most, count) in sorted(self.tokens.items(), key=lambda item: -item[1][1]):
            # Blanks are between words, too; names that hold a digit are ids.
            if separator == " " and not all(re.fullmatch(r"[\w-]*\d[\w-]*", token) for token in tokens):
                continue
            if self._is_half(separator):
                continue
            often = count >= LEAST_MULTI_HOT_SHARE * present
            if most <= MAX_VALUES and (in_brackets or (often and most > 1 and len(tokens) <= len(self.values))):
                return separator
        return None

    def _is_half(self, separator: str) -> bool:
        """Whether a separator only occurs doubled, as in 1||7."""
        parts = self.tokens.get(2 * separator, (set[str](), 0, 0))[0]
        return bool(parts) and not any(separator in part for part in parts)

    @property
    def parts(self) -> set[str]:
        """The distinct values, or the distinct parts if the values are lists."""
        if self.separator is None:
            return self.values
        tokens = self.tokens.get(self.separator, (set[str](), 0, 0))[0]
        single = {value for value in self.values if self.separator not in value and not re.search(_BRACKETS, value)}
        return tokens | {value.strip() for value in single}

    @property
    def distinct(self) -> int:
        """The number of distinct values, or of distinct parts if the values are lists."""
        return len(self.parts)

    def holds_nested_lists(self) -> bool:
        """Whether enough values for a list column are lists of lists, which no feature can hold."""
        return self.nested > LEAST_MULTI_HOT_SHARE * (self.rows - self.missing)

    def unusual_separator(self) -> str | None:
        """A separator of lists that is more often a part of names, if the values may be lists under it."""
        if self.is_list or self.separator is not None or all(map(_CLOCK_OR_DATE.fullmatch, self.values)):
            return None
        for separator in RARE_SEPARATORS:
            several = [value for value in self.values if separator in value]
            parts = {part for value in several for part in value.split(separator)}
            most = len(self.values) / (1 if separator in ("/", ":") else 2)
            if len(several) >= LEAST_MULTI_HOT_SHARE * len(self.values) and 0 < len(parts) <= most and "" not in parts:
                return separator
        return None

    def loose_brackets(self) -> list[str]:
        """Parts of lists that hold a bracket of the list and are a part without it, too: up to three."""
        parts = self.parts if self.separator is not None and not self.is_list else set[str]()
        odd = (part for part in sorted(parts) if _LOOSE_BRACKET.search(part))
        return [part for part in odd if _LOOSE_BRACKET.sub("", part) in parts][:3]

    def weighted_values(self) -> str | None:
        """An example of the values of lists if each is a name and a number, as in 7:0.5; else None."""
        for parts, most, _ in self.tokens.values():
            if most > 1 and all(map(_WEIGHTED.fullmatch, parts)):
                return min(parts)
        return None

    def is_label(self) -> bool:
        """Whether each value says that a row is a click, or that it is not, and some say either."""
        return {LABEL_TEXTS.get(value.strip().lower()) for value in self.values} == {True, False}

    def may_be_decimal(self) -> bool:
        """Whether every value is a number with at most one comma in it."""
        most = self.tokens.get(",", (set(), 0, 0))[1]
        return most == 2 and not (self.is_list or self.bracketed) and all(map(_COMMA_NUMBER.fullmatch, self.values))

    def may_be_thousands(self) -> bool:
        """Whether every comma of the values may separate thousands, as in 1,234: then it may also be a decimal one."""
        with_comma = [value for value in self.values if "," in value]
        return bool(with_comma) and not self.is_list and all(map(_THOUSANDS.fullmatch, with_comma))

    def has_decimal_commas(self) -> bool:
        """Whether commas stand for decimal points, rather than between two ids or before thousands.

        Ids have neither signs nor leading zeros, and those behind a comma are as long as those before it.
        """
        if not self.may_be_decimal() or self.may_be_thousands():
            return False
        parts = [value.strip().lstrip("+-").partition(",") for value in self.values]
        wholes = {len(whole) for whole, _, _ in parts}
        fractions = {len(fraction) for _, comma, fraction in parts if comma}
        return (
            any(value.strip()[0] in "+-" for value in self.values)
            or any(len(fraction) > 1 and fraction[0] == "0" for _, _, fraction in parts)
            or (len(fractions) == 1 and max(fractions) <= 2 and bool(wholes - fractions))
        )

    def is_dense(self) -> bool:
        """Whether it is more likely a measurement than a name."""
        if not self.is_number or ID_NAMES.search(self.plain_name):
            return False
        consecutive = len(self.values) >= DENSEST_NUMBERING * (self.high - self.low + 1)
        return not self.is_integer or (len(self.values) > FEWEST_DENSE_VALUES and not consecutive)

    def is_row_number(self) -> bool:
        """Whether it numbers the rows: in their order, or, where pandas named it, in any.

        In a short log, only a column without a telling name does.
        """
        enough = self.rows > FEWEST_DENSE_VALUES or _INDEX_NAMES.fullmatch(self.name) is not None
        index = self.numbers_rows_in_any_order() and _INDEX_OF_PANDAS.fullmatch(self.name) is not None
        return (self.counts_rows or index) and enough and self.rows > 1

    def numbers_rows_in_any_order(self) -> bool:
        """Whether each row has a whole number of its own."""
        return self.is_integer and not self.missing and len(self.values) == self.rows

    def has_only_unique_texts(self) -> bool:
        """Whether each row has a name of its own, as with the ids of requests."""
        own = len(self.values) == self.rows and self.separator is None and not self.is_number
        return own and self.rows > FEWEST_DENSE_VALUES

    def holds_vectors(self) -> bool:
        """Whether its values are lists of numbers that are not whole, as embeddings are."""
        parts = [part for part in self.tokens.get(self.separator or " ", (set[str](), 0, 0))[0] if part]
        try:
            fractions = sum(not float(part).is_integer() for part in parts)
        except (ValueError, OverflowError):
            return False
        return len(parts) > FEWEST_DENSE_VALUES and 2 * fractions > len(parts)

    def feature(self) -> dict[str, Any]:
        """The feature's entry in the schema file."""
        if self.taken_as == "dense":
            count = max(1, self.rows - self.missing - self.infinite)
            mean = self.total / count
            deviation = max(0.0, self.squares / count - mean**2) ** 0.5
            # Counts with a heavy tail need a logarithm; values spread around a mean do not.
            log1p = self.low >= 0 and deviation > mean
            comma = {"decimal_comma": True} if self.decimal_comma else {}
            return {"name": self.name, "transform": "log1p" if log1p else "standardize", **comma}
        feature: dict[str, Any] = {"name": self.name, "cardinality": self.distinct + 1}
        if self.separator is not None:
            most = max(2, self.tokens.get(self.separator, (set(), 0, 0))[1])
            feature |= {"max_values": most, "separator": self._free_separator()}
        return feature

    def _free_separator(self) -> str | None:
        """The separator for the schema: for lists of the log, one that no value holds."""
        if not self.is_list:
            return self.separator
        parts = self.parts
        free = (by for by in (*SEPARATORS, LIST_SEPARATOR) if by != " " and not any(by in part for part in parts))
        return next(free, LIST_SEPARATOR)
