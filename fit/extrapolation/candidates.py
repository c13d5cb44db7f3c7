"""The laws among which ``choose_law`` chooses, each fitted to the logarithm of the loss.

Every fit is deterministic: a refined grid over the nonlinear parameters, and a closed form for the others. Throughout,
u is ``ln(x / largest x)``, so that the right end, where extrapolation starts, is at 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.extrapolation.curve import Curve
from tfrs_scaling.fit.laws.functions import broken_power_law, exponential_law, power_law_value, shifted_power_law

Parameters = dict[str, float]
Fit = Callable[[Curve, Array], Parameters]

_EXPONENTS = np.geomspace(0.01, 5.0, 60)
_DRIFTS = np.geomspace(1e-4, 1e4, 17)
_ROUNDING = 1e-12  # mean squared misfit of logarithms that counts as rounding


def predict(law: str, parameters: Parameters, u: ArrayLike) -> Array:
    """The loss at u, in units of the y of the curve's largest x: the shape of u."""
    x = np.exp(np.clip(np.asarray(u, dtype=np.float64), -700.0, 700.0))  # the range of float64
    return FUNCTIONS[law](x, **parameters)


def _constant(curve: Curve, w: Array) -> Parameters:
    return {"alpha": float(np.exp(np.average(curve.log_y, weights=w))), "beta": 0.0, "gamma": 0.0, "x0": 1.0}


def _power(curve: Curve, w: Array) -> Parameters:
    level, slope, _ = _lines(curve.u[None], curve.log_y, w)
    return {"alpha": float(np.exp(level[0])), "beta": float(-slope[0]), "gamma": 0.0, "x0": 1.0}


def _drifting_power(curve: Curve, _: Array) -> Parameters:
    """A power law whose exponent is a random walk in ln x: its level and exponent at the right end.

    The logarithm of the loss is a straight line plus integrated Brownian motion that starts at the right
    end, plus noise: a cubic smoothing spline (Wahba 1978). The result averages over amounts of drift, weighted
    by restricted likelihood: a noisy curve is fitted by a long straight line, a clean curved one by its last points.
    """
    distance = curve.u[-1] - curve.u
    span = float(distance.max())
    v, n = distance / span, curve.u.size
    least, gap = np.minimum(v[:, None], v[None]), np.abs(v[:, None] - v[None])
    precision = np.sqrt(curve.counts)
    kernel = precision[:, None] * (least**3 / 3 + gap * least**2 / 2) * precision[None]
    values, vectors = np.linalg.eigh(kernel)
    design = vectors.T @ (np.stack([np.ones(n), v, curve.log_y], axis=1) * precision[:, None])
    shrink = 1 / (1 + _DRIFTS[:, None] * n * np.maximum(values, 0.0))  # (k, n)
    gram = np.einsum("ni,kn,nj->kij", design[:, :2], shrink, design[:, :2])
    target = np.einsum("ni,kn,n->ki", design[:, :2], shrink, design[:, 2])
    solution = np.linalg.solve(gram, target[..., None])[..., 0]
    rss = (shrink * (design[:, 2] - solution @ design[:, :2].T) ** 2).sum(axis=1) + _ROUNDING * n
    likelihood = -0.5 * ((n - 2) * np.log(rss) - np.log(shrink).sum(axis=1) + np.linalg.slogdet(gram)[1])
    share = np.exp(likelihood - likelihood.max())
    share = share / share.sum()
    beta = float((share * np.maximum(solution[:, 1], 0.0)).sum()) / span
    level = float((share * solution[:, 0]).sum())
    return {"alpha": float(np.exp(level)), "beta": beta, "gamma": 0.0, "x0": float(np.exp(curve.u[-1]))}


def _power_and_constant(curve: Curve, w: Array) -> Parameters:
    y, end = np.exp(curve.log_y), curve.u[-1]

    def solve(beta: Array) -> tuple[Array, Array, Array]:
        return _tops(np.exp(-beta[:, None] * (curve.u - curve.u[0])), y, w)

    beta = _refined(_EXPONENTS, lambda b: solve(b)[2])
    top, gamma, _ = (float(value[0]) for value in solve(np.array([beta])))
    at_end = top * float(np.exp(-beta * (end - curve.u[0])))
    return {"alpha": at_end, "beta": beta, "gamma": gamma, "x0": float(np.exp(end))}


