"""The measured points of one architecture, and how far chance moves them: what all comparisons of shapes draw from.

Shapes share their baseline, and schemes do, so they cannot be resampled one by one: all points of an architecture are
resampled together, and a point that two comparisons share moves in both. Rankings, zones, effects, the dimension and
the advice use the same draws, so one page cannot contradict itself by chance.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.analyses.noise.ladder_laws import ladder_laws, long_ladders, shape_points
from tfrs_scaling.fit.analyses.noise.training_noise import TrainingNoise
from tfrs_scaling.fit.laws.resampling import inflation
from tfrs_scaling.fit.runs.screening import SHAPE
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES

RESAMPLES = 1999  # percentiles of usual levels fall on one of them (Davison and Hinkley 1997)


@dataclass(frozen=True)
class Ladders:
    """The measured points of one architecture, and resamples of them.

    Attributes:
        noise: Noise of one training.
        points: Result of ``shape_points``.
        shocks: What chance adds to each point's NE in each resample, shape (RESAMPLES, m); NaN where the noise is
            unknown.
    """

    noise: TrainingNoise
    points: pd.DataFrame
    shocks: Array

    @cached_property
    def losses(self) -> Array:
        """NE of the points, shape (2 + RESAMPLES, m): as measured; by the law of each ladder; and that with noise.

        Nothing but the first row where the noise is unknown.
        """
        measured = self.points["ne"].to_numpy(dtype=np.float64)
        if not self.noise.is_known:
            return measured[None]
        weights = self.noise.at(self.points["examples"]) ** -2
        centre = ladder_laws(self.points, long_ladders(self.points), weights)[0]
        return np.concatenate([measured[None], centre[None], np.maximum(centre + self.shocks, 0.0)])

    @property
    def why_not(self) -> str:
        """Why no difference can be called one; empty where it can."""
        if self.noise.is_known:
            return ""
        return (
            "the noise is unknown: it takes several seeds, or shapes measured at five data sizes or more, so no "
            "difference can be distinguished from chance"
        )

    @property
    def one_seed(self) -> str:
        """What verdicts rest on where there are too few seeds; empty where there are enough."""
        if self.noise.source != "ladders":
            return ""
        return (
            "one seed: what a training is off by at all data sizes does not show, so an error of twice the scatter of "
            "ladders is assumed; three seeds would tell"
        )

    def of(self, scheme: str) -> Indices:
        """The rows of a scheme's points, the baseline's among them."""
        return np.flatnonzero(self.points["scheme"].isin([scheme, BASELINE]))

    def own(self, scheme: str) -> Indices:
        """The rows of a scheme's points without the baseline's."""
        return np.flatnonzero(self.points["scheme"] == scheme)


def own_parameters(scheme: str) -> str:
    """The column of ``Ladders.points`` that a scheme is plotted against.

    It is all parameters, but for O and M those outside the embedding tables: they change no others.
    """
    return "outside" if SCHEMES[scheme].outside_tables else "parameters"


def resample_ladders(rows: pd.DataFrame, noise: TrainingNoise, *, seed: int = 0) -> Ladders:
    """The points of an architecture, resampled together.

    A training keeps the ``shared`` part of its noise at all its data sizes, and the ``paired`` part moves in all shapes
    trained with one seed. All of a resample share the factor of Student's t for the uncertainty of the noise.

    Args:
        rows: The rows that may carry a fit, as ``usable_runs`` returns them, of any architectures.
        noise: Noise of the architecture whose points are wanted.
        seed: Seed of the resampling, >= 0.

    Returns:
        The ladders; without a point where none was measured.
    """
    own = rows[rows["architecture"] == noise.architecture]
    points = shape_points(own)
    if not noise.is_known:
        return Ladders(noise, points, np.full((RESAMPLES, len(points)), np.nan))
    # Two architectures' noise is independent.
    rng = np.random.default_rng([seed, *noise.architecture.encode()])
    sizes, at = np.unique(points["examples"], return_inverse=True)
    shape = points.groupby(SHAPE, sort=True).ngroup().to_numpy()
    moved = _noise_of(rng, int(shape.max(initial=-1)) + 1, sizes.size, noise.shared)[:, shape, at]
    moved *= np.sqrt((1 - noise.paired) / points["seeds"].to_numpy())
    if noise.paired:
        seeds = own.assign(once=1.0).pivot_table("once", [*SHAPE, "examples"], "seed", fill_value=0.0).to_numpy()
        common = _noise_of(rng, seeds.shape[1], sizes.size, noise.shared)
        for column in range(seeds.shape[1]):
            share = seeds[:, column] / points["seeds"].to_numpy()
            moved += np.sqrt(noise.paired) * share * common[:, column, at]
    return Ladders(noise, points, inflation(noise.degrees, rng, RESAMPLES) * noise.at(points["examples"]) * moved)


def _noise_of(rng: np.random.Generator, trainings: int, sizes: int, shared: float) -> Array:
    """Noise of variance 1 in each resample, of each training at each data size."""
    kept = rng.standard_normal((RESAMPLES, trainings, 1))
    return np.sqrt(shared) * kept + np.sqrt(1 - shared) * rng.standard_normal((RESAMPLES, trainings, sizes))


def lowest_up_to(losses: Array, costs: Array, places: Array) -> Array:
    """The lowest loss with at most a cost, between measured costs along a line in the logarithm of the cost.

    Args:
        losses: Losses of k points in each of r resamples, shape (r, k).
        costs: Costs of the points, above 0, shape (k,), in any order.
        places: Costs between the least and the largest, shape (p,).

    Returns:
        Shape (r, p).
    """
    order = np.argsort(costs, kind="stable")
    steps, first = np.unique(costs[order], return_index=True)
    lowest = np.minimum.accumulate(np.minimum.reduceat(losses[:, order], first, axis=1), axis=1)
    logs, wanted = np.log(steps), np.log(places)
    right = np.clip(np.searchsorted(logs, wanted), 1, max(logs.size - 1, 1))
    if logs.size == 1:
        return np.repeat(lowest, places.size, axis=1)
    share = np.clip((wanted - logs[right - 1]) / (logs[right] - logs[right - 1]), 0.0, 1.0)
    return np.asarray(lowest[:, right - 1] * (1 - share) + lowest[:, right] * share)


def simultaneous_intervals(estimates: Array, deviations: Array, level: float) -> tuple[Array, Array]:
    """Intervals that hold for all of several estimates at once, from resamples of all of them.

    Each end is as far from its estimate as its spread times one number for all: the quantile of the largest of the
    deviations in that direction, less their median and divided by their spread, half the width of their central 68.3 %
    (Westfall and Young 1993; with a shared baseline: Dunnett 1955). They account for estimates that move together. The
    interval of one of several estimates is never narrower than that of a part of them, nor than its own alone: what
    differs among many also differs alone.

    Args:
        estimates: Estimates, shape (k,).
        deviations: Deviations of the resamples, up to a constant for each estimate, shape (m, k); NaN where the noise
            is unknown.
        level: Confidence level of all intervals together.

    Returns:
        (low, high): shape (k,); NaN where the noise is unknown.
    """
    if not estimates.size:
        return estimates, estimates
    left, middle, right = np.quantile(deviations, (0.158655, 0.5, 0.841345), axis=0)
    spread = (right - left) / 2
    scaled = (deviations - middle) / np.where(spread > 0, spread, 1.0)
    below, above = (float(np.quantile(np.max(side, axis=1), (1 + level) / 2)) for side in (-scaled, scaled))
    return estimates - below * spread, estimates + above * spread
