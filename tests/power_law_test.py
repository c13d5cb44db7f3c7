"""Tests of the fit against closed forms, brute force, many starts of SciPy's solver, and simulation."""

import json
import math
import warnings

import numpy as np
from scipy import optimize, special

from tfrs_scaling.fit.power_law import PowerLawFit, fit_power_law
from tfrs_scaling.fit.status import STATUSES

import tensorflow as tf  # isort: skip -- after tfrs_scaling, which chooses the Keras it comes with

LADDER = 1000.0 * 2.0 ** np.arange(9)


def law(x: np.ndarray, top: float = 0.2, beta: float = 0.3, gamma: float = 0.78) -> np.ndarray:
    """A law whose excess over gamma is ``top`` at x = 1000, the smallest x of LADDER."""
    return top * (x / LADDER[0]) ** -beta + gamma


def least_rss(x: np.ndarray, y: np.ndarray, **fixed: float) -> float:
    """The least residual sum of squares by SciPy from several starts, some parameters held."""
    u = np.log(x / x[0])
    names = [name for name in ("top", "beta", "gamma") if name not in fixed]
    upper = {"top": 10.0, "beta": 20.0, "gamma": 2.0}

    def residuals(values: np.ndarray) -> np.ndarray:
        p = {**fixed, **dict(zip(names, values, strict=True))}
        return p["top"] * np.exp(-p["beta"] * u) + p["gamma"] - y

    rng = np.random.default_rng(0)
    best = math.inf
    for _ in range(12):
        start = [rng.uniform(0.01, 0.9) for _ in names]
        bounds = ([1e-9 if name == "beta" else 0.0 for name in names], [upper[name] for name in names])
        found = optimize.least_squares(residuals, start, bounds=bounds, xtol=1e-15, ftol=1e-15, gtol=1e-15)
        best = min(best, 2 * found.cost)
    return best


class RecoveryTest(tf.test.TestCase):
    """The optimum and the goodness of fit."""

    def test_noise_free_parameters_are_recovered_whatever_unit_x_is_in(self) -> None:
        for beta in np.geomspace(0.05, 8, 12):
            for n in (5, 11):
                for unit in (1e-12, 1.0, 1e12):
                    x = LADDER[0] * 2.0 ** np.arange(n)
                    fit = fit_power_law(x * unit, law(x, beta=beta))
                    self.assertAllClose(fit.beta, beta, rtol=1e-6, atol=0)
                    self.assertAllClose(fit.gamma, 0.78, rtol=1e-6, atol=0)
                    self.assertAllClose(fit.alpha, 0.2 * (LADDER[0] * unit) ** beta, rtol=1e-6, atol=0)
                    self.assertEqual(fit.status, "ok", (beta, n, unit))

    def test_parameters_scale_with_y_and_ignore_the_order_of_points(self) -> None:
        rng = np.random.default_rng(1)
        y = law(LADDER) + rng.normal(0, 1e-3, 9)
        fit = fit_power_law(LADDER, y)
        shuffle = rng.permutation(9)
        self.assertEqual(fit_power_law(LADDER[shuffle], y[shuffle]), fit)
        for factor in (1e-200, 1e200):
            scaled = fit_power_law(LADDER, y * factor)
            self.assertAllClose(scaled.gamma / factor, fit.gamma, rtol=1e-9)
            self.assertAllClose(scaled.beta, fit.beta, rtol=1e-9)

    def test_no_start_of_scipy_finds_a_lower_sum_of_squares(self) -> None:
        rng = np.random.default_rng(2)
        for _ in range(25):
            n = int(rng.integers(5, 10))
            x = LADDER[:n]
            y = law(x, rng.uniform(0.01, 0.5), rng.uniform(0.05, 3)) + rng.normal(0, rng.choice([1e-4, 1e-2]), n)
            fit = fit_power_law(x, y)
            self.assertLessEqual(fit.rmse**2 * n, least_rss(x, y) * (1 + 1e-9))

    def test_a_weight_of_two_is_the_point_twice(self) -> None:
        y = law(LADDER) + np.random.default_rng(3).normal(0, 1e-3, 9)
        weighted = fit_power_law(LADDER, y, weights=[2, 1, 1, 1, 1, 1, 1, 1, 0])
        doubled = fit_power_law(np.append(LADDER[:8], LADDER[0]), np.append(y[:8], y[0]))
        self.assertEqual(weighted.n, 8)
        for name in ("alpha", "beta", "gamma", "r2", "rmse"):
            self.assertAllClose(getattr(weighted, name), getattr(doubled, name), rtol=1e-9)

    def test_goodness_of_fit_by_hand(self) -> None:
        y = law(LADDER) + np.random.default_rng(4).normal(0, 1e-3, 9)
        fit = fit_power_law(LADDER, y)
        rss = float(np.sum((y - fit.predict(LADDER)) ** 2))
        self.assertAllClose(fit.rmse, math.sqrt(rss / 9), rtol=1e-9)
        self.assertAllClose(fit.r2, 1 - rss / np.sum((y - y.mean()) ** 2), rtol=1e-9)
        self.assertAllClose(fit.aicc, 9 * math.log(rss / 9) + 8 + 40 / 4, rtol=1e-9)
        logs = np.log(y - fit.gamma)
        straight = np.log(fit.alpha) - fit.beta * np.log(LADDER)
        expected = 1 - np.sum((logs - straight) ** 2) / np.sum((logs - logs.mean()) ** 2)
        self.assertAllClose(fit.r2_excess, expected, rtol=1e-9)
        self.assertAllClose(fit.x0, 16_000.0, rtol=1e-12)  # the middle rung
        self.assertAllClose(fit.alpha_at_x0, fit.predict(fit.x0) - fit.gamma, rtol=1e-9)