def _exponential(curve: Curve, w: Array) -> Parameters:
    y, x = np.exp(curve.log_y), np.exp(curve.u - curve.u[-1])

    def solve(tau: Array) -> tuple[Array, Array, Array]:
        return _tops(np.exp(-(x - x[0]) / tau[:, None]), y, w)

    tau = _refined(np.geomspace(0.02, 20.0, 60), lambda t: solve(t)[2])
    top, gamma, _ = (float(value[0]) for value in solve(np.array([tau])))
    end = float(np.exp(curve.u[-1]))
    return {"alpha": top * float(np.exp((x[0] - 1) / tau)), "tau": tau * end, "gamma": gamma, "x0": end}


def _shifted_power(curve: Curve, w: Array) -> Parameters:
    u, end = curve.u - curve.u[-1], float(np.exp(curve.u[-1]))

    def solve(log_shift: Array) -> tuple[Array, Array, Array]:
        return _lines(np.logaddexp(u[None], log_shift[:, None]) - np.logaddexp(0.0, log_shift)[:, None], curve.log_y, w)

    grid = np.concatenate([[-50.0], np.linspace(u[0] - 1, 0.7, 25)])
    log_shift = _refined(grid, lambda s: solve(s)[2])
    level, slope, _ = (float(value[0]) for value in solve(np.array([log_shift])))
    shift = float(np.exp(log_shift)) * end
    return {"alpha": float(np.exp(level)), "beta": -slope, "shift": shift, "x0": end}


def _broken_power(curve: Curve, w: Array) -> Parameters:
    u, end = curve.u - curve.u[-1], float(np.exp(curve.u[-1]))
    span = -float(u[0])

    def solve(places: Array, widths: Array) -> tuple[Array, Array]:
        past = widths[:, None] * np.logaddexp(0.0, (u - places[:, None]) / widths[:, None])
        line = np.broadcast_to(-u, past.shape)
        return _slopes(line, -past, curve.log_y, w)

    low = np.array([u[0] + 0.15 * span, np.log(min(0.05, span / 60))])
    high = np.array([-0.05 * span, np.log(min(1.0, span / 3))])  # anything wider is no longer a break
    steps = 13, 3
    for _ in range(4):  # each grid is finer, around the best place of the one before
        axes = [np.linspace(a, b, k) for a, b, k in zip(low, high, steps, strict=True)]
        places, widths = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
        coefficients, rss = solve(places, np.exp(widths))
        best = int(np.argmin(rss))
        centre = np.array([places[best], widths[best]])
        step = np.array([axis[1] - axis[0] for axis in axes])
        low, high, steps = np.maximum(centre - step, low), np.minimum(centre + step, high), (7, 5)
    level, beta, change = (float(value) for value in coefficients[best])
    return {
        "alpha": float(np.exp(level)),
        "beta": beta,
        "change": change,
        "width": float(np.exp(centre[1])),
        "x_break": float(np.exp(centre[0])) * end,
        "x0": end,
    }


def _lines(t: Array, z: Array, w: Array) -> tuple[Array, Array, Array]:
    """Weighted lines of z over each row of t, with slopes <= 0: (value at t = 0, slope, sum of squares)."""
    total = w.sum()
    t_mean, z_mean = (t * w).sum(axis=-1) / total, (z * w).sum() / total
    centred = t - t_mean[:, None]
    slope = np.minimum((centred * w * (z - z_mean)).sum(axis=-1) / (centred**2 * w).sum(axis=-1), 0.0)
    rss = (w * (z - z_mean - slope[:, None] * centred) ** 2).sum(axis=-1)
    return z_mean - slope * t_mean, slope, rss


