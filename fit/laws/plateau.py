"""Where a learning curve's power-law region begins.

Learning curves have three regions (Hestness et al. 2017, "Deep Learning Scaling is Predictable,
Empirically"): with little data a model guesses and its loss stays on a plateau, then the loss follows a
power law, then it nears a floor. A law fitted through the plateau is wrong everywhere.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tfrs_scaling.common.arrays import Array, Indices
from tfrs_scaling.fit.laws.profile import Profile, profile_of
from tfrs_scaling.fit.laws.validation import checked_points

_FEWEST_IN_REGION = 5  # below that nothing could contradict a law of three parameters
_FALSE_ALARMS = 0.04  # of curves that follow the law from their first point
_NEGLIGIBLE = 1e-6  # misfit, relative to the largest loss, that is no evidence of anything


@np.errstate(under="ignore")
def power_law_region(x: ArrayLike, y: ArrayLike) -> int:
    """The index of the first point that belongs to the power-law region of a learning curve.

    The model: the first k points have a loss of their own each, the others follow the law. Every k that
    leaves five points to the law is compared with k = 0 by the F test of nested models, and the k with the
    smallest p value is taken if that is below 4 % divided by the number of k tried (Bonferroni), so a
    curve that follows the law throughout keeps all its points at least 95 % of the time. (AICc, the
    obvious alternative, is no use at the nine or so points of a data ladder: at n = 9 its penalty lets a
    second point go only if that divides the residual sum of squares by e**3.8, a third by e**8.)

    Args:
        x: Training examples, strictly increasing, shape (n,).
        y: Losses >= 0, shape (n,).

    Returns:
        k, between 0 and max(n - 5, 0): the points before it lie on the plateau.

    Raises:
        ValueError: as ``fit_power_law``, or x is not strictly increasing.
    """
    xs, ys, _ = checked_points(x, y, None)
    if not np.array_equal(xs, np.asarray(x, dtype=np.float64)) or (np.diff(xs) <= 0).any():
        raise ValueError("x must be strictly increasing: average the points that share an x first")
    most = xs.size - _FEWEST_IN_REGION
    if most < 1:
        return 0
    ys = ys / (float(ys.max()) or 1.0)  # squares of huge and tiny losses must stay within range
    rss = np.array([[_least_rss(xs[k:], ys[k:]) for k in range(most + 1)]])
    return int(_starts(rss, np.array([xs.size]), np.ones(1))[0])


def power_law_regions(distance: Array, ys: Array, counts: Indices | None = None) -> Indices:
    """The same index for each of m curves at once, to the three digits of ``Profile.optima``.

    Args:
        distance: ``ln x`` less that of any common x, increasing: shape (n,), or (m, n) with ``counts``.
        ys: Losses, shape (m, n).
        counts: How many points each curve has, the first ones of its row, shape (m,); n if not given.

    Returns:
        k of each curve, shape (m,).
    """
    every = np.full(len(ys), ys.shape[1]) if counts is None else counts
    rss = np.full((len(ys), max(int(every.max()) - _FEWEST_IN_REGION, 0) + 1), np.inf)
    for k in range(rss.shape[1]):
        from_first = distance[..., k:] - distance[..., k : k + 1]
        if counts is None:
            rss[:, k] = Profile(from_first, ys[:, k:], np.ones(ys.shape[1] - k), 1.0).optima().rss[:, 0]
            continue
        enough = counts - k >= _FEWEST_IN_REGION
        if enough.any():
            present = np.arange(k, ys.shape[1]) < counts[enough, None]
            # whatever stands in place of an absent point, its power must not overflow
            logs = np.where(present, from_first[enough], 0.0)
            rss[enough, k] = Profile(logs, ys[enough, k:], present.astype(np.float64), 1.0).optima().rss[:, 0]
    losses = np.where(np.arange(ys.shape[1]) < every[:, None], ys, 0.0)
    return _starts(rss, every, losses.max(axis=1))


def _starts(rss: Array, counts: Indices, largest: Array) -> Indices:
    """The start of the region from the residual sum of squares of the law without the first k points.

    Args:
        rss: Shape (m, k), infinite where too few points would be left.
        counts: Points of each curve, shape (m,).
        largest: The largest loss of each curve, shape (m,).
    """
    if rss.shape[1] == 1:
        return np.zeros(len(rss), dtype=np.int64)
    rss = np.maximum(rss, (counts * (_NEGLIGIBLE * np.where(largest > 0, largest, 1.0)) ** 2)[:, None])
    k = np.arange(1, rss.shape[1])
    possible = np.isfinite(rss[:, 1:])
    degrees = np.where(possible, counts[:, None] - k - 3, 1)
    without = np.where(possible, rss[:, 1:], 1.0)
    gain = np.where(possible, rss[:, :1] - without, 0.0)
    p_values = np.where(possible, special.fdtrc(k, degrees, np.maximum(gain, 0.0) / k / (without / degrees)), 1.0)
    best = np.argmin(p_values, axis=1)
    tried = np.maximum(possible.sum(axis=1), 1)
    found = p_values[np.arange(len(rss)), best] < _FALSE_ALARMS / tried
    return np.where(found, best + 1, 0)


def _least_rss(xs: Array, ys: Array) -> float:
    profile = profile_of(xs, ys, np.ones_like(xs))
    return profile.scale**2 * float(profile.optimum().rss[0])
