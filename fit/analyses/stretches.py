"""Which schemes lead where, along data or compute."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.common.words import COUNTS, FLOPS, human
from tfrs_scaling.fit.analyses.noise.ladders import Ladders, lowest_up_to, simultaneous_intervals
from tfrs_scaling.fit.analyses.outlook import UNITS

_COLUMNS = {"data": "examples", "compute": "compute"}
_PLACES = 8  # along the common range at which frontiers are compared


@dataclass(frozen=True)
class Stretch:
    """A range of data or compute along which the same schemes lead.

    Attributes:
        low: Where it starts.
        high: Where it ends, and the next one starts.
        best: The schemes that none is better than; all of them where they are level.
    """

    low: float
    high: float
    best: tuple[str, ...]


def leading_stretches(
    ladders: Ladders, schemes: Sequence[str], x: str, behind: Set[str], *, level: float = 0.95
) -> list[Stretch]:
    """Compare the frontiers of schemes along the range that all of them were measured in.

    The intervals of all differences at all places hold together at the level (``simultaneous_intervals``).

    Args:
        ladders: Ladders of one architecture.
        schemes: Letters of ``SCHEMES``.
        x: data, parameters or compute; along parameters there is nothing in common.
        behind: Schemes that another one is better than at the end of the range, by their ranking.
        level: Confidence level.

    Returns:
        Stretches by increasing x; none of fewer than two schemes, without a common range, or of unknown noise.
    """
    if x not in _COLUMNS or len(schemes) < 2 or not ladders.noise.is_known:
        return []
    costs = ladders.points[_COLUMNS[x]].to_numpy(dtype=np.float64)
    members = [ladders.of(scheme) for scheme in schemes]
    low, high = max(costs[rows].min() for rows in members), min(costs[rows].max() for rows in members)
    if low >= high:
        return []
    places = places_between(low, high)
    frontiers = np.stack([lowest_up_to(ladders.losses[:, rows], costs[rows], places[:-1]) for rows in members])
    leaders = [*leaders_of(frontiers, schemes, level), tuple(s for s in schemes if s not in behind) or tuple(schemes)]
    return stretches_of(leaders, places)


def places_between(low: float, high: float) -> Array:
    """The places of a range at which frontiers are compared, evenly spaced in the logarithm."""
    return np.clip(np.exp(np.linspace(np.log(low), np.log(high), _PLACES)), low, high)


def stretches_of(leaders: Sequence[tuple[str, ...]], places: Array) -> list[Stretch]:
    """Places next to one another with the same leaders as one stretch; each place's reaches halfway to the next."""
    edges = [places[0], *np.sqrt(places[:-1] * places[1:]), places[-1]]
    found: list[Stretch] = []
    for best, start, end in zip(leaders, edges[:-1], edges[1:], strict=True):
        if found and found[-1].best == best:
            found[-1] = replace(found[-1], high=float(end))
        else:
            found.append(Stretch(float(start), float(end), best))
    return found


def leaders_of(frontiers: Array, names: Sequence[str], level: float) -> list[tuple[str, ...]]:
    """Which frontiers no other beats, at each place.

    Args:
        frontiers: NE as in ``Ladders.losses`` (measured, by the law, with noise): shape (names, 2 + resamples, places).
        names: The frontiers' names.
        level: Confidence level of all differences at all places together.
    """
    pairs = list(combinations(range(len(names)), 2))
    gaps = np.concatenate([frontiers[first] - frontiers[second] for first, second in pairs], axis=1)
    lows, highs = (ends.reshape(len(pairs), -1) for ends in simultaneous_intervals(gaps[0], gaps[2:] - gaps[1], level))
    leaders = []
    for low, high in zip(lows.T, highs.T, strict=True):
        beaten = {second for (_, second), end in zip(pairs, high, strict=True) if end < 0}
        beaten |= {first for (first, _), end in zip(pairs, low, strict=True) if end > 0}
        leaders.append(tuple(name for at, name in enumerate(names) if at not in beaten) or tuple(names))
    return leaders


def stretch_words(stretches: Sequence[Stretch], schemes: Sequence[str], x: str) -> str:
    """Such as ``M best below 20G FLOPs, level above``; empty without a stretch."""
    words = []
    for stretch in stretches:
        name = "level" if len(stretch.best) == len(schemes) else f"{' ≈ '.join(stretch.best)} best"
        end = human(stretch.high, FLOPS if x == "compute" else COUNTS)
        where = "throughout" if len(stretches) == 1 else "above" if stretch is stretches[-1] else "below"
        words.append(f"{name} {where}" + f" {end} {UNITS[x]}" * (where == "below"))
    return ", ".join(words)
