"""Tests of the noise of one training, where it is known."""

import math

import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import stats

from tests.helpers.levers import LADDER, NOISE, Scenario
from tests.helpers.planted import planted_row
from tests.helpers.training_noise import Equal, RealNoise
from tfrs_scaling.fit.analyses.noise.ladders import resample_ladders
from tfrs_scaling.fit.analyses.noise.training_noise import (
    TrainingNoise,
    base_architecture,
    noise_of,
    training_noise,
    with_weights,
)
from tfrs_scaling.fit.runs.run_table import COLUMNS
from tfrs_scaling.fit.study import fit_study


class TrainingNoiseTest(tf.test.TestCase):
    def test_of_ladders_where_there_is_one_seed(self) -> None:
        scenario = Scenario("params=4x", {"V": 40.0}, None)
        found = [noise_of("dot", training_noise(scenario.study(np.random.default_rng(seed)))) for seed in range(5)]
        for noise in found:
            self.assertEqual((noise.source, noise.shared, noise.examples), ("ladders", 0.75, LADDER))
            self.assertBetween(noise.degrees, 5, 17 * (8 - 3))  # 17 ladders of 8 points, three parameters each
            self.assertIn("with one seed", noise.words)
        own = [np.square(noise.sd) * (1 - noise.shared) for noise in found]
        self.assertAllClose(np.mean(own), NOISE**2, rtol=0.25)

    def test_of_seeds_sees_what_a_whole_training_is_off_by(self) -> None:
        scenario = Scenario("params=4x", {"V": 40.0}, None, offset=2e-3, seeds=3)
        noise = noise_of("dot", training_noise(scenario.study(np.random.default_rng(0))))
        self.assertEqual(noise.source, "seeds")
        self.assertBetween(noise.degrees, 17 * 2, 17 * 2 * 2)  # points of one training are hardly independent
        self.assertAllClose(noise.sd, [math.hypot(2e-3, NOISE)] * 8, rtol=0.3)
        self.assertAllClose(noise.shared, 2e-3**2 / (2e-3**2 + NOISE**2), atol=0.1)

    def test_what_all_shapes_of_a_seed_have_in_common_is_found_and_cancels(self) -> None:
        found = {}
        for share in (0.0, 0.8):
            noises = []
            for seed in range(6):
                [noise] = training_noise(Equal(RealNoise(paired=share), 3).study(seed))
                noises.append(noise)
            found[share] = noises
        for share, noises in found.items():
            differences = [noise.error(noise.examples[-1], 3, 3) for noise in noises]
            self.assertAllClose(np.mean(differences), 5e-4 * math.sqrt(2 / 3 * (1 - share)), rtol=0.15)
            self.assertAllClose(np.mean([noise.paired for noise in noises]), share, atol=0.15)
        self.assertIn("with the same seed", found[0.8][0].words)

    def test_shapes_of_other_seeds_are_not_paired(self) -> None:
        noise = RealNoise(paired=0.8)
        runs = Equal(noise, 6).study(0)
        apart = runs[(runs["seed"] < 3) == (runs["scheme"] == "D")]  # the baseline alone has the first three
        same, other = (resample_ladders(rows, training_noise(rows)[0]) for rows in (runs[runs["seed"] < 3], apart))
        spread = []
        for ladders in (same, other):
            top = ladders.points["examples"] == LADDER[-1]
            rows = [np.flatnonzero(top & (ladders.points["scheme"] == s))[0] for s in "DV"]
            spread.append(float(np.std(ladders.shocks[:, rows[0]] - ladders.shocks[:, rows[1]])))
        self.assertLess(spread[0], 0.8 * spread[1])

    def test_weights_are_the_precision_where_seeds_show_it(self) -> None:
        runs = Equal(RealNoise(), 3).study(0)
        weighted = with_weights(runs, training_noise(runs)).groupby("examples")["weight"].mean()
        self.assertAllClose(np.polyfit(np.log(LADDER), np.log(weighted), 1)[0], 1.0, atol=0.15)  # variance as 1/x
        one = Equal(RealNoise(), 1).study(0)
        self.assertAllEqual(with_weights(one, training_noise(one))["weight"], np.ones(len(one)))
        fits, other = (fit_study(rows[rows["scheme"].isin(["V", "D"])]).law("V", multiplier=4) for rows in (runs, one))
        self.assertGreater(fits.weights[-1], 50 * fits.weights[0])
        self.assertEqual(set(other.weights), {1.0})

    def test_of_a_single_rung_and_seed_is_unknown(self) -> None:
        rows = Scenario("params=4x", {}, None).study(np.random.default_rng(0))
        [noise] = training_noise(rows[rows["examples"] == rows["examples"].max()])
        self.assertEqual((noise.source, noise.degrees), ("none", 0))
        self.assertTrue(np.isnan(noise.at([1000, 2000])).all() and math.isnan(noise.quantile(0.975)))
        self.assertIn("unknown", noise.words)
        self.assertEqual(noise, noise_of("dot", []))

    def test_an_architecture_of_which_too_little_was_measured_has_the_noise_of_all(self) -> None:
        rows = Scenario("params=4x", {}, None).study(np.random.default_rng(0))
        short = (rows["scheme"] == "D") & (rows["examples"] >= LADDER[4])
        other = rows[short].assign(architecture="cross", trial_id="cross")
        cross, dot = training_noise(pd.concat([rows, other], ignore_index=True))
        self.assertEqual((cross.architecture, dot.architecture), ("cross", "dot"))
        self.assertAllClose(cross.sd, dot.sd, rtol=0.1)

    def test_three_shapes_of_three_seeds_have_their_own_noise_beside_a_wilder_architecture(self) -> None:
        rows = Scenario("params=4x", {}, None, seeds=3).study(np.random.default_rng(0))
        three = rows[(rows["scheme"] == "D") | ((rows["scheme"] == "M") & rows["multiplier"].isin([0.25, 4.0]))]
        calm, wild = (
            three.assign(architecture=name, trial_id=name + three["trial_id"]) for name in ("cross", "wukong")
        )
        rng, inside, draws = np.random.default_rng(1), [], 60
        for draw in range(draws):
            noise = (RealNoise(), RealNoise(kept=0.3, neighbours=0.3))[draw % 2]
            off = noise.draw(calm, rng)
            both = pd.concat([calm.assign(test_ne=0.8 + off), wild.assign(test_ne=0.8 + 30 * noise.draw(wild, rng))])
            own = noise_of("cross", training_noise(both.reset_index(drop=True)))
            self.assertLess(own.sd[-1], 5 * noise.sd)
            self.assertGreaterEqual(own.degrees, 3)
            top = (calm["examples"] == LADDER[-1]).to_numpy()
            first, second = (off[top & (calm["multiplier"] == multiplier)].mean() for multiplier in (1.0, 4.0))
            inside.append(abs(first - second) <= own.quantile(0.975) * own.error(LADDER[-1], 3, 3))
        self.assertGreaterEqual(np.sum(inside), stats.binom(draws, 0.95).ppf(0.01))

    def test_at_error_and_quantile(self) -> None:
        noise = TrainingNoise("dot", (1000, 4000), (0.004, 0.002), 0.5, 0.75, 7, "seeds")
        self.assertAllClose(noise.at([500, 1000, 2000, 4000, 9000]), [0.004, 0.004, 0.003, 0.002, 0.002])
        self.assertAllClose(noise.error(4000, 1, 1), 0.002 * math.sqrt(2 * 0.25))  # of the same seed
        self.assertAllClose(noise.error(4000, 1, 3), 0.002 * math.sqrt(4 / 3 - 0.75 * 2 / 3))  # one seed in common
        self.assertAllClose(noise.error(1000, 4), 0.002)
        self.assertAllClose(noise.quantile(0.975), stats.t(7).ppf(0.975))
        self.assertIn("±0.002 ", noise.words)


class ArchitectureTest(tf.test.TestCase):
    def rows(self, *shapes: tuple[str, str, float, int, float]) -> pd.DataFrame:
        """Of (architecture, scheme, multiplier, seed, ne)."""
        rows = [
            planted_row(scheme, multiplier, seed, 0.02, 1000, ne) | {"architecture": architecture, "trial_id": str(at)}
            for at, (architecture, scheme, multiplier, seed, ne) in enumerate(shapes)
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)

    def test_the_architecture_studied_is_that_of_most_shapes(self) -> None:
        rows = self.rows(("cross", "D", 1.0, 0, 0.8), ("dot", "D", 1.0, 0, 0.8), ("dot", "V", 4.0, 0, 0.8))
        self.assertEqual(base_architecture(rows), "dot")
        with self.assertRaisesRegex(ValueError, "rows is empty"):
            base_architecture(rows[:0])


if __name__ == "__main__":
    tf.test.main()
