"""Tests of what a budget could be spent on: within the budget, and as the study's laws say."""

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.levers import LADDER, Scenario
from tests.helpers.planted import planted_row
from tests.helpers.planted_answers import study_fits
from tfrs_scaling.fit.advice.budget import read_budget
from tfrs_scaling.fit.advice.uses import Uses
from tfrs_scaling.fit.analyses.held_out import HeldOut
from tfrs_scaling.fit.analyses.joint import joint_record
from tfrs_scaling.fit.analyses.lines import fit_lines, points
from tfrs_scaling.fit.analyses.noise.training_noise import training_noise
from tfrs_scaling.fit.runs.run_table import COLUMNS
from tfrs_scaling.fit.runs.screening import usable_runs

WIDTHS = tuple(2.0**power for power in range(-3, 5))


def widths_study() -> pd.DataFrame:
    """A study of M in which wider MLPs help as a power of their parameters."""
    rng, rows = np.random.default_rng(0), []
    for multiplier in WIDTHS:
        for examples in LADDER:
            row = planted_row("D" if multiplier == 1 else "M", multiplier, 0, 0.02, examples, 0.0)
            outside = float(row["params_total"]) - float(row["params_embedding"])  # type: ignore[arg-type]
            ne = 0.7 + 0.01 * (outside / 33_000) ** -0.4 + 0.1 * (examples / LADDER[0]) ** -0.4 + rng.normal(0, 1e-4)
            rows.append(row | {"trial_id": f"M-{multiplier:g}", "test_ne": ne, "validation_ne": ne})
    return usable_runs(pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS))


class UsesTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.rows = widths_study()
        planes = {("dot", scheme): points(cls.rows, "dot", scheme) for scheme in "DM"}
        joint = joint_record(planes["dot", "M"], "dot", "M", resamples=100)
        assert joint is not None
        cls.study = study_fits(noise=training_noise(cls.rows), lines=tuple(fit_lines(planes)), joint=(joint,))

    def uses(self, budget: str) -> Uses:
        return Uses(self.rows, self.study, read_budget(budget))

    def test_the_baseline_is_the_largest_measured(self) -> None:
        baseline = self.uses("params=4x").baseline
        self.assertEqual((baseline.scheme, baseline.examples, baseline.levers), ("D", LADDER[-1], frozenset()))

    def test_nothing_costs_more_than_the_budget(self) -> None:
        for text in ("compute=3x", "data=2x", "params=1.1x", "compute=10x,data=2x", "hours=1"):
            uses = self.uses(text)
            for use in uses.all():
                for name, limit in uses.allowed.items():
                    self.assertLessEqual(use.cost[name], limit * (1 + 1e-6), f"{text} {name}")

    def test_measured_shapes_are_those_that_cost_no_less_than_the_baseline(self) -> None:
        measured = [use.multiplier for use in self.uses("params=100x").all() if use.how == "measured"]
        self.assertEqual(measured, [width for width in WIDTHS if width > 1])

    def test_more_data_are_worth_what_the_law_of_the_shape_says(self) -> None:
        grown = [use for use in self.uses("data=4x").all() if use.how == "law of data"]
        self.assertNotEmpty(grown)
        self.assertContainsSubset({frozenset(["data"]), frozenset(["M", "data"])}, {use.levers for use in grown})
        for use in grown:
            fit = self.study.law(use.scheme, multiplier=use.multiplier)
            measured = self.rows.query("multiplier == @use.multiplier and examples == @LADDER[-1]")["test_ne"].item()
            expected = measured + fit.predict(use.examples) - fit.predict(LADDER[-1])
            self.assertAllClose(use.ne, expected, atol=1e-6)

    def test_a_larger_model_is_worth_what_the_law_of_parameters_says(self) -> None:
        [larger] = [use for use in self.uses("params=100x").all() if use.how == "law of parameters"]
        self.assertGreater(larger.multiplier, 1.25 * WIDTHS[-1])
        self.assertFalse(larger.has_measured_shape)
        truth = 0.7 + 0.01 * larger.multiplier**-0.4 + 0.1 * (LADDER[-1] / LADDER[0]) ** -0.4
        self.assertAllClose(larger.ne, truth, atol=2e-4)

    def test_the_compute_optimal_split_spends_the_budget(self) -> None:
        uses = self.uses("compute=10x")
        [split] = [use for use in uses.all() if use.how == "joint law"]
        self.assertEqual(split.levers, {"M", "data"})
        self.assertAllClose(split.cost["compute"], uses.allowed["compute"], rtol=0.02)
        truth = 0.7 + 0.01 * split.multiplier**-0.4 + 0.1 * (split.examples / LADDER[0]) ** -0.4
        self.assertAllClose(split.ne, truth, atol=2e-4)

    def test_whether_a_larger_multiplier_could_be_measured(self) -> None:
        uses = self.uses("params=100x")
        largest = {use.multiplier: uses.is_largest(use) for use in uses.all() if use.how == "measured"}
        self.assertEqual([width for width, is_largest in largest.items() if is_largest], [WIDTHS[-1]])
        self.assertFalse(any(self.uses("compute=2x").is_largest(use) for use in uses.all()))

    def test_laws_that_all_erred_to_one_side_widen_the_extrapolation(self) -> None:
        rows = Scenario("data=2x", {}, None, multipliers=()).study(np.random.default_rng(0))
        [law] = [line for line in fit_lines({("dot", "D"): points(rows, "dot", "D")}) if line.line == "1"]
        missed = HeldOut("dot", "D", "1", LADDER[-1], 0.792, 0.7, 0.9, 0.8, True, -0.01, "power")
        honest, biased = (
            Uses(rows, study_fits(noise=training_noise(rows), lines=(law,), held_out=held_out), read_budget("data=2x"))
            for held_out in ((), (missed,) * 8)
        )
        self.assertEqual((honest.overshoot, biased.overshoot), (0, 0.01))
        [narrow], [wide] = honest.all(), biased.all()
        self.assertEqual(narrow.ne, wide.ne)
        off = [float(np.quantile(use.draws, 0.025)) - use.ne for use in (narrow, wide)]
        self.assertLess(off[1], -0.01 * wide.ne)
        self.assertLess(off[1], off[0])


if __name__ == "__main__":
    tf.test.main()
