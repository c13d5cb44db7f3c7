"""How many of a study's own predictions came true: the calibration of its intervals, counted."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from tfrs_scaling.common.words import plural
from tfrs_scaling.fit.analyses.held_out import HeldOut, shape_lines
from tfrs_scaling.fit.analyses.lines import DataLine
from tfrs_scaling.fit.extrapolation.predictive import predictive_interval
from tfrs_scaling.fit.laws.status import FEWEST

_UNLIKELY = 0.05  # chance of so few inside, below which the intervals count as too narrow


@dataclass(frozen=True)
class Backtests:
    """The predictions made from smaller data sizes, equally many data sizes ahead.

    Attributes:
        ahead: Data sizes between the largest one fitted and the one predicted, which counts: 1 is the next.
        factor: The predicted data size as a multiple of the largest one fitted; the median.
        made: Predictions made.
        inside: Predictions whose interval held the measured value.
        share: ``inside / made``.
        words: The same as a sentence.
    """

    ahead: int
    factor: float
    made: int
    inside: int
    share: float
    words: str


class _Prediction(NamedTuple):
    ahead: int
    factor: float
    inside: bool


def backtests(lines: Iterable[DataLine], held_out: Iterable[HeldOut], *, level: float = 0.95) -> list[Backtests]:
    """Count the intervals that held what was measured later, on every line against data.

    Each line's last two data sizes are predicted from the ones before both, and the last one also from all others,
    which ``held_out`` has done.

    Args:
        lines: Lines against data.
        held_out: Result of ``held_out`` for the same lines.
        level: Confidence level of the intervals.

    Returns:
        One record for each distance predicted over, the shortest first; none where no line is long enough.
    """
    every = shape_lines(lines)
    sizes = {(line.architecture, line.scheme, line.line): line.sizes() for line in every}
    made = [
        _Prediction(1, record.examples / sizes[record.architecture, record.scheme, record.line][-2], record.inside)
        for record in held_out
    ]
    made += [prediction for line in every for prediction in _earlier(line, level)]
    found = []
    for ahead in sorted({prediction.ahead for prediction in made}):
        own = [prediction for prediction in made if prediction.ahead == ahead]
        factor, inside = float(np.median([p.factor for p in own])), sum(p.inside for p in own)
        words = _words(factor, len(own), inside, level)
        found.append(Backtests(ahead, factor, len(own), inside, inside / len(own), words))
    return found


def _earlier(line: DataLine, level: float) -> Iterator[_Prediction]:
    """The last two data sizes, predicted from the ones before both."""
    sizes = line.sizes()
    if len(sizes) <= FEWEST + 1:
        return
    fit = line.within(sizes[0], sizes[-3]).fit(level=level)
    if fit is None or not fit.status.is_fitted:
        return
    interval = predictive_interval(fit, sizes[-2:])
    assert interval is not None, "the fit has a law"
    for ahead, (size, low, high) in enumerate(zip(sizes[-2:], interval.low, interval.high, strict=True), start=1):
        yield _Prediction(ahead, size / sizes[-3], bool(low <= line.measured(size) <= high))


def _words(factor: float, made: int, inside: int, level: float) -> str:
    words = (
        f"Of {plural(made, 'prediction')} at {factor:.3g} times the data, {inside} "
        f"({inside / made:.0%}) fell inside the {level:.0%} interval"
    )
    if special.bdtr(inside, made, level) < _UNLIKELY:
        return f"{words}: fewer than they should, so intervals beyond the data are too narrow here."
    return f"{words}."