class IntervalTest(tf.test.TestCase):
    """Intervals of parameters and bands."""

    def test_interval_ends_lie_on_the_f_limit_of_the_constrained_fit(self) -> None:
        y = law(LADDER) + np.random.default_rng(5).normal(0, 1e-3, 9)
        fit = fit_power_law(LADDER, y)
        limit = fit.rmse**2 * 9 * (1 + special.stdtrit(6, 0.975) ** 2 / 6)
        for gamma in fit.interval["gamma"]:
            self.assertAllClose(least_rss(LADDER, y, gamma=gamma), limit, rtol=1e-4)
        for beta in fit.interval["beta"]:
            self.assertAllClose(least_rss(LADDER, y, beta=beta), limit, rtol=1e-4)

    def test_band_ends_lie_on_the_f_limit_of_the_constrained_fit(self) -> None:
        y = law(LADDER) + np.random.default_rng(6).normal(0, 1e-3, 9)
        fit = fit_power_law(LADDER, y)
        limit = fit.rmse**2 * 9 * (1 + special.stdtrit(6, 0.975) ** 2 / 6)
        u, at = np.log(LADDER / LADDER[0]), math.log(1e6 / LADDER[0])

        def through(loss: float) -> float:
            """Least sum of squares over laws through (1e6, loss), by a fine scan of beta."""
            best = math.inf
            for beta in np.geomspace(0.01, 3, 4001):
                # gamma = loss - top * exp(-beta * at): one unknown is left, in closed form
                column = np.exp(-beta * u) - math.exp(-beta * at)
                top = column @ (y - loss) / (column @ column)
                best = min(best, float(np.sum((y - loss - top * column) ** 2)))
            return best

        low, high = fit.predict_interval(1e6)
        self.assertAllClose([through(float(low)), through(float(high))], [limit, limit], rtol=1e-3)

    def test_intervals_and_bands_cover_the_truth_at_their_level(self) -> None:
        rng = np.random.default_rng(7)
        x, further = LADDER[:8], 4 * LADDER[7]
        truth = {"alpha": 0.2 * 1000**0.3, "beta": 0.3, "gamma": 0.78}
        covered = dict.fromkeys([*truth, "mean", "new"], 0)
        rounds = 300
        for _ in range(rounds):
            fit = fit_power_law(x, law(x) + rng.normal(0, 5e-4, 8))
            for name, value in truth.items():
                low, high = fit.interval[name]
                covered[name] += low <= value <= high
            bottom, top = fit.predict_interval(further)
            covered["mean"] += bool(bottom <= law(further) <= top)
            bottom, top = fit.predict_interval(further, kind="new")
            covered["new"] += bool(bottom <= law(further) + rng.normal(0, 5e-4) <= top)
        for name, count in covered.items():  # 95 % of 300, plus or minus four standard errors
            self.assertBetween(count / rounds, 0.90, 0.995, name)

    def test_an_interval_that_the_data_leave_open_is_open(self) -> None:
        rng = np.random.default_rng(8)
        x = LADDER[:5]
        steep = law(x, beta=12.0) + rng.normal(0, 1e-3, 5)  # from the second point on nothing is left of it
        fit = fit_power_law(x, steep)
        self.assertEqual(fit.interval["beta"][1], math.inf)
        self.assertEqual(fit.interval["alpha"][1], math.inf)
        shallow = fit_power_law(x, 0.9 - 0.01 * np.log(x / 1000) + rng.normal(0, 1e-3, 5))
        self.assertEqual(shallow.interval["gamma"][0], 0.0)

    def test_new_measurements_vary_more_than_the_law(self) -> None:
        fit = fit_power_law(LADDER, law(LADDER) + np.random.default_rng(9).normal(0, 1e-3, 9))
        low, high = fit.predict_interval(LADDER)
        new_low, new_high = fit.predict_interval(LADDER, kind="new")
        self.assertAllLess(new_low - low, 0.0)
        self.assertAllGreater(new_high - high, 0.0)
        self.assertAllInRange(fit.predict(LADDER) - low, 0.0, 0.01)
        with self.assertRaisesRegex(ValueError, "kind is 'median'"):
            fit.predict_interval(LADDER, kind="median")  # type: ignore[arg-type]


