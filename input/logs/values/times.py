"""Times as logs write them: numbers of any unit, and dates, which become seconds since 1970."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BAD, NUMBER, DATE = 0, 1, 2
LATEST = 2**62
# A unit's times since 1970 lie, from 1973 to 2286, between a number and a hundred times it.
_UNITS = {"seconds": 10**8, "milliseconds": 10**11, "microseconds": 10**14, "nanoseconds": 10**17}
_DIGITS = "dates of 8 digits"  # 20200704; as seconds they would all be of August or September 1970
# A counter over several units' ranges has many more values between these than in the smallest of them.
_MOST_OUTSIDE = 4

_CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?"
    r" ?(?P<half>[AaPp][Mm])? ?(?P<zone>[Zz]|UTC|GMT|[-+]\d{2}(?::?\d{2})?)?"
)
_WEEKDAY = r"(?:[A-Za-z]{3,9},? +)?"
# Dates of which no part can be taken for another; 04/07/2020 is two of them.
_FORMS = (
    rf"^(?P<year>\d{{4}})[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}})(?:[T ]+{_CLOCK})?$",
    rf"^(?P<year>\d{{4}})(?P<month>\d{{2}})(?P<day>\d{{2}})[T ]+{_CLOCK}$",
    r"^(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})T(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})(?:[.,]\d+)?"
    r"(?P<half>)(?P<zone>Z|[-+]\d{2}:?\d{2})?$",
    rf"^(?P<day>\d{{1,2}})\.(?P<month>\d{{1,2}})\.(?P<year>\d{{4}})(?:,? +{_CLOCK})?$",
    rf"^{_WEEKDAY}(?P<day>\d{{1,2}})[-/ ](?P<month>[A-Za-z]{{3,9}})[-/ ,]+(?P<year>\d{{4}})(?:[:T, ]+{_CLOCK})?$",
    rf"^{_WEEKDAY}(?P<month>[A-Za-z]{{3,9}})\.? +(?P<day>\d{{1,2}}),? +(?P<year>\d{{4}})(?:[T, ]+{_CLOCK})?$",
    rf"^[A-Za-z]{{3}},? +(?P<month>[A-Za-z]{{3}}) +(?P<day>\d{{1,2}}) +{_CLOCK} (?P<year>\d{{4}})$",
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NUMBER = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"


def parse_times(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Times as integers that increase with them.

    A number is taken as it is, without its fraction; a date, of ISO 8601 or with a month's name, becomes seconds since
    1970 in UTC, which is also its zone if it names none.

    Args:
        texts: string [n], without nulls.

    Returns:
        The times, int64 [n], and what each text is, ``BAD``, ``NUMBER`` or ``DATE`` (int64 [n]).
    """
    texts = pc.utf8_trim_whitespace(texts)
    times, kinds = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
    whole = _matching(texts, r"^[-+]?\d{1,18}$")
    times[whole] = pc.utf8_ltrim(texts.filter(pa.array(whole)), "+").cast(pa.int64()).to_numpy()
    kinds[whole] = NUMBER
    broken = _matching(texts, _NUMBER) & ~whole
    if broken.any():
        numbers = np.floor(texts.filter(pa.array(broken)).cast(pa.float64()).to_numpy())
        fits = np.abs(numbers) < LATEST
        times[broken] = np.where(fits, numbers, 0).astype(np.int64)
        kinds[broken] = np.where(fits, NUMBER, BAD)
    for form in _FORMS:
        rest = np.flatnonzero(kinds == BAD)
        if not len(rest):
            break
        parts = pc.extract_regex(texts.take(pa.array(rest)), form)
        found = rest[parts.is_valid().to_numpy(zero_copy_only=False)]
        times[found], valid = _seconds(parts.drop_null())
        kinds[found[valid]] = DATE
    return times, kinds


def unit_of(times: np.ndarray) -> np.ndarray:
    """The unit of each time (int64 [n]) since 1970, by its size: a name of one, or empty; str [n].

    Numbers that write a date as 20200704 are a unit of their own.
    """
    names = np.full(len(times), "", f"<U{len(_DIGITS)}")
    for name, low in _UNITS.items():
        names[(times >= low) & (times < 100 * low)] = name
    month, day = times // 100 % 100, times % 100
    is_date = (times >= 19000101) & (times <= 21001231) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    names[is_date] = _DIGITS
    return names


