"""Tests of the noise of one training, where it is known."""

import math

import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import stats

from tests.helpers.levers import NOISE, Scenario
from tests.helpers.planted import planted_row
from tfrs_scaling.fit.analyses.noise import Noise, base_architecture, shape_means, training_noise
from tfrs_scaling.fit.runs import COLUMNS


class TrainingNoiseTest(tf.test.TestCase):
    def test_of_ladders_where_there_is_one_seed(self) -> None:
        scenario = Scenario("params=4x", {"V": 40.0}, None)
        found = [training_noise(scenario.study(np.random.default_rng(seed))) for seed in range(5)]
        for noise in found:
            self.assertEqual(noise.source, "ladders")
            self.assertEqual(noise.degrees, 17 * (5 - 3))  # as many ladders, five rungs each, three parameters
        self.assertAllClose(np.mean([noise.sd**2 for noise in found]), NOISE**2, rtol=0.25)

    def test_of_seeds_sees_what_a_whole_training_is_off_by(self) -> None:
        scenario = Scenario("params=4x", {"V": 40.0}, None, offset=2e-3, seeds=3)
        noise = training_noise(scenario.study(np.random.default_rng(0)))
        self.assertEqual((noise.source, noise.degrees), ("seeds", 17 * 2))  # three rungs of one training count once
        self.assertAllClose(noise.sd, math.hypot(2e-3, NOISE), rtol=0.3)

    def test_of_a_single_rung_and_seed_is_not_known(self) -> None:
        rows = Scenario("params=4x", {}, None).study(np.random.default_rng(0))
        noise = training_noise(rows[rows["examples"] == rows["examples"].max()])
        self.assertEqual((noise.source, noise.degrees), ("none", 0))
        self.assertTrue(math.isnan(noise.sd) and math.isnan(noise.quantile(0.975)))
        self.assertIn("not known", noise.words)

    def test_error_and_quantile(self) -> None:
        noise = Noise(0.002, 7, "seeds")
        self.assertAllClose(noise.error(1, 1), 0.002 * math.sqrt(2))
        self.assertAllClose(noise.error(4), 0.001)
        self.assertAllClose(noise.quantile(0.975), stats.t(7).ppf(0.975))


class ShapesTest(tf.test.TestCase):
    def rows(self, *shapes: tuple[str, str, float, int, float]) -> pd.DataFrame:
        """Of (architecture, scheme, multiplier, seed, ne)."""
        rows = [
            planted_row(scheme, multiplier, seed, 0.02, 1000, ne) | {"architecture": architecture, "trial_id": str(at)}
            for at, (architecture, scheme, multiplier, seed, ne) in enumerate(shapes)
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)

    def test_means_count_their_trainings(self) -> None:
        means = shape_means(
            self.rows(("dot", "V", 4.0, 0, 0.80), ("dot", "V", 4.0, 1, 0.82), ("dot", "D", 1.0, 0, 0.9))
        )
        found = {row.scheme: (row.test_ne, row.trainings) for row in means.itertuples()}
        self.assertEqual(found["D"], (0.9, 1))
        self.assertAllClose(found["V"], (0.81, 2))

    def test_the_architecture_studied_is_that_of_most_shapes(self) -> None:
        rows = self.rows(("cross", "D", 1.0, 0, 0.8), ("dot", "D", 1.0, 0, 0.8), ("dot", "V", 4.0, 0, 0.8))
        self.assertEqual(base_architecture(rows), "dot")
        with self.assertRaisesRegex(ValueError, "rows is empty"):
            base_architecture(rows[:0])


if __name__ == "__main__":
    tf.test.main()
