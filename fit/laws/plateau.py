"""Where a learning curve's power-law region begins.

Learning curves have three regions (Hestness et al. 2017, "Deep Learning Scaling is Predictable,
Empirically"): with little data a model can only guess and its loss stays on a plateau, then the loss follows a
power law, then it approaches a floor. A law fitted through the plateau is wrong everywhere.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.laws.profile import Profile
from tfrs_scaling.fit.laws.validation import checked_points

_FEWEST_IN_REGION = 5  # with fewer, a law of three parameters is hardly tested
_FALSE_ALARMS = 0.04  # share of curves that follow the law from their first point and lose points nevertheless
_NEGLIGIBLE = 1e-6  # misfit, relative to the largest loss, below which there is no evidence of a plateau
_MOST_TRIED = 16  # starts, which bounds the time that a curve of many points takes


@np.errstate(under="ignore")
def power_law_region(x: ArrayLike, y: ArrayLike) -> int:
    """The index of the first point that belongs to the power-law region of a learning curve.

    The model: each of the first k points has a loss of its own, the others follow the law. Every k that leaves at
    least five points to the law (of long curves 16 evenly spaced ones) is compared with k = 0 by the F test of nested
    models, and the k with the smallest p value is taken if that is below 4 % divided by the number of k tried
    (Bonferroni). A curve that follows the law throughout thus keeps all its points at least 95 % of the time. (AICc,
    the obvious alternative, does not work with the nine or so points of a data ladder: at n = 9 its penalty lets a
    second point go only if that divides the residual sum of squares by e**3.8, a third by e**8.)

    Args:
        x: Training examples, strictly increasing, shape (n,).
        y: Losses >= 0, shape (n,).

    Returns:
        k, between 0 and max(n - 5, 0): the first k points lie on the plateau.

    Raises:
        ValueError: as in ``fit_power_law``, or x is not strictly increasing.

    Examples:
        >>> examples = [3_000, 6_000, 12_000, 25_000, 50_000, 100_000, 200_000, 400_000, 800_000]
        >>> power_law_region(examples, [0.999, 0.992, 0.941, 0.889, 0.858, 0.833, 0.812, 0.798, 0.788])
        1
    """
    points = checked_points(x, y)
    xs, ys = points.x, points.y
    if not np.array_equal(xs, np.asarray(x, dtype=np.float64)) or (np.diff(xs) <= 0).any():
        raise ValueError("x must be strictly increasing; sort the points, and average those that share an x")
    if xs.size <= _FEWEST_IN_REGION:
        return 0
    ys = ys / (float(ys.max()) or 1.0)  # squares of huge and tiny losses must stay within range
    tried = _tried(xs.size)
    present = np.arange(xs.size) >= tried[:, None]  # a curve for each start, from the start on
    logs = np.log(xs)
    distance = np.where(present, logs - logs[tried, None], 0.0)
    rss = Profile(distance, np.where(present, ys, 0.0), present.astype(np.float64), 1.0).exact_optima().rss
    return int(_starts(rss.T, tried, np.array([xs.size]), np.ones(1))[0])


def power_law_regions(distance: Array, ys: Array, counts: Indices | None = None) -> Indices:
    """``power_law_region`` of m curves at once, with optima from ``Profile.optima``.

    Args:
        distance: ``ln x`` up to a constant, increasing: shape (n,), or (m, n) with ``counts``.
        ys: Losses, shape (m, n).
        counts: Number of points of each curve, the first ones of its row, shape (m,); n if not given.

    Returns:
        k of each curve, shape (m,).
    """
    every = np.full(len(ys), ys.shape[1]) if counts is None else counts
    tried = _tried(int(every.max()))
    rss = np.full((len(ys), tried.size), np.inf)
    for place, k in enumerate(tried.tolist()):
        from_first = distance[..., k:] - distance[..., k : k + 1]
        if counts is None:
            rss[:, place] = Profile(from_first, ys[:, k:], np.ones(ys.shape[1] - k), 1.0).optima().rss[:, 0]
            continue
        enough = counts - k >= _FEWEST_IN_REGION
        if enough.any():
            present = np.arange(k, ys.shape[1]) < counts[enough, None]
            # the power at an absent point must not overflow, whatever value fills its place
            logs = np.where(present, from_first[enough], 0.0)
            rss[enough, place] = Profile(logs, ys[enough, k:], present.astype(np.float64), 1.0).optima().rss[:, 0]
    losses = np.where(np.arange(ys.shape[1]) < every[:, None], ys, 0.0)
    return _starts(rss, tried, every, losses.max(axis=1))


def _tried(n: int) -> Indices:
    """The starts that are compared for a curve of n points: increasing, the first is 0."""
    most = max(n - _FEWEST_IN_REGION, 0)
    return np.arange(most + 1) if most < _MOST_TRIED else np.arange(_MOST_TRIED) * most // (_MOST_TRIED - 1)


def _starts(rss: Array, tried: Indices, counts: Indices, largest: Array) -> Indices:
    """The start of the region, from the residual sum of squares of the law without the points before each start.

    Args:
        rss: Shape (m, k), infinite where too few points are left.
        tried: The starts, shape (k,), the first is 0.
        counts: Points of each curve, shape (m,).
        largest: The largest loss of each curve, shape (m,).
    """
    if rss.shape[1] == 1:
        return np.zeros(len(rss), dtype=np.int64)
    rss = np.maximum(rss, (counts * (_NEGLIGIBLE * np.where(largest > 0, largest, 1.0)) ** 2)[:, None])
    k = tried[1:]
    possible = np.isfinite(rss[:, 1:])
    degrees = np.where(possible, counts[:, None] - k - 3, 1)
    without = np.where(possible, rss[:, 1:], 1.0)
    gain = np.where(possible, rss[:, :1] - without, 0.0)
    p_values = np.where(possible, special.fdtrc(k, degrees, np.maximum(gain, 0.0) / k / (without / degrees)), 1.0)
    best = np.argmin(p_values, axis=1)
    number = np.maximum(possible.sum(axis=1), 1)
    found = p_values[np.arange(len(rss)), best] < _FALSE_ALARMS / number
    return np.where(found, k[best], 0)
