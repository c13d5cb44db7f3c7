"""Damaged inputs by the thousand: how many of each kind are still read; anything but an error in words fails.

make bench NAME=fuzz FLAGS="--tries=36000 --first=0"
"""

import time

import tensorflow as tf
from absl import flags

from tests.helpers import fuzz

TRIES = flags.DEFINE_integer("tries", 2000, "damaged inputs")
FIRST = flags.DEFINE_integer("first", 0, "the first one's seed")


class FuzzBenchmark(tf.test.Benchmark):
    def benchmark_damaged_inputs(self) -> None:
        started = time.monotonic()
        counts = fuzz.run(TRIES.value, FIRST.value)
        extras = {f"{kind}_read": f"{read} of {tried}" for kind, (tried, read) in counts.items()}
        self.report_benchmark(iters=TRIES.value, wall_time=(time.monotonic() - started) / TRIES.value, extras=extras)


if __name__ == "__main__":
    tf.test.main()
