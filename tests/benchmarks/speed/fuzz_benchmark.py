"""Damaged inputs by the thousand: how many of each kind are still read; anything but an error in words fails."""

import time

import tensorflow as tf

from tests.helpers import fuzz

TRIES = 5000


class FuzzBenchmark(tf.test.Benchmark):
    def benchmark_damaged_inputs(self) -> None:
        started = time.monotonic()
        counts = fuzz.run(TRIES)
        extras = {f"{kind}_read": f"{read} of {tried}" for kind, (tried, read) in counts.items()}
        self.report_benchmark(iters=TRIES, wall_time=(time.monotonic() - started) / TRIES, extras=extras)


if __name__ == "__main__":
    tf.test.main()
