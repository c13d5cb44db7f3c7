"""The noise of one training: how much test NE differs by chance, which every comparison of measured shapes rests on."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.common.words import human
from tfrs_scaling.fit.analyses.noise.ladder_laws import ladder_laws, long_ladders, shape_points
from tfrs_scaling.fit.laws.seed_weights import shrunk_variances
from tfrs_scaling.fit.runs.screening import SHAPE
from tfrs_scaling.fit.schemes import ARCHITECTURE

Source = Literal["seeds", "ladders", "none"]

_FEWEST_SEED_DEGREES = 5  # of freedom between the seeds of all points, below which ladders say more
_FEWEST_DEGREES = 3  # below which an interval is too wide to be of use
# What a training keeps along its ladder does not show as scatter about its law, so one seed cannot tell how much that
# is. With neighbours that correlate by 0.3 to 0.7, or half of the variance kept, ladders scatter by 0.5 to 0.9 of the
# standard deviation between seeds (``tests/helpers/training_noise.py``); this share makes up for the least of these.
_KEPT_UNSEEN = 0.75
_PASSES = 2
_WORTH_SAYING = 0.05  # a share of the variance in common


@dataclass(frozen=True)
class TrainingNoise:
    """The noise of one training's test NE, by data size.

    Attributes:
        examples: Data sizes, increasing.
        sd: Standard deviation of one training at each; empty where the noise is unknown.
        shared: Share of the variance that a training keeps at all its data sizes, 0 to 1.
        paired: Share of the variance that all shapes' trainings of one seed have in common, 0 to 1: the same order of
            rows, the same start. It cancels in a difference of shapes trained with the same seeds.
        degrees: Degrees of freedom of the estimate; 0 where there is none.
        source: ``seeds``: trainings of one shape that differ in the seed alone. ``ladders``: how the points of each
            ladder scatter about its law; what a training keeps at all data sizes does not show there, and is assumed.
            ``none``: neither is available.
    """

    architecture: str
    examples: tuple[int, ...]
    sd: tuple[float, ...]
    shared: float
    paired: float
    degrees: float
    source: Source

    @property
    def is_known(self) -> bool:
        """Whether there is an estimate, without which no difference can be called one."""
        return self.source != "none"

    def at(self, examples: ArrayLike) -> Array:
        """Standard deviation of one training at data sizes of any shape; NaN where the noise is unknown.

        Between estimated sizes it is interpolated in the logarithm; beyond them it is that of the nearest.
        """
        logs = np.log(np.asarray(examples, dtype=np.float64))
        if not self.is_known:
            return np.full_like(logs, math.nan)
        return np.asarray(np.interp(logs, np.log(self.examples), self.sd))

    def error(self, examples: float, *trainings: int) -> float:
        """Standard error of a mean of that many trainings, or of a difference between two such means, at one data size.

        In a difference the trainings of both are of the same seeds, as far as there are as many.
        """
        variance = sum(1 / number for number in trainings)
        cancels = 2 / max(trainings) if len(trainings) == 2 else 0.0
        return float(self.at(examples)) * math.sqrt(variance - self.paired * cancels)

    def quantile(self, probability: float) -> float:
        """The quantile of Student's t; NaN where the noise is unknown."""
        return float(special.stdtrit(self.degrees, probability)) if self.is_known else math.nan

    @property
    def words(self) -> str:
        """The noise at the largest data size and what it was estimated from, as the end of a sentence."""
        if not self.is_known:
            return "unknown: there is one seed, and no ladder of five data sizes"
        size = f"±{self.sd[-1]:.2g} (one standard deviation) at {human(self.examples[-1])} examples"
        if self.source == "seeds":
            paired = f"; shapes trained with the same seed have {self.paired:.0%} of its variance in common"
            return f"{size}, from one seed to another{paired if self.paired >= _WORTH_SAYING else ''}"
        return (
            f"{size}, twice the scatter of ladders about their laws: with one seed, what a training is off by at all "
            "data sizes is assumed, not measured"
        )


