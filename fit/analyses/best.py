"""The scheme that ends lowest, and its fitted floor against the lowest NE that any model can reach."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.schemes import BASELINE


@dataclass(frozen=True)
class Bayes:
    """The floor of the best scheme against the lowest NE that any model can reach.

    Attributes:
        bayes_ne: The lowest NE that any model can reach.
        standard_error: Standard error of bayes_ne on the test split.
        gamma: The fitted floor; None where no law describes the frontier.
        contains: Whether gamma's interval contains it, or lies within the error of bayes_ne.
        why: What ``contains`` rests on.
    """

    bayes_ne: float
    standard_error: float
    gamma: float | None
    contains: bool
    why: str


@dataclass(frozen=True)
class Best:
    """The scheme whose data frontier ends lowest.

    Attributes:
        x: ``data``.
        ne: NE at the end of the frontier.
        bayes: Comparison with the Bayes NE; None where that is not known.
    """

    scheme: str
    architecture: str
    x: str
    ne: float
    examples: float
    bayes: Bayes | None = None


def best_scheme(lines: Iterable[LineFit], bayes_ne: float | None, standard_error: float) -> Best | None:
    """The scheme whose data frontier ends lowest; the first one of the lines breaks ties.

    Args:
        lines: Lines of a study.
        bayes_ne: The lowest NE that any model can reach; None where it is not known.
        standard_error: Standard error of bayes_ne on the test split.

    Returns:
        The scheme; D only where no other was measured. None where no data frontier was fitted.
    """
    frontiers = [line for line in lines if line.is_frontier and line.x == "data"]
    if not frontiers:
        return None
    schemes = [line for line in frontiers if line.scheme != BASELINE] or frontiers
    line = min(schemes, key=lambda candidate: float(candidate.means[1][-1]))
    ne = float(line.means[1][-1])
    bayes = None if bayes_ne is None else _against_bayes(line.fit, bayes_ne, standard_error)
    return Best(line.scheme, line.architecture, "data", ne, line.fit.x[-1], bayes)


def _against_bayes(fit: PowerLawFit, bayes_ne: float, standard_error: float) -> Bayes:
    """Whether gamma's interval contains the Bayes NE, or agrees within its error; if not, why."""
    low, high = fit.interval["gamma"]
    margin = 1.96 * standard_error
    contains = False
    if fit.status.is_fitted and not fit.status.has_law:
        why = f"no law describes the frontier (its status: {fit.status.words}), so its floor is unknown"
    elif not fit.status.is_fitted or math.isinf(high):
        why = "there are too few points on the frontier to fit a floor"
    elif low - margin <= bayes_ne <= high + margin:
        contains = True
        why = "the interval of the fitted floor contains the Bayes NE"
        if not low <= bayes_ne <= high:
            side = "above" if low > bayes_ne else "below"
            why = f"the interval of the fitted floor lies {side} the Bayes NE, but agrees within the latter's own error"
        if not fit.status.has_floor:
            why += " (the interval is wide: the data do not say where the floor lies)"
    elif high + margin < bayes_ne:
        why = (
            "the whole interval of the fitted floor lies below the Bayes NE, which no model can get below: "
            "the curve bends more within the measured range than beyond it, so the law extrapolates too far"
        )
    else:
        why = (
            "the whole interval of the fitted floor lies above the Bayes NE: these models, trained for one "
            "pass with these settings, level off before they reach it. The floor of a scheme also holds "
            "what its models cannot represent, or do not learn in one pass"
        )
    gamma = fit.gamma if fit.status.has_law else None
    return Bayes(bayes_ne, standard_error, gamma, contains, why)
