"""Tests of what laws promise beyond what was measured, against the laws that were planted."""

import dataclasses

import numpy as np
import tensorflow as tf

from tests.helpers.planted_answers import study_fits
from tfrs_scaling.fit.advice.projection import (
    LawErrors,
    SchemeSizes,
    beyond,
    change_between,
    joint_change,
    law_change,
    law_errors,
    law_reach,
    no_more_than_last_step,
)
from tfrs_scaling.fit.advice.use import DRAWS, Change, Shape
from tfrs_scaling.fit.analyses.held_out import HeldOut
from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.extrapolation.predictive import PUBLIC, forecast
from tfrs_scaling.fit.joint.allocation import Allocation
from tfrs_scaling.fit.joint.law import fit_joint_law
from tfrs_scaling.fit.laws.power_law import PowerLawFit, fit_power_law
from tfrs_scaling.fit.laws.status import Status

X = 1e4 * 2.0 ** np.arange(9)  # half as long on a logarithmic axis: 16 times


def law(x: np.ndarray, noise: float = 0.0) -> PowerLawFit:
    """A fit to points of a planted law."""
    return fit_power_law(x, 0.7 + 0.2 * (x / 1e4) ** -0.3 + noise * np.random.default_rng(0).standard_normal(x.size))


class LawTest(tf.test.TestCase):
    def test_how_far_a_law_is_followed(self) -> None:
        self.assertAllClose(law_reach(law(X)), 16)
        self.assertAllClose(law_reach(law(X[:7])), 8)
        self.assertAllClose(law_reach(law(1e4 * 2.0 ** np.arange(12))), 16)  # never further

    def test_the_change_is_that_of_the_law_and_its_draws_hold_the_truth(self) -> None:
        errors = np.random.default_rng(1).standard_normal(DRAWS)
        truth, ne = 0.2 * (512.0**-0.3 - 256.0**-0.3), float(law(X).y[-1])
        self.assertAllClose(law_change(law(X), 2 * X[-1], ne, errors, 1.0).ne, truth, atol=1e-6)
        noisy = law(X, noise=1e-3)
        near, far, sure = (law_change(noisy, end, ne, errors, factor) for end, factor in (
            (1.2 * X[-1], 1.0), (2 * X[-1], 1.0), (2 * X[-1], 0.1)))  # fmt: skip
        self.assertBetween(truth, *np.quantile(far.draws, (0.005, 0.995)))
        self.assertLess(np.std(near.draws), np.std(far.draws))
        self.assertLess(np.std(sure.draws), np.std(far.draws))
        self.assertLessEqual(far.draws.max(), 0)  # more data does not raise the loss

    def test_a_law_promises_no_more_than_the_last_step_allows(self) -> None:
        draws = np.random.default_rng(0).standard_normal(DRAWS)
        promised = Change(-0.05, np.full(DRAWS, -0.05))
        for gained, expected in ((0.03, -0.05), (0.01, -0.02), (-0.004, 0.0)):  # two doublings beyond one
            before, last = (
                Shape("dot", "V", 1.0, 16, 1, frozenset("V"), 0, 0, 1.0, 1.0, 1.0, ne, ne + sd * draws)
                for ne, sd in ((0.8, 0.0), (0.8 - gained, 0.001))
            )
            change = no_more_than_last_step(promised, before, last, 1e6, 2e6, 8e6)
            self.assertAllClose(change.ne, expected, atol=1e-9)
            # Each draw is bounded by its own step, which the noise of the last shape moves.
            self.assertAllClose(change.draws, np.clip(-2 * gained + 0.002 * draws, -0.05, 0.0), atol=1e-9)

    def test_a_floor_that_is_not_identified_is_averaged_over(self) -> None:
        fit = dataclasses.replace(law(X), status=Status.GAMMA_UNIDENTIFIED)
        change = law_change(fit, 2 * X[-1], 0.8, np.zeros(DRAWS), 1.0).ne
        averaged = beyond(forecast(fit.x, fit.y), 2 * X[-1]).change
        self.assertAllClose(change, 0.8 * np.expm1(averaged))

    def test_between_measured_places_draws_are_those_of_laws(self) -> None:
        change = change_between(law(X, noise=1e-3), X[3], X[5], np.random.default_rng(0))
        self.assertBetween(0.2 * (32**-0.3 - 8**-0.3), *np.quantile(change.draws, (0.005, 0.995)))


