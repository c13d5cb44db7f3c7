"""Laws refitted to resampled points: a sample of the laws that the points of a fit leave possible."""

import math

import numpy as np

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.laws.functions import law_at
from tfrs_scaling.fit.laws.power_law import PowerLawFit, check_fitted
from tfrs_scaling.fit.laws.resampling import refit, resample_law


@np.errstate(under="ignore")
def law_draws(fit: PowerLawFit, *, seed: int = 0) -> Array:
    """Laws refitted to resampled points of a fit; its own ``resampled_laws``, shuffled, where it has them.

    Args:
        fit: A fit of any status but ``too_few_points``.
        seed: Seed of the resampling and of the laws' order, >= 0. With different seeds, the laws of two fits are
            not paired.

    Returns:
        alpha at x0, beta and gamma of each, float64 of shape (REPLICATES, 3).

    Raises:
        ValueError: nothing was fitted.
    """
    check_fitted("fit", fit)
    rng = np.random.default_rng(seed)
    return rng.permutation(np.array(fit.resampled_laws)) if fit.resampled_laws else resample_fit(fit, rng)


def resample_fit(fit: PowerLawFit, rng: np.random.Generator, factor: Array | None = None) -> Array:
    """Laws refitted to resampled points, shape (REPLICATES, 3); ``factor`` is that of ``resampling.resample``."""
    resamples = resample_law(fit.profile, fit.profile.optimum(), np.array(fit.groups), rng, factor)
    return refit(fit.profile, resamples.losses, fit.x0_distance)


def losses_at(laws: Array, fit: PowerLawFit, x: float) -> Array:
    """The loss of each law, shape (m, 3), at one x: float64, shape (m,)."""
    top, beta, gamma = laws.T
    with np.errstate(over="ignore", under="ignore"):
        return law_at(np.asarray(math.log(x / fit.x0)), top, beta, gamma)


def places_of(laws: Array, fit: PowerLawFit, loss: float) -> Array:
    """``ln x`` at which each law, shape (m, 3), reaches a loss, shape (m,): inf where its floor is not below that."""
    top, beta, gamma = laws.T
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = (np.log(top) - np.log(np.maximum(loss - gamma, 0.0))) / beta + math.log(fit.x0)
    return np.where(gamma >= loss, math.inf, logs)
