"""Embedding dimension against vertical scaling: the best dimension, and the knee, for each number of rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tfrs_scaling.fit.analyses.noise import Noise
from tfrs_scaling.fit.laws.resampling import REPLICATES
from tfrs_scaling.fit.laws.uncertainty import percentiles

Array = NDArray[np.float64]

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
) -> list[dict[str, Any]]:
    """The best embedding dimension and the knee for each multiplier of the rows (Figure 9 of Ardalani et al. 2022).

    The best dimension has the lowest test NE, the knee is the smallest whose NE is within ``margin`` of that:
    what wider embeddings add beyond it is less than the margin. Both are bootstrapped: every NE is drawn
    anew with the noise of a training, that noise itself being uncertain, and the intervals are percentiles.

    Args:
        chosen: The rows that may carry a fit, as ``selected`` returns them: schemes D, V, H and VH count.
        noise: Of one training, as ``training_noise`` gives it.
        margin: Share of the best NE, 0 or above.
        level: Confidence level.
        seed: Of the bootstrap.

    Returns:
        One record for each architecture and multiplier of the rows that was measured at two dimensions or more, at
        the largest data size that all of its dimensions reached: architecture, multiplier, examples, dims
        (increasing), ne, best, best_low, best_high, knee, knee_low, knee_high (None where the noise is not known),
        margin, why.

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
        shared = set.intersection(*(set(of["examples"]) for _, of in line.groupby("embedding_dim")))
        if len(dims) < 2 or not shared:
            continue
        there = line[line["examples"] == max(shared)].groupby("embedding_dim", sort=True)["test_ne"]
        found = _best_and_knee(
            there.mean().to_numpy(), there.size().to_numpy(), np.array(dims), noise, margin, level, seed
        )
        records.append(
            {
                "architecture": str(architecture),
                "multiplier": float(str(multiplier)),
                "examples": int(max(shared)),
                "dims": [int(dim) for dim in dims],
                "ne": there.mean().tolist(),
                **found,
                "margin": margin,
                "why": _why(found, dims, noise, margin),
            }
        )
    return records


def _best_and_knee(
    ne: Array, trainings: NDArray[np.int64], dims: NDArray[np.int64], noise: Noise, margin: float, level: float,
    seed: int,
) -> dict[str, Any]:  # fmt: skip
    best, knee = (dims[at] for at in _places(ne[None], margin))
    found: dict[str, Any] = {"best": int(best[0]), "best_low": None, "best_high": None}
    found |= {"knee": int(knee[0]), "knee_low": None, "knee_high": None}
    if noise.degrees == 0:
        return found
    rng = np.random.default_rng(seed)
    factor = np.sqrt(noise.degrees / rng.chisquare(noise.degrees, (REPLICATES, 1)))
    shocks = rng.standard_normal((REPLICATES, ne.size)) * factor * noise.sd / np.sqrt(trainings)
    for name, at in zip(("best", "knee"), _places(ne + shocks, margin), strict=True):
        low, high = percentiles(dims[at].astype(np.float64), level)
        found |= {f"{name}_low": int(min(low, found[name])), f"{name}_high": int(max(high, found[name]))}
    return found


def _places(ne: Array, margin: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of the lowest NE, and of the first within the margin of it, in each row."""
    lowest = ne.min(axis=1, keepdims=True)
    return np.argmin(ne, axis=1), np.argmax(ne <= lowest * (1 + margin), axis=1)


def _why(found: dict[str, Any], dims: list[int], noise: Noise, margin: float) -> str:
    words = [f"the knee is the smallest dimension whose NE is within {margin:.2%} of the best"]
    words.append(f"the noise of one training is {noise.words}")
    if found["best"] == dims[-1] and found["knee"] == dims[-1]:
        words.append("NE still falls at the largest dimension measured, so the knee lies there or beyond")
    elif found["knee"] == dims[0]:
        words.append("the smallest dimension measured is as good, so the knee lies there or below")
    return "; ".join(words)