def training_noise(rows: pd.DataFrame) -> tuple[TrainingNoise, ...]:
    """The noise of each architecture's trainings.

    With five degrees of freedom or more between seeds it is their standard deviation, and so are the shares of it that
    a training keeps along its ladder and that all shapes have in common. With fewer it is twice the scatter of ladders
    about their laws, less what all have in common at one data size, which cancels in every comparison: three quarters
    of its variance count as kept by a training, unseen. Variances are estimated at each data size and shrunk
    towards a common one (``shrunk_variances``). An architecture whose own trainings leave fewer than three degrees of
    freedom has the noise of all architectures together, if that is better known: another architecture may scatter
    thirty times as much, so its trainings say little of this one's.

    Args:
        rows: Rows that may carry a fit, as ``usable_runs`` returns them.

    Returns:
        One for each architecture, by name.
    """
    every = _estimate(rows, "")
    found = [_estimate(own, str(name)) for name, own in rows.groupby("architecture", sort=True)]
    return tuple(
        replace(every, architecture=own.architecture)
        if own.degrees < _FEWEST_DEGREES and every.degrees > own.degrees
        else own
        for own in found
    )


def with_weights(rows: pd.DataFrame, noises: Iterable[TrainingNoise]) -> pd.DataFrame:
    """Rows with a ``weight``, the precision of their NE, where that is known from seeds; else all of an architecture 1.

    Laws through points of known precision are twice as sharp where the variance falls as 1 / examples, and as often
    right. The scatter of ladders is no basis for weights: it is the laws' own.

    Args:
        rows: Rows that may carry a fit.
        noises: Result of ``training_noise`` for them.
    """
    weight = np.ones(len(rows))
    for noise in noises:
        if noise.source == "seeds":
            own = (rows["architecture"] == noise.architecture).to_numpy()
            weight[own] = noise.at(rows["examples"][own]) ** -2.0
            weight[own] /= weight[own].mean()
    return rows.assign(weight=weight)


def noise_of(architecture: str, noises: Iterable[TrainingNoise]) -> TrainingNoise:
    """The noise of one architecture; unknown where there is none."""
    unknown = TrainingNoise(architecture, (), (), 0.0, 0.0, 0.0, "none")
    return next((noise for noise in noises if noise.architecture == architecture), unknown)


def _estimate(rows: pd.DataFrame, architecture: str) -> TrainingNoise:
    points = shape_points(rows)
    sizes, at = np.unique(points["examples"].to_numpy(dtype=np.int64), return_inverse=True)
    unknown = TrainingNoise(architecture, (), (), 0.0, 0.0, 0.0, "none")
    if not sizes.size:
        return unknown
    known = replace(unknown, examples=tuple(int(size) for size in sizes), source="seeds")
    if (seeds := _between_seeds(rows, points, at)) is not None:
        return replace(known, **seeds._asdict())
    if (ladders := _on_ladders(points, at)) is not None:
        scatter, degrees = ladders
        sd = scatter / math.sqrt(1 - _KEPT_UNSEEN)
        return replace(known, sd=tuple(sd.tolist()), shared=_KEPT_UNSEEN, degrees=degrees, source="ladders")
    return unknown


class _Seeds(NamedTuple):
    """The noise between seeds; ``sd`` at each data size."""

    sd: tuple[float, ...]
    shared: float
    paired: float
    degrees: float


