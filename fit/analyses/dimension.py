"""Embedding dimension against vertical scaling: the best dimension, and the knee, for each number of rows."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.analyses.noise.ladders import Ladders
from tfrs_scaling.fit.analyses.noise.training_noise import TrainingNoise
from tfrs_scaling.fit.laws.uncertainty import percentiles

MARGIN = 0.001  # of the best NE


@dataclass(frozen=True)
class BestDimension:
    """The best embedding dimension and the knee for one number of rows.

    Attributes:
        examples: The largest data size that all dimensions reached.
        dims: The dimensions measured, increasing.
        ne: Test NE of each, mean of seeds.
        best: The dimension of the lowest NE.
        knee: The smallest dimension whose NE is within the margin of the best.
        margin: Share of the best NE.
        why: What ``best`` and the knee rest on.
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

    @property
    def is_known(self) -> bool:
        """Whether the knee's interval spans a factor of at most four, a doubling either way."""
        return self.knee_low is not None and self.knee_high is not None and self.knee_high <= 4 * self.knee_low


def dimension(ladders: Ladders, *, margin: float = MARGIN, level: float = 0.95) -> list[BestDimension]:
    """The best embedding dimension and the knee for each multiplier of the rows (Figure 9 of Ardalani et al. 2022).

    The best dimension has the lowest test NE, the knee is the smallest whose NE is within ``margin`` of that: what
    wider embeddings add beyond it is less than the margin. The intervals of both are percentiles over resamples of
    the measured NE.

    Args:
        ladders: Ladders of one architecture: schemes D, V, H and VH count.
        margin: Share of the best NE, 0 or above.
        level: Confidence level.

    Returns:
        One record for each multiplier of the rows that was measured at two dimensions or more, at the largest data
        size that all of its dimensions reached.

    Raises:
        ValueError: the margin is negative.
    """
    if margin < 0:
        raise ValueError(f"margin is {margin}; it must be 0 or above, such as 0.001 for 0.1 % of NE")
    points = ladders.points[ladders.points["scheme"].isin(["D", "V", "H", "VH"])]
    # H scales the dimension alone: its rows are those of the baseline.
    rows_multiplier = points["multiplier"].where(points["scheme"].isin(["V", "VH"]), 1.0)
    records = []
    for multiplier, line in points.groupby(rows_multiplier, sort=True):
        shared = set.intersection(*(set(sizes) for _, sizes in line.groupby("embedding_dim")["examples"]))
        there = line[line["examples"] == max(shared, default=0)].sort_values("embedding_dim")
        if len(there) < 2:
            continue
        dims, ne = there["embedding_dim"].to_numpy(), there["ne"].to_numpy()
        best, knee = _best_and_knee(ne, dims, ladders.shocks[:, there.index], margin, level)
        records.append(
            BestDimension(
                architecture=ladders.noise.architecture,
                multiplier=float(str(multiplier)),
                examples=int(max(shared)),
                dims=tuple(dims.tolist()),
                ne=tuple(ne.tolist()),
                best=best.value,
                best_low=best.low,
                best_high=best.high,
                knee=knee.value,
                knee_low=knee.low,
                knee_high=knee.high,
                margin=margin,
                why=_why(best.value, knee, dims.tolist(), ladders.noise, margin),
            )
        )
    return records


class _Estimate(NamedTuple):
    """A dimension and its interval."""

    value: int
    low: int | None
    high: int | None


def _best_and_knee(ne: Array, dims: Indices, shocks: Array, margin: float, level: float) -> tuple[_Estimate, _Estimate]:
    best, knee = (int(dims[at][0]) for at in _places(ne[None], margin))
    if np.isnan(shocks).any():  # the noise is unknown
        return _Estimate(best, None, None), _Estimate(knee, None, None)
    best_at, knee_at = _places(ne + shocks, margin)
    return _estimate(best, dims[best_at], level), _estimate(knee, dims[knee_at], level)


def _estimate(value: int, draws: Indices, level: float) -> _Estimate:
    low, high = percentiles(draws.astype(np.float64), level)
    return _Estimate(value, int(min(float(low), value)), int(max(float(high), value)))


def _places(ne: Array, margin: float) -> tuple[Indices, Indices]:
    """The places of the lowest NE, and of the first within the margin of it, in each row."""
    lowest = ne.min(axis=1, keepdims=True)
    return np.argmin(ne, axis=1), np.argmax(ne <= lowest * (1 + margin), axis=1)


def _why(best: int, knee: _Estimate, dims: list[int], noise: TrainingNoise, margin: float) -> str:
    words = [f"the knee is the smallest dimension whose NE is within {margin:.2%} of the best"]
    words.append(f"the noise of one training is {noise.words}")
    if knee.low is None or knee.high is None:
        words.append("so where the knee lies cannot be determined")
    elif knee.high > 4 * knee.low:
        factor = knee.high / knee.low
        words.append(f"the interval of the knee spans a factor of {factor:g}, so where it lies cannot be determined")
    elif best == knee.value == dims[-1]:
        words.append("NE still falls at the largest dimension measured, so the knee lies there or beyond")
    elif knee.value == dims[0]:
        words.append("the smallest dimension measured is as good, so the knee lies there or below")
    return "; ".join(words)
