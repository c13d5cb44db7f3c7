"""Each shape's mean NE at each data size, and a law through each of these ladders."""

import numpy as np
import pandas as pd

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.laws.functions import law_at
from tfrs_scaling.fit.laws.plateau import power_law_regions
from tfrs_scaling.fit.laws.profile import Profile
from tfrs_scaling.fit.laws.resampling import law_jacobian
from tfrs_scaling.fit.runs.costs import rows_per_example
from tfrs_scaling.fit.runs.run_table import is_recorded
from tfrs_scaling.fit.runs.screening import SHAPE

_FEWEST_ON_LADDER = 5  # points from which a law and its noise can both be estimated
_LARGEST_LEVERAGE = 0.95  # the residual of a point that the law all but passes through says nothing

Ladder = tuple[Indices, int]  # the rows of its points, and the place at which its power law starts


def shape_points(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean over seeds of each shape at each data size.

    Args:
        rows: Rows that may carry a fit, as ``usable_runs`` returns them.

    Returns:
        SHAPE, examples, parameters (all of them), outside (those outside the embedding tables), flops (training FLOPs
        of one example), compute, spent (compute with that of the model that scores the rows, if any), collected (rows
        of the log, with those of that model), ne and seeds (how many), sorted by shape and data size. Parameters that
        are not recorded count as 1, so that no shape has more than another.
    """
    sized, split = (is_recorded(rows, name) for name in ("params_total", "params_embedding"))
    outside = (rows["params_total"] - rows["params_embedding"]).astype("float64")
    named = rows.assign(
        parameters=rows["params_total"].astype("float64") if sized else 1.0,
        outside=outside if sized and split else 1.0,
        flops=rows["flops_train"].astype("float64"),
        spent=rows["compute"] + rows["scorer_compute"].fillna(0.0),
        collected=rows["examples"] * rows_per_example(rows) + rows["scorer_examples"],
        ne=rows["test_ne"],
        seeds=1,
    )
    means = dict.fromkeys(("parameters", "outside", "flops", "compute", "spent", "collected", "ne"), "mean")
    return named.groupby([*SHAPE, "examples"], sort=True).agg(means | {"seeds": "sum"}).reset_index()


def long_ladders(points: pd.DataFrame) -> list[Ladder]:
    """The ladders of five points or more."""
    shape = points.groupby(SHAPE, sort=True).ngroup().to_numpy()
    every = (np.flatnonzero(shape == number) for number in np.unique(shape))
    return _power_law_starts(points, [ladder for ladder in every if ladder.size >= _FEWEST_ON_LADDER])


def _alike(points: pd.DataFrame, ladders: list[Indices]) -> list[tuple[Array, Indices]]:
    """Ladders of the same data sizes together: ``ln(examples)``, shape (n,), and the rows of each, shape (k, n)."""
    sizes = points["examples"].to_numpy(dtype=np.float64)
    together: dict[tuple[float, ...], list[Indices]] = {}
    for ladder in ladders:
        together.setdefault(tuple(sizes[ladder].tolist()), []).append(ladder)
    return [(np.log(xs), np.stack(rows)) for xs, rows in together.items()]


def _power_law_starts(points: pd.DataFrame, ladders: list[Indices]) -> list[Ladder]:
    """Ladders with the place at which each one's power law starts, those of the same data sizes in turn."""
    ys, found = points["ne"].to_numpy(dtype=np.float64), []
    for logs, rows in _alike(points, ladders):
        found += list(zip(rows, power_law_regions(logs - logs[0], ys[rows]).tolist(), strict=True))
    return found


def ladder_laws(points: pd.DataFrame, ladders: list[Ladder], weights: Array) -> tuple[Array, Array]:
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
        fitted[rows] = unit * law_at(distance, best.top, best.beta, best.gamma)
        for row, top, beta, gamma in zip(rows, best.top[:, 0], best.beta[:, 0], best.gamma[:, 0], strict=True):
            jacobian = law_jacobian(distance, float(top), float(beta)) * np.sqrt(relative)[:, None]
            left, values, _ = np.linalg.svd(jacobian, full_matrices=False)
            leverage = (left[:, values > 1e-10 * values[0]] ** 2).sum(axis=1)
            residuals[row] = (ys[row] - fitted[row]) / np.sqrt(np.maximum(1 - leverage, 1 - _LARGEST_LEVERAGE))
            flat = before[int(row[0])]
            continued = unit * (top * np.exp(np.minimum(beta * (logs[0] - sizes[flat]), 50.0)) + gamma)
            residuals[flat] = ys[flat] - np.minimum(continued, ys.max())
    return fitted, residuals
