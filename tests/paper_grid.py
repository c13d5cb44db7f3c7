"""Studies on the grid of Ardalani et al. 2022, made from laws as Table 1 gives them: V, H, O and M with the multipliers
of ``tuner_configs/paper.yaml``, 5 to 5120 million examples.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tests.planted import planted_row
from tfrs_scaling.fit.runs import COLUMNS

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

    The frontier of scheme s against data is ``0.07 * (examples / 1e6)**-beta + gamma``, in Table 1's ranges, with gamma such
    that the frontiers end ``step`` apart, V lowest, at NE 1. A multiplier below the largest costs a power law of it, by
    which the baseline lies at the same NE in every scheme.

    Args:
        step: Between two neighbours of V, H, O, M at the largest data size, or for each scheme.
        top: How far the baseline lies above the worst frontier.
        decay: Exponent of the multiplier.
    """

    step: float = 1e-3
    top: float = 1e-3
    decay: float = 0.4

    def frontier(self, scheme: str, examples: float) -> float:
        """The NE of a scheme's largest multiplier."""
        if self.step == 0:
            scheme = "M"
        beta = TABLE_1[scheme]
        end = 1 + self.step * list(TABLE_1).index(scheme)
        return float(0.07 * ((examples / 1e6) ** -beta - (DATA[-1] / 1e6) ** -beta) + end)

    def ne(self, scheme: str, multiplier: float, examples: float) -> float:
        """The NE of a shape, without noise."""
        baseline = max(self.frontier(s, examples) for s in TABLE_1) + self.top
        if scheme == "D":
            return baseline
        lowest, largest = self.frontier(scheme, examples), max(MULTIPLIERS[scheme])
        share = (multiplier**-self.decay - largest**-self.decay) / (1 - largest**-self.decay)
        return lowest + (baseline - lowest) * share


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


def outcomes(record: Mapping[str, list[dict[str, str]]]) -> dict[str, str]:
    """The outcome of each pair of a record of ``ranking``."""
    return {pair["first"] + pair["second"]: pair["outcome"] for pair in record["pairs"]}
