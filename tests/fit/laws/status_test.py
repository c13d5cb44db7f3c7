"""Tests of what a law's status says, on sound points and on those that no law describes."""

import itertools
import math

import numpy as np
import tensorflow as tf
from scipy import special, stats

from tests.helpers.simulated import ladder_noise
from tfrs_scaling.fit.laws.frontier import fit_frontier
from tfrs_scaling.fit.laws.power_law import fit_power_law
from tfrs_scaling.fit.laws.status import Status, runs_test

LADDER = 1000.0 * 2.0 ** np.arange(9)


def law(x: np.ndarray, top: float = 0.2, beta: float = 0.3, gamma: float = 0.78) -> np.ndarray:
    """A law whose excess over gamma is ``top`` at x = 1000, the smallest x of LADDER."""
    return top * (x / LADDER[0]) ** -beta + gamma


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
            self.assertGreaterEqual(statuses.count(Status.OK), 38)

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


class MisfitTest(tf.test.TestCase):
    """Tests of a law against its own points."""

    def test_lack_of_fit_by_hand(self) -> None:
        rng = np.random.default_rng(20)
        x = np.repeat(LADDER, 3)
        y = law(x) + rng.normal(0, 1e-3, 27)
        fit = fit_power_law(x, y)
        means = y.reshape(9, 3).mean(axis=1)
        scatter = np.sum((y.reshape(9, 3) - means[:, None]) ** 2)
        misfit = 3 * np.sum((means - fit.predict(LADDER)) ** 2)
        expected = special.fdtrc(6, 18, misfit / 6 / (scatter / 18))
        self.assertAllClose(fit.lack_of_fit, expected, rtol=1e-6)
        self.assertTrue(math.isnan(fit_power_law(LADDER, law(LADDER)).lack_of_fit))

    def test_lack_of_fit_sees_a_wrong_law_and_not_lucky_seeds(self) -> None:
        rng = np.random.default_rng(21)
        x, groups = np.tile(LADDER, 3), np.repeat([0, 1, 2], 9)
        small = []
        for _ in range(100):
            y = law(x) + ladder_noise(rng, "offset", 3, 9, 1e-3).ravel()
            small.append(fit_power_law(x, y, groups=groups).lack_of_fit < 0.05)
        self.assertLessEqual(np.mean(small), 0.12)  # 5 % expected, with a standard error of 2.2 %
        wave = y + 0.01 * np.sin(np.log(x))
        self.assertLess(fit_power_law(x, wave, groups=groups).lack_of_fit, 1e-3)

    def test_runs_of_residuals_against_every_arrangement(self) -> None:
        for n in (2, 5, 8):
            for above in range(1, n):
                chosen = list(itertools.combinations(range(n), above))
                signs = np.array([[1.0 if i in places else -1.0 for i in range(n)] for places in chosen])
                runs = 1 + (np.diff(signs, axis=1) != 0).sum(axis=1)
                for row, count in zip(signs, runs, strict=True):
                    self.assertAllClose(runs_test(row), np.mean(runs <= count), rtol=1e-9)
        self.assertTrue(math.isnan(runs_test(np.ones(5))))

    def test_runs_of_residuals_see_a_wave_and_not_noise(self) -> None:
        rng, x = np.random.default_rng(24), np.geomspace(1e3, 1e6, 40)
        noisy = [fit_power_law(x, law(x) + rng.normal(0, 1e-3, 40)) for _ in range(100)]
        self.assertLessEqual(np.mean([fit.residual_runs_p < 0.05 for fit in noisy]), 0.12)
        self.assertLessEqual(np.mean([fit.status == Status.CORRELATED_RESIDUALS for fit in noisy]), 0.04)
        wave = fit_power_law(x, law(x) + 0.003 * np.sin(2 * np.log(x)))
        self.assertLess(wave.residual_runs_p, 1e-6)
        self.assertEqual(wave.status, Status.CORRELATED_RESIDUALS)
        self.assertFalse(wave.status.has_floor or wave.status.has_exponent)
        self.assertIn("residuals", str(wave))
        self.assertTrue(math.isnan(fit_power_law(x, law(x)).residual_runs_p))  # rounding says nothing

    def test_steps_of_one_training_are_not_sound(self) -> None:
        """Noise of neighbouring steps is alike, and the learning rate's decay bends the end of the curve down."""
        rng, x, marked = np.random.default_rng(25), np.linspace(1e4, 1e6, 60), 0
        for _ in range(20):
            noise = rng.normal(0, 1e-3, 60)
            for step in range(1, 60):
                noise[step] = 0.9 * noise[step - 1] + math.sqrt(1 - 0.9**2) * noise[step]
            decay = 0.02 * np.cos(np.pi * x / 2e6)
            marked += fit_power_law(x, law(x) + decay + noise).status != Status.OK
        self.assertGreaterEqual(marked, 18)


