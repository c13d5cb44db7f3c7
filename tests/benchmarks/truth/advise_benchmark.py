"""How often ``advise`` picks the right lever, and how often it says that there is not enough evidence."""

import os
import time

import tensorflow as tf

from tests.helpers.levers import SCENARIOS, right_share

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


if __name__ == "__main__":
    tf.test.main()
