"""Tests of the resamples that schemes are compared by: the noise they find, and what moves together."""

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.noise import ladders_of
from tests.helpers.paper_grid import Grid, noisy, study
from tests.helpers.planted import LADDER, planted_study
from tfrs_scaling.fit.analyses.noise.ladders import RESAMPLES, lowest_up_to, own_parameters, simultaneous_intervals
from tfrs_scaling.fit.runs.screening import usable_runs


class NoiseTest(tf.test.TestCase):
    """The noise of one training, from seeds or from what ladders scatter about their laws."""

    def test_noise_of_single_seeds_is_that_of_the_ladders(self) -> None:
        quiet = usable_runs(planted_study(noise=0.0))
        found = [ladders_of(noisy(quiet, seed)) for seed in range(20)]
        self.assertEqual({ladders.noise.source for ladders in found}, {"ladders"})
        # 17 ladders of 8 points less three each, and each data size loses one in 17: 80 degrees of freedom, 20 times
        # (a few ladders look as if they had a plateau: what the law misses that by counts as noise)
        # and as much again, unseen
        self.assertBetween(np.mean([np.mean(ladders.noise.sd) for ladders in found]), 0.97 * 1e-3, 1.12 * 1e-3)
        self.assertAllClose(np.median([ladders.noise.degrees for ladders in found]), 80)

    def test_shapes_that_keep_to_no_law_are_no_reason_for_false_certainty(self) -> None:
        runs = noisy(usable_runs(planted_study(noise=0.0)), 0)
        early = (runs["multiplier"] != 1) & (runs["examples"] <= LADDER[1])
        plateau = runs.assign(test_ne=runs["test_ne"].where(~early, 0.99 + 0.003 * np.log(runs["multiplier"])))
        ladders = ladders_of(plateau)
        self.assertGreater(min(ladders.noise.sd[:2]), 8e-3)
        self.assertLess(max(ladders.noise.sd[2:]), 6e-3)

    def test_noise_that_differs_between_data_sizes_is_found_so(self) -> None:
        quiet = study(Grid(), 0, noise=0.0)
        small = quiet["examples"] < 40_000_000
        rng = np.random.default_rng(0)
        runs = quiet.assign(test_ne=quiet["test_ne"] + rng.normal(0, np.where(small, 4e-3, 4e-4)))
        noise = ladders_of(runs).noise
        of_small = np.array(noise.examples) < 40_000_000
        self.assertAllClose(np.mean(np.array(noise.sd)[of_small]), 2 * 4e-3, rtol=0.25)
        self.assertAllClose(np.mean(np.array(noise.sd)[~of_small]), 2 * 4e-4, rtol=0.5)

    def test_noise_between_seeds_holds_what_a_training_keeps_along_its_ladder(self) -> None:
        runs = planted_study(seeds=12, noise=5e-4).query("learning_rate == 0.02").reset_index(drop=True)
        rng = np.random.default_rng(1)
        offset = runs["trial_id"].map({trial: rng.normal(0, 2e-3) for trial in sorted(runs["trial_id"].unique())})
        ladders = ladders_of(runs.assign(test_ne=runs["test_ne"] + offset))
        self.assertEqual(ladders.noise.source, "seeds")
        self.assertAllClose(np.mean(ladders.noise.sd), np.hypot(5e-4, 2e-3), rtol=0.15)
        shocks = ladders.losses[2:] - ladders.losses[1]
        self.assertAllClose(shocks.std(), np.hypot(5e-4, 2e-3) / np.sqrt(12), rtol=0.15)  # of a mean over seeds
        one = np.flatnonzero((ladders.points["scheme"] == "V") & (ladders.points["multiplier"] == 4))
        along = np.corrcoef(shocks[:, one].T)
        self.assertAllClose(along[0, 1:].mean(), 2e-3**2 / (5e-4**2 + 2e-3**2), atol=0.06)
        other = np.flatnonzero((ladders.points["scheme"] == "H") & (ladders.points["multiplier"] == 4))
        # two shapes share little but the factor for the uncertainty of the noise
        self.assertLess(abs(np.corrcoef(shocks[:, one[0]], shocks[:, other[0]])[0, 1]), 0.12)

    def test_without_seeds_or_long_ladders_no_noise_is_known(self) -> None:
        runs = usable_runs(planted_study())
        ladders = ladders_of(runs[runs["examples"] <= LADDER[3]])
        self.assertFalse(ladders.noise.is_known)
        self.assertIn("several seeds", ladders.why_not)
        self.assertEqual(ladders.losses.shape, (1, 17 * 4))
        self.assertEqual(ladders_of(runs).losses.shape, (2 + RESAMPLES, 17 * 8))
        self.assertEqual(len(ladders_of(runs, architecture="cross").points), 0)

    def test_points_by_hand(self) -> None:
        runs = pd.DataFrame(planted_study(seeds=2))
        rows = usable_runs(runs)
        points = ladders_of(rows).points
        mine = rows[(rows["scheme"] == "O") & (rows["multiplier"] == 4) & (rows["examples"] == LADDER[2])]
        row = points[(points["scheme"] == "O") & (points["multiplier"] == 4) & (points["examples"] == LADDER[2])].iloc[
            0
        ]
        self.assertEqual((row["seeds"], row["ne"]), (2, mine["test_ne"].mean()))
        self.assertEqual((row["parameters"], row["outside"]), (1_600_000 + 93_000, 93_000))
        self.assertEqual([own_parameters(scheme) for scheme in "VHOM"], ["parameters"] * 2 + ["outside"] * 2)

    def test_the_order_of_the_rows_does_not_matter(self) -> None:
        runs = usable_runs(planted_study(seeds=2))
        one, other = (ladders_of(rows, seed=3) for rows in (runs, runs.sample(frac=1, random_state=0)))
        self.assertAllClose(one.losses, other.losses, rtol=1e-12)


