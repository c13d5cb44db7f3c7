"""Tests of the runs that would settle a question."""

import dataclasses
from typing import Any

import numpy as np
from scipy import stats

from tests.helpers.levers import Scenario
from tests.helpers.studies import CONFIGS
from tfrs_scaling.config import read_config
from tfrs_scaling.fit.advice.budget import read_budget
from tfrs_scaling.fit.advice.settle import Settle
from tfrs_scaling.fit.advice.uses import Plan, Plans
from tfrs_scaling.fit.analyses.noise import Noise

import tensorflow as tf  # isort: skip -- after tfrs_scaling, which chooses the Keras it comes with

FITS: dict[str, Any] = {"lines": [], "joint": [], "held_out": []}


class SettleTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.rows = Scenario("params=4x", {}, None, multipliers=(1 / 4, 4.0)).study(np.random.default_rng(0))
        plans = Plans(self.rows, FITS, read_budget("params=4x"))
        self.now = plans.now
        self.options = {plan.scheme: plan for plan in plans.all()}

    def settle(self, sd: float = 1e-3) -> Settle:
        return Settle(self.rows, Noise(sd, 20, "seeds"), self.now)

    def moved(self, scheme: str, gain: float) -> Plan:
        return dataclasses.replace(self.options[scheme], ne=self.now.ne - gain)

    def test_seeds_find_the_difference_nine_times_in_ten(self) -> None:
        number = self.settle().seeds_for(0.002)
        error = 1e-3 * np.sqrt(2 / number)
        self.assertGreater(stats.norm.cdf(0.002 / error - 1.96), 0.9)
        self.assertLess(stats.norm.cdf(0.002 / (1e-3 * np.sqrt(2 / (number - 1))) - 1.96), 0.9)

    def test_rivals_that_were_measured_want_seeds(self) -> None:
        asked = self.settle().between(self.moved("V", 0.012), [self.moved("H", 0.010)])
        self.assertEqual(
            asked["runs"],
            "seeds 1, 2, 3, 4 and 5 of V at 4×, H at 4× and the baseline at 1,280,000 examples, beside those there are",
        )
        sweep = read_config(CONFIGS / "study.yaml", asked["set"])
        self.assertEqual((sweep.sweep.V, sweep.sweep.H, sweep.sweep.O, sweep.sweep.M), ((4,), (4,), (), ()))
        self.assertEqual(sweep.sweep.seeds, (0, 1, 2, 3, 4, 5))
        self.assertEqual(sweep.training.learning_rates, (0.02,))

    def test_a_difference_too_small_for_any_number_of_seeds(self) -> None:
        asked = self.settle().between(self.moved("V", 0.0101), [self.moved("H", 0.0100)])
        self.assertEqual(asked["set"], [])
        self.assertIn("take the cheapest of them", asked["runs"])

    def test_an_extrapolation_wants_further_data_sizes(self) -> None:
        grown = dataclasses.replace(self.moved("V", 0.02), levers=frozenset(["V", "data"]), examples=5_000_000)
        asked = self.settle().between(grown, [self.moved("V", 0.01)])
        sweep = read_config(CONFIGS / "study.yaml", asked["set"]).sweep
        self.assertEqual(sweep.examples[:8], tuple(10_000 * 2**rung for rung in range(8)))
        self.assertEqual(sweep.examples[8:], (2_560_000, 5_120_000))
        self.assertIn("V at 4× and the baseline at 2,560,000 and 5,120,000 examples", asked["runs"])

    def test_the_next_multiplier(self) -> None:
        asked = self.settle().larger(self.options["V"])
        self.assertEqual(asked["runs"], "V at 16×")
        self.assertEqual(read_config(CONFIGS / "study.yaml", asked["set"]).sweep.V, (4, 16))


if __name__ == "__main__":
    tf.test.main()
