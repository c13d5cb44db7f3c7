"""Tests of the Pareto frontier against the definition, applied to every pair."""

import json

import numpy as np
import tensorflow as tf

from tfrs_scaling.fit.laws.frontier import fit_frontier, pareto_frontier
from tfrs_scaling.fit.laws.learning_curve import fit_learning_curve
from tfrs_scaling.fit.laws.power_law import PowerLawFit, fit_power_law


def brute_force(cost: np.ndarray, loss: np.ndarray) -> list[int]:
    """Every point that no other dominates, the first of equals, by cost: O(n squared)."""
    kept = []
    for i in range(cost.size):
        no_worse = (cost <= cost[i]) & (loss <= loss[i])
        better = no_worse & ((cost < cost[i]) | (loss < loss[i]))
        first_of_equals = not ((cost[:i] == cost[i]) & (loss[:i] == loss[i])).any()
        if not better.any() and first_of_equals:
            kept.append(i)
    return sorted(kept, key=lambda i: cost[i])


class ParetoFrontierTest(tf.test.TestCase):
    """Which points are on the frontier."""

    def test_equals_brute_force_with_ties(self) -> None:
        rng = np.random.default_rng(0)
        for _ in range(1000):
            n = int(rng.integers(1, 25))
            cost, loss = rng.integers(0, 6, n).astype(float), rng.integers(0, 6, n).astype(float)
            self.assertEqual(pareto_frontier(cost, loss).tolist(), brute_force(cost, loss))

    def test_by_hand(self) -> None:
        self.assertEqual(pareto_frontier([4, 1, 2, 3, 1], [0.7, 0.9, 0.9, 0.8, 0.95]).tolist(), [1, 3, 0])
        self.assertEqual(pareto_frontier([], []).tolist(), [])

    def test_bad_input_is_named(self) -> None:
        with self.assertRaisesRegex(ValueError, r"loss\[1\] is \w+; every value must be finite"):
            pareto_frontier([1, 2], [1, np.nan])
        with self.assertRaisesRegex(ValueError, "loss has 1 values and cost has 2"):
            pareto_frontier([1, 2], [1])


