"""Tests of the findings in words against numbers taken from the planted study by hand."""

import dataclasses
import re

import pandas as pd
import tensorflow as tf

from tests.helpers.planted import LADDER, planted_ne, planted_study
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.report.summary import best_point, cautions, gain_words, next_doubling, scheme_gains
from tfrs_scaling.fit.report.view import study_view
from tfrs_scaling.fit.screening import usable_runs
from tfrs_scaling.fit.study import fit_study


def baseline_law(runs: pd.DataFrame) -> PowerLawFit | None:
    """The law of the baseline against data."""
    found = fit_study(runs).find(scheme="D", x="data", line="1", architecture="dot")
    return None if found is None else found.fit


class SummaryTest(tf.test.TestCase):
    """What the top of the report says."""

    def test_best_point_and_gains(self) -> None:
        runs = planted_study(seeds=4, noise=1e-4)
        best = best_point(usable_runs(runs))
        assert best is not None
        self.assertEqual((best.scheme, best.multiplier, best.examples), ("V", 16.0, LADDER[-1]))
        gains = {gain.scheme: gain for gain in scheme_gains(usable_runs(runs), "dot")}
        self.assertEqual(list(gains), ["V", "H", "O", "M"])
        for scheme, gain in gains.items():
            truth = planted_ne("D", 1, LADDER[-1]) - planted_ne(scheme, 16, LADDER[-1])
            self.assertEqual((gain.multiplier, gain.examples), (16.0, LADDER[-1]))
            self.assertAllClose(gain.drop, truth, atol=3e-4, rtol=0)

    def test_gains_are_compared_where_both_were_measured(self) -> None:
        runs = planted_study()
        runs = runs[~((runs["scheme"] == "D") & (runs["examples"] > LADDER[4]))]
        self.assertEqual({gain.examples for gain in scheme_gains(usable_runs(runs), "dot")}, {LADDER[4]})
        self.assertEqual(scheme_gains(usable_runs(runs[runs["scheme"] != "D"]), "dot"), [])

    def test_a_scheme_that_was_only_scaled_down_is_judged_by_its_smallest_multiplier(self) -> None:
        runs = planted_study(noise=0.0)
        gain = scheme_gains(usable_runs(runs[(runs["scheme"] != "V") | (runs["multiplier"] < 1)]), "dot")[0]
        self.assertEqual((gain.scheme, gain.multiplier), ("V", 1 / 16))
        truth = planted_ne("D", 1, LADDER[-1]) - planted_ne("V", 1 / 16, LADDER[-1])
        self.assertAllClose(gain.drop, truth, rtol=1e-9)
        self.assertIn("raises NE by", gain_words(gain))

    def test_features_and_negatives_are_only_scaled_down(self) -> None:
        gains = scheme_gains(usable_runs(planted_study(noise=0.0, schemes="FN")), "dot")
        self.assertEqual([(gain.scheme, gain.multiplier) for gain in gains], [("F", 1 / 16), ("N", 1 / 16)])
        for gain in gains:
            self.assertIn("raises NE by", gain_words(gain))

    def test_a_gain_that_rounds_to_nothing_has_no_direction(self) -> None:
        gain = scheme_gains(usable_runs(planted_study(noise=0.0)), "dot")[0]
        self.assertIn("lowers NE by", gain_words(gain))
        words = gain_words(dataclasses.replace(gain, ne=gain.baseline_ne + 4e-5))
        self.assertNotRegex(words, "lowers|raises")

    def test_next_doubling(self) -> None:
        runs = planted_study(noise=0.0)
        now, then = (planted_ne("D", 1, LADDER[-1] * factor) for factor in (1, 2))
        words = next_doubling(baseline_law(runs))
        self.assertIn(f"from NE {now:.4f} to {then:.4f}", words)
        self.assertIn(f"a gain of {100 * (now - then) / now:.2f}%", words)

    def test_next_doubling_is_as_sure_as_the_law(self) -> None:
        runs = planted_study()
        flat, few = baseline_law(runs.assign(test_ne=0.8)), baseline_law(runs[runs["examples"] <= LADDER[2]])
        for fit in (flat, few):
            assert fit is not None
            self.assertIn(fit.status.meaning, next_doubling(fit))
            self.assertNotRegex(next_doubling(fit), r"to 0\.")
        four = baseline_law(runs[runs["examples"] <= LADDER[3]])
        self.assertIn("floor is not identified", next_doubling(four))
        self.assertIsNone(baseline_law(runs[runs["scheme"] != "D"]))
        self.assertIn("not measured", next_doubling(None))

    def test_cautions_count_what_was_lost_or_is_doubtful(self) -> None:
        runs = planted_study()
        self.assertEqual(cautions(study_view(runs, fit_study(runs))), [])
        runs.loc[runs["trial_id"] == "M-4-0.02-0", "test_ne"] = 1.0
        runs.loc[runs["trial_id"] == "M-16-0.02-0", ["status", "reason"]] = ["skipped", "too large"]
        runs = runs[(runs["scheme"] != "D") & (runs["learning_rate"] != 0.08)]
        words = cautions(study_view(runs, fit_study(runs)))
        counts = [re.findall(r"^(\d+) of (\d+)", sentence) for sentence in words]
        self.assertEqual(counts, [[("1", "32")], [("1", "32")], [("16", "16")], []])
        self.assertIn("no measured baseline", words[-1])

    def test_a_baseline_worse_than_guessing_is_a_caution(self) -> None:
        runs = planted_study(noise=0.0).assign(test_calibration=0.75)
        runs.loc[runs["examples"] == LADDER[-1], "test_ne"] += 1.01 - planted_ne("D", 1, LADDER[-1])
        (words,) = cautions(study_view(runs, fit_study(runs)))
        self.assertIn("1.0100", words)
        self.assertIn("75%", words)


if __name__ == "__main__":
    tf.test.main()
