"""Tests of the joint law against published values, closed forms, SciPy's optimisers and simulation."""

import csv
import json
import math
import unittest
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf
from scipy import optimize

from tfrs_scaling.fit import JointFit, MeasuredCost, fit_joint_law
from tfrs_scaling.fit.joint.status import JointStatus
from tfrs_scaling.fit.laws.functions import joint_law

CHINCHILLA = Path(__file__).parents[3] / "../shared/data/scaling/epoch-analyzing-chinchilla/svg_extracted_data.csv"
TRUTH = {"E": 0.75, "A": 2.5, "a": 0.3, "B": 1.5, "b": 0.22}


def grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of ``side`` model sizes and ``side`` data sizes."""
    n, d = np.meshgrid(np.geomspace(1e5, 1e7, side), np.geomspace(1e4, 1e6, side))
    return n.ravel(), d.ravel()


def chinchilla() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The 240 runs that Besiroglu et al. (2024) keep."""
    if not CHINCHILLA.exists():
        raise unittest.SkipTest(f"the runs of Besiroglu et al. (2024) are not there: no {CHINCHILLA}")
    with CHINCHILLA.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    n, flop, loss = (np.array([float(row[c]) for row in rows]) for c in ("Model Size", "Training FLOP", "loss"))
    kept = np.argsort(loss)[:-5]
    return n[kept], (flop / (6 * n))[kept], loss[kept]


def huber_log(values: np.ndarray, n: np.ndarray, d: np.ndarray, y: np.ndarray, delta: float = 1e-3) -> float:
    """Hoffmann et al.'s objective in (E, A, a, B, b)."""
    e, big_a, a, big_b, b = values
    r = np.abs(np.log(y) - np.log(e + big_a * n**-a + big_b * d**-b))
    return float(np.where(r <= delta, 0.5 * r**2, delta * (r - 0.5 * delta)).sum())


class ChinchillaTest(tf.test.TestCase):
    """The published fit of published runs."""

    def test_the_replication_of_besiroglu_et_al(self) -> None:
        n, d, y = chinchilla()
        self.assertEqual(y.size, 240)
        fit = fit_joint_law(n, d, y, objective="huber_log", delta=1e-3)
        self.assertLessEqual(fit.objective_value, 0.00101828)
        self.assertAllClose(huber_log(np.array([fit.E, fit.A, fit.a, fit.B, fit.b]), n, d, y), fit.objective_value)
        self.assertAllClose([fit.a, fit.b], [0.3473, 0.3672], atol=5e-4, rtol=0)
        self.assertAllClose([fit.A, fit.B, fit.E], [477.8, 2143, 1.817], rtol=5e-4, atol=0)
        for name, low, high in (("a", 0.317, 0.373), ("b", 0.331, 0.415)):
            overlap = min(fit.interval[name][1], high) - max(fit.interval[name][0], low)
            self.assertGreater(overlap, 0.9 * (high - low), name)
        self.assertEqual(fit.status, "ok")
        # Their Table 2: the best n grows as compute to the power 0.512, give or take 0.024 (one standard error).
        self.assertAllClose(fit.split_exponent, 0.514, atol=0.003, rtol=0)

    def test_examples_for_a_loss_reach_it(self) -> None:
        n, d = grid(5)
        fit = fit_joint_law(n, d, joint_law(n, d, **TRUTH), resamples=100)
        found = fit.examples_for([1e3, 1e5, 1e7], 0.9)
        self.assertAllEqual(np.isnan(found), [True, False, False])  # 1e3 parameters never get below 1.06
        self.assertAllClose(joint_law([1e5, 1e7], found[1:], **TRUTH), [0.9, 0.9])

    def test_no_newton_step_is_left(self) -> None:
        n, d, y = chinchilla()
        fit = fit_joint_law(n, d, y, objective="huber_log", resamples=100)
        best = np.array([fit.E, fit.A, fit.a, fit.B, fit.b])
        rng = np.random.default_rng(0)
        for size in (1e-2, 1e-4, 1e-6):
            for _ in range(300):
                moved = best * np.exp(size * rng.standard_normal(5))
                self.assertGreaterEqual(huber_log(moved, n, d, y), fit.objective_value * (1 - 1e-12))