class SimultaneousTest(tf.test.TestCase):
    """Intervals that hold together."""

    def test_they_hold_together_as_often_as_they_say(self) -> None:
        rng = np.random.default_rng(0)
        mixing = np.linalg.cholesky(0.5 * np.eye(6) + 0.5)  # correlated by one half, as differences to one scheme are
        sizes = np.array([1.0, 1.0, 5.0, 0.1, 2.0, 1.0])
        covered, alone = 0, 0
        for _ in range(400):
            estimates = sizes * (mixing @ rng.standard_normal(6))
            deviations = sizes * (rng.standard_normal((999, 6)) @ mixing.T)
            low, high = simultaneous_intervals(estimates, deviations, 0.95)
            covered += bool(((low <= 0) & (high >= 0)).all())
            alone += bool((np.abs(estimates) <= 1.96 * sizes).all())
        self.assertBetween(covered / 400, 0.92, 0.98)
        self.assertLess(alone / 400, 0.9)  # what intervals each for itself would do

    def test_what_never_moves_has_no_width(self) -> None:
        low, high = simultaneous_intervals(np.array([0.0, 1.0]), np.stack([np.zeros(9), np.arange(9.0)], axis=1), 0.9)
        self.assertEqual((low[0], high[0]), (0.0, 0.0))
        self.assertGreater(high[1], low[1])


class StaircaseTest(tf.test.TestCase):
    """The lowest loss with at most a cost."""

    def test_it_is_the_running_minimum_at_measured_costs(self) -> None:
        rng = np.random.default_rng(0)
        costs, losses = rng.integers(1, 9, 20).astype(float), rng.normal(0.8, 0.1, (5, 20))
        places = np.unique(costs)
        brute = [[row[costs <= place].min() for place in places] for row in losses]
        self.assertAllClose(lowest_up_to(losses, costs, places), brute, rtol=1e-12)
        between = lowest_up_to(losses, costs, np.sqrt(places[:1] * places[1:2]))
        self.assertAllClose(between[:, 0], np.array(brute)[:, :2].mean(axis=1), rtol=1e-12)
        self.assertAllClose(lowest_up_to(losses[:, :1], costs[:1], costs[:1]), losses[:, :1])


if __name__ == "__main__":
    tf.test.main()
