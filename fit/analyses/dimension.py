"""Embedding dimension against vertical scaling: the best dimension, and the knee, for each number of rows."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.analyses.noise import Noise
from tfrs_scaling.fit.laws.resampling import REPLICATES
from tfrs_scaling.fit.laws.uncertainty import percentiles

MARGIN = 0.001  # of the best NE


@dataclass(frozen=True)
class BestDimension:
    """The best embedding dimension and the knee for one number of rows.

    Attributes:
        architecture: Of the models.
        multiplier: Of the rows.
        examples: The largest data size that all dimensions reached.
        dims: The dimensions measured, increasing.
        ne: Test NE of each, mean of seeds.
        best: The dimension of the lowest NE.
        best_low: Its interval; None where the noise is not known.
        best_high: Its interval; likewise.
        knee: The smallest dimension whose NE is within the margin of the best.
        knee_low: Its interval; None where the noise is not known.
        knee_high: Its interval; likewise.
        margin: Share of the best NE.
        why: What the two rest on.
    """

    architecture: str
    multiplier: float
    examples: int
    dims: tuple[int, ...]
    ne: tuple[float, ...]
    best: int
    best_low: int | None
    best_high: int | None
    knee: int
    knee_low: int | None
    knee_high: int | None
    margin: float
    why: str


def dimension(
    chosen: pd.DataFrame, noise: Noise, *, margin: float = MARGIN, level: float = 0.95, seed: int = 0
) -> list[BestDimension]:
    """The best embedding dimension and the knee for each multiplier of the rows (Figure 9 of Ardalani et al. 2022).

    The best dimension has the lowest test NE, the knee is the smallest whose NE is within ``margin`` of that: what
    wider embeddings add beyond it is less than the margin. Both are bootstrapped: every NE is drawn again with the
    noise of a training, that noise itself being uncertain, and the intervals are percentiles.

    Args:
        chosen: The rows that may carry a fit, as ``usable_runs`` returns them: schemes D, V, H and VH count.
        noise: Of one training, as ``training_noise`` estimates it.
        margin: Share of the best NE, 0 or above.
        level: Confidence level.
        seed: Of the bootstrap.

    Returns:
        One record for each architecture and multiplier of the rows that was measured at two dimensions or more, at
        the largest data size that all of its dimensions reached.

    Raises:
        ValueError: the margin is negative.
    """
    if margin < 0:
        raise ValueError(f"margin is {margin}; it must be 0 or above, such as 0.001 for 0.1 % of NE")
    rows = chosen[chosen["scheme"].isin(["D", "V", "H", "VH"])]
    # H scales the dimension alone: its rows are those of the baseline.
    rows = rows.assign(rows_multiplier=rows["multiplier"].where(rows["scheme"].isin(["V", "VH"]), 1.0))
    records = []
    for (architecture, multiplier), line in rows.groupby(["architecture", "rows_multiplier"], sort=True):
        dims = sorted(line["embedding_dim"].unique())
        shared = set.intersection(*(set(rungs["examples"]) for _, rungs in line.groupby("embedding_dim")))
        if len(dims) < 2 or not shared:
            continue
        there = line[line["examples"] == max(shared)].groupby("embedding_dim", sort=True)["test_ne"]
        best, knee = _best_and_knee(
            there.mean().to_numpy(), there.size().to_numpy(), np.array(dims), noise, margin, level, seed
        )
        records.append(
            BestDimension(
                architecture=str(architecture),
                multiplier=float(str(multiplier)),
                examples=int(max(shared)),
                dims=tuple(int(dim) for dim in dims),
                ne=tuple(there.mean().tolist()),
                best=best.value,
                best_low=best.low,
                best_high=best.high,
                knee=knee.value,
                knee_low=knee.low,
                knee_high=knee.high,
                margin=margin,
                why=_why(best.value, knee.value, dims, noise, margin),
            )
        )
    return records


class _Estimate(NamedTuple):
    """A dimension and its interval."""

    value: int
    low: int | None
    high: int | None


def _best_and_knee(
    ne: Array, trainings: Indices, dims: Indices, noise: Noise, margin: float, level: float,
    seed: int,
) -> tuple[_Estimate, _Estimate]:  # fmt: skip
    best, knee = (int(dims[at][0]) for at in _places(ne[None], margin))
    if noise.degrees == 0:
        return _Estimate(best, None, None), _Estimate(knee, None, None)
    rng = np.random.default_rng(seed)
    factor = np.sqrt(noise.degrees / rng.chisquare(noise.degrees, (REPLICATES, 1)))
    shocks = rng.standard_normal((REPLICATES, ne.size)) * factor * noise.sd / np.sqrt(trainings)
    best_at, knee_at = _places(ne + shocks, margin)
    return _estimate(best, dims[best_at], level), _estimate(knee, dims[knee_at], level)


def _estimate(value: int, draws: Indices, level: float) -> _Estimate:
    low, high = percentiles(draws.astype(np.float64), level)
    return _Estimate(value, int(min(float(low), value)), int(max(float(high), value)))


def _places(ne: Array, margin: float) -> tuple[Indices, Indices]:
    """The places of the lowest NE, and of the first within the margin of it, in each row."""
    lowest = ne.min(axis=1, keepdims=True)
    return np.argmin(ne, axis=1), np.argmax(ne <= lowest * (1 + margin), axis=1)


def _why(best: int, knee: int, dims: list[int], noise: Noise, margin: float) -> str:
    words = [f"the knee is the smallest dimension whose NE is within {margin:.2%} of the best"]
    words.append(f"the noise of one training is {noise.words}")
    if best == knee == dims[-1]:
        words.append("NE still falls at the largest dimension measured, so the knee lies there or beyond")
    elif knee == dims[0]:
        words.append("the smallest dimension measured is as good, so the knee lies there or below")
    return "; ".join(words)
