"""Tests of the findings in words against numbers taken from the planted study by hand."""

import dataclasses
import re

import pandas as pd
import tensorflow as tf

from tests.helpers.levers import needed_fits
from tests.helpers.noise import ladders_of
from tests.helpers.planted import LADDER, planted_ne, planted_study
from tests.helpers.planted_answers import answers
from tfrs_scaling.fit.analyses.effects import Effect, effects
from tfrs_scaling.fit.analyses.lines import with_plateau
from tfrs_scaling.fit.report.summary import (
    best_point,
    cautions,
    effect_words,
    next_doubling,
    one_sided_words,
    scheme_effects,
)
from tfrs_scaling.fit.report.view import study_view
from tfrs_scaling.fit.runs.screening import usable_runs
from tfrs_scaling.fit.study import StudyFits, fit_study


def effects_of(runs: pd.DataFrame) -> list[Effect]:
    """Of each scheme, the effect that the page starts with."""
    rows = with_plateau(usable_runs(runs).reset_index(drop=True))
    return scheme_effects(effects([ladders_of(rows)], "dot"), "dot")


def doubling(runs: pd.DataFrame) -> tuple[str, StudyFits]:
    """What the page says of twice the data, and the fits that it says it by."""
    view = study_view(runs, needed_fits(runs))
    return next_doubling(view.advice["data=2x"], view), view.fits


