"""Where a learning curve's power-law region begins.

Learning curves have three regions (Hestness et al. 2017, "Deep Learning Scaling is Predictable,
Empirically"): with little data a model guesses and its loss stays on a plateau, then the loss follows a
power law, then it nears a floor. A law fitted through the plateau is wrong everywhere.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tfrs_scaling.fit.points import checked_points
from tfrs_scaling.fit.profile import profile_of

_FEWEST_IN_REGION = 5  # below that nothing could contradict a law of three parameters
_FALSE_ALARMS = 0.04  # of curves that follow the law from their first point
_NEGLIGIBLE = 1e-6  # misfit, relative to the largest loss, that is no evidence of anything


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
    negligible = xs.size * (_NEGLIGIBLE * float(ys.max())) ** 2
    rss = [max(_least_rss(xs[k:], ys[k:]), negligible) for k in range(most + 1)]
    p_values = [
        special.fdtrc(k, xs.size - k - 3, max(rss[0] - rss[k], 0.0) / k / (rss[k] / (xs.size - k - 3)))
        for k in range(1, most + 1)
    ]
    best = int(np.argmin(p_values))
    return best + 1 if p_values[best] < _FALSE_ALARMS / most else 0


def _least_rss(xs: np.ndarray, ys: np.ndarray) -> float:
    profile = profile_of(xs, ys, np.ones_like(xs))
    return profile.scale**2 * float(profile.optimum().rss[0])
