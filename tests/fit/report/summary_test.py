"""Tests of the findings in words against numbers taken from the planted study by hand."""

import dataclasses

from tests.helpers.planted import GAMMA, LADDER, planted_ne, planted_study
from tfrs_scaling.fit.report.summary import best_point, cautions, gain_words, next_doubling, scheme_gains
from tfrs_scaling.fit.study import fit_study

import tensorflow as tf  # isort: skip -- after tfrs_scaling, which chooses the Keras it comes with


class SummaryTest(tf.test.TestCase):
    """What the top of the report says."""

    def test_best_point_and_gains(self) -> None:
        runs = planted_study(seeds=4, noise=1e-4)
        best = best_point(runs)
        assert best is not None
        self.assertEqual((best["scheme"], best["multiplier"], best["examples"]), ("V", 16.0, LADDER[-1]))
        gains = {gain.scheme: gain for gain in scheme_gains(runs, "dot")}
        self.assertEqual(list(gains), ["V", "H", "O", "M"])
        for scheme, gain in gains.items():
            truth = planted_ne("D", 1, LADDER[-1]) - planted_ne(scheme, 16, LADDER[-1])
            self.assertEqual((gain.multiplier, gain.examples), (16.0, LADDER[-1]))
            self.assertAllClose(gain.drop, truth, atol=3e-4, rtol=0)

    def test_gains_are_compared_where_both_were_measured(self) -> None:
        runs = planted_study()
        runs = runs[~((runs["scheme"] == "D") & (runs["examples"] > LADDER[4]))]
        self.assertEqual({gain.examples for gain in scheme_gains(runs, "dot")}, {LADDER[4]})
        self.assertEqual(scheme_gains(runs[runs["scheme"] != "D"], "dot"), [])

    def test_a_scheme_that_was_only_scaled_down_is_told_by_its_smallest_multiplier(self) -> None:
        runs = planted_study(noise=0.0)
        gain = scheme_gains(runs[(runs["scheme"] != "V") | (runs["multiplier"] < 1)], "dot")[0]
        self.assertEqual((gain.scheme, gain.multiplier), ("V", 1 / 16))
        truth = planted_ne("D", 1, LADDER[-1]) - planted_ne("V", 1 / 16, LADDER[-1])
        self.assertAllClose(gain.drop, truth, rtol=1e-9)
        self.assertIn("raises NE by", gain_words(gain))

    def test_words_on_features_and_negatives(self) -> None:
        gains = scheme_gains(planted_study(noise=0.0, schemes="FN"), "dot")
        self.assertEqual([(gain.scheme, gain.multiplier) for gain in gains], [("F", 1 / 16), ("N", 1 / 16)])
        starts = ["F (share of the features) at 1/16× raises NE by",
                  "N (share of the negatives trained on) at 1/16× raises NE by"]  # fmt: skip
        for gain, start in zip(gains, starts, strict=True):
            self.assertStartsWith(gain_words(gain), start)

    def test_words_of_a_gain(self) -> None:
        gain = scheme_gains(planted_study(noise=0.0), "dot")[0]
        now, then = planted_ne("D", 1, LADDER[-1]), planted_ne("V", 16, LADDER[-1])
        expected = (
            f"V (vertical: rows of every embedding table) at 16× lowers NE by {now - then:.4f} "
            f"({(now - then) / now:.2%}), from {now:.4f} to {then:.4f}."
        )
        self.assertEqual(gain_words(gain), expected)
        none = gain_words(dataclasses.replace(gain, ne=now + 4e-5))
        self.assertEqual(none, f"V (vertical: rows of every embedding table) at 16× leaves NE at {now:.4f}.")

    def test_next_doubling(self) -> None:
        runs = planted_study(noise=0.0)
        now, then = (planted_ne("D", 1, LADDER[-1] * factor) for factor in (1, 2))
        words = next_doubling(fit_study(runs), "dot")
        self.assertIn(f"from NE {now:.4f} to {then:.4f}", words)
        self.assertIn(f"a gain of {100 * (now - then) / now:.2f}%", words)

    def test_next_doubling_is_honest(self) -> None:
        runs = planted_study()
        flat = runs.assign(test_ne=0.8 + 0.01 * (runs["test_ne"] - GAMMA))
        self.assertIn("cannot be told", next_doubling(fit_study(flat.assign(test_ne=0.8)), "dot"))
        few = runs[runs["examples"] <= LADDER[2]]
        self.assertIn("Fewer than four", next_doubling(fit_study(few), "dot"))
        four = runs[runs["examples"] <= LADDER[3]]
        self.assertIn("floor is not identified", next_doubling(fit_study(four), "dot"))
        self.assertIn("not measured", next_doubling(fit_study(runs[runs["scheme"] != "D"]), "dot"))

    def test_cautions(self) -> None:
        runs = planted_study()
        self.assertEqual(cautions(runs, fit_study(runs)), [])
        runs.loc[runs["trial_id"] == "M-4-0.02-0", "test_ne"] = 1.0
        runs.loc[runs["trial_id"] == "M-16-0.02-0", ["status", "reason"]] = ["skipped", "too large"]
        runs = runs[(runs["scheme"] != "D") & (runs["learning_rate"] != 0.08)]
        words = " ".join(cautions(runs, fit_study(runs)))
        for part in ("1 of 32 trials failed or were skipped", "1 of 32 trials learned nothing", "no measured baseline",
                     "16 of 16 shapes did best at the smallest or largest"):  # fmt: skip
            self.assertIn(part, words)

    def test_baseline_worse_than_guessing_is_told(self) -> None:
        runs = planted_study(noise=0.0).assign(test_calibration=0.75)
        runs.loc[runs["examples"] == LADDER[-1], "test_ne"] += 1.01 - planted_ne("D", 1, LADDER[-1])
        words = " ".join(cautions(runs, fit_study(runs)))
        self.assertIn("baseline ends at NE 1.0100", words)
        self.assertIn("predicts 75% of the test clicks", words)


if __name__ == "__main__":
    tf.test.main()
