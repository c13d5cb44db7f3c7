"""Tests of the choice among plans whose NE is known up to normal noise."""

import numpy as np
from scipy import stats

from tfrs_scaling.fit.advice.choice import CHOICE_LEVEL, choose, is_lower
from tfrs_scaling.fit.advice.uses import DRAWS, How, Plan

import tensorflow as tf  # isort: skip -- after tfrs_scaling, which chooses the Keras it comes with

UNIT = 0.001


def plan(
    levers: str, ne: float, *, seed: int = 0, error: float = UNIT, cost: float = 1.0, how: How = "measured"
) -> Plan:
    """A plan of these schemes (and d, data) whose NE has a normal error of its own."""
    draws = ne + np.random.default_rng([seed, *map(ord, levers)]).normal(0, error, DRAWS)
    named = frozenset("data" if lever == "d" else lever for lever in levers)
    costs = {"compute": cost, "data": 1.0, "params": cost, "hours": cost}
    return Plan("dot", levers[:1] or "D", 4.0, 16, 1000, 1, named, costs, ne, how, draws)


NOW = plan("", 0.8)


class ChooseTest(tf.test.TestCase):
    def chosen(self, *plans: Plan) -> str | None:
        answer = choose(plans, NOW).answer
        return None if answer is None else "+".join(sorted(answer.plan.levers))

    def test_a_clear_best_is_done_and_two_alike_are_not(self) -> None:
        self.assertEqual(self.chosen(plan("V", 0.79), plan("H", 0.797)), "V")
        self.assertIsNone(self.chosen(plan("V", 0.79), plan("H", 0.791)))
        self.assertIsNone(self.chosen(plan("V", 0.7995), plan("H", 0.803)))
        self.assertIsNone(self.chosen(plan("V", 0.81)))

    def test_a_further_lever_counts_where_it_is_seen_to_matter(self) -> None:
        self.assertEqual(self.chosen(plan("V", 0.79), plan("Vd", 0.7895), plan("Hd", 0.799)), "V")
        self.assertEqual(self.chosen(plan("V", 0.79), plan("Vd", 0.77), plan("d", 0.785)), "V+data")
        choice = choose([plan("V", 0.79), plan("Vd", 0.7895, error=0.02), plan("H", 0.80)], NOW)
        self.assertEqual([sorted(o.plan.levers) for o in choice.options], [["V", "data"], ["V"], ["H"]])
        self.assertEqual(choice.first.plan.levers, {"V"})

    def test_interval_of_a_gain(self) -> None:
        [option] = choose([plan("V", 0.79)], NOW).options
        half = 1.96 * UNIT * np.sqrt(2)
        self.assertAllClose((option.gain, option.low, option.high), (0.01, 0.01 - half, 0.01 + half), atol=3e-4)

    def test_one_of_the_same_lever_that_costs_less(self) -> None:
        choice = choose([plan("V", 0.790, seed=1, cost=9), plan("V", 0.791, seed=2, cost=2)], NOW)
        assert choice.answer is not None and choice.answer.cheaper is not None
        self.assertEqual((choice.answer.plan.ne, choice.answer.cheaper.ne), (0.790, 0.791))
        choice = choose([plan("V", 0.780, seed=1, cost=9), plan("V", 0.791, seed=2, cost=2)], NOW)
        assert choice.answer is not None
        self.assertIsNone(choice.answer.cheaper)

    def test_a_shape_not_measured_stands_for_its_lever_only_beyond_the_noise(self) -> None:
        measured = plan("V", 0.79)
        for ne, expected in ((0.7895, 0.79), (0.77, 0.77)):
            choice = choose([measured, plan("V", ne, seed=3, how="law of parameters")], NOW)
            self.assertEqual(choice.first.plan.ne, expected)

    def test_unknown_noise_is_no_evidence(self) -> None:
        choice = choose([plan("V", 0.5, error=float("nan"))], NOW)
        self.assertIsNone(choice.answer)
        self.assertTrue(np.isnan(choice.first.low))

    def test_two_equal_levers_are_told_apart_as_often_as_the_level_says(self) -> None:
        rng, said = np.random.default_rng(0), 0
        for trial in range(300):
            values = 0.78 + rng.normal(0, UNIT, 2)
            said += (
                self.chosen(plan("V", values[0], seed=trial), plan("H", values[1], seed=trial), plan("M", 0.9))
                is not None
            )
        self.assertBetween(said, *stats.binom(300, 1 - CHOICE_LEVEL).ppf([0.001, 0.999]))

    def test_the_best_of_four_equal_plans_pays_for_being_picked(self) -> None:
        rng, said = np.random.default_rng(1), 0
        for trial in range(200):
            family = [plan("V", ne, seed=4 * trial + k) for k, ne in enumerate(0.8 + rng.normal(0, UNIT, 4))]
            now = 0.8 + rng.normal(0, UNIT)
            rival = plan("", now, seed=trial)
            said += is_lower(min(family, key=lambda of: of.ne), rival, family)
        self.assertLessEqual(said, stats.binom(200, (1 - CHOICE_LEVEL) / 2).ppf(0.999))


if __name__ == "__main__":
    tf.test.main()
