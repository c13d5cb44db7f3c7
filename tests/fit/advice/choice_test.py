"""Tests of the choice among uses whose NE is known up to normal noise."""

import dataclasses

import numpy as np
import tensorflow as tf
from scipy import stats

from tfrs_scaling.fit.advice.choice import choose, gap_interval, is_lower
from tfrs_scaling.fit.advice.use import DRAWS, How, Use

UNIT = 0.001


def use(levers: str, ne: float, *, seed: int = 0, error: float = UNIT, cost: float = 1.0, how: How = "measured") -> Use:
    """A use of these schemes (d: data) whose NE has a normal error of its own."""
    draws = ne + np.random.default_rng([seed, *map(ord, levers)]).normal(0, error, DRAWS)
    named = frozenset("data" if lever == "d" else lever for lever in levers)
    costs = {"compute": cost, "data": 1.0, "params": cost, "hours": cost}
    examples = 2000 if "d" in levers else 1000
    return Use("dot", levers.strip("d") or "D", 4.0, 16, examples, 1, named, costs, ne, how, draws)


BASELINE = use("", 0.8)


class ChooseTest(tf.test.TestCase):
    def chosen(self, *uses: Use) -> str | None:
        answer = choose(uses, BASELINE).answer
        return None if answer is None else "+".join(sorted(answer.use.levers))

    def test_the_best_where_it_is_clear_else_the_cheapest_that_may_be(self) -> None:
        self.assertEqual(self.chosen(use("V", 0.79, cost=4), use("H", 0.797, cost=2)), "V")
        self.assertEqual(self.chosen(use("V", 0.79, cost=4), use("H", 0.791, cost=2)), "H")
        self.assertIsNone(self.chosen(use("V", 0.7995), use("H", 0.803)))
        self.assertIsNone(self.chosen(use("V", 0.81)))

    def test_a_combination_counts_where_each_of_its_levers_is_seen_to_matter(self) -> None:
        self.assertEqual(self.chosen(use("V", 0.79), use("Vd", 0.7895, cost=9), use("Hd", 0.799)), "V")
        self.assertEqual(self.chosen(use("V", 0.79), use("Vd", 0.77, cost=9), use("d", 0.785)), "V+data")
        choice = choose([use("V", 0.79), use("Vd", 0.7895, error=0.02, cost=9), use("H", 0.80)], BASELINE)
        self.assertEqual([sorted(o.use.levers) for o in choice.options], [["V", "data"], ["V"], ["H"]])
        assert choice.answer is not None
        self.assertEqual(choice.answer.use.levers, {"V"})

    def test_what_may_be_better_stays_open(self) -> None:
        dear, cheap, worse = use("V", 0.79, cost=4), use("H", 0.791, cost=2), use("M", 0.797)
        choice = choose([dear, cheap, worse], BASELINE)
        assert choice.answer is not None
        self.assertIs(choice.answer.use, cheap)
        self.assertEqual([option.use.scheme for option in choice.open], ["V"])
        self.assertEqual([option.use.scheme for option in choice.unbeaten], ["H"])  # V is dearer in everything

    def test_how_much_better_than_the_answer_an_option_may_be_at_most(self) -> None:
        cheap, dear, worse = use("H", 0.79, seed=1), use("V", 0.7895, seed=2, cost=4), use("O", 0.8, seed=3)
        choice = choose([cheap, dear, worse], BASELINE)
        assert choice.answer is not None
        self.assertIs(choice.answer.use, cheap)
        most = {option.use.scheme: option.over_answer for option in choice.options}
        self.assertTrue(np.isnan(most["H"]))
        self.assertAllClose(most["V"], gap_interval(dear, cheap, [cheap, dear, worse], level=0.95)[1])
        self.assertBetween(most["V"] - 0.0005, 1.9 * np.sqrt(2) * UNIT, 3.5 * np.sqrt(2) * UNIT)
        self.assertLess(most["O"], 0)

    def test_a_better_shape_on_more_data_beats_a_worse_one_on_less(self) -> None:
        """Whatever their laws leave open beyond the data: for the same compute, V may see more rows than O."""

        def grown(levers: str, now: float, later: float, examples: int) -> Use:
            far = use(levers + "d", later, error=0.02, cost=10, how="law of data", seed=1)
            return dataclasses.replace(far, examples=examples, measured=use(levers, now))

        rows, over_arch = grown("V", 0.78, 0.74, 10_000), grown("O", 0.795, 0.76, 5_000)
        self.assertTrue(is_lower(rows, over_arch, [rows, over_arch], level=0.95))
        self.assertFalse(is_lower(over_arch, rows, [rows, over_arch], level=0.95))
        less = dataclasses.replace(rows, examples=2_500)
        self.assertFalse(is_lower(less, over_arch, [less, over_arch], level=0.95))

    def test_shapes_on_equally_more_data_are_compared_where_they_were_measured(self) -> None:
        def grown(levers: str, now: float, later: float, cost: float) -> Use:
            far = use(levers + "d", later, error=0.02, cost=cost, how="law of data", seed=1)
            return dataclasses.replace(far, measured=use(levers, now, cost=cost))

        alone, wide = grown("", 0.8, 0.72, 10), grown("V", 0.79, 0.71, 20)
        self.assertTrue(is_lower(wide, alone, [alone, wide], level=0.95))
        self.assertEqual(self.chosen(alone, wide), "V+data")
        small = grown("H", 0.81, 0.715, 0.5)  # promised to be as good as the baseline, and cheaper
        self.assertEqual(self.chosen(alone, small), "data")

    def test_a_shape_as_good_as_a_cheaper_one_is_not_the_answer_however_far_its_law_reaches(self) -> None:
        cheap, dear = use("V", 0.79, seed=1), use("V", 0.7898, seed=2, cost=4)
        dear = dataclasses.replace(dear, multiplier=16.0)
        far = dataclasses.replace(use("Vd", 0.77, cost=8, how="law of data"), multiplier=16.0, measured=dear)
        choice = choose([cheap, dear, far, use("d", 0.795)], BASELINE)
        assert choice.answer is not None
        self.assertIs(choice.answer.use, cheap)

    def test_no_law_is_followed_beyond_a_shape_that_adds_nothing_to_a_smaller_one(self) -> None:
        four, sixteen = (
            dataclasses.replace(use("V", ne, seed=seed, cost=cost), multiplier=cost)
            for seed, ne, cost in ((1, 0.79, 4.0), (2, 0.7898, 16.0))
        )
        beyond = dataclasses.replace(use("V", 0.775, seed=3, cost=64, how="law of parameters"), multiplier=64.0)
        answer = choose([four, sixteen, beyond], BASELINE).answer
        assert answer is not None
        self.assertIs(answer.use, four)
        better = dataclasses.replace(sixteen, ne=0.78, draws=sixteen.draws - 0.0098)
        answer = choose([four, better, beyond], BASELINE).answer
        assert answer is not None
        self.assertIs(answer.use, beyond)

    def test_a_shape_that_wins_on_one_budget_wins_on_every_other_by_the_same_interval(self) -> None:
        shapes = [use(scheme, 0.8 - 2.3 * np.sqrt(2) * UNIT * (scheme == "V"), seed=1) for scheme in "VHOMFN"]
        more = [use(f"{scheme}d", 0.79, seed=2, how="law of data", error=0.02) for scheme in "HO"]
        found = [choose(uses, BASELINE, same_data=shapes) for uses in (shapes, shapes[:1], [*shapes, *more])]
        ends = {(o.low, o.high, o.beats_baseline) for choice in found for o in choice.options if o.use is shapes[0]}
        self.assertLen(ends, 1)
        alone = choose(shapes[:1], BASELINE).options[0]  # looked at among nothing else
        self.assertTrue(alone.beats_baseline)
        self.assertFalse(found[0].options[0].beats_baseline)

    def test_where_nothing_wins_each_lever_shows_its_best_and_the_bound_is_that_of_all_uses(self) -> None:
        near, far = use("V", 0.7995, seed=1), use("V", 0.8, seed=2, cost=4, error=5 * UNIT)
        choice = choose([use("V", 0.8004, seed=3, cost=0.5), near, far], BASELINE)
        [option] = choice.options
        self.assertIs(option.use, near)
        self.assertGreater(choice.most, option.high)
        self.assertIsNone(choice.answer)

    def test_cheaper_winners_are_named_with_what_beats_them(self) -> None:
        cheap, dear = use("V", 0.79, seed=1), use("H", 0.77, seed=2, cost=4)
        choice = choose([cheap, dear], BASELINE)
        [(beaten, by)] = choice.beaten
        self.assertIs(beaten, cheap)
        self.assertIs(by, dear)
        self.assertEqual((choice.open, choice.no_better), ((), ()))

    def test_a_smaller_shape_on_more_data_that_may_be_no_better_than_data_alone_is_not_safe(self) -> None:
        def grown(levers: str, now: float, later: float, cost: float) -> Use:
            far = use(levers + "d", later, error=0.005, cost=cost, how="law of data", seed=1)
            return dataclasses.replace(far, measured=use(levers, now, cost=cost / 4))

        alone, small = grown("", 0.8, 0.77, 4), grown("M", 0.801, 0.772, 0.8)
        choice = choose([alone, small], BASELINE)
        assert choice.answer is not None
        self.assertIs(choice.answer.use, alone)
        self.assertEqual([(o.use.scheme, o.beats_baseline) for o in choice.options if not o.is_safe], [("M", True)])

    def test_where_only_smaller_shapes_on_more_data_win_the_cheapest_of_them_is_the_answer(self) -> None:
        small = dataclasses.replace(use("Md", 0.77, cost=0.5, how="law of data"), measured=use("M", 0.801, cost=0.25))
        answer = choose([small, use("V", 0.8001)], BASELINE).answer
        assert answer is not None
        self.assertEqual(answer.use.levers, {"M", "data"})

    def test_interval_of_a_gain(self) -> None:
        [option] = choose([use("V", 0.79)], BASELINE).options
        half = 1.96 * UNIT * np.sqrt(2)
        self.assertAllClose((option.gain, option.low, option.high), (0.01, 0.01 - half, 0.01 + half), atol=3e-4)

    def test_a_cheaper_use_of_the_same_lever(self) -> None:
        for ne, expected in ((0.790, 0.791), (0.780, 0.780)):
            choice = choose([use("V", ne, seed=1, cost=9), use("V", 0.791, seed=2, cost=2)], BASELINE)
            assert choice.answer is not None
            self.assertEqual((choice.answer.use.ne, len(choice.options)), (expected, 1))

    def test_a_lever_that_is_flat_beyond_a_point_is_followed_no_further(self) -> None:
        rng, cheapest = np.random.default_rng(2), 0
        for trial in range(200):
            family = [use("V", 0.79 + rng.normal(0, UNIT), seed=3 * trial + k, cost=4**k) for k in range(3)]
            answer = choose(family, BASELINE).answer
            cheapest += answer is not None and answer.use is family[0]
        self.assertGreaterEqual(cheapest, 190)

    def test_a_larger_shape_on_more_data_is_no_answer_where_on_the_same_data_it_adds_nothing(self) -> None:
        """The law of the larger shape has the narrower interval by chance: it wins, and the cheaper one does not."""
        larger, baseline_on_more = use("V", 0.7998, cost=2), use("d", 0.785, error=0.02, how="law of data")
        on_more = dataclasses.replace(use("Vd", 0.785, cost=4, how="law of data"), measured=larger)
        self.assertGreater(gap_interval(on_more, BASELINE, [larger, baseline_on_more], level=0.95)[0], 0)
        choice = choose([larger, baseline_on_more, on_more], BASELINE)
        self.assertIsNone(choice.answer)
        self.assertEqual([o.use.ne for o in choice.options if o.beats_baseline], [0.785])

    def test_an_extrapolated_shape_replaces_a_measured_one_only_beyond_the_noise(self) -> None:
        measured = use("V", 0.79)
        for ne, expected in ((0.7895, 0.79), (0.77, 0.77)):
            answer = choose([measured, use("V", ne, seed=3, how="law of parameters")], BASELINE).answer
            assert answer is not None
            self.assertEqual(answer.use.ne, expected)

    def test_unknown_noise_is_no_evidence(self) -> None:
        choice = choose([use("V", 0.5, error=float("nan"))], BASELINE)
        self.assertIsNone(choice.answer)
        self.assertTrue(np.isnan(choice.options[0].low))

    def test_where_nothing_helps_something_is_done_as_often_as_the_level_says(self) -> None:
        rng, wrong = np.random.default_rng(0), 0
        for trial in range(300):
            nes = 0.8 + rng.normal(0, UNIT, 5)
            baseline = use("", nes[0], seed=trial)
            family = [use(scheme, ne, seed=trial) for scheme, ne in zip("VHOM", nes[1:], strict=True)]
            wrong += choose(family, baseline).answer is not None
        self.assertBetween(wrong, *stats.binom(300, 0.025).ppf([0.001, 0.999]))

    def test_the_best_of_four_equal_uses_pays_for_being_picked(self) -> None:
        rng, wrong = np.random.default_rng(1), 0
        for trial in range(200):
            family = [use("V", ne, seed=4 * trial + k) for k, ne in enumerate(0.8 + rng.normal(0, UNIT, 4))]
            rival = use("", 0.8 + rng.normal(0, UNIT), seed=trial)
            wrong += is_lower(min(family, key=lambda member: member.ne), rival, family, level=0.95)
        self.assertLessEqual(wrong, stats.binom(200, (0.05) / 2).ppf(0.999))


if __name__ == "__main__":
    tf.test.main()
