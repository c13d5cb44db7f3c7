"""Tests of forms of one's own: NIST's certified nonlinear regressions, closed forms, the power law's own fit."""

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from scipy import stats

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.curves.figure import power_law_plot
from tfrs_scaling.fit.curves.own_law import LawStatus, fit_law
from tfrs_scaling.fit.extrapolation.predictive import ASSUMES_FORM, predictive_interval
from tfrs_scaling.fit.laws.power_law import fit_power_law

# StRD, nonlinear regression (itl.nist.gov/div898/strd): form, x, y, start, certified parameters, deviations and rss.
Case = tuple[Callable[..., Array], list[float], list[float], list[float], list[float], list[float], float]


def rise(x: Array, b1: float, b2: float) -> Array:
    return b1 * (1 - np.exp(-b2 * x))


def kowalik(x: Array, b1: float, b2: float, b3: float, b4: float) -> Array:
    return b1 * (x**2 + x * b2) / (x**2 + x * b3 + b4)


NIST: dict[str, Case] = {
    "Misra1a": (
        rise,
        [77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0],
        [10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78],
        [500, 0.0001],
        [2.3894212918e02, 5.5015643181e-04],
        [2.7070075241e00, 7.2668688436e-06],
        1.2455138894e-01,
    ),
    "BoxBOD": (
        rise,
        [1, 2, 3, 5, 7, 10],
        [109, 149, 149, 191, 213, 224],
        [1, 1],
        [2.1380940889e02, 5.4723748542e-01],
        [1.2354515176e01, 1.0455993237e-01],
        1.1680088766e03,
    ),
    "MGH09": (
        kowalik,
        [4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625],
        [0.1957, 0.1947, 0.1735, 0.16, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246],
        [25, 39, 41.5, 39],
        [1.9280693458e-01, 1.9128232873e-01, 1.2305650693e-01, 1.3606233068e-01],
        [1.1435312227e-02, 1.9633220911e-01, 8.0842031232e-02, 9.0025542308e-02],
        3.0750560385e-04,
    ),
}


def line(x: Array, a: float, b: float) -> Array:
    return a + b * x


def power(x: Array, alpha: float, beta: float, gamma: float) -> Array:
    return alpha * x**-beta + gamma


X = 1e3 * 2.0 ** np.arange(9)
Y = 2 * X**-0.3 + 0.7 + np.random.default_rng(0).normal(0, 0.001, X.size)


