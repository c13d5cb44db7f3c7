"""Tests of the fit against closed forms, brute force, many starts of SciPy's solver, and simulation."""

import json
import math
import warnings

import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import optimize, special

from tests.helpers.simulated import coverage, draw_curve, ladder_noise, multistart_rss
from tfrs_scaling.fit.laws.power_law import PowerLawFit, fit_power_law
from tfrs_scaling.fit.laws.status import Status

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

    def test_no_start_of_five_hundred_finds_a_lower_sum_of_squares(self) -> None:
        rng = np.random.default_rng(14)
        for _ in range(20):  # 1,000 in the benchmark
            curve = draw_curve(rng, "paper", int(rng.integers(5, 12)))
            y = curve.at(curve.x) + rng.normal(0, rng.choice([1e-4, 1e-2]), curve.x.size)
            rss = fit_power_law(curve.x, y).rmse ** 2 * curve.x.size
            self.assertLessEqual(rss, multistart_rss(curve.x, y, rng, starts=500) * (1 + 1e-9))

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


class RobustTest(tf.test.TestCase):
    """Huber's estimate."""

    def test_it_is_the_least_sum_of_hubers_loss(self) -> None:
        rng = np.random.default_rng(15)
        y = law(LADDER) + rng.normal(0, 1e-3, 9)
        y[4] += 0.02
        fit = fit_power_law(LADDER, y, robust=True)
        residuals = y - fit.predict(LADDER)
        f_scale = 1.345 * 1.4826 * np.median(np.abs(residuals)) * math.sqrt(9 / 6)
        start = [fit.alpha_at_x0, fit.beta, fit.gamma]
        u = np.log(LADDER / fit.x0)

        def misfit(p: np.ndarray) -> np.ndarray:
            return p[0] * np.exp(-p[1] * u) + p[2] - y

        tight = 1e-15
        peer = optimize.least_squares(
            misfit, start, loss="huber", f_scale=f_scale, x_scale=start, xtol=tight, ftol=tight, gtol=tight
        )
        self.assertAllClose(peer.x, start, rtol=1e-5)
        self.assertLess(np.abs(fit.predict(LADDER) - law(LADDER)).max(), 2e-3)
        self.assertGreater(np.abs(fit_power_law(LADDER, y).predict(LADDER) - law(LADDER)).max(), 5e-3)

    def test_without_stray_points_it_says_nearly_the_same(self) -> None:
        figures = coverage("movielens", 11, 5e-4, 100, seed=16, robust=True)
        for name in ("beta", "gamma", "within", "beyond", "new"):
            self.assertBetween(figures[name], 0.84, 1.0, name)


