"""Tests of returns and reach against the definition, root finding and simulation."""

import math

import numpy as np
import tensorflow as tf
from scipy import optimize

from tests.helpers.simulated import draw_curve, ladder_noise
from tfrs_scaling.fit.extrapolation.predictive import ALLOWS_WRONG_FORM, ASSUMES_FORM, predictive_interval
from tfrs_scaling.fit.extrapolation.returns import returns_at, samples_to_reach
from tfrs_scaling.fit.laws.power_law import PowerLawFit, fit_power_law

LADDER = 1000.0 * 2.0 ** np.arange(9)


def gain(fit: PowerLawFit, x: float) -> float:
    now, then = fit.predict([x, 2 * x])
    return float((now - then) / now)


def noisy(seed: int, beta: float = 0.3, gamma: float = 0.78, noise: float = 5e-4) -> PowerLawFit:
    y = 0.2 * (LADDER / 1000) ** -beta + gamma
    return fit_power_law(LADDER, y + np.random.default_rng(seed).normal(0, noise, 9))


class PhaseTest(tf.test.TestCase):
    """What the next doubling brings."""

    def test_gain_and_elasticity_by_their_definitions(self) -> None:
        fit = noisy(0)
        for x in (500.0, 2e4, 1e7):
            at = returns_at(fit, x, 0.01)
            self.assertAllClose(at.gain, gain(fit, x), rtol=1e-9)
            slope = np.diff(np.log(fit.predict([x * 0.9999, x * 1.0001])))[0] / np.log(1.0001 / 0.9999)
            self.assertAllClose(at.elasticity, -slope, rtol=1e-6)
            self.assertEqual(at.saturated, at.gain <= 0.01)

    def test_point_of_diminishing_return_equals_root_finding(self) -> None:
        rng = np.random.default_rng(1)
        for _ in range(50):
            curve = draw_curve(rng, "movielens", 9)
            fit = fit_power_law(curve.x, curve.at(curve.x) + rng.normal(0, 1e-4, 9))
            epsilon = 10 ** rng.uniform(-4, -2)

            def beyond(log_x: float, fit: PowerLawFit = fit, epsilon: float = epsilon) -> float:
                return gain(fit, math.exp(log_x)) - epsilon

            root = math.exp(optimize.brentq(beyond, -30, 90, xtol=1e-13, rtol=1e-14))
            self.assertAllClose(returns_at(fit, 1e4, epsilon).diminishing_return, root, rtol=1e-8)

    def test_a_gain_beyond_the_law_has_no_place(self) -> None:
        fit = noisy(2)
        self.assertEqual(returns_at(fit, 1e4, 0.5).diminishing_return, 0.0)  # no doubling ever halves the loss
        self.assertEqual(returns_at(fit, 1e4, 0.5).probability, 1.0)
        no_floor = fit_power_law(LADDER, (LADDER / 1000) ** -0.3 - 0.02)  # the best floor would lie below 0
        self.assertEqual(no_floor.gamma, 0.0)
        self.assertEqual(returns_at(no_floor, 1e4, 0.01).diminishing_return, math.inf)
        self.assertAllClose(returns_at(no_floor, 1e4, 0.01).gain, 1 - 2**-no_floor.beta, rtol=1e-9)
        flat = fit_power_law(LADDER, np.full(9, 0.8))
        self.assertEqual((returns_at(flat, 1e4, 0.01).gain, returns_at(flat, 1e4, 0.01).diminishing_return), (0.0, 0.0))

    def test_probability_agrees_with_the_interval(self) -> None:
        fit = noisy(3)
        at = returns_at(fit, 1e5, 0.02)  # the gain falls to that within the data
        self.assertEqual(at.kind, ASSUMES_FORM)
        for end, probability in zip(at.interval, (0.025, 0.975), strict=True):
            self.assertAllClose(returns_at(fit, end, 0.02).probability, probability, atol=1e-5)
        self.assertAllClose(returns_at(fit, at.diminishing_return, 0.02).probability, 0.5, atol=1e-3)

    def test_intervals_cover_the_truth(self) -> None:
        rng = np.random.default_rng(4)
        for ladders in (1, 3):
            covered = {"return": 0, "reach": 0}
            for _ in range(60):
                curve = draw_curve(rng, "movielens", 8)
                noise = ladder_noise(rng, "offset" if ladders > 1 else "independent", ladders, 8, 3e-4)
                groups = np.repeat(np.arange(ladders), 8)
                fit = fit_power_law(np.tile(curve.x, ladders), (curve.at(curve.x) + noise).ravel(), groups=groups)
                truth = (curve.top * (1 - 2**-curve.beta - 0.004) / (0.004 * curve.gamma)) ** (1 / curve.beta)
                low, high = returns_at(fit, 1e5, 0.004).interval
                covered["return"] += low <= truth * curve.x[0] <= high
                low, high = samples_to_reach(fit, float(curve.at(8 * curve.x[-1]))).interval
                covered["reach"] += low <= 8 * curve.x[-1] <= high
            for name, count in covered.items():  # 95 % of 60, less three standard errors
                self.assertGreaterEqual(count, 52, (ladders, name))

    def test_bad_input_is_named(self) -> None:
        fit = noisy(5)
        for message, arguments in (("x is 0", (0, 0.01)), ("x is nan", (math.nan, 0.01)), ("epsilon is 1", (1e4, 1))):
            with self.assertRaisesRegex(ValueError, message):
                returns_at(fit, *arguments)
        few = fit_power_law(LADDER[:3], [0.9, 0.8, 0.75])
        with self.assertRaisesRegex(ValueError, "too_few_points"):
            returns_at(few, 1e4, 0.01)
        with self.assertRaisesRegex(ValueError, "too_few_points"):
            samples_to_reach(few, 0.8)