class LawErrorsTest(tf.test.TestCase):
    """What the lines of a study missed, held out, against what public curves lead to expect."""

    def errors(self, *misses: float) -> LawErrors:
        fit = law(X, noise=1e-3)
        scale = beyond(forecast(fit.x[:-1], fit.y[:-1]), X[-1]).scale
        held = tuple(
            HeldOut("dot", "D", "1", round(X[-1]), 0.8 * np.exp(scale * miss), None, None, 0.8, True, 0.0, "power")
            for miss in misses
        )
        return law_errors(study_fits(lines=(LineFit("dot", "D", "data", "1", fit),), held_out=held), "dot")

    def test_without_lines_they_are_those_of_public_curves(self) -> None:
        self.assertEqual(self.errors(), LawErrors())
        self.assertEqual(LawErrors().degrees, PUBLIC.degrees)

    def test_lines_that_err_on_their_own_count_each(self) -> None:
        found = self.errors(*[0.2, -0.2] * 8)
        self.assertAllClose(found.degrees, PUBLIC.degrees + 16)
        self.assertAllClose(found.factor**2, (PUBLIC.degrees + 16 * 0.04) / (PUBLIC.degrees + 16))
        self.assertEqual(found.shared, 0)

    def test_lines_that_err_alike_count_as_one(self) -> None:
        found = self.errors(*[3.0] * 16)
        self.assertAllClose((found.shared, found.degrees), (1.0, PUBLIC.degrees + 1))
        self.assertGreater(found.factor, 1.5)


class SchemeSizesTest(tf.test.TestCase):
    """A width of which the FLOPs grow as the square, and the parameters outside the tables too."""

    def setUp(self) -> None:
        super().setUp()

        def shape(multiplier: float) -> Shape:
            outside = round(1000 * multiplier**2)
            return Shape(
                "dot", "O", multiplier, 16, 1, frozenset("O"), 10_000 + outside, outside, 6.0 * outside,
                100 / multiplier, 1.0, 0.8, np.zeros(DRAWS),
            )  # fmt: skip

        self.shapes = [shape(multiplier) for multiplier in (0.5, 1.0, 2.0)]

    def test_the_cost_of_a_measured_multiplier_is_the_measured_one(self) -> None:
        sizes = SchemeSizes(self.shapes, "O")
        for shape in self.shapes:
            self.assertAllClose(sizes.cost(shape.multiplier, 1000), shape.cost(1000))

    def test_between_and_beyond_sizes_are_powers_of_the_multiplier(self) -> None:
        sizes = SchemeSizes(self.shapes, "O")
        self.assertAllClose(sizes.axis(np.array([0.75, 3.0])), [562.5, 9000])
        self.assertAllClose(sizes.position(8), 64_000)
        self.assertAllClose(sizes.cost(8, 10)["hours"], 10 / 12.5 / 3600)
        self.assertEqual(sizes.embedding_dim(8), 16)

    def test_tables_that_stay_do_not_hide_how_the_rest_grows(self) -> None:
        sizes = SchemeSizes(self.shapes, "O")  # 10,000 in tables, 1000 * multiplier**2 outside them
        self.assertAllClose(sizes.cost(181, 1)["params"], 10_000 + 1000 * 181**2)
        self.assertAllClose(sizes.cost(181, 1)["compute"], 6000 * 181**2)

    def test_laws_of_a_scheme_that_changes_the_tables_count_all_parameters(self) -> None:
        shapes = [
            dataclasses.replace(shape, scheme="H", embedding_dim=round(16 * shape.multiplier)) for shape in self.shapes
        ]
        sizes = SchemeSizes(shapes, "H")
        self.assertAllClose(sizes.axis(np.array([shape.multiplier for shape in shapes])), [10_250, 11_000, 14_000])
        self.assertEqual((sizes.embedding_dim(3), sizes.embedding_dim(16)), (48, 256))


class JointChangeTest(tf.test.TestCase):
    def test_within_the_measured_models_and_a_little_beyond_the_data(self) -> None:
        n, d = (axis.ravel() for axis in np.meshgrid(1e4 * 4.0 ** np.arange(5), 1e5 * 4.0 ** np.arange(5)))
        rng = np.random.default_rng(0)
        fit = fit_joint_law(n, d, 0.7 + 3 * n**-0.4 + 5 * d**-0.4 + rng.normal(0, 1e-4, n.size), resamples=100)
        start = (4e4, 256e5)

        def split(at_n: float, at_d: float) -> Allocation:
            return dataclasses.replace(fit.compute_optimal(1e12), n=at_n, d=at_d)

        change = joint_change(fit, split(16e4, 2 * 256e5), start, rng)
        assert change is not None
        truth = 3 * (16e4**-0.4 - 4e4**-0.4) + 5 * ((2 * 256e5) ** -0.4 - 256e5**-0.4)
        self.assertAllClose(change.ne, truth, atol=2e-4)
        self.assertAllClose(np.mean(change.draws), change.ne, atol=1e-3)
        for outside in ((3e6, 2 * 256e5), (16e4, 17 * 256e5), (16e4, 1e5)):
            self.assertIsNone(joint_change(fit, split(*outside), start, rng))


if __name__ == "__main__":
    tf.test.main()
