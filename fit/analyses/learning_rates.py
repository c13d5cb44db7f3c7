"""What the choice of learning rates does to a study: to each shape, and to the laws of data."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.common.words import human, interval, signed
from tfrs_scaling.fit.labels import shape_name
from tfrs_scaling.fit.laws.plateau import power_law_region
from tfrs_scaling.fit.laws.power_law import fit_power_law
from tfrs_scaling.fit.laws.status import FEWEST
from tfrs_scaling.fit.runs.screening import SHAPE, collapsed_trials, selected_learning_rate
from tfrs_scaling.fit.serialization import finite_or_none, known_intervals

_MEASURED = ("validation_ne", "test_ne")


@dataclass(frozen=True)
class RungRate:
    """The learning rate with the lowest validation NE at a data size.

    Attributes:
        change: Test NE at that rate less that at the shape's own.
    """

    examples: int
    learning_rate: float
    change: float


@dataclass(frozen=True)
class RateLaw:
    """Exponent and floor of a law of data, with their intervals; None for what it does not show."""

    beta: float | None
    beta_interval: tuple[float | None, float | None]
    gamma: float | None
    gamma_interval: tuple[float | None, float | None]


@dataclass(frozen=True)
class LearningRates:
    """The learning rates that a shape was trained at. All is of the one seed that was trained at the most of them.

    A study's laws are those of a recipe: each shape at one rate, the best at its largest data size, because that is
    what a forecast is about, and because further seeds are trained at no other. A law of data at the best rate of each
    data size, ``best_law``, asks how much data is worth to someone who tunes again for each amount.

    Attributes:
        learning_rate: The shape's own, at which it counts.
        tried: All, increasing.
        best: Where a parabola through ln(rate) and validation NE has its minimum, at ``at``, the largest data size with
            three rates; None if there are not three, or their least is at an end.
        factor_of_2: By how much twice or half the best rate raises NE there.
        rungs: The best rate of each data size that has several, by validation NE.
        own_law: The law of data at the shape's own rate; None at too few data sizes.
        best_law: The same at the best rate of each data size, of the same data sizes.
        words: What choosing again for each data size changes.
    """

    architecture: str
    scheme: str
    multiplier: float
    embedding_dim: int
    seed: int
    learning_rate: float
    tried: tuple[float, ...]
    at: int | None
    best: float | None
    factor_of_2: float | None
    rungs: tuple[RungRate, ...]
    own_law: RateLaw | None
    best_law: RateLaw | None
    words: str


def learning_rates(runs: pd.DataFrame) -> list[LearningRates]:
    """What the choice of the learning rate does to each shape that was measured at several.

    Args:
        runs: The run table, with all rates.

    Returns:
        One record a shape.
    """
    ok = runs[(runs["status"] == "ok") & ~runs["trial_id"].isin(collapsed_trials(runs))]
    chosen = selected_learning_rate(ok).set_index(SHAPE)["learning_rate"].to_dict()
    return [record for shape, rows in ok.groupby(SHAPE, sort=True) for record in _records(shape, rows, chosen[shape])]


def _records(shape: Any, rows: pd.DataFrame, rate: float) -> Iterator[LearningRates]:
    """The record of a shape, if one seed was measured at several rates, its own among them."""
    at_rate = set(rows.loc[rows["learning_rate"] == rate, "seed"])
    counts = rows[rows["seed"].isin(at_rate)].groupby("seed")["learning_rate"].nunique()
    if counts.empty or counts.max() < 2:
        return
    seed = int(counts.index.to_numpy()[counts.argmax()])
    own = rows[rows["seed"] == seed]
    tables = [own.pivot_table(index="examples", columns="learning_rate", values=name) for name in _MEASURED]
    sizes, rates = tables[0].index.to_numpy(float), tables[0].columns.to_numpy(float)
    validation, test = (table.to_numpy(float) for table in tables)  # [sizes, rates], NaN where not measured
    with_three = np.isfinite(validation).sum(axis=1) >= 3
    at = int(np.flatnonzero(with_three).max()) if with_three.any() else None
    vertex = None if at is None else _vertex(rates, validation[at])

    (chosen,) = np.flatnonzero(rates == rate)
    measured = np.isfinite(validation[:, chosen])
    sizes, validation, test = sizes[measured], validation[measured], test[measured]
    best = np.nanargmin(validation, axis=1)  # a tie goes to the smaller rate
    one, at_best = test[:, chosen], test[np.arange(len(sizes)), best]
    several = np.isfinite(validation).sum(axis=1) > 1
    rungs = tuple(
        RungRate(int(size), float(rates[k]), float(change))
        for size, k, change in zip(sizes[several], best[several], (at_best - one)[several], strict=True)
    )
    start = max(power_law_region(sizes, ne) for ne in (one, at_best)) if len(sizes) > 1 else 0
    own_law, best_law = _law(sizes[start:], one[start:]), _law(sizes[start:], at_best[start:])
    architecture, scheme, multiplier, dim = shape
    yield LearningRates(
        architecture=architecture,
        scheme=scheme,
        multiplier=multiplier,
        embedding_dim=dim,
        seed=seed,
        learning_rate=float(rate),
        tried=tuple(rates.tolist()),
        at=None if at is None else int(tables[0].index[at]),
        best=vertex and vertex[0],
        factor_of_2=vertex and vertex[1],
        rungs=rungs,
        own_law=own_law,
        best_law=best_law,
        words=_words(shape_name(scheme, multiplier), rungs, own_law, best_law),
    )


def _vertex(rates: Array, ne: Array) -> tuple[float, float] | None:
    """The rate at the minimum of the parabola through the least NE and its neighbours, and what a factor of 2 costs."""
    logs, values = np.log(rates[np.isfinite(ne)]), ne[np.isfinite(ne)]
    least = int(values.argmin())
    if not 0 < least < len(values) - 1:
        return None
    # Newton's form through three points, the middle one at the origin.
    x, y = logs[least - 1 : least + 2] - logs[least], values[least - 1 : least + 2] - values[least]
    left, right = y[0] / x[0], y[2] / x[2]
    curvature = (right - left) / (x[2] - x[0])
    if curvature <= 0:
        return None
    slope = left - curvature * x[0]
    return math.exp(logs[least] - slope / (2 * curvature)), float(curvature * math.log(2) ** 2)


def _law(sizes: Array, ne: Array) -> RateLaw | None:
    """The law of NE by data size."""
    if len(sizes) < FEWEST:
        return None
    law = fit_power_law(sizes, ne)
    exponent, floor, ends = law.status.has_exponent, law.status.has_floor, known_intervals(law)
    return RateLaw(
        beta=finite_or_none(law.beta) if exponent else None,
        beta_interval=ends["beta"] if exponent else (None, None),
        gamma=finite_or_none(law.gamma) if floor else None,
        gamma_interval=ends["gamma"] if floor else (None, None),
    )


def _words(name: str, rungs: Sequence[RungRate], own: RateLaw | None, best: RateLaw | None) -> str:
    largest = max(rungs, key=lambda rung: abs(rung.change), default=None)
    if largest is None or not largest.change:
        return f"{name}: its rate is the best of those tried at every data size."
    said = (
        f"{name}: with the best rate of each data size, NE at {human(largest.examples)} examples changes by "
        f"{signed(largest.change)}"
    )
    if own is not None and best is not None and own.beta is not None and best.beta is not None:
        said += f", and β from {_known(own.beta, own.beta_interval)} to {_known(best.beta, best.beta_interval)}"
    return f"{said}."


def _known(value: float, ends: tuple[float | None, float | None]) -> str:
    shown = interval(*ends, lambda end: f"{end:.2f}")
    return f"{value:.2f}" + (f" ({shown})" if shown else "")