class ReachTest(tf.test.TestCase):
    """What a loss takes."""

    def test_it_inverts_the_law(self) -> None:
        rng = np.random.default_rng(6)
        for _ in range(100):
            curve = draw_curve(rng, "movielens", 9)
            fit = fit_power_law(curve.x, curve.at(curve.x) + rng.normal(0, 1e-4, 9))
            x = float(10 ** rng.uniform(2, 8))
            loss = float(fit.predict(x))
            reach = samples_to_reach(fit, loss)
            self.assertAllClose(fit.predict(reach.x), loss, rtol=1e-12)
            self.assertAllClose(reach.x, x, rtol=1e-9)
            self.assertTrue(reach.reachable)

    def test_the_interval_is_where_the_band_meets_the_loss(self) -> None:
        fit = noisy(7)
        within = samples_to_reach(fit, 0.85)
        self.assertEqual(within.kind, ASSUMES_FORM)
        self.assertAllClose(fit.predict_interval(within.interval[0])[0], 0.85, rtol=1e-5)
        self.assertAllClose(fit.predict_interval(within.interval[1])[1], 0.85, rtol=1e-5)
        beyond = samples_to_reach(fit, 0.80)
        interval = predictive_interval(fit, beyond.interval[0])
        assert interval is not None
        self.assertAllClose(interval.low, 0.80, rtol=1e-5)
        self.assertIn(ALLOWS_WRONG_FORM, str(beyond))

    def test_a_loss_that_no_x_is_certain_to_reach_has_an_open_end(self) -> None:
        fit = noisy(7)
        reach = samples_to_reach(fit, 0.80)
        self.assertBetween(reach.x, LADDER[-1], 1e9)
        self.assertBetween(reach.interval[0], LADDER[-1], reach.x)
        self.assertEqual((reach.interval[1], reach.kind), (math.inf, ALLOWS_WRONG_FORM))
        saturation = returns_at(fit, LADDER[-1], 0.002)
        self.assertEqual((saturation.interval[1], saturation.kind), (math.inf, ALLOWS_WRONG_FORM))
        self.assertLessEqual(saturation.interval[0], saturation.diminishing_return)

    def test_a_loss_below_the_floor_is_out_of_reach(self) -> None:
        fit = noisy(8)
        far_below = samples_to_reach(fit, 0.7)
        self.assertEqual((far_below.x, far_below.reachable), (math.inf, False))
        self.assertGreater(far_below.unreachable_probability, 0.999)
        self.assertEqual(far_below.interval[1], math.inf)
        self.assertLess(samples_to_reach(fit, 0.85).unreachable_probability, 0.001)
        at_the_end = samples_to_reach(fit, fit.interval["gamma"][1])
        self.assertAllClose(at_the_end.unreachable_probability, 0.025, atol=1e-3)

    def test_a_flat_law_has_reached_what_lies_above_it(self) -> None:
        flat = fit_power_law(LADDER, np.full(9, 0.8))
        self.assertEqual(samples_to_reach(flat, 0.9).x, 0.0)
        self.assertEqual(samples_to_reach(flat, 0.7).x, math.inf)

    def test_bad_input_is_named(self) -> None:
        with self.assertRaisesRegex(ValueError, "loss is -1"):
            samples_to_reach(noisy(9), -1)


if __name__ == "__main__":
    tf.test.main()
