"""The joint law on published runs, and how often its intervals hold the truth."""

import time

import numpy as np
import tensorflow as tf
from scipy import optimize

from tests.fit.joint.law_test import chinchilla, huber_log
from tfrs_scaling.fit import fit_joint_law
from tfrs_scaling.fit.laws.functions import joint_law

HOFFMANN = (1.69, 406.4, 0.34, 410.7, 0.28)  # E, A, a, B, b as published in 2022


class JointLawBenchmark(tf.test.Benchmark):
    """Objective, parameters, seconds and coverage, printed."""

    def benchmark_chinchilla(self) -> None:
        n, d, y = chinchilla()
        started = time.perf_counter()
        fit = fit_joint_law(n, d, y, objective="huber_log")
        seconds = time.perf_counter() - started

        def averaged(p: np.ndarray) -> float:
            return huber_log(np.array([*np.exp(p[:2]), p[2], np.exp(p[3]), p[4]]), n, d, y) / y.size

        e, big_a, a, big_b, b = HOFFMANN
        start = np.array([np.log(e), np.log(big_a), a, np.log(big_b), b])
        early = optimize.minimize(averaged, start, method="L-BFGS-B")
        figures = {name: getattr(fit, name) for name in ("E", "A", "a", "B", "b", "split_exponent")}
        figures |= {
            f"{name}_{end}": value
            for name, ends in fit.interval.items()
            for end, value in zip(("low", "high"), ends, strict=True)
        }
        figures |= {
            "objective": fit.objective_value,
            "objective_where_l_bfgs_b_stops": float(early.fun) * y.size,
            "a_where_l_bfgs_b_stops": float(early.x[2]),
            "b_where_l_bfgs_b_stops": float(early.x[4]),
        }
        self.report_benchmark(iters=1, wall_time=seconds, extras=figures)

    def benchmark_coverage(self) -> None:
        """Designs of 6 to 64 points; 95 % intervals of E, a, b and of the loss 10 times beyond the largest n and d."""
        for points, noise in ((6, 1e-3), (7, 1e-3), (9, 1e-3), (12, 1e-3), (16, 1e-3), (25, 5e-4), (64, 2e-3)):
            started = time.perf_counter()
            hits, statuses = _coverage(points, noise, 200)
            extras = dict(zip(("E", "a", "b", "loss_beyond"), np.round(hits, 3).tolist(), strict=True)) | statuses
            self.report_benchmark(
                name=f"coverage_{points}_points", iters=200, wall_time=time.perf_counter() - started, extras=extras
            )


def _coverage(points: int, noise: float, simulations: int) -> tuple[np.ndarray, dict[str, int]]:
    rng = np.random.default_rng(points)
    side = max(4, int(np.ceil(np.sqrt(points))))
    sizes, data = (values.ravel() for values in np.meshgrid(np.geomspace(1e5, 1e7, side), np.geomspace(1e4, 1e6, side)))
    hits, statuses = np.zeros(4), dict[str, int]()
    for seed in range(simulations):
        chosen = rng.permutation(sizes.size)[:points]
        while min(np.unique(sizes[chosen]).size, np.unique(data[chosen]).size) < 3:
            chosen = rng.permutation(sizes.size)[:points]
        n, d = sizes[chosen], data[chosen]
        a, b = rng.uniform(0.2, 0.6, 2)
        law = {"E": 0.75, "A": 0.15, "a": a, "B": 0.15, "b": b, "n0": 1e5, "d0": 1e4}
        fit = fit_joint_law(
            n, d, joint_law(n, d, **law) + noise * rng.standard_normal(points), resamples=300, seed=seed
        )
        low, high = fit.predict_interval(1e8, 1e7)
        inside = [fit.interval[name][0] <= law[name] <= fit.interval[name][1] for name in ("E", "a", "b")]
        hits += np.array([*inside, bool(low <= joint_law(1e8, 1e7, **law) <= high)])
        statuses[fit.status] = statuses.get(fit.status, 0) + 1
    return hits / simulations, statuses


if __name__ == "__main__":
    tf.test.main()
