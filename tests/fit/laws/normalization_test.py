"""Tests of fits in units of a study's smallest loss."""

import json

import numpy as np
import tensorflow as tf

from tests.helpers.simulated import draw_curve
from tfrs_scaling.fit.extrapolation.returns import returns_at, samples_to_reach
from tfrs_scaling.fit.laws.normalization import normalized
from tfrs_scaling.fit.laws.power_law import PowerLawFit, fit_power_law

LADDER = 1000.0 * 2.0 ** np.arange(9)


class NormalizedTest(tf.test.TestCase):
    """The unit, its error, and what does not depend on it."""

    def setUp(self) -> None:
        super().setUp()
        y = 0.2 * (LADDER / 1000) ** -0.3 + 0.78 + np.random.default_rng(0).normal(0, 5e-4, 9)
        self.fit = fit_power_law(LADDER, y)

    def test_an_exact_unit_gives_the_fit_of_divided_losses(self) -> None:
        divided = fit_power_law(LADDER, np.array(self.fit.y) / 0.79)
        scaled = normalized(self.fit, 0.79, 0.0)
        for name in ("alpha", "beta", "gamma", "rmse", "noise", "r2", "aicc"):
            self.assertAllClose(getattr(scaled, name), getattr(divided, name), rtol=1e-8)
        for name, ends in divided.interval.items():
            self.assertAllClose(scaled.interval[name], ends, rtol=1e-6)
        self.assertAllClose(scaled.predict_interval(1e6), divided.predict_interval(1e6), rtol=1e-6)
        self.assertEqual(scaled.status, divided.status)

    def test_the_error_of_the_unit_adds_in_quadrature(self) -> None:
        exact, scaled = normalized(self.fit, 0.79, 0.0), normalized(self.fit, 0.79, 0.79e-2)
        low, high = exact.interval["gamma"]
        by_hand = exact.gamma - np.hypot(exact.gamma - low, 1.959964 * 0.01 * exact.gamma)
        self.assertAllClose(scaled.interval["gamma"][0], by_hand, rtol=1e-6)
        self.assertGreater(scaled.interval["gamma"][1], high)
        self.assertEqual(scaled.interval["beta"], exact.interval["beta"])
        self.assertEqual(returns_at(scaled, 1e4, 0.01).gain, returns_at(self.fit, 1e4, 0.01).gain)
        reach_exact, reach_scaled = samples_to_reach(exact, 1.08), samples_to_reach(scaled, 1.08)
        self.assertEqual(reach_scaled.x, reach_exact.x)
        self.assertLess(reach_scaled.interval[0], reach_exact.interval[0])
        self.assertGreater(reach_scaled.interval[1], reach_exact.interval[1])
        again = PowerLawFit.from_dict(json.loads(json.dumps(scaled.to_dict())))
        self.assertEqual(again.predict_interval(1e6), scaled.predict_interval(1e6))

    def test_intervals_cover_where_the_unit_is_the_smallest_of_noisy_losses(self) -> None:
        rng = np.random.default_rng(1)
        covered, naive = 0, 0
        for _ in range(150):
            curve = draw_curve(rng, "movielens", 9)
            others = curve.at(curve.x)[-1] - rng.uniform(0.003, 0.02, 5)  # what the study's other schemes reach
            smallest = float((others + rng.normal(0, 1e-3, 5)).min())
            fit = fit_power_law(curve.x, curve.at(curve.x) + rng.normal(0, 1e-3, 9))
            truth = float(curve.at(curve.x)[4] / others.min())
            for error in (1e-3, 0.0):
                low, high = normalized(fit, smallest, error).predict_interval(curve.x[4])
                covered += error > 0 and bool(low <= truth <= high)
                naive += error == 0 and bool(low <= truth <= high)
        self.assertGreaterEqual(covered / 150, 0.9)
        self.assertLess(naive / 150, 0.85)

    def test_bad_input_is_named(self) -> None:
        for message, arguments in (("minimum is 0", (0, 0.1)), ("standard_error is -1", (0.8, -1))):
            with self.assertRaisesRegex(ValueError, message):
                normalized(self.fit, *arguments)
        with self.assertRaisesRegex(ValueError, "normalized already"):
            normalized(normalized(self.fit, 0.79, 1e-3), 0.79, 1e-3)


if __name__ == "__main__":
    tf.test.main()