def _tops(power: Array, y: Array, w: Array) -> tuple[Array, Array, Array]:
    """Non-negative least squares of relative residuals: (top, gamma, sum of squares), each of shape (k,)."""
    w = w / y**2
    total = w.sum()
    p_mean, y_mean = (power * w).sum(axis=-1) / total, (y * w).sum() / total
    centred = power - p_mean[:, None]
    top = (centred * w * (y - y_mean)).sum(axis=-1) / np.maximum((centred**2 * w).sum(axis=-1), 1e-300)
    gamma = y_mean - top * p_mean
    no_floor = np.maximum((power * y * w).sum(axis=-1) / (power**2 * w).sum(axis=-1), 0.0)
    options = [
        (np.maximum(top, 0.0), np.where(top >= 0, np.maximum(gamma, 0.0), y_mean)),
        (no_floor, np.zeros_like(gamma)),
    ]
    rss = [(w * (y - a[:, None] * power - g[:, None]) ** 2).sum(axis=-1) for a, g in options]
    first = (gamma >= 0) & (rss[0] <= rss[1])
    return tuple(
        np.where(first, one, other) for one, other in zip((*options[0], rss[0]), (*options[1], rss[1]), strict=True)
    )


def _slopes(first: Array, second: Array, z: Array, w: Array) -> tuple[Array, Array]:
    """Least squares of z over 1, first and second, with slopes b >= 0 and b + c >= 0.

    Returns:
        (level, b, c) of shape (k, 3), and the sum of squares, shape (k,).
    """
    total = w.sum()
    means = [(column * w).sum(axis=-1) / total for column in (first, second)]
    z_mean = float((z * w).sum() / total)
    p, q = first - means[0][:, None], second - means[1][:, None]
    zc = z - z_mean
    pp, pq, qq = (p * p * w).sum(axis=-1), (p * q * w).sum(axis=-1), (q * q * w).sum(axis=-1)
    pz, qz = (p * zc * w).sum(axis=-1), (q * zc * w).sum(axis=-1)
    room = np.maximum(pp * qq - pq**2, 1e-8 * pp * qq + 1e-300)
    b, c = (pz * qq - qz * pq) / room, (qz * pp - pz * pq) / room
    later = np.maximum(qz / np.maximum(qq, 1e-300), 0.0)  # on the edge b = 0
    early = np.maximum((pz - qz) / np.maximum(pp - 2 * pq + qq, 1e-300), 0.0)  # on the edge b + c = 0
    none = np.zeros_like(b)
    options = [(b, c), (none, later), (early, -early), (none, none)]
    rss = np.stack([(w * (zc - i[:, None] * p - j[:, None] * q) ** 2).sum(axis=-1) for i, j in options])
    rss[0] = np.where((b >= 0) & (b + c >= 0), rss[0], np.inf)
    best = np.argmin(rss, axis=0)
    rows = np.arange(b.size)
    b, c = (np.stack([option[k] for option in options])[best, rows] for k in (0, 1))
    return np.stack([z_mean - b * means[0] - c * means[1], b, c], axis=1), rss[best, rows]


def _refined(grid: Array, objective: Callable[[Array], Array]) -> float:
    """The best value of a grid, refined between its neighbours."""
    for _ in range(6):
        best = int(np.argmin(objective(grid)))
        value = float(grid[best])
        grid = np.linspace(grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)], 21)
    return value


FUNCTIONS: dict[str, Callable[..., Array]] = {
    "constant": power_law_value,
    "power": power_law_value,
    "power + constant": power_law_value,
    "exponential": exponential_law,
    "shifted power": shifted_power_law,
    "broken power law": broken_power_law,
}
N_PARAMETERS = {
    "constant": 1,
    "power": 2,
    "power + constant": 3,
    "exponential": 3,
    "shifted power": 3,
    "broken power law": 5,
}


@dataclass(frozen=True)
class Candidate:
    """One way to fit one law: the law, its weighting of the points, and its prior weight."""

    law: str
    recency: float
    fit: Fit
    prior: float = 1.0


CANDIDATES = (
    *(Candidate("constant", r, _constant) for r in (0.0, 4.0)),
    *(Candidate("power", r, _power) for r in (0.0, 1.0, 2.0, 3.0, 4.0, 6.0)),
    Candidate("power", 2.0, _drifting_power, prior=10.0),
    *(Candidate("power + constant", r, _power_and_constant) for r in (0.0, 1.0, 2.0, 3.0, 4.0)),
    *(Candidate("exponential", r, _exponential) for r in (0.0, 1.0)),
    *(Candidate("shifted power", r, _shifted_power) for r in (0.0, 1.0, 2.0)),
    *(Candidate("broken power law", r, _broken_power) for r in (0.0, 1.0, 2.0)),
)