class OptimumTest(tf.test.TestCase):
    """The least objective value."""

    def test_noise_free_parameters_are_recovered_whatever_the_units(self) -> None:
        n, d = grid(5)
        for a, b in ((0.05, 0.3), (0.3, 0.22), (1.5, 0.6), (0.1, 3.0)):
            y = 0.75 + 0.3 * (n / 1e5) ** -a + 0.2 * (d / 1e4) ** -b
            for unit in (1e-12, 1.0, 1e12):
                for loss in (1e-100, 1.0, 1e100):
                    for objective in ("rss", "huber_log"):
                        fit = fit_joint_law(n * unit, d / unit, y * loss, objective=objective, resamples=100)
                        self.assertAllClose([fit.a, fit.b], [a, b], rtol=1e-6, atol=0)
                        self.assertAllClose(fit.E / loss, 0.75, rtol=1e-6)
                        self.assertAllClose(fit.A / loss, 0.3 * (1e5 * unit) ** a, rtol=1e-5, atol=0)
                        self.assertAllClose(fit.B / loss, 0.2 * (1e4 / unit) ** b, rtol=1e-5, atol=0)

    def test_no_start_of_scipy_finds_less(self) -> None:
        rng = np.random.default_rng(1)
        for _ in range(12):
            n, d = grid(4)
            keep = rng.permutation(n.size)[: int(rng.integers(9, 17))]
            n, d = n[keep], d[keep]
            a, b = rng.uniform(0.05, 1.5, 2)
            y = rng.uniform(0.1, 1) + rng.uniform(0.1, 1) * (n / 1e5) ** -a + rng.uniform(0.1, 1) * (d / 1e4) ** -b
            y = y * np.exp(rng.choice([1e-4, 1e-2, 1e-1]) * rng.standard_normal(y.size))
            fit = fit_joint_law(n, d, y, resamples=100)

            def residuals(p: np.ndarray, n: np.ndarray = n, d: np.ndarray = d, y: np.ndarray = y) -> np.ndarray:
                return p[0] + p[1] * (n / n.min()) ** -p[2] + p[3] * (d / d.min()) ** -p[4] - y

            bounds = ([0, 0, 1e-3, 0, 1e-3], [9, 99, 20, 99, 20])
            starts = rng.uniform([0, 0, 0.01, 0, 0.01], [1, 1, 2, 1, 2], (25, 5))
            least = min(
                2 * optimize.least_squares(residuals, start, bounds=bounds, xtol=1e-15, ftol=1e-15, gtol=1e-15).cost
                for start in starts
            )
            self.assertLessEqual(fit.objective_value, least * (1 + 1e-9))

    def test_huber_is_robust_and_its_optimum_global(self) -> None:
        n, d = grid(6)
        rng = np.random.default_rng(2)
        y = joint_law(n, d, **TRUTH) * np.exp(1e-3 * rng.standard_normal(n.size))
        spoiled = np.where(np.arange(n.size) % 12 == 5, y * 1.15, y)
        fit = fit_joint_law(n, d, spoiled, objective="huber_log", resamples=100)
        self.assertAllClose([fit.a, fit.b], [0.3, 0.22], atol=0.03, rtol=0)
        least_squares = fit_joint_law(n, d, spoiled, resamples=100)
        self.assertGreater(abs(least_squares.E - 0.75), 3 * abs(fit.E - 0.75))

        def objective(p: np.ndarray) -> float:
            return huber_log(np.array([*np.exp(p[:2]), p[2], math.exp(p[3]), p[4]]), n, d, spoiled)

        for _ in range(10):
            start = np.log(0.75), np.log(2.5), 0.3, np.log(1.5), 0.22
            found = optimize.minimize(
                objective, start + 0.2 * rng.standard_normal(5), method="Nelder-Mead", options={"maxiter": 4000}
            )
            self.assertLessEqual(fit.objective_value, found.fun * (1 + 1e-9))

    def test_the_order_of_points_does_not_matter(self) -> None:
        n, d = grid(5)
        y = joint_law(n, d, **TRUTH) + 1e-3 * np.random.default_rng(3).standard_normal(n.size)
        shuffle = np.random.default_rng(4).permutation(n.size)
        self.assertEqual(
            fit_joint_law(n, d, y, resamples=100), fit_joint_law(n[shuffle], d[shuffle], y[shuffle], resamples=100)
        )


