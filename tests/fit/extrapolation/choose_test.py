"""Tests of the law selection on curves whose law is known, published curves and curves of trained models."""

import json
import math
import unittest
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrs_scaling.fit import LAWS, ChosenLaw, choose_law
from tfrs_scaling.fit.extrapolation.candidates import N_PARAMETERS
from tfrs_scaling.fit.laws.functions import broken_power_law, exponential_law, power_law_value, shifted_power_law

ADDITION = Path(__file__).parents[3] / "../shared/data/scaling/bnsl-4digit-addition/addition.csv"
MOVIELENS_X = np.array([3e3, 6e3, 12e3, 25e3, 50e3, 100e3, 200e3, 400e3, 800e3])  # from issue 6
MOVIELENS_NE = np.array([0.999, 0.992, 0.941, 0.889, 0.858, 0.833, 0.812, 0.798, 0.788])
LADDER = 1000.0 * 2.0 ** np.arange(11)
PLANTED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "constant": lambda x: np.full_like(x, 0.8),
    "power": lambda x: power_law_value(x, alpha=0.9, beta=0.2, gamma=0.0, x0=1e3),
    "power + constant": lambda x: power_law_value(x, alpha=0.2, beta=0.3, gamma=0.78, x0=1e3),
    "exponential": lambda x: exponential_law(x, alpha=0.3, tau=1e5, gamma=0.7),
    "shifted power": lambda x: shifted_power_law(x, alpha=0.3, beta=0.3, shift=2e4, x0=1e6),
    "broken power law": lambda x: broken_power_law(
        x, alpha=0.9, beta=0.05, change=0.35, width=0.2, x_break=1.6e4, x0=1e3
    ),
}


def rmsle(predicted: np.ndarray, measured: np.ndarray) -> float:
    """Root mean squared difference of logarithms."""
    return float(np.sqrt(np.mean((np.log(predicted) - np.log(measured)) ** 2)))


class PlantedTest(tf.test.TestCase):
    """Curves that follow a law."""

    def test_the_laws_by_hand(self) -> None:
        self.assertAllClose(exponential_law([0.0, 2.0], alpha=3.0, tau=2.0, gamma=1.0), [4.0, 1 + 3 / math.e])
        self.assertAllClose(
            broken_power_law([2.0, 8.0], alpha=2.0, beta=0.5, change=1.0, width=1.0, x_break=4.0),
            [2 / math.sqrt(2) / 1.5, 2 / math.sqrt(8) / 3],
        )
        self.assertAllClose(shifted_power_law([5.0, 0.0, 32.0], alpha=6.0, beta=0.5, shift=4.0, x0=5.0), [6, 9, 3])

    def test_exact_curves_are_named_and_extrapolated(self) -> None:
        self.assertEqual(set(LAWS), set(PLANTED))
        for name, law in PLANTED.items():
            for x in (LADDER, np.linspace(1e4, 1e6, 60)):
                found = choose_law(x, law(x))
                if x is LADDER:
                    self.assertEqual(found.name, name)
                    self.assertEqual(found.extrapolates, name != "constant", found.why)
                further = x[-1] * np.array([2.0, 4.0, 10.0])
                self.assertAllClose(found.predict(further), law(further), rtol=2e-3)
                self.assertAllClose(sum(found.shares.values()), 1.0)
                self.assertIn(found.name, found.why)

    def test_noisy_curves_are_mostly_named_right(self) -> None:
        rng = np.random.default_rng(0)
        for name, law in PLANTED.items():
            right = 0
            for _ in range(12):
                found = choose_law(LADDER, law(LADDER) * np.exp(1e-3 * rng.standard_normal(11)))
                right += found.name == name
                self.assertLess(rmsle(found.predict(4e6), law(np.array(4e6))), 0.05)
            self.assertGreaterEqual(right, 6, name)

    def test_no_law_has_as_many_parameters_as_points(self) -> None:
        for n in (4, 5, 6):
            for law in PLANTED.values():
                chosen = choose_law(LADDER[:n], law(LADDER[:n]))
                self.assertLess(max(N_PARAMETERS[law] for law in (chosen.name, *chosen.aicc)), n)
                self.assertAllClose(chosen.average_weight + sum(member.weight for member in chosen.members), 1.0)

    def test_units_and_order_do_not_matter(self) -> None:
        rng = np.random.default_rng(1)
        y = PLANTED["power + constant"](LADDER) * np.exp(3e-3 * rng.standard_normal(11))
        found, shuffle = choose_law(LADDER, y), rng.permutation(11)
        self.assertEqual(choose_law(LADDER[shuffle], y[shuffle]), found)
        for unit in (1e-12, 1e12):
            scaled = choose_law(LADDER * unit, y / unit)
            self.assertEqual(scaled.name, found.name)
            self.assertAllClose(scaled.predict(1e7 * unit) * unit, found.predict(1e7), rtol=1e-6)

    def test_repeats_of_an_x_are_averaged(self) -> None:
        y = PLANTED["power"](LADDER)
        spread = np.exp(0.02)
        twice = choose_law(np.repeat(LADDER, 2), np.stack([y * spread, y / spread], axis=1).ravel())
        self.assertEqual(twice.n, 22)
        self.assertAllClose(twice.predict(1e7), choose_law(LADDER, y).predict(1e7), rtol=1e-6)

    def test_averaging_beats_fits_that_weigh_all_points_alike(self) -> None:
        """On planted curves of five kinds the error beyond the data is below that of the usual two fits."""
        rng = np.random.default_rng(2)
        errors: dict[str, list[float]] = {"selected": [], "power": [], "power + constant": []}
        x = 1e3 * 2.0 ** np.arange(0, 9, 0.5)
        for name in ("power + constant", "shifted power", "broken power law"):
            for _ in range(6):
                y = PLANTED[name](x) * np.exp(5e-3 * rng.standard_normal(x.size))
                truth, further = PLANTED[name](8 * x[-4:]), 8 * x[-4:]
                found = choose_law(x, y)
                errors["selected"].append(rmsle(found.predict(further), truth))
                for other in ("power", "power + constant"):
                    plain = next(m for m in found.members if m.law == other and m.recency == 0)
                    alone = replace(found, members=(replace(plain, weight=1.0),), average_weight=0.0)
                    errors[other].append(rmsle(alone.predict(further), truth))
        means = {name: float(np.mean(values)) for name, values in errors.items()}
        self.assertLess(means["selected"], 0.7 * min(means["power"], means["power + constant"]), means)


