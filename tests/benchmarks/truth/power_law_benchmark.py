"""How right the fits of simulated curves are: the full size of what the tests check in small."""

import time
from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from tests.helpers.simulated import comparisons, coverage, draw_curve, ladder_noise, multistart_rss, plateau_coverage
from tfrs_scaling.fit.extrapolation.predictive import predictive_interval
from tfrs_scaling.fit.laws.power_law import PowerLawFit, fit_power_law

SIMULATIONS = 2000
LADDER = 3000 * 2.0 ** np.arange(11)
WRONG_FORMS = ("soft plateau", "late break", "two powers")
NOISES = ("white", "variance 1/x", "offset", "autoregressive")


def wrong_form(kind: str, rng: np.random.Generator) -> np.ndarray:
    """The losses of eleven doublings of x by a curve that no power law with a constant describes."""
    x, top, floor = 2.0 ** np.arange(11), 0.2, rng.uniform(0.6, 0.85)
    beta = rng.uniform(0.25, 0.6)
    if kind == "soft plateau":
        return floor + top * (1 + x / 4) ** -beta
    if kind == "late break":  # after the eighth of the nine points that are fitted
        return floor + top * x**-beta * (1 + (x / 2**7) ** 2) ** (0.3 * beta)
    return floor + top / 2 * (x**-beta + x ** (-0.35 * beta))


def noise_of_ladders(kind: str, rng: np.random.Generator, ladders: int, noise: float) -> np.ndarray:
    """Noise of eleven doublings of x, shape (ladders, 11)."""
    if kind == "variance 1/x":
        return 3 * ladder_noise(rng, "independent", ladders, 11, noise) * 2.0 ** (-np.arange(11) / 2)
    return ladder_noise(rng, "independent" if kind == "white" else kind, ladders, 11, noise)  # type: ignore[arg-type]


def shares(rows: list[dict[str, bool]]) -> dict[str, float]:
    """The share of true values of each key, and its binomial error."""
    found: dict[str, float] = {}
    for key in rows[0]:
        share = float(np.mean([row[key] for row in rows]))
        found |= {key: share, f"{key} +-": float(np.sqrt(max(share * (1 - share), 0.01) / len(rows)))}
    return found