class AllocationTest(tf.test.TestCase):
    """The compute-optimal split against numerical optimisation."""

    def setUp(self) -> None:
        super().setUp()
        n, d = grid(5)
        y = joint_law(n, d, **TRUTH) + 1e-4 * np.random.default_rng(0).standard_normal(n.size)
        self.fit = fit_joint_law(n, d, y, resamples=200)

    def _numerical(self, budget: float, cost: object) -> float:
        assert callable(cost)
        found = optimize.minimize_scalar(
            lambda t: math.log(
                joint_law(math.exp(t), budget / float(cost(np.array(math.exp(t)))), **self._law()) - self.fit.E
            ),
            bounds=(math.log(1e3), math.log(1e10)),
            method="bounded",
            options={"xatol": 1e-12},
        )
        return math.exp(found.x)

    def _law(self) -> dict[str, float]:
        fit = self.fit
        return {"E": fit.E, "A": fit.A, "a": fit.a, "B": fit.B, "b": fit.b}

    def test_equals_numerical_optimisation(self) -> None:
        measured = MeasuredCost((1e5, 1e6, 1e7), (3e5, 5e6, 9e7))
        for budget in (1e12, 1e14):
            for cost, given in (
                (lambda n: 6.0 * n, 6.0),
                (lambda n: 6.0 * n, lambda n: 6.0 * n),
                (lambda n: 2e5 + 3.0 * n, lambda n: 2e5 + 3.0 * n),
                (lambda n: 40.0 * n**0.8, lambda n: 40.0 * n**0.8),
                (measured, measured),
            ):
                split = self.fit.compute_optimal(budget, cost_per_example=given)
                self.assertAllClose(split.n, self._numerical(budget, cost), rtol=1e-6, atol=0)
                self.assertAllClose(split.d * float(cost(np.array(split.n))), budget, rtol=1e-12, atol=0)
                self.assertAllClose(split.loss, self.fit.predict(split.n, split.d), rtol=1e-12, atol=0)
                for name in ("n", "d", "loss"):
                    self.assertLessEqual(split.interval[name][0], getattr(split, name))
                    self.assertGreaterEqual(split.interval[name][1], getattr(split, name))

    def test_best_n_grows_as_budget_to_the_split_exponent(self) -> None:
        small, large = (self.fit.compute_optimal(budget) for budget in (1e12, 1e15))
        self.assertAllClose(math.log(large.n / small.n) / math.log(1e3), self.fit.split_exponent, rtol=1e-9)

    def test_the_interval_holds_the_true_split(self) -> None:
        true = dict(TRUTH)
        g = (true["a"] * true["A"] / (true["b"] * true["B"])) ** (1 / (true["a"] + true["b"]))
        best = g * (1e13 / 6) ** (true["b"] / (true["a"] + true["b"]))
        low, high = self.fit.compute_optimal(1e13).interval["n"]
        self.assertBetween(best, low, high)
        self.assertLess(high / low, 2)

    def test_measured_cost_goes_through_its_points_and_on(self) -> None:
        cost = MeasuredCost((10, 100, 1000), (5, 50, 5000))
        self.assertAllClose(cost([10, 100, 1000]), [5, 50, 5000])
        self.assertAllClose(cost([1, 31.6227766, 1e4]), [0.5, 15.8113883, 5e5])

    def test_what_has_no_optimum_is_refused(self) -> None:
        for budget, cost, message in (
            (0.0, 6.0, "budget is 0"),
            (1e12, -1.0, "cost_per_example is -1"),
            (1e12, np.ones_like, "a million times beyond"),
            (1e12, lambda n: n - 1e6, r"cost_per_example\(.*\) is -"),
            (1e12, lambda n: 1.0, "one cost per n"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                self.fit.compute_optimal(budget, cost_per_example=cost)
        with self.assertRaisesRegex(ValueError, r"n\[1\] is 1, not above"):
            MeasuredCost((1, 1), (2, 3))
        with self.assertRaisesRegex(ValueError, "two models or more"):
            MeasuredCost((1,), (2,))


class IntervalTest(tf.test.TestCase):
    """The bootstrap."""

    def test_intervals_cover_and_statuses_are_calm(self) -> None:
        n, d = grid(5)
        rng = np.random.default_rng(0)
        hits, count = np.zeros(4), 120
        for i in range(count):
            truth = {**TRUTH, "a": rng.uniform(0.2, 0.5), "b": rng.uniform(0.2, 0.5)}
            law = {**truth, "A": 0.15, "B": 0.15, "n0": 1e5, "d0": 1e4}
            y = joint_law(n, d, **law) + 5e-4 * rng.standard_normal(n.size)
            fit = fit_joint_law(n, d, y, resamples=150, seed=i)
            self.assertEqual(fit.status, "ok")
            low, high = fit.predict_interval(1e8, 1e7)
            inside: list[bool] = [fit.interval[k][0] <= truth[k] <= fit.interval[k][1] for k in ("E", "a", "b")]
            hits += np.array([*inside, bool(low <= joint_law(1e8, 1e7, **law) <= high)])
        # 0.95 nominal; a percentile bootstrap at n = 25 has about 0.91. Three standard errors of 120 are 0.08.
        self.assertAllGreaterEqual(hits / count, 0.83)

    def test_groups_that_share_their_noise_widen_the_intervals(self) -> None:
        n, d = grid(8)
        rng = np.random.default_rng(1)
        trials = np.unique(n, return_inverse=True)[1]
        trials = trials + 8 * (np.arange(n.size) % 4)  # four seeds of each model
        shared = 3e-3 * rng.standard_normal(32)[trials]
        y = joint_law(n, d, **TRUTH) + shared + 1e-5 * rng.standard_normal(n.size)
        alone, grouped = fit_joint_law(n, d, y), fit_joint_law(n, d, y, groups=trials)
        self.assertEqual(alone.E, grouped.E)
        self.assertGreater(np.ptp(grouped.interval["a"]), 1.2 * np.ptp(alone.interval["a"]))
        named = fit_joint_law(n, d, y, groups=[f"trial {i:02}" for i in trials])
        self.assertEqual(named, grouped)

    def test_a_new_measurement_falls_into_its_interval(self) -> None:
        n, d = grid(7)
        rng = np.random.default_rng(2)
        for objective in ("rss", "huber_log"):
            y = joint_law(n, d, **TRUTH) * np.exp(2e-3 * rng.standard_normal(n.size))
            fit = fit_joint_law(n, d, y, objective=objective, resamples=400)
            new = joint_law(n, d, **TRUTH) * np.exp(2e-3 * rng.standard_normal((20, n.size)))
            low, high = fit.predict_interval(n, d, kind="new")
            self.assertBetween(float(np.mean((low <= new) & (new <= high))), 0.91, 0.99)
            mean_low, mean_high = fit.predict_interval(n, d)
            self.assertTrue((mean_high - mean_low < high - low).all())
            self.assertTrue(((mean_low <= fit.predict(n, d)) & (fit.predict(n, d) <= mean_high)).all())


class StatusTest(tf.test.TestCase):
    """What limits the use of a fit."""

    def _status(self, n: np.ndarray, d: np.ndarray, y: np.ndarray) -> str:
        fit = fit_joint_law(n, d, y, resamples=200)
        self.assertIsInstance(fit.status, JointStatus)
        return fit.status

    def test_each_status(self) -> None:
        n, d = grid(5)
        noise = 1e-4 * np.random.default_rng(0).standard_normal(n.size)
        self.assertEqual(self._status(n, d, joint_law(n, d, **TRUTH) + noise), "ok")
        self.assertEqual(self._status(n, d, 0.7 + noise), "flat")
        self.assertEqual(self._status(n, d, joint_law(n, d, **{**TRUTH, "B": 0.0}) + noise), "flat")
        slow = joint_law(n, d, E=0.2, A=1.0, a=0.02, B=1.5, b=0.3)
        self.assertEqual(self._status(n, d, slow + 10 * noise), "E_unidentified")
        cliff = np.where(n == n.min(), 1.0, 0.7) + joint_law(n, d, **{**TRUTH, "A": 0.0}) + noise
        self.assertEqual(self._status(n, d, cliff), "exponent_at_bound")
        self.assertEqual(
            self._status(n[:5], d[:5] * np.arange(1, 6), n[:5] ** -0.1 * np.arange(1, 6)), "too_few_points"
        )
        line = np.geomspace(1e5, 1e7, 9)
        self.assertEqual(self._status(line, 20 * line, joint_law(line, 20 * line, **TRUTH)), "confounded")

    def test_too_few_points_has_nan_and_keeps_the_points(self) -> None:
        fit = fit_joint_law([1, 2, 3, 4], [1, 2, 4, 8], [4, 3, 2, 1])
        self.assertEqual(fit.status, "too_few_points")
        self.assertAllEqual(np.isnan([fit.E, fit.A, fit.a, fit.B, fit.b, fit.objective_value]), [True] * 6)
        self.assertTrue(np.isnan(fit.predict(2, 2)))
        self.assertAllEqual(np.isnan(fit.predict_interval([2, 3], 2)), np.ones((2, 2), bool))
        content = json.loads(json.dumps(fit.to_dict()))
        self.assertEqual(json.dumps(JointFit.from_dict(content).to_dict()), json.dumps(content))
        with self.assertRaisesRegex(ValueError, "too_few_points"):
            fit.compute_optimal(1e6)


class JsonTest(tf.test.TestCase):
    """What is written is what was fitted."""

    def test_round_trip_and_bytes(self) -> None:
        n, d = grid(5)
        y = joint_law(n, d, **TRUTH) + 1e-3 * np.random.default_rng(0).standard_normal(n.size)
        for objective in ("rss", "huber_log"):
            fit = fit_joint_law(n, d, y, objective=objective, seed=3, resamples=150)
            text = json.dumps(fit.to_dict(), allow_nan=False)
            again = fit_joint_law(n, d, y, objective=objective, seed=3, resamples=150)
            self.assertEqual(json.dumps(again.to_dict(), allow_nan=False), text)
            read = JointFit.from_dict(json.loads(text))
            self.assertEqual(read, fit)
            places = np.geomspace(1e3, 1e9, 7)
            self.assertAllEqual(read.predict(places, 1e5), fit.predict(places, 1e5))
            self.assertAllEqual(read.predict_interval(places, 1e5, "new"), fit.predict_interval(places, 1e5, "new"))
            self.assertEqual(read.compute_optimal(1e14), fit.compute_optimal(1e14))
        with self.assertRaisesRegex(ValueError, "fit the points again"):
            JointFit.from_dict({"E": 1})


class BadInputTest(tf.test.TestCase):
    """Every refusal names the argument and the place; nothing else warns."""

    def test_refusals(self) -> None:
        n, d = grid(3)
        y = joint_law(n, d, **TRUTH)

        def with_value(values: np.ndarray, value: float) -> np.ndarray:
            return np.where(np.arange(values.size) == 4, value, values)

        for arguments, options, message in (
            ((with_value(n, np.nan), d, y), {}, r"n\[4\] is nan"),
            ((n, with_value(d, np.inf), y), {}, r"d\[4\] is inf"),
            ((n, d, with_value(y, -np.inf)), {}, r"y\[4\] is -inf"),
            ((with_value(n, 0), d, y), {}, r"n\[4\] is 0; it must be above 0"),
            ((n, with_value(d, -2), y), {}, r"d\[4\] is -2; it must be above 0"),
            ((n, d, with_value(y, -1)), {}, r"y\[4\] is -1; it must be 0 or above"),
            ((n, d, with_value(y, 0)), {"objective": "huber_log"}, r"y\[4\] is 0; it must be above 0"),
            ((n[:5], d, y), {}, "d has 9 values and n has 5"),
            ((n, d, y[None]), {}, "y has shape"),
            (([], [], []), {}, "n is empty"),
            ((n, np.full(9, 7), y), {}, "d is 7 at every point"),
            ((n, d, y), {"objective": "huber"}, "objective is 'huber'"),
            ((n, d, y), {"delta": 0.0}, "delta is 0"),
            ((n, d, y), {"level": 95}, "level is 95"),
            ((n, d, y), {"resamples": 3}, "resamples is 3"),
            ((n, d, y), {"seed": -1}, "seed is -1"),
            ((n, d, y), {"groups": [1, 2]}, "groups has 2 labels for 9 points"),
            ((n, d, y), {"groups": ["a"] * 9}, "groups has 1 different labels"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                fit_joint_law(*arguments, **options)
        fit = fit_joint_law(n, d, y, resamples=100)
        with self.assertRaisesRegex(ValueError, r"n\[1\] is 0"):
            fit.predict([1, 0], 5)
        with self.assertRaisesRegex(ValueError, "must broadcast"):
            fit.predict([1, 2], [1, 2, 3])
        with self.assertRaisesRegex(ValueError, "kind is 'old'"):
            fit.predict_interval(1, 1, "old")  # type: ignore[arg-type]

    def test_no_magnitude_warns(self) -> None:
        n, d = grid(4)
        base = joint_law(n, d, **TRUTH)
        rng = np.random.default_rng(0)
        with warnings.catch_warnings(), np.errstate(all="raise"):
            warnings.simplefilter("error")
            for objective in ("rss", "huber_log"):
                for y in (
                    base * 1e300,
                    base * 1e-300,
                    np.full(n.size, 0.7),
                    rng.uniform(0.1, 1, n.size),
                    10.0 ** rng.uniform(-250, 250, n.size),
                    n**0.3,
                ):
                    for unit in (1e-290, 1.0, 1e290):
                        fit = fit_joint_law(n * unit, d, y, objective=objective, resamples=100)
                        self.assertTrue(np.isfinite(fit.predict(n * unit, d)).all())
                        json.dumps(fit.to_dict(), allow_nan=False)
                        fit.predict_interval(n * unit, d, "new")


if __name__ == "__main__":
    tf.test.main()
