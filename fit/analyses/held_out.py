"""The extrapolation test inside every study: the largest data size held out, predicted and compared."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.analyses.lines import DataLine
from tfrs_scaling.fit.extrapolation.predictive import predictive_interval
from tfrs_scaling.fit.laws.status import FEWEST, ROUNDING
from tfrs_scaling.fit.serialization import finite_or_none

LAW = "alpha * examples**-beta + gamma"


@dataclass(frozen=True)
class HeldOut:
    """One line's largest data size, predicted from the smaller ones.

    Attributes:
        line: A multiplier such as "1/4".
        examples: The data size held out.
        predicted: NE by the law of the others.
        measured: NE there, mean of seeds.
        inside: Whether the interval holds it.
        relative_error: ``predicted / measured - 1``.
        law: The law.
    """

    architecture: str
    scheme: str
    line: str
    examples: int
    predicted: float
    low: float | None
    high: float | None
    measured: float
    inside: bool
    relative_error: float
    law: str


def held_out(lines: Iterable[DataLine], *, level: float = 0.95) -> list[HeldOut]:
    """Predict the largest data size of every line from the smaller ones, as the study's own fits would have.

    The plateau is looked for, and the law fitted, without the largest size: nothing of it leaks. The interval allows
    for the form of the law being wrong (``predictive_interval``). Frontiers are made of points of the shapes' lines, so
    they would count these twice.

    Args:
        lines: Lines against data.
        level: Confidence level of the interval.

    Returns:
        One record for each line that has a law without its largest size: four places off the plateau or more.
    """
    records = []
    for line in shape_lines(lines):
        sizes = line.sizes()
        if len(sizes) <= FEWEST:
            continue
        fit = line.within(sizes[0], sizes[-2]).fit(level=level)
        if fit is None or not fit.status.is_fitted:
            continue
        predicted, measured = float(fit.predict(sizes[-1])), line.measured(sizes[-1])
        interval = predictive_interval(fit, sizes[-1])
        assert interval is not None, "the fit has a law"
        low, high = float(interval.low), float(interval.high)
        records.append(
            HeldOut(
                architecture=line.architecture,
                scheme=line.scheme,
                line=line.line,
                examples=sizes[-1],
                predicted=predicted,
                low=finite_or_none(low),
                high=finite_or_none(high),
                measured=measured,
                inside=low <= measured <= high,
                relative_error=predicted / measured - 1,
                law=LAW,
            )
        )
    return records


def shape_lines(lines: Iterable[DataLine]) -> list[DataLine]:
    """The lines of one shape each, without the frontiers."""
    return [line for line in lines if not line.is_frontier]


def held_out_words(records: list[HeldOut], *, level: float = 0.95) -> str:
    """One sentence on how well the study's laws foresaw its own largest data size."""
    if not records:
        return (
            "No line has five data sizes off its plateau or more, so how well its laws extrapolate could not be tested."
        )
    errors = np.array([record.relative_error for record in records])
    inside = sum(record.inside for record in records)
    worst = records[int(np.argmax(np.abs(errors)))]
    return (
        f"The largest data size of each line was held out and predicted from the others: in {inside} of {len(records)} "
        f"lines it came within the {level:.0%} interval; half of the predictions were off by less than "
        f"{np.median(np.abs(errors)):.2%}, the worst ({worst.scheme}, {worst.line}×) by {np.abs(errors).max():.2%}"
        f"{_direction(errors)}."
    )


def one_sided(errors: Array) -> bool:
    """Whether nearly all predictions erred to the same side: the law is wrong, and it is not noise.

    Seven in eight of six or more, which two laws in a hundred or fewer would do by chance.
    """
    errors = errors[np.abs(errors) > ROUNDING]
    above = int(np.sum(errors > 0))
    return errors.size >= 6 and min(above, errors.size - above) <= errors.size // 8


def _direction(errors: Array) -> str:
    if not one_sided(errors):
        return ""
    above, below = int(np.sum(errors > ROUNDING)), int(np.sum(errors < -ROUNDING))
    low = above < below
    promise = "more" if low else "less"
    return (
        f"; {max(above, below)} were too {'low' if low else 'high'}: here such laws promise {promise} of "
        "further data than these bring"
    )
