"""The paper's best embedding dimension and its knee (Figure 9) beside a study's."""

from collections.abc import Sequence

from tfrs_scaling.fit.analyses.dimension import BestDimension
from tfrs_scaling.fit.analyses.paper.claim import AGREES, CANNOT_TELL, DIFFERS, Claim, Verdict, make_claim
from tfrs_scaling.fit.analyses.paper.numbers import PaperNumbers
from tfrs_scaling.fit.labels import multiplier_label

_SOURCE = "Figure 9"
_WIDEST = 4  # times: an interval of a dimension that spans as much says nothing
_NO_ROWS = "the study does not vary the dimension at so many rows"


def compare_dimensions(numbers: PaperNumbers, records: Sequence[BestDimension]) -> list[Claim]:
    """The best dimension at each number of rows that the paper names, and the knee at each that the study measured.

    Args:
        numbers: Those of the paper.
        records: Of one architecture.
    """
    claims = []
    for multiplier, paper in numbers.best_dimension.items():
        name = f"best embedding dimension, rows {multiplier_label(multiplier)}×"
        record = next((each for each in records if each.multiplier == multiplier), None)
        if record is None:
            claims.append(make_claim(name, _SOURCE, str(paper), "none", (CANNOT_TELL, _NO_ROWS)))
            continue
        low, high = record.best_low, record.best_high
        ours, verdict = _compared(record, paper, record.best, low, high, is_smallest=False)
        claims.append(make_claim(name, _SOURCE, str(paper), ours, verdict))
    for record in records:
        name = f"knee of the embedding dimension, rows {multiplier_label(record.multiplier)}×"
        ours, verdict = _compared(
            record, numbers.knee, record.knee, record.knee_low, record.knee_high, is_smallest=True
        )
        claims.append(make_claim(name, _SOURCE, str(numbers.knee), ours, verdict))
    if not records:
        why = "the study does not say where the knee lies"
        claims.append(
            make_claim("knee of the embedding dimension", _SOURCE, str(numbers.knee), "none", (CANNOT_TELL, why))
        )
    return claims


def _compared(
    record: BestDimension, paper: int, value: int, low: int | None, high: int | None, *, is_smallest: bool
) -> tuple[str, Verdict]:
    """The study's dimension with its interval, and the verdict.

    Args:
        record: Where it was measured.
        paper: The paper's dimension.
        value: The study's.
        low: Lower end of its interval.
        high: Upper end.
        is_smallest: Whether it is the smallest measured that will do: a finer grid may find it below.
    """
    if low is None or high is None:
        return f"{value}", (CANNOT_TELL, record.why)
    ours = f"{value} ({low} to {high})"
    dims = record.dims
    if high >= _WIDEST * low:
        return ours, (CANNOT_TELL, f"its interval spans a factor of {high / low:g}")
    if is_smallest and high == dims[-1]:
        return ours, (CANNOT_TELL, f"{high} is the largest dimension measured, so the knee may lie beyond")
    if low <= paper <= high:
        return ours, (AGREES, "")
    below = max((dim for dim in dims if dim < low), default=0)
    if (is_smallest and below < paper < low) or paper > high == dims[-1] or paper < low == dims[0]:
        return ours, (CANNOT_TELL, f"the dimensions measured, {', '.join(map(str, dims))}, leave that open")
    return ours, (DIFFERS, f"dimensions {dims[0]} to {dims[-1]} were measured")
