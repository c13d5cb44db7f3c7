"""A page agrees with itself: what it says in two places is the same."""

import dataclasses

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.consistency import contradictions, read_page
from tests.helpers.levers import Scenario
from tfrs_scaling.fit.report.report import render_report
from tfrs_scaling.fit.report.view import study_view
from tfrs_scaling.fit.study import fit_study

WINNER = Scenario("params=4x", {"V": 8.0}, None, multipliers=(1 / 4, 4.0))
NOTHING = dataclasses.replace(WINNER, gains={})


def planted(scenario: Scenario, seed: int) -> pd.DataFrame:
    """A study of V and H alone."""
    runs = scenario.study(np.random.default_rng(seed))
    return runs[runs["scheme"].isin(["D", "V", "H"])].reset_index(drop=True)


class ConsistencyTest(tf.test.TestCase):
    def agrees(self, runs: pd.DataFrame) -> None:
        self.assertEqual(contradictions(study_view(runs, fit_study(runs))), [])

    def test_with_a_winner(self) -> None:
        self.agrees(planted(WINNER, 0))

    def test_with_nothing_to_win(self) -> None:
        self.agrees(planted(NOTHING, 1))

    def test_with_three_seeds_that_differ_by_an_offset(self) -> None:
        for scenario in (WINNER, NOTHING):
            self.agrees(planted(dataclasses.replace(scenario, seeds=3, offset=1e-3), 2))

    def test_of_unknown_noise(self) -> None:
        runs = planted(WINNER, 0)
        runs = runs[runs["examples"] >= runs["examples"].max() / 4].reset_index(drop=True)  # too few for ladders
        view = study_view(runs, fit_study(runs))
        self.assertEqual(contradictions(view), [])
        page = read_page(render_report(view))
        said = {option.verdict for answer in page.answers for option in answer.options}
        self.assertEqual(said | {row["outcome"] for row in page.tables["effects"]}, {"noise unknown"})
        self.assertIn("the noise is unknown", page.evidence)
        self.assertNotIn("V ≈ H", page.evidence)

    def test_what_is_changed_in_one_place_is_found(self) -> None:
        runs = planted(WINNER, 0)
        view = study_view(runs, fit_study(runs))
        view.advice  # noqa: B018 -- computed before the effects change
        effects = tuple(
            dataclasses.replace(effect, change=effect.change + 1e-3, outcome="≈") for effect in view.fits.effects
        )
        other = dataclasses.replace(view, fits=dataclasses.replace(view.fits, effects=effects))
        found = contradictions(other)
        self.assertTrue(any(sentence.startswith("gain: ") for sentence in found), found)
        self.assertTrue(any("but the effect is ≈" in sentence for sentence in found), found)


if __name__ == "__main__":
    tf.test.main()
