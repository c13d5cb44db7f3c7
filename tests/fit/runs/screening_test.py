"""Tests of flags and of the selection of learning rates on small tables made by hand."""

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.planted import LADDER, planted_row, planted_study
from tfrs_scaling.fit.runs.run_table import COLUMNS
from tfrs_scaling.fit.runs.screening import (
    collapsed_trials,
    rows_of_scheme,
    selected_learning_rate,
    unstable_trials,
    usable_runs,
    with_flags,
)


def table(*trials: tuple[float, int, list[float]]) -> pd.DataFrame:
    """Trials of V 4x from (learning rate, seed, validation NE at each rung); the test NE is the reverse order."""
    rows = [
        planted_row("V", 4.0, seed, rate, LADDER[rung], 1.5 - ne)
        | {"trial_id": f"{rate:g}-{seed}", "validation_ne": ne}
        for rate, seed, nes in trials
        for rung, ne in enumerate(nes)
    ]
    return pd.DataFrame(rows).astype(COLUMNS)


class LearningRateTest(tf.test.TestCase):
    """Which learning rate is selected."""

    def test_smallest_mean_validation_ne_at_the_largest_rung(self) -> None:
        runs = table((0.1, 0, [0.70, 0.80]), (0.1, 1, [0.70, 0.84]), (0.2, 0, [0.90, 0.85]), (0.2, 1, [0.90, 0.77]))
        self.assertEqual(selected_learning_rate(runs)["learning_rate"].tolist(), [0.2])  # 0.81 against 0.82

    def test_a_rate_with_a_failed_seed_does_not_beat_a_complete_one(self) -> None:
        runs = table((0.1, 0, [0.9, 0.80]), (0.1, 1, [0.9, 0.80]), (0.2, 0, [0.9, 0.70]), (0.2, 1, [0.9, 0.70]))
        failed = runs["trial_id"] == "0.2-1"
        runs.loc[failed, ["status", "reason"]] = ["failed", "NaN loss"]
        self.assertEqual(selected_learning_rate(runs)["learning_rate"].tolist(), [0.1])

    def test_a_rate_that_stops_short_of_the_largest_rung_does_not_win(self) -> None:
        runs = table((0.1, 0, [0.9, 0.80]), (0.2, 0, [0.5]))
        self.assertEqual(selected_learning_rate(runs)["learning_rate"].tolist(), [0.1])

    def test_planted_study(self) -> None:
        runs = planted_study()
        chosen = selected_learning_rate(runs)
        self.assertLen(chosen, 17)
        self.assertAllEqual(chosen["learning_rate"], np.full(17, 0.02))
        self.assertLen(usable_runs(runs), 17 * 8)
        self.assertEqual(set(rows_of_scheme(runs, "H")["scheme"]), {"D", "H"})
        self.assertEqual((rows_of_scheme(runs, "H")["scheme"] == "D").sum(), 3 * 8)


class FlagTest(tf.test.TestCase):
    """The flags."""

    def test_collapsed_trials_are_flagged_and_not_selected(self) -> None:
        runs = planted_study()
        dies = runs["trial_id"] == "O-0.0625-0.02-0"
        late = dies & (runs["examples"] > LADDER[2])  # learns, and then dies
        runs.loc[late, ["train_ne", "test_ne"]] = 1.0
        of_later_rows = runs["trial_id"] == "O-0.25-0.02-0"  # what it learned does not hold for the test split
        runs.loc[of_later_rows, "test_ne"] = 1.2
        awakes = runs["trial_id"] == "O-4-0.02-0"
        runs.loc[awakes & (runs["examples"] < LADDER[-1]), ["train_ne", "test_ne"]] = 1.0
        self.assertEqual(collapsed_trials(runs), ["O-0.0625-0.02-0"])
        self.assertTrue((with_flags(runs).loc[dies, "flags"] == "collapsed").all())
        self.assertNotIn("O-0.0625-0.02-0", set(usable_runs(runs)["trial_id"]))
        self.assertIn("O-4-0.02-0", set(usable_runs(runs)["trial_id"]))

    def test_without_training_ne_a_trial_is_dead_that_never_lived(self) -> None:
        runs = planted_study().assign(train_ne=np.nan)
        runs.loc[runs["trial_id"] == "O-0.0625-0.02-0", "test_ne"] = 1.0
        runs.loc[runs["trial_id"] == "O-0.25-0.02-0", "test_ne"] = [0.9994, *[1.0] * 7]
        self.assertEqual(collapsed_trials(runs), ["O-0.0625-0.02-0"])

    def test_a_shape_of_which_a_third_of_the_seeds_collapses_is_unstable(self) -> None:
        runs = planted_study(seeds=3)
        seeds = sorted(runs.loc[(runs["scheme"] == "D") & (runs["learning_rate"] == 0.02), "trial_id"].unique())
        self.assertLen(seeds, 3)
        runs.loc[runs["trial_id"] == seeds[1], ["train_ne", "test_ne"]] = 1.0
        self.assertEqual(unstable_trials(runs), [seeds[0], seeds[2]])
        self.assertTrue((with_flags(runs).loc[runs["trial_id"] == seeds[0], "flags"] == "unstable").all())
        self.assertTrue(set(seeds).isdisjoint(usable_runs(runs)["trial_id"]))
        fourth = runs[runs["trial_id"] == seeds[0]].assign(trial_id="D-1-0.02-3", seed=3)
        self.assertEmpty(unstable_trials(pd.concat([runs, fourth], ignore_index=True)))

    def test_selected_rate_at_the_edge_of_the_grid(self) -> None:
        runs = planted_study()
        self.assertTrue((with_flags(runs)["flags"] != "lr_at_edge").all())
        best = (runs["scheme"] == "V") & (runs["multiplier"] == 4) & (runs["learning_rate"] == 0.08)
        runs.loc[best, "validation_ne"] = 0.5
        flagged = with_flags(runs)
        self.assertEqual(set(flagged.index[flagged["flags"] == "lr_at_edge"]), set(runs.index[best]))
        only = runs[runs["learning_rate"] == 0.02]
        self.assertTrue((with_flags(only)["flags"] == "lr_at_edge").all())  # the smallest and the largest

    def test_flags_do_not_depend_on_the_index(self) -> None:
        runs = planted_study()
        runs.loc[runs["trial_id"] == "O-0.25-0.02-0", ["train_ne", "test_ne"]] = 1.0
        other = runs.set_index(np.zeros(len(runs), int))
        self.assertEqual(with_flags(other)["flags"].tolist(), with_flags(runs)["flags"].tolist())

    def test_points_on_the_plateau(self) -> None:
        runs = planted_study(noise=1e-5)
        trial = runs["trial_id"] == "D-1-0.02-0"
        runs.loc[trial & (runs["examples"] <= LADDER[1]), "test_ne"] = [0.9302, 0.9301]
        flagged = with_flags(runs)
        self.assertEqual(flagged.loc[trial, "flags"].tolist(), ["plateau"] * 2 + [""] * 6)


if __name__ == "__main__":
    tf.test.main()
