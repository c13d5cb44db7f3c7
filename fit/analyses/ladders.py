"""The data ladders of one architecture's shapes, and how far chance moves them: what schemes are compared by.

Schemes share their baseline, so they cannot be resampled one by one: here all points of an architecture are resampled
together, and a point that two schemes share moves in both.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.laws.plateau import power_law_regions
from tfrs_scaling.fit.laws.profile import Profile
from tfrs_scaling.fit.laws.resampling import law_jacobian
from tfrs_scaling.fit.laws.seed_weights import shrunk_variances
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES, SIZES
from tfrs_scaling.fit.screening import SHAPE

RESAMPLES = 999  # percentiles of usual levels fall on one of them (Davison and Hinkley 1997)

_FEWEST_ON_LADDER = 5  # points that tell a ladder's noise from its law
_FEWEST_SEED_DEGREES = 5  # of freedom between seeds, below which they tell the noise worse than ladders do
_PASSES = 2
_LARGEST_LEVERAGE = 0.95  # a residual of a point that the law all but passes through tells nothing


@dataclass(frozen=True)
class Ladders:
    """The measured points of one architecture's schemes V, H, O, M and D, and resamples of them.

    Attributes:
        architecture: Of all points.
        points: One row for each shape and data size, seeds averaged: scheme, multiplier, embedding_dim, examples,
            parameters (all of them), outside (those outside the embedding tables), flops (training FLOPs of one
            example), compute, ne and seeds (how many).
        losses: NE of these points, shape (2 + RESAMPLES, m): as measured; by the law of each ladder; and that with
            noise, as many times as there are resamples. Nothing but the first row where the noise is not known.
        noise: Standard deviation of one training's NE at each point, shape (m,); 0 where it is not known.
        degrees: Its degrees of freedom; 0 where it is not known.
        source: What tells the noise: ``seeds``, ``ladders``, or nothing.
    """

    architecture: str
    points: pd.DataFrame
    losses: Array
    noise: Array
    degrees: float
    source: str

    @property
    def known(self) -> bool:
        """Whether the noise is known, without which no difference can be called one."""
        return bool(self.source)

    @property
    def why_not(self) -> str:
        """Why it is not; empty where it is."""
        if self.known:
            return ""
        return (
            "the noise is not known: it takes several seeds, or shapes measured at five data sizes or more, so no "
            "difference can be told from chance"
        )

    def of(self, scheme: str) -> Indices:
        """The rows of a scheme's points, the baseline's among them."""
        return np.flatnonzero(self.points["scheme"].isin([scheme, "D"]))

    def own(self, scheme: str) -> Indices:
        """The rows of a scheme's points without the baseline's."""
        return np.flatnonzero(self.points["scheme"] == scheme)


def own_parameters(scheme: str) -> str:
    """The column of ``Ladders.points`` that a scheme is plotted against.

    It is all parameters, but for O and M those outside the embedding tables: they change no others.
    """
    return "outside" if SCHEMES[scheme].outside_tables else "parameters"


def resample_ladders(chosen: pd.DataFrame, architecture: str, *, seed: int = 0) -> Ladders:
    """The points of an architecture's schemes, resampled together.

    The noise differs between data sizes. With five degrees of freedom or more between seeds it is what they differ by,
    and so is the share of it that a training keeps along its ladder. With fewer it is what ladders scatter about laws
    of their own, less what all scatter alike at one data size, which no comparison sees. What a single training is off
    by at all its data sizes alike is invisible then: only seeds show it. Variances are shrunk towards a common one, and
    all of a resample share the factor of Student's t for the uncertainty of the noise.

    Args:
        chosen: The rows that may carry a fit, as ``usable_runs`` returns them.
        architecture: Keep this one.
        seed: Of the resampling, >= 0.

    Returns:
        The ladders; without a point where none was measured.
    """
    rows = chosen[(chosen["architecture"] == architecture) & chosen["scheme"].isin([*SIZES, BASELINE])]
    points = _seed_means(rows)
    measured = points["ne"].to_numpy(dtype=np.float64)
    shape = np.asarray(points.groupby(SHAPE[1:], sort=True).ngroup(), dtype=np.int64)
    at = np.unique(points["examples"], return_inverse=True)[1]
    every = [np.flatnonzero(shape == of_shape) for of_shape in np.unique(shape)]
    long = _starts(points, [ladder for ladder in every if ladder.size >= _FEWEST_ON_LADDER])
    noise, degrees, shared, source = _seed_noise(rows, points, at)
    if not source:
        weights = np.ones_like(measured)
        for _ in range(_PASSES):  # laws with the weights that the noise calls for tell the noise better
            noise, degrees, source = _ladder_noise(_laws(points, long, weights)[1], at, [row for row, _ in long])
            if not source:
                break
            weights = noise**-2
    losses = measured[None]
    if source:
        centre = _laws(points, long, noise**-2)[0]
        rng = np.random.default_rng(seed)
        of_training = rng.standard_normal((RESAMPLES, int(shape.max()) + 1))[:, shape]
        own = rng.standard_normal((RESAMPLES, measured.size))
        factor = np.sqrt(degrees / rng.chisquare(degrees, (RESAMPLES, 1)))
        of_mean = noise / np.sqrt(points["seeds"].to_numpy())
        shocks = factor * of_mean * (np.sqrt(shared) * of_training + np.sqrt(1 - shared) * own)
        losses = np.concatenate([losses, centre[None], np.maximum(centre + shocks, 0.0)])
    return Ladders(architecture, points=points, losses=losses, noise=noise, degrees=degrees, source=source)


def simultaneous_intervals(estimates: Array, deviations: Array, level: float) -> tuple[Array, Array]:
    """Intervals that hold for all of several estimates at once, from resamples of all of them.

    Each is as wide as its standard deviation times one number for all: the quantile of the largest of the deviations,
    less its mean, divided by its own standard deviation (Westfall and Young 1993). They account for estimates that
    move together.

    Args:
        estimates: Shape (k,).
        deviations: What resamples were off by, shape (m, k).
        level: Confidence level of all intervals together.

    Returns:
        (low, high): shape (k,).
    """
    spread = deviations.std(axis=0)
    scaled = np.abs(deviations - deviations.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    largest = np.sort(scaled.max(axis=1)) if estimates.size else np.zeros(1)
    factor = float(largest[min(int(np.ceil(level * (largest.size + 1))) - 1, largest.size - 1)])
    return estimates - factor * spread, estimates + factor * spread


def _seed_means(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean over seeds of each shape at each data size, sorted."""
    named = rows.assign(
        parameters=rows["params_total"].astype("float64"),
        outside=(rows["params_total"] - rows["params_embedding"]).astype("float64"),
        flops=rows["flops_train"].astype("float64"),
        ne=rows["test_ne"],
        seeds=1,
    )
    sizes = dict.fromkeys(("parameters", "outside", "flops", "compute", "ne"), "mean")
    return named.groupby([*SHAPE[1:], "examples"], sort=True).agg(sizes | {"seeds": "sum"}).reset_index()


