"""Worlds whose loss is known at every size of model and data: what frontiers, joint laws and advice say of them.

Advice takes 3 to 5 seconds of one core for each study of one seed.
"""

import os
import time
from collections import Counter
from collections.abc import Callable

import tensorflow as tf

from tests.helpers.gains import outcomes, worlds
from tests.helpers.levers import Scenario
from tests.helpers.simulated import Noise
from tests.helpers.worlds import GRIDS, WORLDS, frontier_coverage, joint_coverage

SEED = int(os.environ.get("SEED", "0"))
NOISES: tuple[tuple[Noise, float], ...] = (
    ("offset", 0.0),
    ("offset", 0.5),
    ("autoregressive", 0.0),
    ("independent", 0.5),
)
STUDIES: dict[str, Callable[[], list[Scenario]]] = {
    "worlds": worlds,
    "worlds, three seeds with offsets": lambda: worlds(3, 5e-4),
    "planted": lambda: [
        Scenario("", gains, None, top=top)
        for top in (0.2, 0.05)
        for gains in ({"V": 8.0}, {"M": 8.0, "V": 4.0}, {"H": 16.0, "O": 8.0}, {"V": 20.0, "H": 20.0, "M": 10.0})
    ],
    "data alone": lambda: [Scenario("", {}, None), Scenario("", {}, None, seeds=3, offset=5e-4)],
    "nothing helps": lambda: [Scenario("", {}, None, beta=1.5), Scenario("", {}, None, beta=1.5, seeds=3, offset=5e-4)],
}


class WorldsBenchmark(tf.test.Benchmark):
    """Shares of intervals that hold the truth, and what advice brings, printed."""

    def benchmark_frontiers(self) -> None:
        for noise in (3e-4, 1e-3, 3e-3):
            for steps in GRIDS:
                started, said = time.perf_counter(), Counter[str]()
                for number, world in enumerate(WORLDS):
                    said += frontier_coverage(world, steps, noise, 25, seed=SEED + number)
                self._report(f"frontier, noise {noise:g}, steps {steps}", started, said)

    def benchmark_joint_laws(self) -> None:
        for sizes, seeds in ((4, 1), (6, 1), (8, 1), (12, 1), (4, 3)):
            for kind, falls in NOISES:
                started, said = time.perf_counter(), Counter[str]()
                for number, world in enumerate(WORLDS):
                    simulated = joint_coverage(world, sizes, seeds, kind, 1e-3, 25, seed=SEED + number, falls=falls)
                    said += simulated
                self._report(f"joint law, {sizes} x {seeds}, {kind}, noise ~ d**-{falls:g}", started, said)

    def benchmark_advice(self) -> None:
        for name, scenarios in STUDIES.items():
            started, studies = time.perf_counter(), scenarios()
            number = -(-100 // len(studies))
            for budget, said in outcomes(studies, number, seed=SEED).items():
                self._report(f"advice, {name}, {budget}", started, said)

    def _report(self, name: str, started: float, said: "Counter[str] | dict[str, float]") -> None:
        print(f"{name}: " + ", ".join(f"{key} {value:.5g}" for key, value in said.items()), flush=True)
        self.report_benchmark(name=name, iters=1, wall_time=time.perf_counter() - started, extras=dict(said))


if __name__ == "__main__":
    tf.test.main()
