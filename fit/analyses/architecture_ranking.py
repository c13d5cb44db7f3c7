"""Architectures whose dense parts were scaled: which one leads where along data, dense parameters and compute."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.analyses.noise.ladders import Ladders, lowest_up_to
from tfrs_scaling.fit.analyses.stretches import Stretch, leaders_of, places_between, stretch_words, stretches_of
from tfrs_scaling.fit.labels import FRONTIER
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.schemes import ARCHITECTURE, BASELINE

DENSE = (ARCHITECTURE, "M")  # what scales a dense part, the rule that every architecture has before the other
_COLUMNS = {"data": "examples", "parameters": "outside", "compute": "compute"}


@dataclass(frozen=True)
class ArchitectureRanking:
    """The architectures compared along one axis.

    Attributes:
        x: data, parameters (those outside the embedding tables, at the largest data size of all) or compute.
        schemes: By architecture, the scheme that scaled its dense part; ``D`` for one that was not scaled.
        stretches: Which architectures lead where, over the range that all were measured in.
        words: The same in words, or why there is nothing to say.
    """

    x: str
    schemes: dict[str, str]
    stretches: tuple[Stretch, ...]
    words: str


class _Frontier(NamedTuple):
    """An architecture's points, of all data sizes or of one."""

    ladders: Ladders
    rows: Indices

    def costs(self, column: str) -> Array:
        return self.ladders.points[column].to_numpy(dtype=np.float64)[self.rows]

    def lowest(self, column: str, places: Array) -> Array:
        """Its lowest NE with at most each cost, shape (2 + resamples, places)."""
        return lowest_up_to(self.ladders.losses[:, self.rows], self.costs(column), places)


def dense_schemes(ladders: Iterable[Ladders]) -> dict[str, str]:
    """By architecture, the scheme that scaled its dense part: A, else M; D where it was not scaled."""
    return {
        own.noise.architecture: next((scheme for scheme in DENSE if own.own(scheme).size), BASELINE) for own in ladders
    }


def rank_architectures(ladders: Sequence[Ladders], *, level: float = 0.95) -> list[ArchitectureRanking]:
    """Compare architectures by the lowest NE that each reaches with at most so much data, parameters or compute.

    An architecture's frontier is that of all multipliers of its dense part, its baseline among them. They have no
    training in common, so their noise is independent. The intervals of all differences along one axis hold together at
    the level (``leaders_of``). Against parameters the points of the largest data size of all are compared.

    Args:
        ladders: Ladders of each architecture.
        level: Confidence level.

    Returns:
        One record for each axis; none where A scaled no architecture, or there is but one.
    """
    schemes = dense_schemes(ladders)
    if len(schemes) < 2 or ARCHITECTURE not in schemes.values():
        return []
    return [_ranking(ladders, schemes, x, level) for x in _COLUMNS]


def _ranking(ladders: Sequence[Ladders], schemes: Mapping[str, str], x: str, level: float) -> ArchitectureRanking:
    # One shape is no curve against parameters.
    shown = {name: scheme for name, scheme in schemes.items() if x != "parameters" or scheme != BASELINE}

    def without(why: str) -> ArchitectureRanking:
        return ArchitectureRanking(x, shown, (), why)

    by_name = {own.noise.architecture: own for own in ladders if own.noise.architecture in shown}
    if len(shown) < 2:
        return without("only one architecture was scaled")
    if unknown := [own for own in by_name.values() if not own.noise.is_known]:
        return without(f"of {unknown[0].noise.architecture}, {unknown[0].why_not}")
    frontiers = {name: _Frontier(own, own.of(shown[name])) for name, own in by_name.items()}
    column = _COLUMNS[x]
    if x == "parameters":
        common = set.intersection(*(set(f.costs("examples")) for f in frontiers.values()))
        if not common:
            return without("they have no data size in common")
        frontiers = {
            name: _Frontier(f.ladders, f.rows[f.costs("examples") == max(common)]) for name, f in frontiers.items()
        }
    costs = [frontier.costs(column) for frontier in frontiers.values()]
    low, high = max(own.min() for own in costs), min(own.max() for own in costs)
    if low >= high:
        return without(f"they have no range of {x} in common")
    places = places_between(low, high)
    together = np.stack([frontier.lowest(column, places) for frontier in frontiers.values()])
    stretches = stretches_of(leaders_of(together, [*frontiers], level), places)
    return ArchitectureRanking(x, shown, tuple(stretches), stretch_words(stretches, [*frontiers], x))


def dense_laws(lines: Iterable[LineFit], schemes: Mapping[str, str], x: str) -> dict[str, PowerLawFit | None]:
    """The law of each scaled architecture's frontier along an axis; None where it has too few points."""
    found = {(line.architecture, line.scheme): line.fit for line in lines if (line.x, line.line) == (x, FRONTIER)}
    return {name: found.get((name, scheme)) for name, scheme in schemes.items() if scheme != BASELINE}