def _alike(points: pd.DataFrame, ladders: list[Indices]) -> list[tuple[Array, Indices]]:
    """Ladders of the same data sizes together: ``ln(examples)``, shape (n,), and the rows of each, shape (k, n)."""
    sizes = points["examples"].to_numpy(dtype=np.float64)
    together: dict[tuple[float, ...], list[Indices]] = {}
    for ladder in ladders:
        together.setdefault(tuple(sizes[ladder].tolist()), []).append(ladder)
    return [(np.log(xs), np.stack(rows)) for xs, rows in together.items()]


def _starts(points: pd.DataFrame, ladders: list[Indices]) -> list[tuple[Indices, int]]:
    """Ladders with the place at which each one's power law starts, those of the same data sizes in turn."""
    ys, found = points["ne"].to_numpy(dtype=np.float64), []
    for logs, rows in _alike(points, ladders):
        found += list(zip(rows, power_law_regions(logs - logs[0], ys[rows]).tolist(), strict=True))
    return found


def _laws(points: pd.DataFrame, ladders: list[tuple[Indices, int]], weights: Array) -> tuple[Array, Array]:
    """The NE of each point by its ladder's law, and its residual freed of what the law took.

    Points on a plateau are their own prediction. Their residuals are what the law, continued to them, misses them by:
    noisy points look like a plateau, and what is left out as one must not make the rest look less noisy than it is.
    ``weights`` are the same for all points of a data size.
    """
    ys = points["ne"].to_numpy(dtype=np.float64)
    sizes = np.log(points["examples"].to_numpy(dtype=np.float64))
    fitted, residuals = ys.copy(), np.zeros_like(ys)
    before = {int(ladder[start]): ladder[:start] for ladder, start in ladders}
    for logs, rows in _alike(points, [ladder[start:] for ladder, start in ladders]):
        relative = weights[rows[0]] / weights[rows[0]].mean()
        distance, unit = logs - logs[0], float(ys[rows].max()) or 1.0
        best = Profile(distance, ys[rows] / unit, relative, unit).optima()
        fitted[rows] = unit * (best.top * np.exp(-best.beta * distance) + best.gamma)
        for row, top, beta, gamma in zip(rows, best.top[:, 0], best.beta[:, 0], best.gamma[:, 0], strict=True):
            jacobian = law_jacobian(distance, float(top), float(beta)) * np.sqrt(relative)[:, None]
            left, values, _ = np.linalg.svd(jacobian, full_matrices=False)
            leverage = (left[:, values > 1e-10 * values[0]] ** 2).sum(axis=1)
            residuals[row] = (ys[row] - fitted[row]) / np.sqrt(np.maximum(1 - leverage, 1 - _LARGEST_LEVERAGE))
            flat = before[int(row[0])]
            continued = unit * (top * np.exp(np.minimum(beta * (logs[0] - sizes[flat]), 50.0)) + gamma)
            residuals[flat] = ys[flat] - np.minimum(continued, ys.max())
    return fitted, residuals