class LastStepTest(tf.test.TestCase):
    """A law that promises otherwise than its last two points show, beyond what replicates scatter by."""

    # the seeds' means of V against parameters, on votes of Congress: a steep fall that ends within one doubling
    X = np.array([47e3, 109e3, 358e3, 689e3, 1351e3, 2676e3])
    STOPS = np.array([0.7965, 0.6215, 0.2677, 0.2515, 0.2377, 0.2367])

    def fitted(self, y: np.ndarray, noise: float, seed: int = 0, seeds: int = 3) -> Status:
        x = np.repeat(self.X[: y.size], seeds)
        drawn = np.repeat(y, seeds) + np.random.default_rng(seed).normal(0, noise, x.size)
        return fit_power_law(x, drawn).status

    def test_a_fall_that_stops_is_seen_where_replicates_are_precise(self) -> None:
        self.assertEqual(self.fitted(self.STOPS, 1e-3), Status.LAST_STEP_MISSED)
        self.assertNotEqual(self.fitted(self.STOPS, 1e-3, seeds=1), Status.LAST_STEP_MISSED)  # one each cannot tell
        self.assertNotEqual(self.fitted(self.STOPS, 5e-2), Status.LAST_STEP_MISSED)  # nor noisy ones
        status = Status.LAST_STEP_MISSED
        self.assertFalse(status.has_law or status.has_exponent or status.has_floor)

    def test_a_fall_that_goes_on_through_the_floor_is_seen(self) -> None:
        y = np.array([0.9, 0.81, 0.785, 0.78, 0.779, 0.76])
        self.assertEqual(self.fitted(y, 1e-3), Status.LAST_STEP_MISSED)

    def test_laws_and_small_misfits_pass(self) -> None:
        x = self.X / self.X[0]
        true, bent = 0.5 * x**-0.6 + 0.2, 0.5 * x**-0.6 + 0.2 + 0.002 * np.sin(3 * np.log(x))
        statuses = [self.fitted(true, 1e-3, seed) for seed in range(200)]
        self.assertLessEqual(statuses.count(Status.LAST_STEP_MISSED), 5)  # 2 expected at most
        statuses = [self.fitted(bent, 1e-4, seed) for seed in range(20)]  # certain, but small against what is left
        self.assertNotIn(Status.LAST_STEP_MISSED, statuses)

    def test_the_t_test_by_hand(self) -> None:
        """Two trainings at each x, of one weight: the pooled variance of pairs, and SciPy's t."""
        fall = self.STOPS
        for half in np.geomspace(1e-3, 3e-2, 30):
            x, y = np.repeat(self.X, 2), np.stack([fall - half, fall + half], axis=1).ravel()
            fit = fit_power_law(x, y)
            change, promised = fall[-1] - fall[-2], np.diff(fit.predict(self.X[-2:]))[0]
            error = np.sqrt(2 * half**2 * (1 / 2 + 1 / 2))
            p_value = 2 * stats.t.sf(abs(change - promised) / error, 6)
            self.assertEqual(fit.status == Status.LAST_STEP_MISSED, p_value < 0.01, half)

    def test_a_seed_that_alone_has_the_last_point_is_compared_with_itself(self) -> None:
        """Its offset is no change of the loss, where it has points elsewhere, and unknown where it has none."""
        rng, x = np.random.default_rng(3), np.concatenate([LADDER, LADDER[:-1], LADDER[:-1]])
        own, others = np.repeat([0, 1, 2], [9, 8, 8]), np.repeat([0, 1, 2, 3], [8, 1, 8, 8])
        for offset in (-0.02, 0.02):
            y = law(x) + np.repeat([offset, 0, 0], [9, 8, 8]) + rng.normal(0, 1e-4, x.size)
            for groups in (own, others):
                self.assertNotEqual(fit_power_law(x, y, groups=groups).status, Status.LAST_STEP_MISSED)

    def test_a_frontier_is_judged_by_the_trainings_behind_its_points(self) -> None:
        rng = np.random.default_rng(1)
        x, falls = np.repeat(np.concatenate([self.X[:3], self.X[3:]]), 3), np.repeat(self.STOPS, 3)
        labels = ["small"] * 9 + ["large"] * 9
        y = falls + rng.normal(0, 1e-3, 18)
        fit = fit_frontier(x, y, configurations=labels, groups=range(18), plateau=np.zeros(18, dtype=bool))
        self.assertEqual(fit.n, 6)
        self.assertEqual(fit.status, Status.LAST_STEP_MISSED)


if __name__ == "__main__":
    tf.test.main()
