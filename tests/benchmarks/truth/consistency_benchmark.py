"""How many planted studies have a page that contradicts itself: none should."""

import dataclasses
import os
import time

import numpy as np
import tensorflow as tf

from tests.helpers.consistency import contradictions
from tests.helpers.levers import SCENARIOS
from tfrs_scaling.fit.report.view import study_view
from tfrs_scaling.fit.study import fit_study

STUDIES = int(os.environ.get("STUDIES", "40"))


class ConsistencyBenchmark(tf.test.Benchmark):
    """Contradictions in planted studies, printed."""

    def benchmark_pages_agree_with_themselves(self) -> None:
        started, found = time.perf_counter(), list[str]()
        scenarios = list(SCENARIOS.items())
        for number in range(STUDIES):
            name, scenario = scenarios[number % len(scenarios)]
            runs = dataclasses.replace(scenario, multipliers=(1 / 4, 4.0)).study(np.random.default_rng(number))
            found += [f"{name}, {number}: {words}" for words in contradictions(study_view(runs, fit_study(runs)))]
        self.report_benchmark(
            name="contradictions", iters=STUDIES, wall_time=time.perf_counter() - started, extras={"found": len(found)}
        )
        print(*found, sep="\n")


if __name__ == "__main__":
    tf.test.main()
