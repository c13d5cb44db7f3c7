"""Tests of the comparison of two schemes: how often equal ones are called different, and different ones are found."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from scipy import optimize, special

from tests.helpers.simulated import comparisons
from tfrs_scaling.fit.laws.comparison import compare_laws
from tfrs_scaling.fit.laws.power_law import PowerLawFit, fit_power_law

LADDER = 1000.0 * 2.0 ** np.arange(9)


def noisy(seed: int, beta: float = 0.3, top: float = 0.2, noise: float = 5e-4) -> PowerLawFit:
    y = top * (LADDER / 1000) ** -beta + 0.78
    return fit_power_law(LADDER, y + np.random.default_rng(seed).normal(0, noise, 9))


class CompareTest(tf.test.TestCase):
    """Verdicts, p values and intervals."""

    def test_equal_schemes_are_rarely_called_different_and_different_ones_are_found(self) -> None:
        for ladders, n in ((1, 8), (5, 8)):
            figures = comparisons(n, 5e-4, 100, seed=1, ladders=ladders)
            self.assertLessEqual(figures["equal called different"], 0.11)  # 5 % and less, plus three standard errors
            self.assertGreaterEqual(figures["four standard errors found"], 0.9)
            self.assertGreaterEqual(figures["interval covers"], 0.88)

    def test_p_value_of_beta_is_one_half_level_where_the_interval_ends(self) -> None:
        found = compare_laws(noisy(2), noisy(3, beta=0.32))
        for level in (0.5, 0.9):
            low, high = compare_laws(noisy(2), noisy(3, beta=0.32), level=level).beta_interval
            self.assertEqual(found.beta_p_value < 1 - level, not low <= 0 <= high)
        edge = compare_laws(noisy(2), noisy(3, beta=0.32), level=1 - found.beta_p_value).beta_interval
        self.assertAllClose(min(abs(edge[0]), abs(edge[1])), 0.0, atol=3e-4)

    def test_f_tests_against_scipy(self) -> None:
        first, second = noisy(4), noisy(5, beta=0.31)
        u = np.log(LADDER / 1000)

        def residuals(p: np.ndarray, fit: PowerLawFit) -> np.ndarray:
            return p[0] * np.exp(-p[1] * u) + p[2] - np.array(fit.y)

        def one_law(p: np.ndarray) -> np.ndarray:
            return np.concatenate([residuals(p, first), residuals(p, second)])

        def one_beta(p: np.ndarray) -> np.ndarray:
            return np.concatenate([residuals(p[[0, 1, 2]], first), residuals(p[[3, 1, 4]], second)])

        def least_rss(law: Callable[[np.ndarray], np.ndarray], start: list[float]) -> float:
            return 2 * optimize.least_squares(law, start, xtol=1e-15, ftol=1e-15, gtol=1e-15).cost

        separate = 9 * (first.rmse**2 + second.rmse**2)
        law_rss, beta_rss = least_rss(one_law, [0.2, 0.3, 0.8]), least_rss(one_beta, [0.2, 0.3, 0.8, 0.2, 0.8])
        found = compare_laws(first, second)
        self.assertAllClose(
            found.curve_p_value, special.fdtrc(3, 12, (law_rss - separate) / 3 / (separate / 12)), rtol=1e-5
        )
        self.assertAllClose(
            found.beta_p_value, special.fdtrc(1, 12, (beta_rss - separate) / (separate / 12)), rtol=1e-4
        )
        self.assertEqual(found.p_value, min(1.0, 2 * min(found.curve_p_value, found.beta_p_value)))

    def test_exchanging_the_two_turns_the_sign(self) -> None:
        one, other = compare_laws(noisy(6), noisy(7)), compare_laws(noisy(7), noisy(6))
        self.assertAllClose(one.p_value, other.p_value, rtol=1e-9)
        self.assertAllClose(one.beta_interval, [-other.beta_interval[1], -other.beta_interval[0]], atol=1e-9)
        self.assertAllClose(one.difference(4e3), [-other.difference(4e3)[i] for i in (0, 2, 1)], rtol=1e-12)

    def test_difference_on_the_common_support_alone(self) -> None:
        first = noisy(8)
        second = fit_power_law(LADDER[2:], 0.19 * (LADDER[2:] / 1000) ** -0.3 + 0.78)
        found = compare_laws(first, second)
        self.assertEqual(found.support, (LADDER[2], LADDER[-1]))
        middle, low, high = found.difference(LADDER[2:])
        self.assertAllClose(middle, 0.01 * (LADDER[2:] / 1000) ** -0.3, atol=1e-3)
        self.assertAllLess(low - middle, 0.0)
        self.assertAllGreater(high - middle, 0.0)
        with self.assertRaisesRegex(ValueError, r"x\[0\] is 1000; it must lie between 4000 and"):
            found.difference(LADDER)

    def test_curves_without_noise_are_the_same_law_or_are_not(self) -> None:
        first, same, other = (
            fit_power_law(x, 3 * x**-beta + 2) for x, beta in ((LADDER, 0.3), (LADDER, 0.3), (LADDER, 0.301))
        )
        longer = fit_power_law(3 * LADDER, 3 * (3 * LADDER) ** -0.3 + 2)
        for second in (same, longer):
            found = compare_laws(first, second)
            self.assertFalse(found.different)
            self.assertGreater(found.p_value, 0.99)
        self.assertTrue(compare_laws(first, other).different)

    def test_what_cannot_be_compared_is_refused(self) -> None:
        far = fit_power_law(LADDER * 1e6, noisy(9).y)
        with self.assertRaisesRegex(ValueError, "without a common range"):
            compare_laws(noisy(9), far)
        with self.assertRaisesRegex(ValueError, "second has the status too_few_points"):
            compare_laws(noisy(9), fit_power_law(LADDER[:3], [0.9, 0.8, 0.75]))
        with self.assertRaisesRegex(ValueError, "level is 95"):
            compare_laws(noisy(9), noisy(9), level=95)


if __name__ == "__main__":
    tf.test.main()