class StatusTest(tf.test.TestCase):
    """The verdict on sound, flat, rising and scant data."""

    def share(self, status: str, y: np.ndarray, noise: float, rounds: int = 60) -> float:
        rng = np.random.default_rng(10)
        x = LADDER[: y.size]
        return float(np.mean([fit_power_law(x, y + rng.normal(0, noise, y.size)).status == status
                              for _ in range(rounds)]))  # fmt: skip

    def test_sound_data_are_ok(self) -> None:
        x = 1000 * 2.0 ** np.arange(11)
        rng = np.random.default_rng(11)
        for beta in (0.15, 0.3, 1.0):
            statuses = [fit_power_law(x, law(x, beta=beta) + rng.normal(0, 1e-4, 11)).status for _ in range(40)]
            self.assertGreaterEqual(statuses.count("ok"), 38)

    def test_flat_data_are_flat(self) -> None:
        self.assertGreaterEqual(self.share("flat", np.full(9, 0.8), 1e-3), 0.9)
        self.assertEqual(fit_power_law(LADDER, np.full(9, 0.8)).status, "flat")

    def test_rising_data_are_not_monotone(self) -> None:
        self.assertEqual(self.share("not_monotone", 0.8 + 0.01 * np.arange(9), 1e-3), 1.0)
        valley = 0.8 + 0.005 * (np.arange(9) - 4.0) ** 2
        self.assertEqual(self.share("not_monotone", valley, 1e-3), 1.0)

    def test_four_points_never_pass_for_ok(self) -> None:
        statuses = {fit_power_law(LADDER[:4], law(LADDER[:4]) * factor).status for factor in (1.0, 2.0, 3.0)}
        self.assertEqual(statuses, {"gamma_unidentified"})

    def test_a_straight_line_in_log_x_has_no_floor(self) -> None:
        y = 0.9 - 0.01 * np.log(LADDER / 1000)
        self.assertGreaterEqual(self.share("gamma_unidentified", y, 5e-4), 0.95)

    def test_a_jump_is_steeper_than_any_law(self) -> None:
        y = np.array([0.9, *np.full(8, 0.8)])
        self.assertEqual(fit_power_law(LADDER, y).status, "beta_at_bound")

    def test_three_places_are_too_few_however_many_points(self) -> None:
        fit = fit_power_law(np.repeat(LADDER[:3], 4), np.repeat(law(LADDER[:3]), 4))
        self.assertEqual(fit.status, "too_few_points")
        self.assertEqual(fit.n, 12)
        self.assertTrue(math.isnan(fit.gamma))
        self.assertTrue(np.isnan(fit.predict_interval([1e6])[0]).all())


