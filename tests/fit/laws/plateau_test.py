"""Tests of the power-law region on planted curves and on two measured ones."""

import numpy as np
import tensorflow as tf

from tfrs_scaling.fit.laws.plateau import power_law_region, power_law_regions
from tfrs_scaling.fit.laws.power_law import fit_power_law

LADDER = 1000.0 * 2.0 ** np.arange(9)


class PowerLawRegionTest(tf.test.TestCase):
    """Where the power-law region begins."""

    def test_movielens_1m_loses_its_first_points_and_the_rest_fits(self) -> None:
        x = 1000 * np.array([3, 6, 12, 25, 50, 100, 200, 400, 800])
        y = np.array([0.999, 0.992, 0.941, 0.889, 0.858, 0.833, 0.812, 0.798, 0.788])
        start = power_law_region(x, y)
        self.assertIn(start, (1, 2, 3))
        self.assertGreater(fit_power_law(x[start:], y[start:]).r2, 0.999)
        self.assertLess(fit_power_law(x, y).r2, 0.985)

    def test_flights_start_where_the_curve_starts_to_fall(self) -> None:
        x = 1000 * np.array([1, 2, 4, 9, 18, 36, 73, 145, 290])
        y = np.array([1.03, 0.972, 0.969, 0.970, 0.945, 0.929, 0.922, 0.911, 0.901])
        self.assertEqual(power_law_region(x, y), 3)

    def test_a_planted_plateau_is_found(self) -> None:
        rng = np.random.default_rng(0)
        law = 0.4 * (LADDER / LADDER[0]) ** -0.3 + 0.7
        curve = np.minimum(law, 1.0 - 0.002 * np.arange(9))  # the law is below that from the third point on
        starts = [power_law_region(LADDER, curve + rng.normal(0, 5e-4, 9)) for _ in range(50)]
        self.assertGreaterEqual(starts.count(2), 45)

    def test_a_law_without_a_plateau_keeps_its_points(self) -> None:
        rng = np.random.default_rng(1)
        for n in (6, 9):
            kept = 0
            for _ in range(200):
                law = 0.2 * (LADDER[:n] / LADDER[0]) ** -rng.uniform(0.1, 0.8) + 0.78
                kept += power_law_region(LADDER[:n], law + rng.normal(0, 1e-3, n)) == 0
            self.assertGreaterEqual(kept / 200, 0.93)  # 96 % is expected, with a standard error of 1.4 %

    def test_noise_free_laws_and_short_curves_keep_everything(self) -> None:
        for beta in (0.05, 0.3, 2.0):
            self.assertEqual(power_law_region(LADDER, (LADDER / LADDER[0]) ** -beta + 0.5), 0)
        self.assertEqual(power_law_region(LADDER[:5], [1, 1, 0.9, 0.8, 0.75]), 0)

    def test_curves_of_fewer_points_are_no_trouble_at_large_x(self) -> None:
        logs = np.log(1e7 * 2.0 ** np.arange(9))
        curve = 0.2 * np.exp(-0.3 * (logs - logs[0])) + 0.78 + np.random.default_rng(2).normal(0, 1e-4, 9)
        plateau = np.minimum(curve, [0.95, 0.93] + [1.0] * 7)
        # the last three of each second row are absent, and hold 0 as those of a resampled frontier do
        many, shorter = np.stack([logs, np.where(np.arange(9) < 6, logs, 0.0)]), np.where(np.arange(9) < 6, curve, 0.0)
        with np.errstate(all="raise", under="ignore"):
            starts = power_law_regions(many, np.stack([plateau, shorter]), np.array([9, 6]))
        alone = [power_law_region(np.exp(logs), plateau), power_law_region(np.exp(logs[:6]), curve[:6])]
        self.assertAllEqual(starts, alone)

    def test_of_a_long_curve_the_start_is_found_to_a_sixteenth(self) -> None:
        rng, x = np.random.default_rng(3), np.geomspace(1e3, 1e6, 160)
        law = 0.4 * (x / 1e3) ** -0.3 + 0.7
        curve = np.minimum(law, law[50])
        for _ in range(5):
            start = power_law_region(x, curve + rng.normal(0, 1e-3, 160))
            self.assertBetween(start, 50 - 11, 50 + 11)
        self.assertEqual(power_law_region(x, law), 0)

    def test_unsorted_x_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "strictly increasing"):
            power_law_region([2, 1, 3], [0.9, 0.95, 0.8])
        with self.assertRaisesRegex(ValueError, "strictly increasing"):
            power_law_region([1, 1, 3], [0.9, 0.95, 0.8])


if __name__ == "__main__":
    tf.test.main()