class RealCurveTest(tf.test.TestCase):
    """Curves of trained models."""

    def test_addition_is_not_to_be_extrapolated_by_a_power_and_a_constant(self) -> None:
        if not ADDITION.exists():
            raise unittest.SkipTest(f"the curve of Caballero et al. (2023) is not there: no {ADDITION}")
        x, y, training = np.loadtxt(ADDITION, delimiter=",", skiprows=1).T
        self.assertEqual(int(training.sum()), 14)
        found = choose_law(x[training == 1], y[training == 1])
        self.assertNotEqual(found.name, "power + constant")
        self.assertFalse(found.extrapolates)
        self.assertIn("not to be extrapolated", found.why)
        self.assertLess(found.shares["power + constant"], 0.1)

    def test_movielens(self) -> None:
        """Each of the three largest rungs, and all of them, predicted from the smaller ones."""
        for n, bound in ((8, 0.005), (7, 0.02), (6, 0.06)):
            found = choose_law(MOVIELENS_X[:n], MOVIELENS_NE[:n])
            self.assertLess(rmsle(found.predict(MOVIELENS_X[n:]), MOVIELENS_NE[n:]), bound)
        found = choose_law(MOVIELENS_X, MOVIELENS_NE)
        self.assertEqual(found.name, "power + constant")
        self.assertTrue(found.extrapolates)


class DoubtTest(tf.test.TestCase):
    """When not to trust a prediction."""

    def test_reasons(self) -> None:
        rng = np.random.default_rng(0)
        for x, y, reason in (
            (LADDER[:5], PLANTED["power"](LADDER[:5]), "too few"),
            (LADDER[:4], PLANTED["power"](LADDER[:4]), "too few"),
            (LADDER, 0.8 * (LADDER / 1e3) ** 0.1, "rises"),
            (LADDER, 0.8 + 0.1 * np.log(LADDER / 3e4) ** 2, "rises"),
            (LADDER, np.full(11, 0.3), "a constant predicts as well"),
            (LADDER, np.append(np.full(9, 0.9), [0.6, 0.3]), "missed by"),
            (LADDER, np.exp(rng.normal(0, 0.5, 11)), "missed by|differ|rises|a constant"),
            (1e3 * 2.0 ** np.arange(8), PLANTED["power"](LADDER[:8])[::-1], "a constant predicts as well"),
        ):
            found = choose_law(x, y)
            self.assertFalse(found.extrapolates)
            self.assertRegex(found.why, f"not to be extrapolated: .*({reason})")
            self.assertTrue(np.isfinite(found.predict(x[-1] * np.array([0.5, 1, 10, 1e6]))).all())

    def test_doubted_curves_are_the_ones_missed(self) -> None:
        """Among curves that bend after the data, errors are larger where extrapolates is False."""
        rng = np.random.default_rng(3)
        errors: dict[bool, list[float]] = {True: [], False: []}
        x = np.geomspace(1e3, 1e5, 20)
        for noise in (0.002, 0.1):
            for _ in range(12):
                law = PLANTED["shifted power"]
                found = choose_law(x, law(x) * np.exp(noise * rng.standard_normal(20)))
                errors[found.extrapolates].append(rmsle(found.predict(4e5), law(np.array(4e5))))
        self.assertGreaterEqual(len(errors[True]), 10)
        self.assertGreaterEqual(len(errors[False]), 6)
        self.assertLess(np.mean(errors[True]), 0.5 * np.mean(errors[False]))


