"""Tests of the first screen: what depends on facts that a run table does not hold, or holds wrongly."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.levers import LADDER, Scenario, needed_fits
from tfrs_scaling.fit.report.decision import Decision, decisions
from tfrs_scaling.fit.report.view import study_view
from tfrs_scaling.fit.study import StudyFits


class DecisionTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        scenario = Scenario("compute=4x", {"V": 3.0}, None, seeds=3, multipliers=(4.0,))
        cls.runs = scenario.study(np.random.default_rng(0))
        cls.fits = needed_fits(cls.runs, extrapolates=True)

    def decided(self, runs: pd.DataFrame | None = None, **about: Any) -> dict[str, Decision]:
        fits: StudyFits = self.fits
        return {each.budget: each for each in decisions(study_view(self.runs if runs is None else runs, fits, about))}

    def test_what_needs_more_rows_than_were_used_says_so_where_their_number_is_unknown(self) -> None:
        unknown, known = self.decided(), self.decided(data={"rows": {"train": 100 * LADDER[-1]}})
        needs = unknown["data=2x"].needs
        self.assertStartsWith(needs, "Only if the log has the rows: 2,560,000 for ")
        for at, row in enumerate(unknown["data=2x"].rows):
            self.assertEqual("the data" in row.name, str(at + 1) in needs.partition(" for ")[2], row.name)
        self.assertIn("if the log has 2,560,000 rows for training", unknown["data=2x"].answer)
        self.assertEqual(unknown["params=4x"].needs, "")
        self.assertEqual({each.needs for each in known.values()}, {""})
        self.assertNotIn("if the log has", known["data=2x"].answer)

    def test_times_of_a_loaded_machine_are_a_dash_with_the_reason(self) -> None:
        first = self.runs["seed"] == 0
        loaded = self.runs.assign(examples_per_second=self.runs["examples_per_second"] / np.where(first, 3.0, 1.0))
        for runs, says in (
            (None, "× time ("),
            (loaded, "time –: the speeds of equal trainings differ by a factor of 3"),
        ):
            tiles = {number.name: number.note for number in self.decided(runs)["data=2x"].numbers}
            self.assertIn(says, tiles["Compute"])

    def test_an_end_that_is_no_zero_is_not_written_as_one(self) -> None:
        fits: StudyFits = self.fits
        view = study_view(self.runs, fits)
        advice = view.advice["params=4x"]
        near = [
            dataclasses.replace(option, low=low) for option, low in zip(advice.options, (2e-5, -2e-5), strict=False)
        ]
        view.advice["params=4x"] = dataclasses.replace(advice, options=tuple(near), do=near[0])
        rows = {each.budget: each.rows for each in decisions(view)}["params=4x"]
        self.assertEqual([row.interval.partition(" ")[0] for row in rows], ["+0.00002", "−0.00002"])
        self.assertEqual([row.verdict for row in rows], ["beats now", "within noise"])


if __name__ == "__main__":
    tf.test.main()
