"""Data pruning (Sorscher et al. 2022): is choosing hard or easy rows of a longer log better than choosing at random,
from how many rows on, and does NE then fall at another rate?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tfrs_scaling.common.arrays import Indices
from tfrs_scaling.fit.analyses.architectures import ArchitectureComparison, architectures
from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.analyses.noise.ladders import Ladders, lowest_up_to
from tfrs_scaling.fit.analyses.stretches import Stretch, leaders_of, places_between, stretch_words, stretches_of
from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.schemes import BASELINE, KEEPING, SCHEMES

ALL = "all rows"  # the baseline, which stands in for random rows where there are none


@dataclass(frozen=True)
class PruningRanking:
    """The ways to choose rows, compared along the data at one share, at equal examples.

    Attributes:
        share: Share of the rows that are kept.
        laws: The law of each against that of rows chosen at random, or of the baseline where there are none.
        stretches: Which lead where.
        words: The same in words, or why there is nothing to say.
    """

    architecture: str
    share: float
    laws: tuple[ArchitectureComparison, ...]
    stretches: tuple[Stretch, ...]
    words: str


def rank_prunings(ladders: Sequence[Ladders], lines: Sequence[LineFit], *, level: float = 0.95) -> list[PruningRanking]:
    """Compare the ways to choose rows, share by share.

    At equal examples a baseline is trained on rows chosen at random, so it stands in for them where they were not
    trained. The intervals of all differences at a share hold together at the level (``leaders_of``).

    Args:
        ladders: Ladders of each architecture.
        lines: The law of every line.
        level: Confidence level.

    Returns:
        One record for each architecture and share, larger shares first.
    """
    found = []
    for own in ladders:
        multipliers = own.points["multiplier"][own.points["scheme"].isin(KEEPING)]
        for share in sorted({float(value) for value in multipliers}, reverse=True):
            ways = _ways(own, share)
            laws = {name: _law(lines, own, scheme, multiplier) for name, (scheme, multiplier) in ways.items()}
            base = "random" if "random" in ways else ALL
            compared = architectures(laws, base, line=multiplier_label(share), level=level)
            stretches, words = _leaders(own, ways, level)
            found.append(PruningRanking(own.noise.architecture, share, tuple(compared), tuple(stretches), words))
    return found


def _ways(own: Ladders, share: float) -> dict[str, tuple[str, float]]:
    """Scheme and multiplier of each way to choose a share of the rows that was trained."""
    ways = {str(SCHEMES[scheme].keeps): (scheme, share) for scheme in KEEPING}
    trained = {name: way for name, way in ways.items() if _rows(own, way).size}
    return trained if "random" in trained else trained | {ALL: (BASELINE, 1.0)}


def _rows(own: Ladders, way: tuple[str, float]) -> Indices:
    scheme, multiplier = way
    return np.flatnonzero((own.points["scheme"] == scheme) & (own.points["multiplier"] == multiplier))


def _law(lines: Sequence[LineFit], own: Ladders, scheme: str, multiplier: float) -> PowerLawFit | None:
    key = own.noise.architecture, scheme, "data", multiplier_label(multiplier)
    return next((line.fit for line in lines if (line.architecture, line.scheme, line.x, line.line) == key), None)


def _leaders(own: Ladders, ways: Mapping[str, tuple[str, float]], level: float) -> tuple[list[Stretch], str]:
    """Which ways lead where along the data, also in words; or why that is not known."""
    if not own.noise.is_known:
        return [], own.why_not
    sizes = own.points["examples"].to_numpy(dtype=np.float64)
    rows = {name: found for name, way in ways.items() if (found := _rows(own, way)).size}
    low = max(sizes[found].min() for found in rows.values())
    high = min(sizes[found].max() for found in rows.values())
    if len(rows) < 2 or low >= high:
        return [], "there are not two ways with data sizes in common"
    places = places_between(low, high)
    ne = np.stack([lowest_up_to(own.losses[:, found], sizes[found], places) for found in rows.values()])
    stretches = stretches_of(leaders_of(ne, [*rows], level), places)
    return stretches, stretch_words(stretches, [*rows], "data")
