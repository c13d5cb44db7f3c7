"""Tests of the laws against numbers worked out by hand."""

import numpy as np
import tensorflow as tf

from tfrs_scaling.fit.laws.functions import joint_law, power_law_value


class PowerLawTest(tf.test.TestCase):
    """Values of the power law."""

    def test_by_hand(self) -> None:
        self.assertAllClose(
            power_law_value([1, 4, 16], alpha=2.0, beta=0.5, gamma=0.75), [2.75, 1.75, 1.25], rtol=1e-15
        )

    def test_x0_is_where_alpha_is_stated(self) -> None:
        self.assertAllClose(power_law_value(400, alpha=2.0, beta=0.5, gamma=0.75, x0=100), 1.75, rtol=1e-15)

    def test_extreme_x_give_the_limits(self) -> None:
        self.assertAllClose(power_law_value(1e300, alpha=1.0, beta=8.0, gamma=0.7), 0.7)
        self.assertEqual(float(power_law_value(1e-300, alpha=1.0, beta=8.0, gamma=0.7)), np.inf)


class JointLawTest(tf.test.TestCase):
    """Values of the joint law."""

    def test_by_hand(self) -> None:
        law = {"E": 0.5, "A": 8.0, "a": 0.5, "B": 9.0, "b": 1.0}
        self.assertAllClose(joint_law([[16], [64]], [3, 9], **law), [[5.5, 3.5], [4.5, 2.5]], rtol=1e-15)
        self.assertAllClose(joint_law(64, 9, **law, n0=4, d0=3), 0.5 + 2 + 3, rtol=1e-15)
        self.assertAllClose(joint_law(1e300, 1e300, **law), 0.5)


if __name__ == "__main__":
    tf.test.main()