def spell_dates(times: np.ndarray) -> bool:
    """Whether all numbers (int64 [n]) spell a date from 2000 to 2099, as 20200704 does, or with an hour 20070416."""

    def date(numbers: np.ndarray) -> np.ndarray:
        year, month, day = numbers // 10_000, numbers // 100 % 100, numbers % 100
        return (year >= 2000) & (year <= 2099) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)

    return bool(date(times).all() or (date(times // 100 + 20_000_000) & (times % 100 <= 23)).all())


def mixed_units(times: np.ndarray) -> list[str]:
    """The units of times since 1970 (int64 [n]) if they are of several, else none.

    A few times of no unit, such as a 1 for a time that is not known, do not matter; many are a counter's.
    """
    if not len(times) or times.max() < _UNITS["seconds"] or times.min() >= times.max() // 10:
        return []
    names, counts = np.unique(unit_of(np.unique(times[times > 0])), return_counts=True)
    found = dict(zip(names.tolist(), counts.tolist(), strict=True))
    outside = found.pop("", 0)
    if len(found) < 2 or outside > _MOST_OUTSIDE * min(found.values()):
        return []
    return sorted(found, key=[*_UNITS, _DIGITS].index)


def are_day_first(texts: pa.Array) -> np.ndarray:
    """Which texts (string [n]) are dates of numbers that are read as day, month, year; bool [n]."""
    return _matching(pc.utf8_trim_whitespace(texts), _FORMS[3])


def is_ambiguous(text: str) -> bool:
    """Whether a text is a date whose day and month could be either way."""
    return bool(_matching(pa.array([text.strip()]), r"^\d{1,2}[-/]\d{1,2}[-/]\d{2,4}(\D.*)?$")[0])


def _matching(texts: pa.Array, pattern: str) -> np.ndarray:
    return pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)


def _seconds(parts: pa.StructArray) -> tuple[np.ndarray, np.ndarray]:
    """Seconds since 1970 at dates given by their parts, int64 [n], and which are dates of the calendar, bool [n]."""

    def numbers(name: str) -> np.ndarray:
        texts = parts.field(name)
        return pc.if_else(pc.equal(texts, ""), "0", texts).cast(pa.int64()).to_numpy()

    month = parts.field("month")
    if pc.any(pc.match_substring_regex(month, "[A-Za-z]")).as_py():
        name = pc.utf8_slice_codeunits(pc.utf8_lower(month), 0, 3)
        months = pc.fill_null(pc.index_in(name, pa.array(_MONTHS)), -1).to_numpy().astype(np.int64) + 1
    else:
        months = numbers("month")
    hour, minute, second, day = (numbers(name) for name in ("hour", "minute", "second", "day"))
    valid = (months >= 1) & (months <= 12) & (hour <= 23) & (minute <= 59) & (second <= 60)
    half = pc.utf8_lower(parts.field("half"))
    in_halves = pc.not_equal(half, "").to_numpy(zero_copy_only=False)
    afternoon = pc.equal(half, "pm").to_numpy(zero_copy_only=False)
    valid &= ~in_halves | ((hour >= 1) & (hour <= 12))
    hour = np.where(in_halves, hour % 12 + 12 * afternoon, hour)
    first = ((numbers("year") - 1970) * 12 + months - 1).astype("datetime64[M]")
    days = (first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")
    valid &= (day >= 1) & (day <= days.astype(np.int64))
    since_1970 = first.astype("datetime64[D]").astype(np.int64) + day - 1
    return ((since_1970 * 24 + hour) * 60 + minute) * 60 + second - _offsets(parts.field("zone")), valid


def _offsets(zones: pa.Array) -> np.ndarray:
    """Seconds that zones are ahead of UTC, int64 [n]."""
    encoded = zones.dictionary_encode()
    offsets = []
    for zone in encoded.dictionary.to_pylist():
        digits = zone[1:].replace(":", "").ljust(4, "0") if zone[:1] in ("+", "-") else "0000"
        offsets.append((int(digits[:2]) * 60 + int(digits[2:])) * 60 * (-1 if zone[:1] == "-" else 1))
    return np.array(offsets, np.int64)[encoded.indices.to_numpy()]