def _between_seeds(rows: pd.DataFrame, points: pd.DataFrame, at: Indices) -> _Seeds | None:
    """The noise between seeds; None of too few."""
    merged = rows.merge(points.assign(at=at)[[*SHAPE, "examples", "ne", "seeds", "at"]], on=[*SHAPE, "examples"])
    several = merged[merged["seeds"] > 1]
    off = (several["test_ne"] - several["ne"]).to_numpy()
    number, place = several["seeds"].to_numpy(dtype=np.float64), several["at"].to_numpy()
    if not off.any():
        return None
    # Points measured with the same seeds at one data size: seeds by shapes, a two-way layout.
    seed = several["seed"].rank(method="dense")
    members = several.assign(off=off, bit=2.0**seed)
    members["seeds"] = members.groupby([*SHAPE, "examples"], sort=True)["bit"].transform("sum")
    cells = members.groupby(["at", "seeds", "seed"], sort=True)
    shapes, common = (
        cells["off"].transform("size").to_numpy(dtype=np.float64),
        cells["off"].transform("mean").to_numpy(),
    )
    unit = np.sqrt(np.bincount(place, off**2) / np.maximum(np.bincount(place, 1 - 1 / number), 1e-9))[place]
    scaled = off / np.maximum(unit, 1e-30) * np.sqrt(number / (number - 1))
    paired = _correlation(scaled, cells.ngroup())
    alone = (shapes < 2) | (paired == 0)
    own = np.where(alone, off * np.sqrt(1 - paired), off - common)
    freedom = (1 - 1 / number) * np.where(alone, 1.0, 1 - 1 / shapes)
    degrees = np.bincount(place, freedom, int(at.max()) + 1).astype(np.float64)
    if degrees.sum() < _FEWEST_SEED_DEGREES or not own.any():
        return None
    variances, prior = shrunk_variances(np.bincount(place, own**2, degrees.size) / np.maximum(degrees, 1e-9), degrees)
    training = several.groupby("trial_id", sort=True).ngroup()
    shared = _correlation(own / np.sqrt(freedom * variances[place]), training)
    # Noise that a training keeps along its ladder is one number for all its points.
    trainings = float(pd.Series(freedom).groupby(training.to_numpy()).mean().sum())
    total = shared * trainings + (1 - shared) * float(degrees.sum())
    known = min(prior + float(degrees[degrees > 0].mean()), total)
    if known < _FEWEST_DEGREES:
        return None
    return _Seeds(tuple(np.sqrt(variances / (1 - paired)).tolist()), shared, paired, known)


def _correlation(values: Array, groups: "pd.Series[int]") -> float:
    """The correlation of values of variance 1 within their groups, at least 0 and at most 0.99."""
    members = np.bincount(groups)
    pairs = float((members * (members - 1)).sum())
    together = float((np.bincount(groups, values) ** 2).sum() - (values**2).sum())
    return float(np.clip(together / pairs, 0.0, 0.99)) if pairs else 0.0


def _on_ladders(points: pd.DataFrame, at: Indices) -> tuple[Array, float] | None:
    """Standard deviation at each data size and degrees of freedom; None without a long ladder."""
    ladders = long_ladders(points)
    weights, found = np.ones(len(points)), None
    for _ in range(_PASSES):  # the second time with laws that have the weights the noise calls for
        found = _scatter(ladder_laws(points, ladders, weights)[1], at, [rows for rows, _ in ladders])
        if found is None:
            return None
        weights = found[0][at] ** -2
    return found


def _scatter(residuals: Array, at: Indices, ladders: list[Indices]) -> tuple[Array, float] | None:
    rows = np.concatenate(ladders) if ladders else np.zeros(0, dtype=np.int64)
    off = residuals[rows]
    sizes = int(at.max()) + 1
    counts = np.bincount(at[rows], minlength=sizes)
    means = np.bincount(at[rows], off, sizes) / np.maximum(counts, 1)
    squares = np.bincount(at[rows], (off - means[at[rows]]) ** 2, sizes)
    if (counts < 2).all():  # a single ladder has no other to be compared with
        squares, counts = np.bincount(at[rows], off**2, sizes), counts + 1
    if not squares.any():
        return None
    kept = 1 - 3 * len(ladders) / rows.size  # each law takes three of its points' degrees of freedom
    own = np.maximum(counts - 1.0, 0.0) * kept
    variances, prior = shrunk_variances(squares / np.maximum(counts - 1.0, 1.0), own)
    degrees = min(prior + float(own[own > 0].mean()), float(own.sum()))
    return np.sqrt(variances), max(degrees, 1.0)


def base_architecture(rows: pd.DataFrame) -> str:
    """The architecture whose shapes were studied: the one with the most of them; the first by name breaks a tie. Those
    of A, which compare architectures, do not count.

    Args:
        rows: Runs, with the columns of SHAPE.

    Raises:
        ValueError: there are no rows.
    """
    if rows.empty:
        raise ValueError("rows is empty; nothing was measured")
    studied = rows[rows["scheme"] != ARCHITECTURE]
    shapes = (rows if studied.empty else studied)[SHAPE].drop_duplicates().groupby("architecture").size()
    return str(shapes.index[int(np.argmax(shapes.to_numpy()))])
