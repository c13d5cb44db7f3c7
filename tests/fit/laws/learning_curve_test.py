"""Tests of learning curves with a plateau: measured on MovieLens-1M, and planted."""

import json
import warnings

import numpy as np
import tensorflow as tf

from tests.helpers.simulated import plateau_coverage
from tfrs_scaling.fit.extrapolation.returns import returns_at, samples_to_reach
from tfrs_scaling.fit.laws.comparison import compare_laws
from tfrs_scaling.fit.laws.frontier import fit_frontier
from tfrs_scaling.fit.laws.learning_curve import fit_learning_curve
from tfrs_scaling.fit.laws.power_law import PowerLawFit, fit_power_law

LADDER = 1000.0 * 2.0 ** np.arange(9)
MOVIELENS_X = 1000 * np.array([3, 6, 12, 25, 50, 100, 200, 400, 800])
MOVIELENS_NE = np.array([0.999, 0.992, 0.941, 0.889, 0.858, 0.833, 0.812, 0.798, 0.788])


class LearningCurveTest(tf.test.TestCase):
    """What is left out, why, and what it does to the intervals."""

    def test_movielens_leaves_its_plateau_out_and_says_why(self) -> None:
        fit = fit_learning_curve(MOVIELENS_X, MOVIELENS_NE)
        self.assertIn(fit.left_out, ((3000.0,), (3000.0, 6000.0)))
        self.assertEqual(fit.n + len(fit.left_out), 9)
        self.assertRegex(fit.why_left_out, r"plateau.*% of resampled curves")
        self.assertGreater(fit.r2, 0.999)
        self.assertEqual(fit.status, "ok")
        kept = ~np.isin(MOVIELENS_X, fit.left_out)
        self.assertEqual(fit.beta, fit_power_law(MOVIELENS_X[kept], MOVIELENS_NE[kept]).beta)

    def test_a_curve_without_a_plateau_is_fitted_whole(self) -> None:
        y = 0.2 * (LADDER / 1000) ** -0.3 + 0.78 + np.random.default_rng(0).normal(0, 5e-4, 9)
        fit, whole = fit_learning_curve(LADDER, y), fit_power_law(LADDER, y)
        self.assertEqual((fit.left_out, fit.why_left_out), ((), ""))
        self.assertEqual((fit.beta, fit.gamma, fit.n), (whole.beta, whole.gamma, 9))

    def test_steps_that_share_noise_are_not_taken_for_a_plateau(self) -> None:
        steps = np.geomspace(1e3, 1e6, 40)
        truth = 5 * steps**-0.4 + 0.5
        statuses: list[str] = []
        for seed in range(20):
            innovations = np.random.default_rng(seed).normal(0, np.sqrt(1 - 0.9**2) * 1e-3, 40)
            noise = [innovations[0] / np.sqrt(1 - 0.9**2)]
            for innovation in innovations[1:]:
                noise.append(0.9 * noise[-1] + innovation)
            fit = fit_learning_curve(steps, truth + noise)
            statuses.append(fit.status)
            if fit.status == "correlated_residuals":
                self.assertLess(fit.residual_runs_p, 0.01)
                self.assertNotIn("stays on a plateau", fit.why_left_out)
        self.assertGreaterEqual(statuses.count("correlated_residuals"), 15)  # a fit of all points: 16

    def test_a_plateau_of_many_points_stays_one(self) -> None:
        x = np.geomspace(1e3, 1e6, 40)
        y = np.minimum(0.6 * (x / 1e3) ** -0.4, 0.6 * 10**-0.4) + 0.5
        for seed in range(5):
            fit = fit_learning_curve(x, y + np.random.default_rng(seed).normal(0, 1e-3, 40))
            self.assertEqual((fit.status, fit.left_out), ("ok", tuple(x[:14])))
            self.assertIn("plateau", fit.why_left_out)
            self.assertIn("(14 different x)", fit.summary())

    def test_intervals_cover_the_truth_with_the_choice_inside(self) -> None:
        for ladders in (1, 3):
            figures = plateau_coverage(100, seed=2, ladders=ladders)
            for name in ("beta", "gamma", "beyond"):
                self.assertGreaterEqual(figures[name], 0.87, (ladders, name))
            self.assertGreater(figures["resampled"], 0.1)  # the choice is uncertain often enough to matter

    def test_an_uncertain_start_widens_the_intervals(self) -> None:
        rng = np.random.default_rng(3)
        wider = []
        for _ in range(40):
            y = np.minimum(0.4 * (LADDER / 1000) ** -0.3 + 0.6, 0.96) + rng.normal(0, 4e-3, 9)
            fit = fit_learning_curve(LADDER, y)
            if fit.resampled_laws:
                kept = slice(len(fit.left_out), None)
                alone = fit_power_law(LADDER[kept], y[kept])
                wider.append(np.subtract(*fit.interval["beta"]) / np.subtract(*alone.interval["beta"]))
        self.assertGreater(len(wider), 5)
        self.assertGreater(np.median(wider), 1.0)

    def test_same_seed_same_bytes_and_back(self) -> None:
        y = np.minimum(0.4 * (LADDER / 1000) ** -0.3 + 0.6, 0.96) + np.random.default_rng(4).normal(0, 4e-3, 9)
        one, other = (fit_learning_curve(LADDER, y, seed=5) for _ in range(2))
        text = json.dumps(one.to_dict(), allow_nan=False)
        self.assertEqual(text, json.dumps(other.to_dict(), allow_nan=False))
        self.assertEqual(PowerLawFit.from_dict(json.loads(text)), one)

    def test_huge_and_tiny_losses_are_no_trouble(self) -> None:
        whole = fit_learning_curve(MOVIELENS_X, MOVIELENS_NE)
        frontier = fit_frontier(MOVIELENS_X, MOVIELENS_NE)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for scale in (1e-300, 1e-150, 1e150, 1e300):
                fit = fit_learning_curve(MOVIELENS_X, MOVIELENS_NE * scale)
                self.assertEqual(fit.left_out, whole.left_out)
                self.assertAllClose(fit.gamma / scale, whole.gamma, rtol=1e-6)
                frontier_scaled = fit_frontier(MOVIELENS_X, MOVIELENS_NE * scale)
                for ends, expected in zip(frontier_scaled.interval["gamma"], frontier.interval["gamma"], strict=True):
                    self.assertAllClose(ends / scale, expected, rtol=1e-6)
                at, reference = returns_at(fit, 1e5, 0.01), returns_at(whole, 1e5, 0.01)
                self.assertAllClose(at.diminishing_return, reference.diminishing_return, rtol=1e-6)
                self.assertTrue(samples_to_reach(fit, fit.gamma * 1.01).reachable)
                self.assertEqual(compare_laws(fit, fit).p_value, 1.0)
            self.assertEqual(fit_learning_curve(LADDER, np.zeros(9)).status, "flat")

    def test_few_and_constant_points(self) -> None:
        self.assertEqual(fit_learning_curve(LADDER[:3], [0.9, 0.8, 0.75]).status, "too_few_points")
        self.assertEqual(fit_learning_curve(LADDER, np.full(9, 0.8)).status, "flat")
        with self.assertRaisesRegex(ValueError, r"y\[0\] is nan"):
            fit_learning_curve(LADDER, np.full(9, np.nan))

    def test_a_dense_curve_is_resampled_as_its_averages_are(self) -> None:
        rng, x = np.random.default_rng(0), np.geomspace(1e3, 1e7, 600)
        ys = 0.7 + 0.3 * (x / 1e3) ** -0.3 + rng.normal(0, 2e-3, (3, 1)) + rng.normal(0, 4e-3, (3, 600))
        dense = fit_learning_curve(np.tile(x, 3), ys.ravel(), groups=np.repeat([*"abc"], 600))
        means = ys.reshape(3, 300, 2).mean(axis=2)
        logs = np.exp(np.log(x).reshape(300, 2).mean(axis=1))
        averaged = fit_learning_curve(np.tile(logs, 3), means.ravel(), groups=np.repeat([*"abc"], 300))
        for name in ("beta", "gamma"):
            self.assertAllClose(getattr(dense, name), getattr(averaged, name), rtol=1e-3)
            self.assertAllClose(dense.interval[name], averaged.interval[name], rtol=2e-3)


if __name__ == "__main__":
    tf.test.main()
