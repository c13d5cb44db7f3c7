"""Simulated scaling curves whose truth is known, and how often fits of them are right."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tfrs_scaling.fit.laws.comparison import compare_laws
from tfrs_scaling.fit.laws.learning_curve import fit_learning_curve
from tfrs_scaling.fit.laws.power_law import fit_power_law

Kind = Literal["paper", "movielens"]
Noise = Literal["independent", "offset", "autoregressive"]


@dataclass(frozen=True)
class Curve:
    """``top * (x / x[0])**-beta + gamma`` at x of shape (n,)."""

    x: np.ndarray
    top: float
    beta: float
    gamma: float

    def at(self, x: np.ndarray) -> np.ndarray:
        return self.top * np.exp(-self.beta * np.log(x / self.x[0])) + self.gamma


def draw_curve(rng: np.random.Generator, kind: Kind, n: int) -> Curve:
    """A curve as Ardalani et al. report them (normalized NE, three decades), or as MovieLens-1M gives (doublings)."""
    if kind == "paper":
        return Curve(np.geomspace(1.0, 1e3, n), rng.uniform(0.07, 0.5), rng.uniform(0.07, 0.5), rng.uniform(0.9, 0.99))
    return Curve(3000 * 2.0 ** np.arange(n), rng.uniform(0.1, 0.3), rng.uniform(0.2, 0.6), rng.uniform(0.7, 0.85))


def ladder_noise(rng: np.random.Generator, kind: Noise, ladders: int, n: int, noise: float) -> np.ndarray:
    """Noise of points on ladders, shape (ladders, n), each with this standard deviation at least.

    ``offset``: a seed is off by the same at every rung, besides its points' own noise. ``autoregressive``: a rung's
    noise is correlated with that of the rung before, by 0.8.
    """
    own = rng.normal(0, noise, (ladders, n))
    if kind == "offset":
        return own + rng.normal(0, noise, (ladders, 1))
    if kind == "autoregressive":
        for rung in range(1, n):
            own[:, rung] = 0.8 * own[:, rung - 1] + 0.6 * own[:, rung]
    return own


def coverage(
    kind: Kind, n: int, noise: float, simulations: int, *, seed: int, ladders: int = 1, of: Noise = "independent",
    robust: bool = False, grouped: bool = True,
) -> dict[str, float]:  # fmt: skip
    """How often 95 % intervals contain the truth: of beta, gamma, and the loss within and at 4 times the data."""
    rng = np.random.default_rng(seed)
    names = ("beta", "gamma", "within", "beyond", "new")
    right, statuses = Counter[str](), Counter[str]()
    for _ in range(simulations):
        curve = draw_curve(rng, kind, n)
        places = np.array([curve.x[n // 2], 4 * curve.x[-1]])
        y = curve.at(curve.x) + ladder_noise(rng, of, ladders, n, noise)
        groups = np.repeat(np.arange(ladders), n) if ladders > 1 and grouped else None
        fit = fit_power_law(np.tile(curve.x, ladders), y.ravel(), groups=groups, robust=robust)
        truth, (low, high) = curve.at(places), fit.predict_interval(places)
        further = truth[1] + float(ladder_noise(rng, of, 1, 1, noise)[0, 0])
        new_low, new_high = fit.predict_interval(places[1], kind="new")
        right["beta"] += fit.interval["beta"][0] <= curve.beta <= fit.interval["beta"][1]
        right["gamma"] += fit.interval["gamma"][0] <= curve.gamma <= fit.interval["gamma"][1]
        right["within"] += bool(low[0] <= truth[0] <= high[0])
        right["beyond"] += bool(low[1] <= truth[1] <= high[1])
        right["new"] += bool(new_low <= further <= new_high)
        statuses[fit.status] += 1
    return {name: right[name] / simulations for name in names} | {"ok": statuses["ok"] / simulations}


def multistart_rss(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, starts: int) -> float:
    """The least residual sum of squares that Levenberg and Marquardt's method finds from random starts, all at once."""
    u, scale = np.log(x / x.min()), y.max()
    y = y / scale
    # top, ln(beta), gamma; a step is clipped to the bounds of the fit, and taken where it lowers the sum of squares
    low, high = np.array([0.0, np.log(1e-3), 0.0]), np.array([1e3, np.log(20.0), 2.0])
    at = np.stack(
        [rng.uniform(0, 1, starts), rng.uniform(np.log(0.01), np.log(10), starts), rng.uniform(0, 1, starts)], axis=1
    )

    def residuals(p: np.ndarray) -> np.ndarray:
        return p[:, :1] * np.exp(-np.exp(p[:, 1:2]) * u) + p[:, 2:] - y

    rss, damping = np.sum(residuals(at) ** 2, axis=1), np.full(starts, 1e-2)
    for _ in range(100):
        beta, r = np.exp(at[:, 1:2]), residuals(at)
        power = np.exp(-beta * u)
        jacobian = np.stack([power, -at[:, :1] * beta * u * power, np.ones_like(power)], axis=2)
        normal = jacobian.transpose(0, 2, 1) @ jacobian
        normal += damping[:, None, None] * (np.eye(3) * (np.einsum("kii->ki", normal)[:, None, :] + 1e-15))
        step = np.linalg.solve(normal, -(jacobian.transpose(0, 2, 1) @ r[:, :, None]))[:, :, 0]
        tried = np.clip(at + step, low, high)
        found = np.sum(residuals(tried) ** 2, axis=1)
        better = found < rss
        at, rss = np.where(better[:, None], tried, at), np.minimum(found, rss)
        damping = np.clip(np.where(better, damping / 5, damping * 4), 1e-14, 1e8)
    return float(rss.min() * scale**2)


