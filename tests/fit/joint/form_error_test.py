"""Tests of how wrong a joint law may be beyond its points."""

import math

import numpy as np
import tensorflow as tf

from tests.helpers.worlds import WORLDS, grid
from tfrs_scaling.fit.extrapolation.predictive import PUBLIC
from tfrs_scaling.fit.joint.form_error import FormError, form_error
from tfrs_scaling.fit.joint.law import fit_joint_law
from tfrs_scaling.fit.joint.surface import surface_of


class FormErrorTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.n, self.d = grid(2.0, 2.0, 5)
        self.right = WORLDS[0].loss(self.n, self.d)
        self.wrong = np.maximum(self.right, 0.92)  # levels off at once, as no such law does

    def missed(self, y: np.ndarray) -> float:
        return form_error(surface_of(self.n, self.d, y, "rss", 1e-3)).missed

    def test_it_is_what_the_law_missed_pooled_with_public_curves(self) -> None:
        exact = self.missed(self.right)  # nothing missed: three backtests of 0 beside the public origins
        share = PUBLIC.prior_origins / (PUBLIC.prior_origins + 3)
        self.assertAllClose(exact, PUBLIC.population * math.sqrt(share), rtol=1e-3)
        self.assertGreater(self.missed(self.wrong), 2 * exact)

    def test_draws_grow_with_the_distance_and_are_those_of_t(self) -> None:
        draws = FormError(0.01, 5.0).draws(np.log([1.0, 2.0, 8.0]), 999, 0)
        self.assertAllEqual(draws[:, 0], np.zeros(999))
        self.assertAllClose(np.quantile(draws[:, 1], 0.975), 0.01 * 2.5706, rtol=0.02)
        self.assertAllClose(draws[:, 2], draws[:, 1] * 3**0.7)

    def test_a_measurement_beyond_falls_into_its_interval_where_the_form_is_wrong(self) -> None:
        noise = 1e-4 * np.random.default_rng(0).standard_normal(self.n.size)
        fit = fit_joint_law(self.n, self.d, self.wrong + noise, resamples=200)
        place = self.n.max(), 4 * self.d.max()
        low, high = fit.predict_interval(*place)
        wide_low, wide_high = fit.predict_interval(*place, "new")
        self.assertBetween(0.92, float(wide_low), float(wide_high))
        self.assertGreater(wide_high - wide_low, 3 * (high - low))
        inside = fit.predict_interval(self.n[0], self.d[0], "new")
        self.assertLess(inside[1] - inside[0], wide_high - wide_low)


if __name__ == "__main__":
    tf.test.main()
