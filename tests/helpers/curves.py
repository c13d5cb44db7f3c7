"""Lines against data whose law is known."""

import numpy as np
import pandas as pd

from tests.helpers.planted import planted_row
from tfrs_scaling.fit.analyses.lines import DataLine
from tfrs_scaling.fit.runs.run_table import COLUMNS

LADDER = tuple(4000 * 2**rung for rung in range(9))


def law(examples: float, beta: float = 0.4, gamma: float = 0.78, top: float = 0.2, needs: float = 1.0) -> float:
    """``top`` at the smallest size, with ``needs`` times the data for the same loss."""
    return gamma + top * (examples / needs / LADDER[0]) ** -beta


def line(
    test: list[float], train: list[float] | None = None, *, seeds: int = 1, noise: float = 0.0,
    rng: np.random.Generator | None = None, architecture: str = "dot", scheme: str = "D",
) -> DataLine:  # fmt: skip
    """A ladder with these losses at LADDER, and noise of its points."""
    rng, rows = rng or np.random.default_rng(0), []
    for seed in range(seeds):
        for examples, ne, trained in zip(LADDER, test, train or test, strict=False):
            row = planted_row(scheme, 1.0, seed, 0.02, examples, ne + rng.normal(0, noise))
            own = {
                "train_ne": trained + rng.normal(0, noise),
                "trial_id": f"{scheme}-{seed}",
                "architecture": architecture,
            }
            rows.append(row | own)
    return DataLine(architecture, scheme, "1", False, pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS))
