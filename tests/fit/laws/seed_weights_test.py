"""Tests of variances shrunk towards a common one."""

import numpy as np
import tensorflow as tf

from tfrs_scaling.fit.laws.seed_weights import shrunk_variances


class ShrunkVariancesTest(tf.test.TestCase):
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

    def test_variances_that_differ_by_more_stay_apart(self) -> None:
        given = np.array([1.0, 1.0, 1e-4, 1e-4])
        variances, prior = shrunk_variances(given, np.full(4, 20.0))
        self.assertLess(prior, 20)
        self.assertAllGreater(variances[:2] / variances[2:], 1e3)


if __name__ == "__main__":
    tf.test.main()
