"""What changed between two studies: how they were made, what they measured, their laws and their answers."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from tfrs_scaling.fit.advice.advise import COSTS, advise
from tfrs_scaling.fit.advice.budget import BUDGETS
from tfrs_scaling.fit.analyses.noise.ladders import resample_ladders, simultaneous_intervals
from tfrs_scaling.fit.analyses.noise.training_noise import noise_of
from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.laws.comparison import compare_laws
from tfrs_scaling.fit.runs.run_table import is_recorded
from tfrs_scaling.fit.runs.screening import SHAPE, usable_runs
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES
from tfrs_scaling.fit.study import StudyFits

Outcome = Literal["lower", "higher", "within the noise", "noise unknown"]

_MADE_BY = ("config", "data", "data_hash", "code_version", "libraries", "machine")  # of study.json
_POINT = [*SHAPE, "examples"]


@dataclass(frozen=True)
class FinishedStudy:
    """A study to compare.

    Attributes:
        name: What it is called in the comparison, such as its folder.
        runs: The run table.
        fits: Result of ``fit_study`` for these runs.
        about: What else is known of it, as ``study.json`` holds it; may be empty.
    """

    name: str
    runs: pd.DataFrame
    fits: StudyFits
    about: Mapping[str, Any]


@dataclass(frozen=True)
class Setting:
    """Something that the two studies were made with that differs; None where a study does not have it."""

    name: str
    first: str | None
    second: str | None


@dataclass(frozen=True)
class PointChange:
    """The mean NE of one shape at one data size in both studies.

    Attributes:
        change: ``second - first``; negative: the second study's is lower.
        low: Lower end of its interval; those of all points hold together. NaN where the noise is unknown.
    """

    architecture: str
    scheme: str
    multiplier: float
    embedding_dim: int
    examples: int
    first: float
    second: float
    change: float
    low: float
    high: float
    outcome: Outcome


@dataclass(frozen=True)
class LawChange:
    """One law of data in both studies.

    Attributes:
        first: Exponent and floor in the first study.
        second: The same in the second.
        p_value: P value of the hypothesis that both laws are the same; see ``compare_laws``.
        different: Whether it is below one minus the level.
    """

    architecture: str
    scheme: str
    line: str
    first: tuple[float, float]
    second: tuple[float, float]
    p_value: float
    different: bool


@dataclass(frozen=True)
class AnswerChange:
    """The answer to one budget in both studies."""

    budget: str
    first: str
    second: str


@dataclass(frozen=True)
class StudyComparison:
    """What changed from one study to another.

    Attributes:
        first: Name of one study.
        second: Name of the other.
        level: Confidence level.
        settings: What they were made with that differs, that of the whole study first.
        points: Every shape and data size that both measured.
        alone: How many points only the first, and only the second, has.
        laws: Every law of data that both have.
        answers: The answers to ``BUDGETS``; empty where a study does not record what options cost.
    """

    first: str
    second: str
    level: float
    settings: tuple[Setting, ...]
    points: tuple[PointChange, ...]
    alone: tuple[int, int]
    laws: tuple[LawChange, ...]
    answers: tuple[AnswerChange, ...]

    @property
    def has_other_data(self) -> bool:
        """Whether the two were measured on different data, so that their NE differ whatever the models are."""
        return any(setting.name == "data_hash" for setting in self.settings)

    @property
    def changed_points(self) -> tuple[PointChange, ...]:
        """The points whose NE differs by more than the noise."""
        return tuple(point for point in self.points if point.outcome in ("lower", "higher"))


def compare_studies(first: FinishedStudy, second: FinishedStudy) -> StudyComparison:
    """What changed from the first study to the second.

    The trainings of the two count as independent. Points are means over seeds at the selected learning rate; their
    intervals hold together (``simultaneous_intervals``), at the level of the first study's fits, so of two studies that
    differ by chance alone one pair in twenty shows any change.

    Examples:
        >>> runs = read_runs("runs.csv")
        >>> study = FinishedStudy("runs", runs, fit_study(runs), {})
        >>> found = compare_studies(study, study)
        >>> len(found.points), len(found.changed_points), found.settings
        (40, 0, ())
    """
    level = first.fits.level
    points, alone = _points(first, second, level)
    return StudyComparison(
        first=first.name,
        second=second.name,
        level=level,
        settings=tuple(_settings(first.about, second.about)),
        points=tuple(points),
        alone=alone,
        laws=tuple(_laws(first.fits, second.fits, level)),
        answers=tuple(_answers(first, second)),
    )


def _settings(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Setting]:
    one, other = ({name: about.get(name) for name in _MADE_BY} for about in (first, second))
    flat_one, flat_other = dict(_flat("", one)), dict(_flat("", other))
    for name in sorted({*flat_one, *flat_other}, key=lambda name: (name.count("."), name)):
        before, now = flat_one.get(name), flat_other.get(name)
        if before != now:
            yield Setting(name, before, now)


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names and texts; what is None is left out."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), inner)
    elif value is not None:
        yield prefix, f"{value:.6g}" if isinstance(value, float) else str(value)


def _means(study: FinishedStudy, seed: int) -> tuple[pd.Series, pd.DataFrame]:
    """Mean NE of every point, and what chance adds to it in each resample: a column for each."""
    rows = usable_runs(study.runs)
    means, shocks = [], []
    for name in sorted(rows["architecture"].unique()):
        ladders = resample_ladders(rows, noise_of(str(name), study.fits.noise), seed=seed)
        index = pd.MultiIndex.from_frame(ladders.points[_POINT])
        means.append(pd.Series(ladders.points["ne"].to_numpy(), index=index))
        shocks.append(pd.DataFrame(ladders.shocks, columns=index))
    if not means:
        return pd.Series(dtype=np.float64), pd.DataFrame()
    return pd.concat(means), pd.concat(shocks, axis=1)


def _points(first: FinishedStudy, second: FinishedStudy, level: float) -> tuple[list[PointChange], tuple[int, int]]:
    one, one_shocks = _means(first, seed=0)
    other, other_shocks = _means(second, seed=1)
    both = one.index.intersection(other.index, sort=True)
    alone = len(one) - len(both), len(other) - len(both)
    if not len(both):
        return [], alone
    changes = (other[both] - one[both]).to_numpy()
    deviations = other_shocks[both].to_numpy() - one_shocks[both].to_numpy()
    known = np.asarray(~np.isnan(deviations).any(axis=0))
    lows, highs = np.full_like(changes, math.nan), np.full_like(changes, math.nan)
    lows[known], highs[known] = simultaneous_intervals(changes[known], deviations[:, known], level)
    found = [
        PointChange(
            architecture=str(architecture),
            scheme=str(scheme),
            multiplier=float(multiplier),
            embedding_dim=int(dim),
            examples=int(examples),
            first=float(one[architecture, scheme, multiplier, dim, examples]),
            second=float(other[architecture, scheme, multiplier, dim, examples]),
            change=float(change),
            low=float(low),
            high=float(high),
            outcome=_outcome(float(low), float(high)),
        )
        for (architecture, scheme, multiplier, dim, examples), change, low, high in zip(
            both.tolist(), changes, lows, highs, strict=True
        )
    ]
    return found, alone


def _outcome(low: float, high: float) -> Outcome:
    if math.isnan(low):
        return "noise unknown"
    return "lower" if high < 0 else "higher" if low > 0 else "within the noise"


def _laws(first: StudyFits, second: StudyFits, level: float) -> Iterator[LawChange]:
    for line in first.lines:
        # The baseline is a line of every scheme, and a frontier is made of lines.
        neutral = multiplier_label(SCHEMES[line.scheme].neutral)
        if line.x != "data" or line.is_frontier or (line.scheme != BASELINE and line.line == neutral):
            continue
        other = second.find(scheme=line.scheme, x="data", line=line.line, architecture=line.architecture)
        if other is None or not (line.fit.status.has_law and other.fit.status.has_law):
            continue
        if max(min(line.fit.x), min(other.fit.x)) >= min(max(line.fit.x), max(other.fit.x)):
            continue
        compared = compare_laws(line.fit, other.fit, level=level)
        yield LawChange(
            architecture=line.architecture,
            scheme=line.scheme,
            line=line.line,
            first=(line.fit.beta, line.fit.gamma),
            second=(other.fit.beta, other.fit.gamma),
            p_value=compared.p_value,
            different=compared.different,
        )


def _answers(first: FinishedStudy, second: FinishedStudy) -> Iterator[AnswerChange]:
    studies: Sequence[FinishedStudy] = (first, second)
    if not all(is_recorded(study.runs, name) for study in studies for name in COSTS):
        return
    for budget in BUDGETS:
        yield AnswerChange(budget, *(advise(study.runs, study.fits, budget).answer for study in studies))
