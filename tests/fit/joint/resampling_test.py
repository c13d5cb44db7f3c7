"""Tests of the bootstrap of a joint law against closed forms and simulated trainings that share noise."""

import numpy as np
import tensorflow as tf

from tests.helpers.worlds import WORLDS, grid, joint_coverage
from tfrs_scaling.fit.joint.resampling import corrected_residuals
from tfrs_scaling.fit.joint.surface import surface_of


class CorrectedResidualsTest(tf.test.TestCase):
    def test_degrees_of_freedom_are_the_groups_less_what_is_fitted_to_their_means(self) -> None:
        n, d = grid(2.0, 2.0, 4)
        for seeds in (1, 3):
            ns, ds = np.tile(n, seeds), np.tile(d, seeds)
            noise = 1e-3 * np.random.default_rng(0).standard_normal(ns.size)
            surface = surface_of(ns, ds, WORLDS[0].loss(ns, ds) + noise, "rss", 1e-3)
            theta = surface.minimum()
            groups = np.repeat(np.arange(4 * seeds), 8)
            found = corrected_residuals(surface, theta, groups)
            self.assertAllClose(found.degrees, 4 * seeds - 3, atol=1e-6)  # E, A and a
            alone = corrected_residuals(surface, theta, np.arange(ns.size))
            self.assertAllClose(alone.degrees, ns.size - 5, atol=1e-6)

    def test_their_mean_square_is_that_of_the_noise(self) -> None:
        n, d = grid(2.0, 2.0, 4)
        rng, squares = np.random.default_rng(1), []
        for _ in range(60):
            surface = surface_of(n, d, WORLDS[0].loss(n, d) + 1e-3 * rng.standard_normal(n.size), "rss", 1e-3)
            values = corrected_residuals(surface, surface.minimum(), np.arange(n.size)).values
            squares.append(np.mean((values * surface.scale) ** 2))
        self.assertAllClose(np.mean(squares), 1e-6, rtol=0.15)


class GroupedNoiseTest(tf.test.TestCase):
    def test_intervals_hold_the_truth_where_trainings_share_noise(self) -> None:
        said = joint_coverage(WORLDS[0], 6, 1, "offset", 1e-3, 24, seed=5)
        for name in ("E", "a", "b", "split_exponent", "2n, 4d"):
            self.assertGreaterEqual(said[name], 19, name)  # of 24: 0.95 less three binomial errors


if __name__ == "__main__":
    tf.test.main()