class JsonTest(tf.test.TestCase):
    """A fit to JSON and back."""

    def test_a_fit_that_went_through_json_predicts_the_same(self) -> None:
        rng = np.random.default_rng(12)
        for y in (law(LADDER) + rng.normal(0, 1e-3, 9), np.full(9, 0.8), 1 + 0.01 * np.arange(9)):
            fit = fit_power_law(LADDER, y)
            again = PowerLawFit.from_dict(json.loads(json.dumps(fit.to_dict(), allow_nan=False)))
            self.assertAllClose(again.predict(LADDER * 100), fit.predict(LADDER * 100), rtol=1e-12)
            self.assertAllEqual(again.predict_interval(LADDER)[1], fit.predict_interval(LADDER)[1])
            self.assertEqual(again.interval, fit.interval)
            self.assertIn(again.status, STATUSES)

    def test_too_few_points_are_null(self) -> None:
        content = fit_power_law(LADDER[:3], law(LADDER[:3])).to_dict()
        self.assertIsNone(json.loads(json.dumps(content, allow_nan=False))["gamma"])
        self.assertTrue(math.isnan(PowerLawFit.from_dict(content).gamma))

    def test_a_damaged_fit_is_refused(self) -> None:
        content = fit_power_law(LADDER, law(LADDER)).to_dict()
        del content["gamma"]
        with self.assertRaisesRegex(ValueError, "gamma"):
            PowerLawFit.from_dict(content)


class BadInputTest(tf.test.TestCase):
    """Input that cannot be fitted, and input that is only hard."""

    def test_the_error_names_the_argument(self) -> None:
        x, y = LADDER, law(LADDER)
        nan_at_3 = np.where(np.arange(9) == 3, np.nan, y)
        for message, arguments in (
            (r"y\[3\] is nan", {"x": x, "y": nan_at_3}),
            (r"x\[0\] is inf", {"x": np.array([np.inf, *x[1:]]), "y": y}),
            (r"x\[0\] is 0", {"x": np.array([0.0, *x[1:]]), "y": y}),
            (r"x\[8\] is -1", {"x": np.array([*x[:8], -1]), "y": y}),
            (r"y\[0\] is negative", {"x": x, "y": y - 10}),
            (r"y has shape \(8,\)", {"x": x, "y": y[:8]}),
            (r"x is 5 at every point", {"x": np.full(9, 5.0), "y": y}),
            (r"weights\[1\] is negative", {"x": x, "y": y, "weights": [1, -1, *[1] * 7]}),
            (r"weights are all 0", {"x": x, "y": y, "weights": np.zeros(9)}),
            (r"level is 95", {"x": x, "y": y, "level": 95}),
        ):
            with self.assertRaisesRegex(ValueError, message):
                fit_power_law(**arguments)

    def test_hard_input_gives_an_answer_without_a_warning(self) -> None:
        rng = np.random.default_rng(13)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for y in (
                np.zeros(9), np.full(9, 1e-300), rng.uniform(0, 1e300, 9), np.array([*[0.0] * 8, 1.0]),
                np.array([1.0, *[0.0] * 8]), law(LADDER, gamma=0.0), 1e9 + rng.normal(0, 1e-6, 9),
            ):  # fmt: skip
                for x in (LADDER, LADDER * 1e150, 1.0 + 1e-9 * np.arange(9)):
                    fit = fit_power_law(x, y)
                    self.assertTrue(np.isfinite(fit.predict(x)).all())
                    low, high = fit.predict_interval([x[0] / 100, x[-1] * 100])
                    self.assertTrue((low <= high).all())


if __name__ == "__main__":
    tf.test.main()
