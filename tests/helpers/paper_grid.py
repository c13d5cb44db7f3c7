"""Studies on the grid of Ardalani et al. 2022, made from laws as Table 1 gives them: V, H, O and M with the multipliers
of ``tuner_configs/paper.yaml``, 5 to 5120 million examples.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tests.helpers.planted import planted_row
from tfrs_scaling.fit.analyses.ranking import Ranking
from tfrs_scaling.fit.runs.run_table import COLUMNS

DATA = tuple(5_000_000 * 2**rung for rung in range(11))
MULTIPLIERS = {
    "V": [2.0**k for k in range(-6, 4) if k],
    "H": [2.0**k for k in range(-4, 5) if k],
    "O": [2.0**k for k in range(-8, 6) if k],
    "M": [2.0**k for k in range(-3, 4) if k],
}
NOISE = 5e-4
SMALLEST = 0.78  # the NE that the paper's numbers are divided by, which it does not give
TABLE_1 = {"V": 0.12, "H": 0.11, "O": 0.10, "M": 0.09}  # beta of the data frontiers; alpha is 0.07 for all


@dataclass(frozen=True)
class Grid:
    """What NE, divided by the smallest, a shape has.

    Every ladder is ``0.07 * (examples / 1e6)**-beta + gamma``. That of the largest multiplier of a scheme has the
    scheme's beta of Table 1 and ends at 1 for V and ``step`` higher for each of H, O and M; that of the baseline has
    M's beta and ends ``top`` above M. Between the two, both go with ``multiplier**-decay``; below the baseline the
    end rises with it.

    Args:
        step: Between the ends of two neighbours of V, H, O and M; 0 for equal schemes, M's.
        top: How far the baseline ends above M.
        decay: Exponent of the multiplier.
    """

    step: float = 1e-3
    top: float = 1e-3
    decay: float = 0.4

    def ne(self, scheme: str, multiplier: float, examples: float) -> float:
        """The NE of a shape, without noise."""
        of_baseline, baseline_end = TABLE_1["M"], 1 + 3 * self.step + self.top
        beta, end, share = of_baseline, baseline_end, 1.0
        if scheme != "D":
            largest = max(MULTIPLIERS[scheme]) ** -self.decay
            share = (multiplier**-self.decay - largest) / (1 - largest)
            beta = TABLE_1[scheme if self.step else "M"]
            end = 1 + self.step * list(TABLE_1).index(scheme)
        within = min(share, 1.0)
        beta += (of_baseline - beta) * within
        end += (baseline_end - end) * within + self.top * (max(share, 1.0) - 1)
        return float(0.07 * ((examples / 1e6) ** -beta - (DATA[-1] / 1e6) ** -beta) + end)


def study(grid: Grid, seed: int, noise: float = NOISE, seeds: int = 1) -> pd.DataFrame:
    """The run table."""
    rng = np.random.default_rng(seed)
    shapes = [("D", 1.0)] + [(s, m) for s, of_scheme in MULTIPLIERS.items() for m in of_scheme]
    rows = []
    for scheme, multiplier in shapes:
        for trained in range(seeds):
            for examples in DATA:
                ne = SMALLEST * grid.ne(scheme, multiplier, examples) + rng.normal(0, noise)
                row = planted_row(scheme, multiplier, trained, 0.02, examples, ne)
                rows.append(row | {"trial_id": f"{scheme}-{multiplier:g}-{trained}"})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def noisy(runs: pd.DataFrame, seed: int, noise: float = NOISE) -> pd.DataFrame:
    """A run table without noise, with noise."""
    return runs.assign(test_ne=runs["test_ne"] + np.random.default_rng(seed).normal(0, noise, len(runs)))


def compute_study(step: float) -> pd.DataFrame:
    """Every point of a scheme on its law of compute, ``0.11 * compute**-beta + gamma`` in Table 1's ranges and the
    unit in which the baseline ends at 5120; there M lies one step below O, and that below H, whose law is the
    baseline's. No noise.
    """
    runs = study(Grid(), 0, noise=0.0)
    last = float(runs.loc[runs["scheme"] == "D", "compute"].max())
    betas, ends = {"M": 0.15, "O": 0.135, "H": 0.12}, {"M": 1.0, "O": 1 + step, "H": 1 + 2 * step}
    scheme = runs["scheme"].where(runs["scheme"].isin(list(betas)), "H")
    beta = scheme.map(betas)
    x = 5120 * runs["compute"] / last
    return runs.assign(test_ne=SMALLEST * (0.11 * (x**-beta - 5120.0**-beta) + scheme.map(ends)))


Signs = Mapping[tuple[str, str, str], int]  # pair such as "VH", parameters and data, "low" or "high" each


def draw_signs(rng: np.random.Generator) -> dict[tuple[str, str, str], int]:
    """Which of a pair is better in each quarter: 1 the first, -1 the second, 0 neither."""
    quarters = [(pair, p, d) for pair in ("VH", "OM") for p in ("low", "high") for d in ("low", "high")]
    return {quarter: int(rng.integers(-1, 2)) for quarter in quarters}


def zone_study(runs: pd.DataFrame, signs: Signs, difference: float = 6e-3) -> pd.DataFrame:
    """A study in which the first of a pair is better by ``difference`` on average in the quarters that ``signs`` say.

    Args:
        runs: A study on the paper's grid, whose NE does not matter.
        signs: See ``draw_signs``.
        difference: At the middle of a quarter's range of ln(parameters); it grows in proportion from 0 at the baseline.
            Along data it follows the power of the law that every shape's ladder keeps to.

    Returns:
        The run table, without noise.
    """
    baseline = runs[runs["scheme"] == "D"].iloc[0]
    outside = runs["params_total"] - runs["params_embedding"]
    of_baseline = float(baseline["params_total"] - baseline["params_embedding"])
    of_all = runs["params_total"] / float(baseline["params_total"])
    place = np.log(np.where(runs["scheme"].isin(["O", "M"]), outside / of_baseline, of_all))
    power = (runs["examples"] / DATA[0]) ** -0.1
    powers = (np.array(DATA) / DATA[0]) ** -0.1
    upper = np.log(DATA) >= np.log(DATA).mean()
    halves = {"low": float(powers[~upper].mean()), "high": float(powers[upper].mean())}
    shift = np.zeros(len(runs))
    for pair in ("VH", "OM"):
        of_pair = [runs["scheme"].isin([scheme, "D"]) for scheme in pair]
        ends = [max(place[rows].min() for rows in of_pair), min(place[rows].max() for rows in of_pair)]
        for half, end in zip(("low", "high"), ends, strict=True):
            low, high = (signs[pair, half, data] for data in ("low", "high"))
            slope = (low - high) / (halves["low"] - halves["high"])
            sizes = difference * (high + slope * (power - halves["high"]))
            gap = sizes * place / (0.625 * end)  # 0.625: the mean place of the four budgets of a quarter
            inside = (np.sign(place) == np.sign(end)) & of_pair[0]
            shift = np.where(inside, shift - gap, shift)
    return runs.assign(test_ne=SMALLEST + 0.05 * power - 4e-3 * place + shift)


def outcomes(ranking: Ranking) -> dict[str, str]:
    """The outcome of each pair."""
    return {pair.first + pair.second: pair.outcome for pair in ranking.pairs}
