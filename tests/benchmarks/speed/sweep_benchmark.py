"""What two trials at a time save against one."""

import numpy as np
import tensorflow as tf

from tests.helpers.sweeps import STUDY, made, swept
from tfrs_scaling.config import read_config


class SweepBenchmark(tf.test.Benchmark):
    """Seconds of a sweep, on an otherwise idle machine."""

    def benchmark_jobs(self) -> None:
        """Four narrow shapes, one trial at a time and two."""
        overrides = ("examples=[65536, 131072]", "V=[]", "H=[1/8, 1/4]", "O=[]", "M=[1/4]", "seeds=[0]")
        config = read_config(STUDY, ("training.learning_rates=[0.04]", *(f"sweep.{text}" for text in overrides)))
        data = made(config)
        swept(config, data, jobs=2)  # starts the server of processes
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(2):
            for jobs in seconds:
                seconds[jobs].append(swept(config, data, jobs=jobs).wall)
        medians = {jobs: float(np.median(of_jobs)) for jobs, of_jobs in seconds.items()}
        print(f"\nfour narrow trials: {medians[1]:.1f} s one at a time, {medians[2]:.1f} s two at a time")
        self.report_benchmark(
            iters=2,
            wall_time=medians[2],
            name="jobs",
            extras={"one_at_a_time": medians[1], "ratio": medians[1] / medians[2]},
        )


if __name__ == "__main__":
    tf.test.main()