class JsonTest(tf.test.TestCase):
    """What is written is what was selected."""

    def test_round_trip_and_bytes(self) -> None:
        for n in (4, 9):
            found = choose_law(MOVIELENS_X[:n], MOVIELENS_NE[:n])
            text = json.dumps(found.to_dict(), allow_nan=False)
            self.assertEqual(json.dumps(choose_law(MOVIELENS_X[:n], MOVIELENS_NE[:n]).to_dict(), allow_nan=False), text)
            read = ChosenLaw.from_dict(json.loads(text))
            self.assertAllEqual(read.predict(np.geomspace(1, 1e9, 9)), found.predict(np.geomspace(1, 1e9, 9)))
            self.assertEqual(json.dumps(read.to_dict()), text)
        for broken in ({}, {**found.to_dict(), "members": [{"law": "line"}]}):
            with self.assertRaisesRegex(ValueError, "choose it again"):
                ChosenLaw.from_dict(broken)


class BadInputTest(tf.test.TestCase):
    """Every refusal names the argument and the place; nothing else warns or is NaN."""

    def test_refusals(self) -> None:
        y = PLANTED["power"](LADDER)
        for place, value, message in (
            ("x", np.nan, r"x\[3\] is nan"),
            ("x", -np.inf, r"x\[3\] is -inf"),
            ("x", 0.0, r"x\[3\] is 0"),
            ("y", np.inf, r"y\[3\] is inf"),
            ("y", 0.0, r"y\[3\] is 0"),
            ("y", -1.0, r"y\[3\] is -1"),
            ("y", 1e-200, "y spans"),
            ("x", 1e-200, "x spans"),
        ):
            given = {"x": LADDER.copy(), "y": y.copy()}
            given[place][3] = value
            with self.assertRaisesRegex(ValueError, message):
                choose_law(**given)
        for x, losses, message in (
            (LADDER, y[:5], "y has 5 values and x has 11"),
            (LADDER[None], y[None], "x has shape .* must be one-dimensional"),
            ([], [], "x is empty"),
            ([5] * 6, y[:6], "x has 1 different value"),
            ([1, 2, 2, 1, 3], y[:5], "x has 3 different value"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                choose_law(x, losses)
        with self.assertRaisesRegex(ValueError, r"x\[1\] is -2"):
            choose_law(LADDER, y).predict([1, -2])

    def test_x_far_from_the_data_warns_of_nothing(self) -> None:
        law = choose_law(LADDER, PLANTED["power + constant"](LADDER))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            far, near = law.predict([1e-300, 1.0])
            high = law.predict_interval(1e-300).high
        self.assertGreater(far, near)
        self.assertGreater(high, near)

    def test_any_curve_gives_finite_predictions_without_a_warning(self) -> None:
        rng = np.random.default_rng(0)
        with warnings.catch_warnings(), np.errstate(all="raise"):
            warnings.simplefilter("error")
            for n in (4, 5, 6, 7, 9, 14, 40, 300):
                for spread in (1e-6, 0.1, 1.0, 20.0):
                    for x in (np.arange(1.0, n + 1), 10 ** np.sort(rng.uniform(0, 8, n)), 1 + 1e-7 * np.arange(n)):
                        y = np.exp(spread * rng.standard_normal(n))
                        found = choose_law(x, y)
                        ahead = found.predict(x[-1] * np.array([1e-6, 0.5, 1, 2, 100, 1e9]))
                        self.assertTrue(np.isfinite(ahead).all() and (ahead >= 0).all())
                        json.dumps(found.to_dict(), allow_nan=False)
            for unit in (1e-290, 1e290):
                self.assertTrue(np.isfinite(choose_law(LADDER * unit, PLANTED["power"](LADDER) / unit).predict(unit)))


if __name__ == "__main__":
    tf.test.main()