class FitLawTest(tf.test.TestCase):
    def test_certified_values_from_hard_starts(self) -> None:
        for name, (form, x, y, start, certified, deviations, rss) in NIST.items():
            law = fit_law(form, x, y, start=start)
            self.assertAllClose(list(law.parameters.values()), certified, rtol=1e-6, msg=name)
            self.assertAllClose(law.rss, rss, rtol=1e-8, msg=name)
            self.assertAllClose(law.noise, math.sqrt(rss / (len(x) - len(start))), rtol=1e-8)
            for (low, high), value, deviation in zip(law.interval.values(), certified, deviations, strict=True):
                self.assertLess(low, value - deviation, name)  # curvature skews an interval, and no more
                self.assertGreater(high, value + deviation, name)

    def test_of_a_line_everything_is_known(self) -> None:
        rng = np.random.default_rng(1)
        x = np.linspace(1, 10, 12)
        y = 3 - 0.5 * x + rng.normal(0, 0.2, x.size)
        law, known = fit_law(line, x, y, start=[1, 1], level=0.9), stats.linregress(x, y)
        t = stats.t.ppf(0.95, x.size - 2)
        for name, value, error in (("a", known.intercept, known.intercept_stderr), ("b", known.slope, known.stderr)):
            self.assertAllClose(law.parameters[name], value, rtol=1e-9)
            self.assertAllClose(law.interval[name], [value - t * error, value + t * error], rtol=1e-6)
        places = np.array([2.0, 20.0])
        noise = math.sqrt(law.rss / (x.size - 2))
        spread = 1 / x.size + (places - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()
        for kind, extra in (("mean", 0.0), ("new", 1.0)):
            low, high = law.predict_interval(places, kind)  # type: ignore[arg-type]
            self.assertAllClose((high - low) / 2, t * noise * np.sqrt(spread + extra), rtol=1e-6)
        self.assertAllClose(law.correlation[0][1], -x.mean() / math.sqrt((x**2).mean()), rtol=1e-6)

    def test_a_power_law_has_the_intervals_of_its_own_fit(self) -> None:
        law, own = fit_law(power, X, Y, start={"gamma": 0.5, "alpha": 1, "beta": 0.5}), fit_power_law(X, Y)
        self.assertEqual(law.status, LawStatus.OK)
        for name in ("alpha", "beta", "gamma"):
            self.assertAllClose(law.parameters[name], getattr(own, name), rtol=1e-6)
            self.assertAllClose(law.interval[name], own.interval[name], rtol=1e-3)
        self.assertAllClose(law.residual_runs_p, own.residual_runs_p)

    def test_noise_that_trainings_share_is_that_of_the_mean_of_trainings(self) -> None:
        """Trainings of the same x: the line of all is that of their own lines' means, with their standard error."""
        x, rng = np.arange(1.0, 7.0), np.random.default_rng(0)
        ys = 3 - 0.5 * x + rng.normal(0, 0.5, (4, 1)) + rng.normal(0, 0.1, (4, 6))
        law = fit_law(line, np.tile(x, 4), ys.ravel(), start=[1, 1], groups=np.repeat([*"abcd"], 6))
        each = np.array([np.polyfit(x, y, 1)[::-1] for y in ys])
        half = stats.t.ppf(0.975, 3) * each.std(axis=0, ddof=1) / 2
        for at, (low, high) in enumerate(law.interval.values()):
            self.assertAllClose((low, high), each.mean(axis=0)[at] + np.array([-1, 1]) * half[at], rtol=1e-6)
        self.assertIn("CR2", str(law))
        alone = fit_law(line, x, ys[0], start=[1, 1], groups=["a"] * 6)
        self.assertEqual(alone.interval, fit_law(line, x, ys[0], start=[1, 1]).interval)

    def test_beyond_the_data_the_form_may_be_wrong(self) -> None:
        law, own = fit_law(power, X, Y, start=[1, 0.5, 0.5]), fit_power_law(X, Y)
        places = np.array([X[3], 4 * X[-1]])
        found, known = law.predictive_interval(places), predictive_interval(own, places)
        assert known is not None
        self.assertEqual(found.kind, known.kind)
        self.assertAllClose([found.low[1], found.high[1]], [known.low[1], known.high[1]], rtol=1e-6)
        self.assertAllClose(found.low[0], law.predict_interval(places, "new")[0][0])
        self.assertEqual(fit_law(line, [-1, 0, 1, 2], Y[:4], start=[1, 1]).predictive_interval(9).kind, ASSUMES_FORM)

    def test_status_says_what_the_points_do_not_determine(self) -> None:
        bounded = fit_law(power, X, Y, start=[1, 0.2, 0.1], bounds=[(0, 10), (0, 0.25), (0, 1)])
        self.assertEqual(bounded.status, LawStatus.AT_BOUND)
        self.assertAllClose(bounded.parameters["beta"], 0.25)
        flat = fit_law(power, X, np.full(X.size, 0.7) + 0.001 * (-1) ** np.arange(X.size), start=[1, 0.2, 0.1])
        self.assertEqual(flat.status, LawStatus.UNIDENTIFIED)
        exact = fit_law(line, [1, 2], [3, 4], start=[0, 0])
        self.assertEqual(exact.status, LawStatus.TOO_FEW_POINTS)
        self.assertIn(", 1 degree of freedom\n", fit_law(line, [1, 2, 3], [3, 4, 4], start=[0, 0]).summary())
        self.assertAllClose(list(exact.parameters.values()), [2, 1])

    def test_weights_count_as_repeats(self) -> None:
        weights = np.array([1, 2, 1, 1, 3, 1, 1, 1, 2])
        repeated = fit_law(power, np.repeat(X, weights), np.repeat(Y, weights), start=[1, 0.5, 0.5])
        weighted = fit_law(power, X, Y, start=[1, 0.5, 0.5], weights=weights)
        self.assertAllClose(list(weighted.parameters.values()), list(repeated.parameters.values()), rtol=1e-6)

    def test_points_of_weight_0_do_not_count(self) -> None:
        weights = np.where(np.arange(X.size) < 5, 1.0, 0.0)
        law = fit_law(power, X, np.where(weights > 0, Y, 99.0), start=[1, 0.5, 0.5], weights=weights)
        alone = fit_law(power, X[:5], Y[:5], start=[1, 0.5, 0.5])
        self.assertEqual(law.to_dict(), alone.to_dict())
        with self.assertRaisesRegex(ValueError, "weights are all 0"):
            fit_law(power, X, Y, start=[1, 0.5, 0.5], weights=0 * X)

    def test_a_form_that_bends_otherwise_than_the_points_is_not_sound(self) -> None:
        x = np.geomspace(1, 100, 40)
        wrong = fit_law(line, x, np.log(x), start=[0, 1])
        self.assertEqual(wrong.status, LawStatus.CORRELATED_RESIDUALS)
        self.assertLess(wrong.residual_runs_p, 0.01)
        exact = fit_law(line, x, 3 + 2 * x, start=[0, 1])
        self.assertEqual(exact.status, LawStatus.OK)  # the signs of rounding errors mean nothing
        self.assertTrue(math.isnan(exact.residual_runs_p))

    def test_finite_bounds_need_no_start(self) -> None:
        given = fit_law(power, X, Y, start=[1, 0.5, 0.5])
        for bounds in ([(0, 1e3), (0, 5), (0, 2)], {"gamma": (0, 2), "alpha": (1e-3, 1e3), "beta": (0.01, 5)}):
            found = fit_law(power, X, Y, bounds=bounds)
            self.assertAllClose([*found.parameters.values()], [*given.parameters.values()], rtol=1e-5)
            self.assertEqual(found.status, LawStatus.OK)

    def test_x_of_any_sign_is_drawn_on_a_linear_axis(self) -> None:
        law = fit_law(line, [-1, 0, 1, 2], [1, 2, 3.1, 4], start=[1, 1])
        self.assertEqual(type(law.plot().xaxis[0]).__name__, "LinearAxis")
        self.assertEqual(type(fit_law(power, X, Y, start=[1, 0.5, 0.5]).plot().xaxis[0]).__name__, "LogAxis")

    def test_shown_whole(self) -> None:
        law = fit_law(power, X, Y, start=[1, 0.5, 0.5])
        text = str(law)
        for part in ("y = power(x, alpha, beta, gamma)", "status", "residual runs", "alpha", "profile likelihood"):
            self.assertIn(part, text)
        self.assertNotIn("form", law.to_dict())
        self.assertEqual(law, fit_law(power, X, Y, start=[1, 0.5, 0.5]))
        self.assertLen(law.plot().renderers, 3)

    def test_mistakes_are_named(self) -> None:
        for arguments, message in (
            ({"start": [1, 2]}, r"start has shape \(2,\); f takes 3 parameters: alpha, beta, gamma"),
            ({"start": {"a": 1}}, "start: a; f takes alpha, beta, gamma"),
            ({"start": [1, 2, 3], "bounds": {"a": (0, 1)}}, "bounds: a; f takes alpha, beta, gamma"),
            ({"bounds": [(0, 9), (0, math.inf), (0, 9)]}, "beta: give start, or a finite lower and upper bound"),
            ({}, "alpha, beta, gamma: give start"),
            ({"bounds": [(9, 1), (0, 1), (0, 9)]}, "alpha: bounds 9 to 1; the first must be below the second"),
            ({"start": [1, 2, 3], "bounds": [(0, 1)] * 2}, r"bounds have shape \(2, 2\)"),
            ({"start": [1, 2, 3], "bounds": [(0, 9), (0, 1), (0, 9)]}, "beta: start 2 must lie within bounds 0 to 1"),
            ({"start": [math.nan, 1, 1]}, "start.0. is nan"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                fit_law(power, X, Y, **arguments)
        with self.assertRaisesRegex(ValueError, r"f returned shape \(2,\)"):
            fit_law(lambda x, a: np.array([a, a]), X, Y, start=[1])
        with self.assertRaisesRegex(ValueError, "f has no finite values at start"):
            fit_law(lambda x, a: x * np.nan, X, Y, start=[1])
        with self.assertRaisesRegex(TypeError, "'measured' is a LawFit; power_law_plot draws a PowerLawFit"):
            power_law_plot(fit_law(power, X, Y, start=[1, 1, 1]))  # type: ignore[arg-type]
        with self.assertRaisesRegex(ValueError, "f needs a by keyword"):
            fit_law(lambda x, *, a: x * a, X, Y, start=[1])
        with self.assertRaisesRegex(ValueError, "f returned complex numbers"):
            fit_law(lambda x, a: x * (a + 1j), X, Y, start=[1])
        with self.assertRaisesRegex(ValueError, "2 points for 3 parameters"):
            fit_law(power, X[:2], Y[:2], start=[1, 1, 1])


if __name__ == "__main__":
    tf.test.main()