class SummaryTest(tf.test.TestCase):
    """What the top of the report says."""

    def test_best_point_and_gains(self) -> None:
        runs = planted_study(seeds=4, noise=1e-4)
        best = best_point(usable_runs(runs))
        assert best is not None
        self.assertEqual((best.scheme, best.multiplier, best.examples), ("V", 16.0, LADDER[-1]))
        gains = {gain.scheme: gain for gain in effects_of(runs)}
        self.assertEqual(list(gains), ["V", "H", "O", "M"])
        for scheme, gain in gains.items():
            truth = planted_ne("D", 1, LADDER[-1]) - planted_ne(scheme, 16, LADDER[-1])
            self.assertEqual((gain.multiplier, gain.examples), (16.0, LADDER[-1]))
            self.assertAllClose(-gain.change, truth, atol=3e-4, rtol=0)

    def test_gains_are_compared_where_both_were_measured(self) -> None:
        runs = planted_study(schemes="VM")
        runs = runs[~((runs["scheme"] == "D") & (runs["examples"] > LADDER[4]))]
        self.assertEqual({gain.examples for gain in effects_of(runs)}, {LADDER[4]})
        self.assertEqual(effects_of(runs[runs["scheme"] != "D"]), [])

    def test_a_scheme_that_was_only_scaled_down_is_judged_by_its_smallest_multiplier(self) -> None:
        runs = planted_study(noise=1e-5, schemes="V")
        gain = effects_of(runs[(runs["scheme"] != "V") | (runs["multiplier"] < 1)])[0]
        self.assertEqual((gain.scheme, gain.multiplier), ("V", 1 / 16))
        truth = planted_ne("D", 1, LADDER[-1]) - planted_ne("V", 1 / 16, LADDER[-1])
        self.assertAllClose(-gain.change, truth, atol=5e-5)
        self.assertIn("raises NE by", effect_words(gain, 0.95))

    def test_features_and_negatives_are_only_scaled_down(self) -> None:
        gains = effects_of(planted_study(noise=1e-5, schemes="FN"))
        self.assertEqual([(gain.scheme, gain.multiplier) for gain in gains], [("F", 1 / 16), ("N", 1 / 16)])
        for gain in gains:
            self.assertIn("raises NE by", effect_words(gain, 0.95))

    def test_a_change_has_its_interval_and_no_direction_within_the_noise(self) -> None:
        vertical, *_, mlps = effects_of(planted_study(noise=2e-3))
        for effect, verdict in ((vertical, "lowers NE by"), (mlps, "within the noise")):
            assert effect.low is not None and effect.high is not None
            words = effect_words(effect, 0.95)
            self.assertIn(verdict, words)
            for number in (effect.baseline, effect.ne, abs(effect.low), abs(effect.high), abs(effect.change)):
                self.assertIn(f"{number:.4f}", words)
        unknown = dataclasses.replace(mlps, low=None, high=None)
        self.assertIn("whether by chance is unknown", effect_words(unknown, 0.95))
        self.assertNotRegex(effect_words(mlps, 0.95) + effect_words(unknown, 0.95), "lowers|raises")

    def test_next_doubling_is_what_the_advice_expects(self) -> None:
        runs = planted_study(noise=1e-5, schemes="V")
        now, then = (planted_ne("D", 1, LADDER[-1] * factor) for factor in (1, 2))
        words, _ = doubling(runs)
        self.assertStartsWith(words, "With 2 times the data, expect test NE")
        found = [float(number) for number in re.findall(r"0\.\d{4}", words)]
        self.assertAllClose(found[:3], [then, now, now - then], atol=1.5e-4)
        self.assertBetween(found[2], found[3], found[4])

    def test_next_doubling_is_as_sure_as_the_law(self) -> None:
        runs = planted_study(schemes="V")
        flat, few = runs.assign(test_ne=0.8), runs[runs["examples"] <= LADDER[2]]
        for rows in (flat, few):
            words, fits = doubling(rows)
            self.assertIn(fits.law("D", multiplier=1).status.meaning, words)
            self.assertNotIn("expect", words)
        self.assertIn("floor is not identified", doubling(runs[runs["examples"] <= LADDER[3]])[0])
        self.assertIn("not measured", doubling(runs[runs["scheme"] != "D"])[0])

    def test_cautions_count_what_was_lost_or_is_doubtful(self) -> None:
        runs = planted_study(schemes="M")
        self.assertEqual(cautions(study_view(runs, fit_study(runs))), [])
        runs.loc[runs["trial_id"] == "M-4-0.02-0", ["train_ne", "test_ne"]] = 1.0
        runs.loc[runs["trial_id"] == "M-16-0.02-0", ["status", "reason"]] = ["skipped", "too large"]
        runs = runs[(runs["scheme"] != "D") & (runs["learning_rate"] != 0.08)]
        words = cautions(study_view(runs, fit_study(runs)))
        counts = [re.findall(r"^(\d+) of (\d+)", sentence) for sentence in words]
        self.assertEqual(counts, [[("1", "8")], [("1", "8")], [("4", "4")], []])
        self.assertIn("no measured baseline", words[-1])

    def test_laws_that_err_to_one_side_are_said_to(self) -> None:
        record = answers().held_out[0]
        erred = [
            dataclasses.replace(record, relative_error=error) for error in (-0.01, -0.02, -0.03, -0.01, -0.02, -0.02)
        ]
        self.assertIn("6 laws", one_sided_words(erred))
        self.assertIn("too low an NE, by 2.0%", one_sided_words(erred))
        self.assertEqual(one_sided_words([*erred, *(dataclasses.replace(e, relative_error=0.01) for e in erred)]), "")

    def test_a_single_learning_rate_is_a_caution(self) -> None:
        runs = planted_study(schemes="V").query("learning_rate == 0.02")
        words = " ".join(cautions(study_view(runs, fit_study(runs))))
        self.assertEqual(words.count("learning rate"), 2)  # both of one sentence, and none that it is at the edge
        self.assertIn("One learning rate was tried", words)

    def test_a_baseline_worse_than_guessing_is_a_caution(self) -> None:
        runs = planted_study(noise=0.0, schemes="V").assign(test_calibration=0.75)
        runs.loc[runs["examples"] == LADDER[-1], "test_ne"] += 1.01 - planted_ne("D", 1, LADDER[-1])
        (words,) = cautions(study_view(runs, fit_study(runs)))
        self.assertIn("1.0100", words)
        self.assertIn("75%", words)


if __name__ == "__main__":
    tf.test.main()
