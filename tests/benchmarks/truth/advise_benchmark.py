"""How often ``advise`` picks the right lever or says that there is not enough evidence, and how right savings are."""

import os
import time
from dataclasses import replace

import tensorflow as tf

from tests.helpers.levers import LOSES_THE_MARGIN, SCENARIOS, right_share, savings_said

SIMULATIONS = int(os.environ.get("SIMULATIONS", "200"))


class AdviseBenchmark(tf.test.Benchmark):
    """Shares of right answers over planted studies, printed."""

    def benchmark_right_lever(self) -> None:
        for name, scenario in SCENARIOS.items():
            started = time.perf_counter()
            share, said = right_share(scenario, SIMULATIONS, seed=0)
            self.report_benchmark(
                name=name, iters=SIMULATIONS, wall_time=time.perf_counter() - started, extras={"right": share} | said
            )

    def benchmark_savings(self) -> None:
        equal = replace(LOSES_THE_MARGIN, gains=dict(LOSES_THE_MARGIN.gains) | {"M": 0.0})
        for name, scenario in {"a shape loses the margin": LOSES_THE_MARGIN, "a shape loses nothing": equal}.items():
            started = time.perf_counter()
            said = savings_said(scenario, SIMULATIONS, seed=0)
            self.report_benchmark(name=name, iters=SIMULATIONS, wall_time=time.perf_counter() - started, extras=said)


if __name__ == "__main__":
    tf.test.main()