def _seed_noise(rows: pd.DataFrame, points: pd.DataFrame, at: Indices) -> tuple[Array, float, float, str]:
    """The noise of each point by its seeds, its degrees of freedom, the share of it that a training keeps along its
    ladder, and ``seeds``; nothing where seeds are too few."""
    keys = [*SHAPE[1:], "examples"]
    merged = rows.merge(points.assign(at=at)[[*keys, "ne", "seeds", "at"]], on=keys)
    several = merged[merged["seeds"] > 1]
    off = (several["test_ne"] - several["ne"]).to_numpy()
    number, place = several["seeds"].to_numpy(dtype=np.float64), several["at"].to_numpy()
    sizes = int(at.max()) + 1 if at.size else 0
    own = np.bincount(place, 1 - 1 / number, sizes).astype(
        np.float64
    )  # the seeds of a shape have one degree fewer than they are
    if own.sum() < _FEWEST_SEED_DEGREES or not off.any():
        return np.zeros(len(points)), 0.0, 0.0, ""
    variances, prior = shrunk_variances(np.bincount(place, off**2, sizes) / np.maximum(own, 1e-9), own)
    scaled = pd.Series(off * np.sqrt(number / (number - 1)) / np.sqrt(variances[place]), index=several.index)
    of_training = scaled.groupby(several["trial_id"], sort=True)
    pairs = float((of_training.size() * (of_training.size() - 1)).sum())
    together = float((of_training.sum() ** 2 - (scaled**2).groupby(several["trial_id"], sort=True).sum()).sum())
    shared = float(np.clip(together / pairs, 0.0, 1.0)) if pairs else 0.0
    # noise that a training keeps along its ladder is one number for all its points
    of_trainings = float((1 - 1 / several.groupby("trial_id")["seeds"].mean()).sum())
    total = shared * of_trainings + (1 - shared) * float(own.sum())
    return np.sqrt(variances[at]), min(prior + float(own[own > 0].mean()), total), shared, "seeds"


def _ladder_noise(residuals: Array, at: Indices, ladders: list[Indices]) -> tuple[Array, float, str]:
    """The noise of each point by what ladders scatter about their laws, its degrees of freedom, and ``ladders``."""
    rows = np.concatenate(ladders) if ladders else np.zeros(0, dtype=np.int64)
    told = residuals[rows]
    if not told.any():
        return np.zeros(residuals.size), 0.0, ""
    sizes = int(at.max()) + 1
    counts = np.bincount(at[rows], minlength=sizes)
    means = np.bincount(at[rows], told, sizes) / np.maximum(counts, 1)
    squares = np.bincount(at[rows], (told - means[at[rows]]) ** 2, sizes)
    if (counts < 2).all():  # a single ladder: nothing to compare it with, but it has a noise
        squares, counts = np.bincount(at[rows], told**2, sizes), counts + 1
    # each ladder's law takes three of its points' degrees of freedom
    kept = 1 - 3 * len(ladders) / rows.size
    own = np.maximum(counts - 1.0, 0.0) * kept
    if not squares.any():
        return np.zeros(residuals.size), 0.0, ""
    variances, prior = shrunk_variances(squares / np.maximum(counts - 1.0, 1.0), own)
    degrees = min(prior + float(own[own > 0].mean()), float(own.sum()))
    return np.sqrt(variances[at]), max(degrees, 1.0), "ladders"
