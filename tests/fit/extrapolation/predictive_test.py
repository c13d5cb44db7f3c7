"""Tests of predictive intervals: what they assume, how they grow, and that they hold where forms are wrong."""

import warnings

import numpy as np

from tfrs_scaling.fit.extrapolation.average import average_of
from tfrs_scaling.fit.extrapolation.choose import choose_law
from tfrs_scaling.fit.extrapolation.curve import curve_of
from tfrs_scaling.fit.extrapolation.predictive import ALLOWS_WRONG_FORM, ASSUMES_FORM, forecast, predictive_interval
from tfrs_scaling.fit.laws.learning_curve import fit_learning_curve
from tfrs_scaling.fit.laws.power_law import fit_power_law

import tensorflow as tf  # isort: skip -- after tfrs_scaling, which chooses the Keras it comes with

LADDER = 1000.0 * 2.0 ** np.arange(9)


def two_powers(x: np.ndarray) -> np.ndarray:
    """A curve that no power law with a constant describes."""
    return 0.5 + 0.3 * (x / 1000) ** -0.9 + 0.3 * (x / 1000) ** -0.1


class AverageTest(tf.test.TestCase):
    """The average over laws with a floor."""

    def test_laws_are_predicted_within_a_spread_that_grows(self) -> None:
        for floor in (0.0, 0.5):
            y = floor + (LADDER / LADDER[-1]) ** -0.3 * (1 - floor)
            predicted, spread = average_of(curve_of(LADDER, y)).predict(np.log([2.0, 4.0]))
            expected = np.log(floor + np.array([2.0, 4.0]) ** -0.3 * (1 - floor))
            self.assertTrue((np.abs(predicted - expected) < 1.5 * spread).all())
            self.assertLess(spread[0], spread[1])


class PredictiveIntervalTest(tf.test.TestCase):
    """The interval of a further measurement."""

    def test_within_the_data_it_is_the_fits_and_beyond_the_forecasts_with_the_prediction(self) -> None:
        y = two_powers(LADDER) + np.random.default_rng(0).normal(0, 1e-3, 9)
        fit = fit_power_law(LADDER, y)
        within = predictive_interval(fit, LADDER)
        assert within is not None
        self.assertEqual(within.kind, ASSUMES_FORM)
        self.assertAllEqual((within.low, within.high), fit.predict_interval(LADDER, "new"))
        x = LADDER[-1] * np.array([[0.5, 1], [2, 8]])
        beyond = predictive_interval(fit, x)
        assert beyond is not None
        self.assertEqual(beyond.kind, ALLOWS_WRONG_FORM)
        low, high = fit.predict_interval(x, "new")
        self.assertAllEqual((beyond.low[0], beyond.high[0]), (low[0], high[0]))
        ahead = forecast(LADDER, y).interval(x[1], 0.95)
        self.assertAllEqual(beyond.low[1], np.minimum(ahead[0], fit.predict(x[1])))
        self.assertAllEqual(beyond.high[1], np.maximum(ahead[1], fit.predict(x[1])))
        width = np.log(beyond.high / beyond.low)[1]
        self.assertGreater(width[1], 1.5 * width[0])

    def test_wrong_forms_stay_inside(self) -> None:
        rng, ahead = np.random.default_rng(1), 4 * LADDER[-1]
        held = {"form": 0, "form may be wrong": 0}
        for _ in range(40):
            fit = fit_learning_curve(LADDER, two_powers(LADDER) + rng.normal(0, 3e-4, 9))
            low, high = fit.predict_interval(ahead, "new")
            held["form"] += bool(low <= two_powers(ahead) <= high)
            interval = predictive_interval(fit, ahead)
            assert interval is not None
            held["form may be wrong"] += bool(interval.low <= two_powers(ahead) <= interval.high)
        self.assertLess(held["form"], 30)
        self.assertGreaterEqual(held["form may be wrong"], 36)

    def test_what_cannot_be_forecast(self) -> None:
        self.assertIsNone(predictive_interval(fit_power_law(LADDER[:3], [3, 2, 1.5]), 1e6))
        zero = predictive_interval(fit_power_law(LADDER[:5], [4, 2, 1, 0.5, 0]), 1e6)
        assert zero is not None
        self.assertEqual(zero.kind, ASSUMES_FORM)
        with self.assertRaisesRegex(ValueError, "x is -1"):
            predictive_interval(fit_power_law(LADDER, two_powers(LADDER)), -1)

    def test_a_chosen_laws_interval_holds_its_prediction(self) -> None:
        law = choose_law(LADDER, two_powers(LADDER) + np.random.default_rng(2).normal(0, 1e-3, 9))
        for x in (LADDER[3:5], 4 * LADDER[-1:]):
            interval = law.predict_interval(x)
            self.assertTrue((interval.low < law.predict(x)).all() and (law.predict(x) < interval.high).all())
        narrow = law.predict_interval(4 * LADDER[-1], level=0.5)
        self.assertLess(narrow.high - narrow.low, (interval.high - interval.low)[0])
        with self.assertRaisesRegex(ValueError, "level is 95"):
            law.predict_interval(1e6, level=95)

    def test_order_and_units_do_not_matter_and_nothing_warns(self) -> None:
        rng = np.random.default_rng(3)
        with warnings.catch_warnings(), np.errstate(all="raise"):
            warnings.simplefilter("error")
            for n in (4, 5, 9, 40, 400):
                x = np.geomspace(1e3, 1e6, n)
                for y in (two_powers(x) + rng.normal(0, 1e-3, n), np.ones(n), x, rng.uniform(1, 2, n)):
                    order = rng.permutation(n)
                    low, high = forecast(x, y).interval(np.array([1.5e6, 1e7, 1e300]), 0.95)
                    self.assertTrue((low <= high).all())
                    again = forecast(x[order], y[order]).interval(np.array([1.5e6, 1e7, 1e300]), 0.95)
                    self.assertAllEqual((low, high), again)
                    scaled = forecast(x * 1e-9, y * 1e200).interval(np.array([1.5e-3, 1e-2]), 0.95)
                    self.assertAllClose(np.array(scaled) / 1e200, (low[:2], high[:2]), rtol=1e-6)


if __name__ == "__main__":
    tf.test.main()
