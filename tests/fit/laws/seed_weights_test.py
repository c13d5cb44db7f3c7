"""Tests of the weights that replicates give."""

import numpy as np
import tensorflow as tf

from tfrs_scaling.fit.laws.power_law import fit_power_law
from tfrs_scaling.fit.laws.seed_weights import replicate_weights, shrunk_variances

X = np.repeat(1000.0 * 2.0 ** np.arange(9), 4)


class ReplicateWeightsTest(tf.test.TestCase):
    """When weights differ, and what they are good for."""

    def test_equal_noise_gives_weights_close_to_one(self) -> None:
        rng = np.random.default_rng(0)
        spread = [np.ptp(replicate_weights(X, 0.8 + rng.normal(0, 1e-3, X.size))) for _ in range(100)]
        self.assertEqual(np.median(spread), 0.0)
        self.assertLess(np.mean(spread), 0.5)

    def test_noisy_places_count_less_and_the_fit_is_the_better_for_it(self) -> None:
        rng = np.random.default_rng(1)
        deviation = np.where(X < 10_000, 5e-3, 5e-4)
        errors = {"equal": [], "weighted": []}  # type: dict[str, list[float]]
        for _ in range(60):
            y = 0.2 * (X / 1000) ** -0.3 + 0.78 + rng.normal(0, deviation)
            weights = replicate_weights(X, y)
            self.assertLess(weights[X < 10_000].mean(), 0.3 * weights[X > 10_000].mean())
            errors["equal"].append(fit_power_law(X, y).gamma - 0.78)
            errors["weighted"].append(fit_power_law(X, y, weights=weights).gamma - 0.78)
        self.assertLess(np.std(errors["weighted"]), 0.8 * np.std(errors["equal"]))

    def test_without_replicates_all_weigh_the_same(self) -> None:
        self.assertAllEqual(replicate_weights([1, 2, 3], [0.9, 0.8, 0.7]), np.ones(3))
        self.assertAllEqual(replicate_weights([1, 1, 2, 3], [0.9, 0.8, 0.7, 0.6]), np.ones(4))

    def test_variances_that_differ_by_chance_alone_become_one(self) -> None:
        rng = np.random.default_rng(3)
        degrees = np.full(12, 4.0)
        pooled = 0
        for _ in range(40):
            variances, prior = shrunk_variances(rng.chisquare(degrees) / degrees, degrees)
            pooled += prior == np.inf
            if prior == np.inf:
                self.assertAllClose(variances, np.full(12, variances[0]))
        self.assertBetween(pooled, 10, 35)  # about every other time
        given = np.array([1.0, 1.2, 0.0])
        variances, _ = shrunk_variances(given, np.array([5.0, 10.0, 0.0]))
        self.assertAllClose(
            variances, np.full(3, (5 * 1 + 10 * 1.2) / 15)
        )  # by hand; nothing was measured at the third

    def test_scale_and_exact_replicates_are_no_trouble(self) -> None:
        y = 0.8 + np.random.default_rng(2).normal(0, np.where(X < 10_000, 5e-3, 5e-4))
        self.assertAllClose(replicate_weights(X, y * 1e200), replicate_weights(X, y), rtol=1e-9)
        self.assertAllEqual(replicate_weights(X, np.full(X.size, 0.8)), np.ones(X.size))
        with self.assertRaisesRegex(ValueError, r"y\[1\] is nan"):
            replicate_weights([1, 1], [0.8, np.nan])


if __name__ == "__main__":
    tf.test.main()
