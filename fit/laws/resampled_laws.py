"""Random laws: what a fit leaves open, as a list of laws that could as well be the true one."""

import math

import numpy as np

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.laws.power_law import PowerLawFit, laws_at
from tfrs_scaling.fit.laws.resampling import REPLICATES, law_jacobian, refitted, resampled


@np.errstate(under="ignore")
def law_draws(fit: PowerLawFit, *, seed: int = 0) -> Array:
    """Laws refitted to resampled points of a fit.

    Args:
        fit: Of any status but ``too_few_points``. A fit that brings its resampled laws gives these.
        seed: Of the resampling and of the order of the laws, >= 0: fits drawn with different seeds are not paired.

    Returns:
        alpha at x0, beta and gamma of each, float64 of shape (REPLICATES, 3).

    Raises:
        ValueError: nothing was fitted.
    """
    if fit.status == "too_few_points":
        raise ValueError("fit has the status too_few_points: there is no law to draw from; measure at more x")
    rng = np.random.default_rng(seed)
    if fit.replicates:
        return rng.permutation(np.array(fit.replicates))
    profile = fit.profile
    best = profile.optimum()
    fitted = best.top * np.exp(-best.beta * profile.distance) + best.gamma
    jacobian = law_jacobian(profile.distance, float(best.top[0]), float(best.beta[0]))
    losses, _, _ = resampled(
        fitted, profile.y, profile.weights, jacobian, np.array(fit.groups), count=REPLICATES, rng=rng
    )
    return laws_at(refitted(profile, losses), profile.scale, math.log(fit.x0) - math.log(min(fit.x)))


def losses_at(laws: Array, fit: PowerLawFit, x: float) -> Array:
    """The loss of each law at one x: float64, shape (m,)."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(laws[:, 0] * np.exp(-laws[:, 1] * math.log(x / fit.x0)) + laws[:, 2])


def places_of(laws: Array, fit: PowerLawFit, loss: float) -> Array:
    """``ln x`` at which each law meets a loss, shape (m,): inf where it lies at or below the floor."""
    top, beta, gamma = laws.T
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = (np.log(top) - np.log(np.maximum(loss - gamma, 0.0))) / beta + math.log(fit.x0)
    return np.where(gamma >= loss, math.inf, logs)