class PowerLawBenchmark(tf.test.Benchmark):
    """Coverage, flags, optima and comparisons."""

    def benchmark_coverage_of_intervals(self) -> None:
        for kind in ("paper", "movielens"):
            for n in (6, 8, 11):
                for noise in (1e-4, 5e-4):
                    started = time.perf_counter()
                    figures = coverage(kind, n, noise, SIMULATIONS, seed=n)
                    self._report(f"coverage, {kind}, n {n}, noise {noise:g}", SIMULATIONS, started, figures)

    def benchmark_coverage_of_the_bootstrap_on_correlated_ladders(self) -> None:
        for of in ("offset", "autoregressive"):
            for ladders, n in ((2, 8), (3, 6), (3, 8), (3, 11), (5, 8)):
                started = time.perf_counter()
                figures = coverage("movielens", n, 5e-4, SIMULATIONS, seed=n, ladders=ladders, of=of)
                self._report(f"coverage, {ladders} ladders of {n}, {of} noise", SIMULATIONS, started, figures)

    def benchmark_coverage_of_robust_fits(self) -> None:
        for n in (6, 8, 11):
            started = time.perf_counter()
            figures = coverage("movielens", n, 5e-4, 400, seed=n, robust=True)
            self._report(f"coverage, robust, n {n}", 400, started, figures)

    def benchmark_coverage_with_a_plateau(self) -> None:
        for ladders in (1, 3):
            started = time.perf_counter()
            figures = plateau_coverage(500, seed=1, ladders=ladders)
            self._report(f"coverage, plateau, {ladders} ladders", 500, started, figures)

    def benchmark_coverage_where_the_form_is_wrong(self) -> None:
        """A further measurement, and the truth, at 4 times the largest of nine rungs, inside the intervals there."""
        rng, reps, ahead = np.random.default_rng(5), 60, float(LADDER[10])
        every: list[dict[str, bool]] = []
        for ladders in (1, 3):
            for noise in NOISES:
                for form in WRONG_FORMS:
                    started, rows = time.perf_counter(), []
                    for _ in range(reps):
                        truth = wrong_form(form, rng)
                        y = (truth + noise_of_ladders(noise, rng, ladders, 2e-3))[:, :9]
                        further = truth[10] + noise_of_ladders(noise, rng, 1, 2e-3)[0, 10]
                        x, groups = np.tile(LADDER[:9], ladders), np.repeat(np.arange(ladders), 9)
                        fit = fit_power_law(x, y.ravel(), groups=groups)
                        interval = predictive_interval(fit, ahead)
                        assert interval is not None
                        low, high = fit.predict_interval(ahead, "new")
                        rows.append(
                            {
                                "new": bool(interval.low <= further <= interval.high),
                                "law": bool(interval.low <= truth[10] <= interval.high),
                                "new, form assumed": bool(low <= further <= high),
                            }
                        )
                    every += rows
                    self._report(f"wrong form, {ladders} ladders, {noise}, {form}", reps, started, shares(rows))
        self._report("wrong form, all", len(every), time.perf_counter(), shares(every))

    def benchmark_flags(self) -> None:
        rng = np.random.default_rng(0)

        def noisy(losses: np.ndarray, noise: float) -> Callable[[], PowerLawFit]:
            return lambda: fit_power_law(LADDER[: losses.size], losses + rng.normal(0, noise, losses.size))

        def sound(kind: str, n: int, noise: float) -> Callable[[], PowerLawFit]:
            def fit() -> PowerLawFit:
                curve = draw_curve(rng, kind, n)  # type: ignore[arg-type]
                return fit_power_law(curve.x, curve.at(curve.x) + rng.normal(0, noise, n))

            return fit

        cases = {f"sound, {kind}, n 11, noise 1e-4": sound(kind, 11, 1e-4) for kind in ("paper", "movielens")}
        cases |= {f"n 4, {kind}": sound(kind, 4, 1e-4) for kind in ("paper", "movielens")}
        for n in (6, 8, 11):
            for noise in (1e-4, 5e-4):
                u = np.log(LADDER[:n] / LADDER[0])
                cases[f"flat, n {n}, noise {noise:g}"] = noisy(np.full(n, 0.8), noise)
                cases[f"straight in ln x, n {n}, noise {noise:g}"] = noisy(0.9 - 0.01 * u, noise)
                cases[f"nearly straight, n {n}, noise {noise:g}"] = noisy(0.05 * np.exp(-0.03 * u) + 0.8, noise)
        for name, fit in cases.items():
            started = time.perf_counter()
            statuses = Counter(fit().status for _ in range(1000))
            self._report(f"flags, {name}", 1000, started, {status: n / 1000 for status, n in statuses.items()})

    def benchmark_optimum_against_500_starts(self) -> None:
        rng, worst, started = np.random.default_rng(0), 0.0, time.perf_counter()
        for _ in range(1000):
            curve = draw_curve(rng, "paper", int(rng.integers(5, 12)))
            y = curve.at(curve.x) + rng.normal(0, rng.choice([1e-4, 1e-3, 1e-2]), curve.x.size)
            rss = fit_power_law(curve.x, y).rmse ** 2 * curve.x.size
            worst = max(worst, rss / multistart_rss(curve.x, y, rng, starts=500) - 1)
        self._report("optimum, above the best of 500 starts by at most", 1000, started, {"relative": worst})

    def benchmark_comparison_of_schemes(self) -> None:
        for ladders, n in ((1, 6), (1, 8), (1, 11), (3, 8), (5, 8)):
            started = time.perf_counter()
            figures = comparisons(n, 5e-4, 1000, seed=n, ladders=ladders)
            self._report(f"comparison, {ladders} ladders of {n}", 1000, started, figures)

    def _report(self, name: str, iterations: int, started: float, figures: Mapping[str, float]) -> None:
        seconds = time.perf_counter() - started
        print(
            f"{name}: {seconds:.1f} s; " + ", ".join(f"{key} {value:.4g}" for key, value in figures.items()), flush=True
        )
        self.report_benchmark(iters=iterations, wall_time=seconds, extras=dict(figures), name=name)


if __name__ == "__main__":
    tf.test.main()