def shapes(seeds: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Five sizes of a model on a ladder of data: compute, loss without noise, size and trial of each point."""
    sizes, data = np.array([0.25, 0.5, 1.0, 2.0, 4.0]), 10_000 * 2.0 ** np.arange(8)
    size, examples, seed = (part.ravel() for part in np.meshgrid(sizes, data, np.arange(seeds), indexing="ij"))
    loss = 0.70 + 0.06 * size**-0.5 + 0.15 * (examples / 1e4) ** -0.35
    return size * examples, loss, size, size * 10 + seed


class FitFrontierTest(tf.test.TestCase):
    """The law of a frontier whose members noise decides."""

    def test_noise_that_steps_share_is_not_taken_for_a_plateau(self) -> None:
        steps, rng = np.geomspace(1e3, 1e6, 40), np.random.default_rng(0)
        decay = 0.9 ** np.maximum(np.subtract.outer(np.arange(40), np.arange(40)), 0) * np.tri(40)
        for _ in range(8):
            curves = [5 * steps**-0.4 + 0.5 + decay @ rng.normal(0, 4e-4, 40) for _ in range(2)]
            fit = fit_frontier([*steps, *steps], np.concatenate(curves), configurations=["a"] * 40 + ["b"] * 40)
            if len(fit.left_out) > 5:
                self.assertEqual(fit.status, "correlated_residuals")
                self.assertIn("not a plateau", fit.why_left_out)
                return
        self.fail("no frontier left points out, so nothing was tested")

    def test_it_is_the_law_of_the_frontiers_points(self) -> None:
        cost, loss, size, trial = shapes(seeds=2)
        noisy = loss + np.random.default_rng(0).normal(0, 1e-3, loss.size)
        fit = fit_frontier(cost, noisy, configurations=size, groups=trial, plateau=np.zeros(cost.size))
        means = noisy.reshape(40, 2).mean(axis=1)
        members = pareto_frontier(cost[::2], means)
        self.assertAllEqual(fit.x, cost[::2][members])
        self.assertAllClose(fit.y, means[members], rtol=1e-15)
        alone = fit_power_law(cost[::2][members], means[members])
        self.assertEqual((fit.alpha, fit.beta, fit.gamma), (alone.alpha, alone.beta, alone.gamma))

    def test_intervals_cover_the_law_of_the_true_frontier(self) -> None:
        for seeds in (1, 3):
            cost, loss, size, trial = shapes(seeds)
            number, on_plateau = np.unique(trial, return_inverse=True)[1], np.zeros(cost.size)
            true = fit_frontier(cost, loss, configurations=size, groups=trial, plateau=on_plateau)
            rng, covered = np.random.default_rng(1), np.zeros(3)
            for _ in range(60):
                noise = rng.normal(0, 5e-4, cost.size) + (seeds > 1) * rng.normal(0, 5e-4, number.max() + 1)[number]
                fit = fit_frontier(cost, loss + noise, configurations=size, groups=trial, plateau=on_plateau)
                low, high = fit.predict_interval(2 * cost.max())
                covered[0] += fit.interval["beta"][0] <= true.beta <= fit.interval["beta"][1]
                covered[1] += fit.interval["gamma"][0] <= true.gamma <= fit.interval["gamma"][1]
                covered[2] += bool(low <= true.predict(2 * cost.max()) <= high)
            self.assertAllGreaterEqual(covered / 60, 0.85)  # 95 % less three standard errors

    def test_equal_shapes_whose_luck_the_frontier_takes(self) -> None:
        """The least of five noisy losses is too low by 1.2 standard deviations; the interval must know."""
        data, rng, inside = 10_000 * 2.0 ** np.arange(8), np.random.default_rng(2), 0.0
        cost, shape = np.tile(data, 5), np.repeat(np.arange(5), 8)
        truth = 0.70 + 0.15 * (data / 1e4) ** -0.35
        for _ in range(10):
            loss = np.tile(truth, 5) + rng.normal(0, 5e-4, 40)
            low, high = fit_frontier(cost, loss, configurations=shape, plateau=np.zeros(40)).predict_interval(data)
            inside += float(np.mean((low <= truth) & (truth <= high))) / 10
        self.assertGreater(inside, 0.7)

    def test_plateau_given_and_found(self) -> None:
        x = 1000.0 * 2.0 ** np.arange(10)
        curve = np.minimum(0.4 * (x / 1000) ** -0.3 + 0.6, [0.92, 0.915] + [1.0] * 8)
        fit = fit_frontier(x, curve + np.random.default_rng(2).normal(0, 1e-4, 10))
        self.assertEqual(fit.left_out, (1000.0, 2000.0))
        self.assertIn("plateau", fit.why_left_out)
        given = fit_frontier(x, curve, plateau=[True, *[False] * 9])
        self.assertEqual(given.left_out, (1000.0,))

    def test_order_and_names_do_not_matter_and_a_seed_gives_the_same_bytes(self) -> None:
        cost, loss, size, trial = shapes(seeds=2)
        rng = np.random.default_rng(3)
        noisy, order = loss + rng.normal(0, 1e-3, loss.size), rng.permutation(loss.size)
        one = fit_frontier(cost, noisy, configurations=size, groups=trial, seed=4)
        other = fit_frontier(cost[order], noisy[order], configurations=size[order], groups=trial[order], seed=4)
        self.assertEqual(json.dumps(one.to_dict()), json.dumps(other.to_dict()))
        self.assertEqual(PowerLawFit.from_dict(json.loads(json.dumps(one.to_dict()))), one)

    def test_bad_input_is_named(self) -> None:
        for message, arguments in (
            (r"cost\[0\] is 0", {"cost": [0, 1], "loss": [1, 1]}),
            (r"loss\[1\] is nan", {"cost": [1, 2], "loss": [1, np.nan]}),
            (r"loss\[1\] is -1", {"cost": [1, 2], "loss": [1, -1]}),
            (r"loss has 1 values and cost has 2", {"cost": [1, 2], "loss": [1]}),
            (r"groups has 1 labels", {"cost": [1, 2], "loss": [1, 0.9], "groups": [1]}),
            (r"plateau has 1 values", {"cost": [1, 2], "loss": [1, 0.9], "plateau": [True]}),
            (r"1 point.s. off the plateau", {"cost": [1, 2], "loss": [0.9, 1]}),
        ):
            with self.assertRaisesRegex(ValueError, message):
                fit_frontier(**arguments)
        self.assertEqual(fit_frontier([1, 2], [1, 0.9]).status, "too_few_points")


class WeightsTest(tf.test.TestCase):
    """Points of different precision."""

    def test_equal_weights_change_nothing_and_a_worthless_point_is_ignored(self) -> None:
        rng, examples = np.random.default_rng(0), 1000 * 2.0 ** np.arange(8)
        cost, loss = np.tile(examples, 2), np.concatenate([0.3 * examples**-0.2 + 0.7, 0.9 * examples**-0.35 + 0.7])
        loss += rng.normal(0, 1e-4, loss.size)
        shapes = np.repeat(["small", "large"], 8)
        plain = fit_frontier(cost, loss, configurations=shapes)
        equal = fit_frontier(cost, loss, weights=np.full(16, 7.0), configurations=shapes)
        self.assertAllClose((plain.beta, plain.gamma), (equal.beta, equal.gamma), rtol=1e-9)
        self.assertAllClose(plain.interval["beta"], equal.interval["beta"], rtol=1e-9)
        off = loss - np.where(cost == examples[0], 0.01, 0.0)
        weights = np.where(cost == examples[0], 1e-6, 1.0)
        light = fit_frontier(cost, off, weights=weights, configurations=shapes)
        without = cost > examples[0]
        fewer = fit_frontier(cost[without], loss[without], configurations=shapes[without])
        self.assertAllClose((light.beta, light.gamma), (fewer.beta, fewer.gamma), rtol=1e-2)

    def test_a_ladder_alone_is_fitted_as_the_ladder_with_its_weights(self) -> None:
        rng, examples = np.random.default_rng(1), np.repeat(1000 * 2.0 ** np.arange(8), 3)
        loss, weights = 0.3 * (examples / 1000) ** -0.3 + 0.7 + rng.normal(0, 1e-3, 24), examples
        trainings, names = np.tile([0, 1, 2], 8), ["one"] * 24
        frontier = fit_frontier(examples, loss, weights=weights, configurations=names, groups=trainings)
        ladder = fit_learning_curve(examples, loss, weights=weights, groups=trainings)
        self.assertAllClose((frontier.beta, frontier.gamma), (ladder.beta, ladder.gamma), rtol=1e-9)


if __name__ == "__main__":
    tf.test.main()