class GroupsTest(tf.test.TestCase):
    """Points that share a training, and replicates."""

    def test_intervals_cover_whatever_noise_ladders_share(self) -> None:
        for of in ("offset", "autoregressive"):
            for ladders, n in ((2, 8), (3, 6), (4, 11)):
                figures = coverage("movielens", n, 5e-4, 150, seed=17, ladders=ladders, of=of)
                for name in ("beta", "gamma", "within", "beyond", "new"):
                    self.assertBetween(figures[name], 0.88, 1.0, (of, ladders, n, name))
        alone = coverage("movielens", 8, 5e-4, 150, seed=17, ladders=3, of="offset", grouped=False)
        self.assertLess(alone["within"], 0.88)  # what taking these points for independent leads to

    def test_intervals_shrink_with_the_noise_and_stay_around_the_estimate(self) -> None:
        rng = np.random.default_rng(4)
        shape = ladder_noise(rng, "offset", 6, LADDER.size, 1.0).ravel()
        halves = []
        for noise in (2e-4, 2e-5):
            fit = fit_power_law(
                np.tile(LADDER, 6), np.tile(law(LADDER), 6) + noise * shape, groups=np.repeat(np.arange(6), LADDER.size)
            )
            low, high = fit.interval["beta"]
            halves.append(np.array([fit.beta - low, high - fit.beta]) / noise)
        self.assertAllClose(halves[0], halves[1], rtol=0.15, atol=0)

    def test_labels_do_not_matter_and_neither_does_order(self) -> None:
        rng = np.random.default_rng(18)
        x, groups = np.tile(LADDER, 3), np.repeat([0, 1, 2], 9)
        y = law(x) + ladder_noise(rng, "offset", 3, 9, 1e-3).ravel()
        fit = fit_power_law(x, y, groups=groups)
        shuffle = rng.permutation(27)
        again = fit_power_law(x[shuffle], y[shuffle], groups=[f"trial {group}" for group in groups[shuffle]])
        self.assertEqual(fit, again)
        self.assertNotEqual(fit.interval, fit_power_law(x, y, groups=groups, seed=1).interval)

    def test_groups_of_one_and_one_group_are_independent_points(self) -> None:
        y = law(LADDER) + np.random.default_rng(19).normal(0, 1e-3, 9)
        alone = fit_power_law(LADDER, y)
        self.assertEqual(fit_power_law(LADDER, y, groups=range(9)), alone)
        self.assertEqual(fit_power_law(LADDER, y, groups=["a"] * 9).interval, alone.interval)


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
            self.assertIsInstance(again.status, Status)

    def test_same_points_and_seed_give_the_same_bytes(self) -> None:
        y = np.tile(law(LADDER), 3) + np.random.default_rng(22).normal(0, 1e-3, 27)
        texts = {
            json.dumps(fit_power_law(np.tile(LADDER, 3), y, groups=np.repeat([0, 1, 2], 9), seed=3).to_dict())
            for _ in range(2)
        }
        self.assertLen(texts, 1)

    def test_grouped_and_robust_fits_go_through_json(self) -> None:
        y = np.tile(law(LADDER), 2) + np.random.default_rng(23).normal(0, 1e-3, 18)
        for fit in (
            fit_power_law(np.tile(LADDER, 2), y, groups=np.repeat([0, 1], 9)),
            fit_power_law(np.tile(LADDER, 2), y, robust=True),
        ):
            again = PowerLawFit.from_dict(json.loads(json.dumps(fit.to_dict(), allow_nan=False)))
            self.assertEqual(again, fit)
            self.assertAllEqual(again.predict_interval(LADDER), fit.predict_interval(LADDER))

    def test_too_few_points_are_null(self) -> None:
        content = fit_power_law(LADDER[:3], law(LADDER[:3])).to_dict()
        self.assertIsNone(json.loads(json.dumps(content, allow_nan=False))["gamma"])
        again = PowerLawFit.from_dict(content)
        self.assertTrue(math.isnan(again.gamma))
        self.assertEqual(again, fit_power_law(LADDER[:3], law(LADDER[:3])))  # NaN from another source is equal too
        self.assertNotEqual(again, fit_power_law(LADDER[:3], law(LADDER[:3]) + 0.1))
        self.assertNotEqual(again, content)

    def test_a_masked_point_is_not_taken_for_a_measured_one(self) -> None:
        masked = np.ma.masked_array(law(LADDER), mask=np.arange(9) == 4)
        with self.assertRaisesRegex(ValueError, "y must hold real numbers.*masked"):
            fit_power_law(LADDER, masked)

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
            (r"y\[0\] is -9", {"x": x, "y": y - 10}),
            ("y has 8 values and x has 9", {"x": x, "y": y[:8]}),
            (r"x is 5 at every point", {"x": np.full(9, 5.0), "y": y}),
            (r"weights\[1\] is -1", {"x": x, "y": y, "weights": [1, -1, *[1] * 7]}),
            (r"weights are all 0", {"x": x, "y": y, "weights": np.zeros(9)}),
            (r"level is 95", {"x": x, "y": y, "level": 95}),
            (r"seed is -1", {"x": x, "y": y, "seed": -1}),
            (r"groups has 2 labels", {"x": x, "y": y, "groups": [1, 2]}),
            (r"groups\[1\] is None", {"x": x, "y": y, "groups": [1, None, *[2] * 7]}),
            (r"x is empty", {"x": [], "y": []}),
            (r"x has shape \(3, 3\).*x\.ravel", {"x": x.reshape(3, 3), "y": y.reshape(3, 3)}),
            (r"x.*datetime64.*seconds", {"x": pd.date_range("2020-01-01", periods=9), "y": y}),
            (r"x.*timedelta64.*seconds", {"x": pd.timedelta_range("1h", periods=9), "y": y}),
            (r"y and x are Series with different", {"x": pd.Series(x), "y": pd.Series(y, index=range(8, -1, -1))}),
            (r"groups and x are Series", {"x": pd.Series(x), "y": y, "groups": pd.Series(x, index=range(1, 10))}),
        ):
            with self.assertRaisesRegex(ValueError, message):
                fit_power_law(**arguments)

    def test_hard_input_gives_an_answer_without_a_warning(self) -> None:
        rng = np.random.default_rng(13)
        with warnings.catch_warnings(), np.errstate(all="raise"):
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
                    for kind in ("mean", "new"):  # where the law itself may be infinite
                        self.assertFalse(np.isnan(fit.predict_interval([1e-300, 1e300], kind)).any())
                    grouped = fit_power_law(np.tile(x, 2), np.tile(y, 2), groups=np.repeat([0, 1], 9))
                    self.assertTrue(np.isfinite(grouped.predict(x)).all())
                    self.assertTrue(np.isfinite(fit_power_law(x, y, robust=True).predict(x)).all())


if __name__ == "__main__":
    tf.test.main()
