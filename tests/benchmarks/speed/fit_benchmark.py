"""How fast curves and whole studies are fitted, on one core."""

import time

import numpy as np
import tensorflow as tf

from tests.helpers.paper_grid import Grid, study
from tests.helpers.planted import planted_study
from tfrs_scaling.fit import choose_law, fit_power_law, fit_study

LADDER = 3000 * 2.0 ** np.arange(11)


class FitBenchmark(tf.test.Benchmark):
    """Seconds."""

    def benchmark_power_laws(self) -> None:
        """200 curves of 11 points, intervals included."""
        rng = np.random.default_rng(0)
        losses = 0.2 * (LADDER / LADDER[0]) ** -0.3 + 0.78 + rng.normal(0, 5e-4, (200, LADDER.size))
        started = time.perf_counter()
        for one in losses:
            fit_power_law(LADDER, one)
        self.report_benchmark(iters=len(losses), wall_time=(time.perf_counter() - started) / len(losses))

    def benchmark_chosen_laws(self) -> None:
        """10 learning curves of 200 points."""
        rng = np.random.default_rng(0)
        x = np.geomspace(1e4, 1e8, 200)
        curves = 0.9 * (1 + x / 1e5) ** -0.3 * np.exp(0.01 * rng.standard_normal((10, 200)))
        started = time.perf_counter()
        for y in curves:
            choose_law(x, y)
        self.report_benchmark(iters=len(curves), wall_time=(time.perf_counter() - started) / len(curves))

    def benchmark_studies(self) -> None:
        """Every fit and analysis of a study of 51 trials, and of the paper's grid with 5 seeds."""
        for runs in (planted_study(), study(Grid(), 0, seeds=5)):
            trials = runs["trial_id"].nunique()
            started = time.perf_counter()
            fit_study(runs)
            self.report_benchmark(name=f"{trials} trials", iters=1, wall_time=time.perf_counter() - started)


if __name__ == "__main__":
    tf.test.main()
