"""Tests of the laws against numbers worked out by hand."""

import numpy as np

from tfrs_scaling.fit.laws import power_law

import tensorflow as tf  # isort: skip -- after tfrs_scaling, which chooses the Keras it comes with


class PowerLawTest(tf.test.TestCase):
    """Values of the power law."""

    def test_by_hand(self) -> None:
        self.assertAllClose(power_law([1, 4, 16], alpha=2.0, beta=0.5, gamma=0.75), [2.75, 1.75, 1.25], rtol=1e-15)

    def test_x0_is_where_alpha_is_stated(self) -> None:
        self.assertAllClose(power_law(400, alpha=2.0, beta=0.5, gamma=0.75, x0=100), 1.75, rtol=1e-15)

    def test_extreme_x_give_the_limits(self) -> None:
        self.assertAllClose(power_law(1e300, alpha=1.0, beta=8.0, gamma=0.7), 0.7)
        self.assertEqual(float(power_law(1e-300, alpha=1.0, beta=8.0, gamma=0.7)), np.inf)


if __name__ == "__main__":
    tf.test.main()