def plateau_coverage(simulations: int, *, seed: int, ladders: int = 1, noise: float = 2e-3) -> dict[str, float]:
    """How often intervals of curves with a plateau contain the truth of the law after it."""
    rng = np.random.default_rng(seed)
    right = Counter[str]()
    for _ in range(simulations):
        curve = draw_curve(rng, "movielens", 10)
        curve = Curve(curve.x, 1.2 * curve.top, curve.beta, curve.gamma)
        ceiling = float(curve.at(curve.x)[2]) + 0.5 * float(curve.at(curve.x)[1] - curve.at(curve.x)[2])
        kind: Noise = "offset" if ladders > 1 else "independent"
        y = np.minimum(curve.at(curve.x), ceiling) + ladder_noise(rng, kind, ladders, 10, noise)
        fit = fit_learning_curve(np.tile(curve.x, ladders), y.ravel(), groups=np.repeat(np.arange(ladders), 10))
        beyond = np.array(4 * curve.x[-1])
        low, high = fit.predict_interval(beyond)
        right["beta"] += fit.interval["beta"][0] <= curve.beta <= fit.interval["beta"][1]
        right["gamma"] += fit.interval["gamma"][0] <= curve.gamma <= fit.interval["gamma"][1]
        right["beyond"] += bool(low <= curve.at(beyond) <= high)
        right["resampled"] += bool(fit.resampled_laws)
        right["start found"] += len(fit.left_out) == 2
    return {name: right[name] / simulations for name in ("beta", "gamma", "beyond", "resampled", "start found")}


def comparisons(n: int, noise: float, simulations: int, *, seed: int, ladders: int = 1) -> dict[str, float]:
    """How often two equal schemes are called different, and two that differ by four standard errors of beta are.

    These are the standard errors of the difference of two estimates of beta; nothing but beta differs. Several
    ladders have an offset each.
    """
    rng = np.random.default_rng(seed)
    found = Counter[str]()
    for _ in range(simulations):
        curve = draw_curve(rng, "movielens", n)
        u = np.log(curve.x / curve.x[0])
        power = np.exp(-curve.beta * u)
        jacobian = np.stack([power, -curve.top * u * power, np.ones(n)], axis=1)
        error = noise * np.sqrt(2 * np.linalg.inv(jacobian.T @ jacobian)[1, 1] / ladders)
        kind: Noise = "offset" if ladders > 1 else "independent"
        fits = []
        for beta in (curve.beta, curve.beta, curve.beta + 4 * error):
            truth = Curve(curve.x, curve.top, beta, curve.gamma).at(curve.x)
            y = truth + ladder_noise(rng, kind, ladders, n, noise)
            groups = np.repeat(np.arange(ladders), n) if ladders > 1 else None
            fits.append(fit_power_law(np.tile(curve.x, ladders), y.ravel(), groups=groups))
        equal, apart = compare_laws(*fits[:2]), compare_laws(*fits[1:])
        found["equal called different"] += equal.different
        found["four standard errors found"] += apart.different
        found["by beta alone"] += apart.beta_p_value < 0.05
        found["interval covers"] += equal.beta_interval[0] <= 0 <= equal.beta_interval[1]
    return {name: count / simulations for name, count in found.items()} | {
        name: found[name] / simulations for name in ("equal called different", "four standard errors found")
    }
