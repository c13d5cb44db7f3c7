"""Tests of the runs that would settle a question."""

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import stats

from tests.helpers.levers import LADDER, Scenario
from tests.helpers.noise import noise
from tests.helpers.planted_answers import study_fits
from tests.helpers.studies import CONFIGS
from tfrs_scaling.config import Config, read_config
from tfrs_scaling.fit.advice.budget import read_budget
from tfrs_scaling.fit.advice.settle import Place, Settle, Settler
from tfrs_scaling.fit.advice.use import Use
from tfrs_scaling.fit.advice.uses import Uses
from tfrs_scaling.study.trials import shapes


def proposed(settle: Settle) -> Config:
    """The configuration of the proposed study."""
    return read_config(CONFIGS / "study.yaml", settle.overrides)


class SettlerTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.rows = Scenario("params=4x", {}, None, multipliers=(1 / 4, 4.0)).study(np.random.default_rng(0))
        uses = Uses(self.rows, study_fits(), read_budget("params=4x"))
        self.baseline = uses.baseline
        self.options = {use.scheme: use for use in uses.all()}

    def settler(self, sd: float = 1e-3, degrees: int = 20, **known: Any) -> Settler:
        return Settler(self.rows, noise(sd, degrees, "seeds" if degrees else "none"), self.baseline, **known)

    def moved(self, scheme: str, gain: float) -> Use:
        return dataclasses.replace(self.options[scheme], ne=self.baseline.ne - gain)

    def test_seeds_find_the_difference_nine_times_in_ten(self) -> None:
        def power(seeds: int) -> float:
            return float(stats.norm.cdf(0.002 / (1e-3 * np.sqrt(2 / seeds)) - 1.96))

        number = self.settler().seeds_needed(0.002)
        self.assertGreater(power(number), 0.9)
        self.assertLess(power(number - 1), 0.9)
        self.assertEqual(self.settler(degrees=0).seeds_needed(0.002), 3)

    def test_what_the_seeds_of_both_shapes_share_costs_no_seeds(self) -> None:
        paired = dataclasses.replace(noise(1e-3, 20), paired=0.5)
        settler = Settler(self.rows, paired, self.baseline)
        self.assertEqual(settler.seeds_needed(0.001), math.ceil((1.96 + 1.28) ** 2))
        self.assertEqual(self.settler().seeds_needed(0.001), math.ceil(2 * (1.96 + 1.28) ** 2))

    def test_rates_that_are_not_recorded_are_not_proposed(self) -> None:
        rows = self.rows.assign(learning_rate=np.nan)
        settler = Settler(rows, noise(1e-3, 20, "seeds"), self.baseline, learning_rates=rows["learning_rate"].unique())
        settle = settler.distinguish(self.moved("V", 0.012), [self.moved("H", 0.010)])
        self.assertNotIn("learning_rates", " ".join(settle.overrides))
        self.assertEqual(proposed(settle).sweep.V, (4,))

    def test_measured_rivals_call_for_seeds(self) -> None:
        settle = self.settler().distinguish(self.moved("V", 0.012), [self.moved("H", 0.010)])
        config = proposed(settle)
        self.assertEqual((config.sweep.V, config.sweep.H, config.sweep.O, config.sweep.M), ((4,), (4,), (), ()))
        self.assertEqual(config.sweep.seeds, tuple(range(self.settler().seeds_needed(0.002))))
        self.assertEqual(config.training.learning_rates, (0.01, 0.02, 0.04))
        for part in ("V at 4×", "H at 4×", "1, 2, 3, 4 and 5", "1,280,000"):
            self.assertIn(part, settle.runs)

    def test_crossed_multipliers_are_proposed_alone_or_left_out(self) -> None:
        four = 4 * self.baseline.embedding_dim
        is_crossed = (self.rows["scheme"] == "O") & (self.rows["multiplier"] == 4)
        rows = self.rows.assign(
            scheme=self.rows["scheme"].mask(is_crossed, "VH"),
            embedding_dim=self.rows["embedding_dim"].mask(is_crossed, four),
        )
        settler = Settler(rows, noise(1e-3, 20), self.baseline)
        crossed = dataclasses.replace(self.moved("O", 0.012), scheme="VH", embedding_dim=four)
        for first, crosses, v, h in ((crossed, True, (4,), (4,)), (self.moved("V", 0.012), False, (4,), ())):
            settle = settler.distinguish(first, [self.baseline])
            sweep = read_config(CONFIGS / "study.yaml", ("sweep.VH=true", *settle.overrides)).sweep
            self.assertEqual((sweep.VH, sweep.V, sweep.H), (crosses, v, h))

    def test_rows_that_were_chosen_are_proposed_as_they_were_or_left_out(self) -> None:
        pruned = self.rows[self.rows["scheme"] == "V"].assign(scheme="P-hard")
        settler = Settler(pd.concat([self.rows, pruned]), noise(1e-3, 20, "seeds"), self.baseline)
        hard = dataclasses.replace(self.moved("V", 0.012), scheme="P-hard", multiplier=0.25)
        overrides = settler.distinguish(hard, [self.moved("H", 0.010)]).overrides
        sweep = read_config(CONFIGS / "study.yaml", ("scorer={examples: 10_000}", *overrides)).sweep
        self.assertEqual([str(share) for share in sweep.multipliers("P-hard")], ["1/4"])
        self.assertEqual(sweep.multipliers("P-random"), ())
        others = settler.distinguish(self.moved("V", 0.012), [self.moved("H", 0.010)])
        given = "sweep.P={keep: [1/2], by: [random]}"
        self.assertEqual(read_config(CONFIGS / "study.yaml", (given, *others.overrides)).sweep.P, {})

    def test_of_rows_chosen_in_several_ways_only_those_asked_about_are_proposed(self) -> None:
        at = {("P-hard", 0.5): 0.012, ("P-easy", 0.25): 0.009, ("P-hard", 0.25): 0.006, ("P-easy", 0.5): 0.002}
        pruned = [self.rows[self.rows["scheme"] == "V"].assign(scheme=s, multiplier=m) for s, m in at]
        settler = Settler(pd.concat([self.rows, *pruned]), noise(1e-3, 20, "seeds"), self.baseline)
        uses = {
            (scheme, share): dataclasses.replace(self.moved("V", gain), scheme=scheme, multiplier=share)
            for (scheme, share), gain in at.items()
        }
        asked = [[("P-hard", 0.5), ("P-easy", 0.25)], [("P-hard", 0.5), ("P-easy", 0.25), ("P-hard", 0.25)]]
        config = read_config(CONFIGS / "study.yaml", ("scorer={examples: 10_000}", "sweep.V=[]", "sweep.VH=false"))
        for first, *others in asked:
            settle = settler.distinguish(uses[first], [uses[other] for other in others])
            proposed = read_config(config, settle.overrides)
            found = {(shape.scheme, float(shape.multiplier)) for shape in shapes(proposed) if shape.scheme != "D"}
            self.assertEqual(found, {first, *others})

    def test_seeds_that_other_shapes_have_come_first(self) -> None:
        other = (self.rows["scheme"] == "H") & (self.rows["multiplier"] == 4)
        rows = pd.concat([self.rows, self.rows[other].assign(seed=7)])
        settler = Settler(rows, noise(1e-3, 20), self.baseline)
        settle = settler.distinguish(self.moved("V", 0.012), [self.baseline])
        self.assertEqual(proposed(settle).sweep.seeds, (0, 7))
        self.assertIn("sweep.more_seeds={}", settle.overrides)  # the study's own names a shape that this one lacks
        settle = settler.larger_multiplier(self.options["V"])
        self.assertIn("sweep.more_seeds={}", settle.overrides)

    def test_a_difference_too_small_for_any_number_of_seeds(self) -> None:
        settle = self.settler().distinguish(self.moved("V", 0.0101), [self.moved("H", 0.0100)])
        self.assertEmpty(settle.overrides)
        self.assertEndsWith(settle.runs, "take the cheapest, V at 4×.")
        self.assertNotIn("baseline", settle.runs)  # which was not compared

    def test_an_extrapolation_calls_for_larger_data_sizes(self) -> None:
        grown = dataclasses.replace(self.moved("V", 0.02), levers=frozenset(["V", "data"]), examples=5_000_000)
        sweep = proposed(self.settler().distinguish(grown, [self.moved("V", 0.01)])).sweep
        self.assertEqual(sweep.examples, (*LADDER, 2_560_000, 5_120_000))
        self.assertEqual((sweep.V, sweep.H), ((4,), ()))

    def test_no_more_examples_than_there_are(self) -> None:
        grown = dataclasses.replace(self.moved("V", 0.02), levers=frozenset(["V", "data"]), examples=10_000_000)

        def settle(rows: int) -> Settle:
            return self.settler(place=Place("a.yaml", "b", training_rows=rows)).distinguish(
                grown, [self.moved("V", 0.01)]
            )

        self.assertEqual(proposed(settle(3_000_000)).sweep.examples, (*LADDER, 2_560_000))
        self.assertEqual(proposed(settle(2_000_000)).sweep.examples, (*LADDER, 2_000_000))
        self.assertEqual(settle(2_000_000).command[0], "tfrs-scaling study a.yaml --workdir b")
        for rows in (LADDER[-1], round(1.1 * LADDER[-1])):  # hardly more would say nothing new
            none = settle(rows)
            self.assertEmpty(none.overrides)
            self.assertIn("Collect more rows first", none.runs)

    def test_rows_of_an_unknown_number_are_a_condition_unless_trainings_took_them(self) -> None:
        use = dataclasses.replace(self.moved("V", 0.01), levers=frozenset({"V", "data"}), examples=4 * LADDER[-1])
        for rows_used, is_known in ((None, False), (3 * LADDER[-1], False), (4 * LADDER[-1], True)):
            said = self.settler(rows_used=rows_used).distinguish(use, [self.baseline]).runs
            self.assertEqual("if the log has 5,120,000 rows for training" in said, not is_known, said)

    def test_rows_that_the_study_makes_itself_are_made(self) -> None:
        grown = dataclasses.replace(self.moved("V", 0.02), levers=frozenset(["V", "data"]), examples=2 * LADDER[-1])
        place = Place("a.yaml", "b", training_rows=LADDER[-1], made_rows=round(1.2 * LADDER[-1]))
        settle = self.settler(place=place).distinguish(grown, [self.moved("V", 0.01)])
        config = proposed(settle)
        assert config.synthetic is not None
        self.assertEqual(config.sweep.examples[-1], 2 * LADDER[-1])
        self.assertGreater(config.synthetic.rows, 1.2 * config.sweep.examples[-1])
        self.assertNotIn("Collect", settle.runs)

    def test_rates_that_are_found_are_not_given(self) -> None:
        place = Place("a.yaml", "b", "logs/data", finds_rates=True)
        settle = self.settler(place=place).distinguish(self.moved("V", 0.012), [self.moved("H", 0.010)])
        self.assertEqual(settle.command[0], "tfrs-scaling study a.yaml --data logs/data --workdir b")
        self.assertNotIn("learning_rates", " ".join(settle.command))

    def test_the_best_learning_rate_keeps_a_neighbour_on_each_side(self) -> None:
        def rates(*tried: float) -> tuple[float, ...]:
            settle = self.settler(learning_rates=tried).distinguish(self.moved("V", 0.012), [self.moved("H", 0.010)])
            found = proposed(settle).training.learning_rates
            assert found != "auto"
            return found

        self.assertEqual(rates(0.005, 0.01, 0.02, 0.04), (0.01, 0.02, 0.04))
        self.assertEqual(rates(0.005, 0.02), (0.005, 0.02, 0.08))

    def test_a_multiplier_that_a_law_asked_for_is_rounded_to_a_power_of_two(self) -> None:
        asked = dataclasses.replace(self.moved("V", 0.012), multiplier=13.7, how="law of parameters")
        self.assertEqual(proposed(self.settler().distinguish(asked, [self.moved("H", 0.010)])).sweep.V, (16,))

    def test_the_next_multiplier(self) -> None:
        self.assertEqual(proposed(self.settler().larger_multiplier(self.options["V"])).sweep.V, (4, 16))


if __name__ == "__main__":
    tf.test.main()
