"""Noise of test NE as trainings have it, and how often comparisons of schemes are right under it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from tests.helpers.levers import LADDER, Scenario
from tests.helpers.noise import ladders_of
from tfrs_scaling.fit.analyses.dimension import dimension
from tfrs_scaling.fit.analyses.effects import effects
from tfrs_scaling.fit.analyses.ranking import rank_schemes
from tfrs_scaling.fit.analyses.zones import scheme_zones
from tfrs_scaling.fit.runs.screening import SHAPE
from tfrs_scaling.fit.schemes import BASELINE


@dataclass(frozen=True)
class RealNoise:
    """Noise of trainings: shares of its variance add up to 1.

    Attributes:
        sd: Of one training at the largest data size.
        decay: The variance falls as ``examples**-decay``.
        kept: Share that a training keeps at all its data sizes.
        neighbours: Correlation of the rest from one data size to the next.
        paired: Share that all trainings of one seed have in common, of both.
    """

    sd: float = 5e-4
    decay: float = 1.0
    kept: float = 0.0
    neighbours: float = 0.5
    paired: float = 0.0

    def draw(self, rows: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
        """What is added to each row's NE, shape (n,)."""
        sizes, at = np.unique(rows["examples"], return_inverse=True)
        own, common = (rows.groupby(by, sort=True).ngroup().to_numpy() for by in ([*SHAPE, "seed"], ["seed"]))
        parts = (np.sqrt(1 - self.paired), own), (np.sqrt(self.paired), common)
        noise = sum(share * self._ladders(int(of.max()) + 1, sizes.size, rng)[of, at] for share, of in parts)
        return np.asarray(self.sd * (rows["examples"] / sizes[-1]) ** (-self.decay / 2) * noise)

    def _ladders(self, number: int, rungs: int, rng: np.random.Generator) -> np.ndarray:
        moving = rng.standard_normal((number, rungs))
        for rung in range(1, rungs):
            moving[:, rung] = self.neighbours * moving[:, rung - 1] + np.sqrt(1 - self.neighbours**2) * moving[:, rung]
        return np.sqrt(self.kept) * rng.standard_normal((number, 1)) + np.sqrt(1 - self.kept) * moving


NOISES = {  # neighbours correlate by .3 to .7 in all but the first
    "white, equal": RealNoise(decay=0.0, neighbours=0.0),
    "1/x, neighbours .3": RealNoise(neighbours=0.3),
    "1/x, neighbours .5, keeps .3": RealNoise(kept=0.3, neighbours=0.3),
    "1/x, neighbours .7": RealNoise(neighbours=0.7),
    "equal, neighbours .7, keeps .5": RealNoise(decay=0.0, kept=0.5, neighbours=0.4),
}


@dataclass(frozen=True)
class Equal:
    """Studies in which schemes are equal, but for gains.

    Attributes:
        noise: Of trainings.
        seeds: Trainings of each shape.
        gains: How much a scheme's multiplier 4 lowers NE, and 1/4 raises it, in standard errors of a difference.
        per: NE depends on ``examples`` or on ``compute`` alone. Per example, a shape of fewer FLOPs is ahead in
            compute; per compute, in examples.
    """

    noise: RealNoise
    seeds: int
    gains: Mapping[str, float] = field(default_factory=dict)
    per: str = "examples"

    def study(self, seed: int) -> pd.DataFrame:
        """A run table."""
        rng = np.random.default_rng(seed)
        scenario = Scenario("params=4x", {}, None, seeds=self.seeds)
        runs = scenario.study(rng)
        baseline = runs.loc[runs["scheme"] == BASELINE, self.per].min()
        ne = scenario.ne(BASELINE, 1.0, LADDER[0] * runs[self.per] / baseline)
        unit = self.noise.sd * np.sqrt(2 / self.seeds)
        levels = np.minimum(np.log(runs["multiplier"]) / np.log(4), 1.0)
        ne = ne - runs["scheme"].map(self.gains).fillna(0.0) * unit * levels + self.noise.draw(runs, rng)
        return runs.assign(test_ne=ne, validation_ne=ne)


def outcomes_of(runs: pd.DataFrame, seed: int) -> dict[str, str]:
    """What each comparison said, by its name."""
    ladders = ladders_of(runs, seed=seed)
    said: dict[str, str] = {}
    for record in rank_schemes(ladders, [], []):
        said |= {f"{record.x}: {pair.first}{pair.second}": pair.outcome for pair in record.pairs}
        leaders = [stretch.best for stretch in record.stretches if len(stretch.best) < len(record.schemes)]
        said[f"along {record.x}: leaders"] = "≈" if not leaders else "; ".join(" ".join(best) for best in leaders)
    said |= {f"effects: {e.scheme} {e.multiplier:g}": e.outcome for e in effects([ladders], "dot")}
    for zones in scheme_zones(ladders):
        verdicts = [*(cell.outcome for cell in zones.cells), *(quarter.outcome for quarter in zones.table)]
        said |= {f"zones: {zones.first}{zones.second} {at}": outcome for at, outcome in enumerate(verdicts)}
    [knee] = [record for record in dimension(ladders) if record.multiplier == 1]
    larger = knee.knee_low is not None and knee.knee_low > knee.dims[0]
    return said | {"dimension: knee": "larger" if larger else "≈"}


def any_verdicts(equal: Equal, studies: int) -> tuple[Counter[str], Counter[str]]:
    """In how many studies each analysis called anything different, and how often each comparison said what."""
    found, said = Counter[str](), Counter[str]()
    for seed in range(studies):
        outcomes = outcomes_of(equal.study(seed), seed)
        told = {name: outcome for name, outcome in outcomes.items() if outcome != "≈" and "alone" not in outcome}
        found.update({name.partition(":")[0] for name in told})
        said.update(f"{name} {outcome}" for name, outcome in outcomes.items() if outcome != "≈")
    return found, said
