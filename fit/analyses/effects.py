"""What every multiplier of every scheme changes, against the baseline, and whether that exceeds the noise."""

import math
from dataclasses import asdict, dataclass
from typing import Literal

import pandas as pd

from tfrs_scaling.fit.analyses.noise import Noise, base_architecture, shape_means
from tfrs_scaling.fit.schemes import ARCHITECTURE, SCHEMES
from tfrs_scaling.fit.serialization import finite_or_none

Outcome = Literal["lower", "higher", "≈"]


@dataclass(frozen=True)
class Change:
    """One shape against another.

    Attributes:
        examples: Data size of the shape.
        ne: Its test NE, mean of seeds.
        baseline: The other's.
        change: ``ne - baseline``; negative is better.
        low: Its interval; None where the noise is not known.
        high: Its interval; likewise.
        outcome: Whether NE is ``lower`` or ``higher`` than the baseline's outside the noise, or ``≈``.
        why: What the verdict rests on.
    """

    examples: int
    ne: float
    baseline: float
    change: float
    low: float | None
    high: float | None
    outcome: Outcome
    why: str


@dataclass(frozen=True)
class Effect(Change):
    """What one multiplier changes, against its architecture's baseline at the largest data size of both.

    Attributes:
        architecture: Of the shape.
        scheme: Of the shape; ``A`` for another architecture's baseline.
        multiplier: Of the scheme.
        embedding_dim: Of the shape.
        equal_compute: Of E, n epochs of the data against one pass over n times as much; else None.
    """

    architecture: str
    scheme: str
    multiplier: float
    embedding_dim: int
    equal_compute: Change | None


def effects(chosen: pd.DataFrame, noise: Noise, *, level: float = 0.95) -> list[Effect]:
    """Every shape against its architecture's baseline, at the largest data size that both reached.

    Intervals hold together: with m comparisons each has the level ``1 - (1 - level) / m`` (Bonferroni), so that of a
    study in which nothing matters one in twenty shows anything. The noise is that of ``training_noise``.

    Args:
        chosen: The rows that may carry a fit, as ``usable_runs`` returns them.
        noise: Of one training, as ``training_noise`` estimates it.
        level: Confidence level of all intervals together.

    Returns:
        One record for each shape but the baselines. A baseline of another architecture is compared with that of the
        one studied, as scheme ``A``. ``equal_compute`` is at the largest data size for which both were measured. A
        shape without a baseline at any of its data sizes has no record.
    """
    if chosen.empty:
        return []
    means = shape_means(chosen)
    base = base_architecture(chosen)
    means["is_baseline"] = means["scheme"] == "D"
    shapes = list(means.groupby(["architecture", "scheme", "multiplier", "embedding_dim"], sort=True))
    number = max(len(shapes) - 1, 1)
    records = []
    for (architecture, scheme, *_), shape in shapes:
        multiplier, dim = float(shape["multiplier"].iloc[0]), int(shape["embedding_dim"].iloc[0])
        other = scheme == "D" and architecture != base
        if scheme == "D" and not other:
            continue
        against = means[means["is_baseline"] & (means["architecture"] == (base if other else architecture))]
        at = shape["examples"][shape["examples"].isin(against["examples"])]
        if at.empty:
            continue
        change = _change(shape, against, int(at.max()), int(at.max()), noise, level, number)
        equal = None
        if scheme == "E":
            tried = [int(n) for n in shape["examples"] if (against["examples"] == round(n * multiplier)).any()]
            if tried:
                more = round(max(tried) * multiplier)
                equal = _change(shape, against, max(tried), more, noise, level, number)
        records.append(
            Effect(
                **asdict(change),
                architecture=str(architecture),
                scheme=ARCHITECTURE if other else str(scheme),
                multiplier=multiplier,
                embedding_dim=dim,
                equal_compute=equal,
            )
        )
    order = [*SCHEMES, ARCHITECTURE]
    return sorted(records, key=lambda effect: (effect.architecture, order.index(effect.scheme), effect.multiplier))


def _change(
    shape: pd.DataFrame, against: pd.DataFrame, examples: int, against_examples: int, noise: Noise, level: float, m: int
) -> Change:
    here = shape[shape["examples"] == examples].iloc[0]
    there = against[against["examples"] == against_examples].iloc[0]
    change = float(here["test_ne"] - there["test_ne"])
    half = noise.quantile(1 - (1 - level) / m / 2) * noise.error(int(here["trainings"]), int(there["trainings"]))
    outcome: Outcome = "≈"
    if math.isfinite(half) and abs(change) > half:
        outcome = "lower" if change < 0 else "higher"
    return Change(
        examples=examples,
        ne=float(here["test_ne"]),
        baseline=float(there["test_ne"]),
        change=change,
        low=finite_or_none(change - half),
        high=finite_or_none(change + half),
        outcome=outcome,
        why=f"the noise of one training is {noise.words}; {m} comparisons hold together at {level:.0%}",
    )
