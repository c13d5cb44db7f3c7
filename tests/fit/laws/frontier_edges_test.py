"""Tests of the edge of a grid, by hand and on worlds whose frontier of compute is known."""

import json

import numpy as np
import tensorflow as tf

from tfrs_scaling.fit.laws.frontier import fit_frontier, grid_edge, longest_run
from tfrs_scaling.fit.laws.learning_curve import fit_learning_curve
from tfrs_scaling.fit.laws.power_law import PowerLawFit


def world(a: float, b: float, sizes: int, rungs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """n, d and ``0.75 + 0.1 / n**a + 0.1 / d**b`` on a grid of factors 2 around 1."""
    exponents = np.meshgrid(np.arange(sizes) - (sizes - 1) / 2, np.arange(rungs) - (rungs - 1) / 2, indexing="ij")
    n, d = (2.0 ** axis.ravel() for axis in exponents)
    return n, d, 0.75 + 0.1 * n**-a + 0.1 * d**-b


class GridEdgeTest(tf.test.TestCase):
    """The points without a neighbour on every side."""

    def test_a_ragged_grid_by_hand(self) -> None:
        sizes = [1, 1, 1, 2, 2, 2, 2, 4, 4, 4]
        rungs = [1, 2, 3, 1, 2, 3, 4, 1, 2, 3]
        self.assertAllEqual(np.array([sizes, rungs]).T[~grid_edge(sizes, rungs)], [(2, 2), (2, 3)])

    def test_longest_run(self) -> None:
        for flags, run in (([0, 1, 1, 0, 1], (1, 3)), ([1, 0, 1], (0, 1)), ([0, 0], (0, 0)), ([1, 1], (0, 2))):
            found = longest_run(np.array(flags, dtype=bool))
            self.assertEqual((found.start, found.stop), run)


class FrontierInsideTest(tf.test.TestCase):
    """The frontier of compute of ``L = E + A / n**a + B / d**b`` falls as compute to the power a b / (a + b)."""

    def test_intervals_cover_where_a_law_is_fitted(self) -> None:
        covered, rng = [], np.random.default_rng(0)
        for a, b in ((0.4, 0.4), (0.34, 0.28)):
            n, d, loss = world(a, b, 7, 8)
            for _ in range(30):
                noisy = loss + rng.normal(0, 1e-3, loss.size)
                fit = fit_frontier(n * d, noisy, configurations=n, plateau=np.zeros(n.size), edge=grid_edge(n, d))
                self.assertTrue(fit.status.is_fitted)
                self.assertIn("edge of the grid", fit.why_left_out)
                (low, high), (floor_low, floor_high) = fit.interval["beta"], fit.interval["gamma"]
                covered.append([low <= a * b / (a + b) <= high, floor_low <= 0.75 <= floor_high])
        self.assertAllGreaterEqual(np.mean(covered, axis=0), 0.87)  # 95 % less three standard errors

    def test_too_few_inside_is_refused_and_goes_through_json(self) -> None:
        n, d, loss = world(0.4, 0.4, 3, 8)
        fit = fit_frontier(n * d, loss, configurations=n, edge=grid_edge(n, d))
        self.assertEqual(fit.status, "grid_edge")
        self.assertFalse(fit.status.has_law)
        self.assertTrue(np.isnan(fit.beta))
        self.assertGreaterEqual(len(fit.x), 4)  # the frontier's points are kept
        self.assertEqual(PowerLawFit.from_dict(json.loads(json.dumps(fit.to_dict(), allow_nan=False))), fit)
        self.assertIn("inside the grid", str(fit))


class OneConfigurationTest(tf.test.TestCase):
    """A frontier of one ladder is that ladder."""

    def test_interval_and_status_are_those_of_its_learning_curve(self) -> None:
        x, rng = np.tile(1000.0 * 2.0 ** np.arange(9), 2), np.random.default_rng(3)
        best = np.minimum(0.4 * (x / 1000) ** -0.3 + 0.6, 0.92) + rng.normal(0, 2e-3, 18)
        seeds = np.repeat(["0", "1"], 9)
        frontier = fit_frontier(
            np.tile(x, 2),
            np.concatenate([best, best + 0.1]),
            configurations=np.repeat(["best", "other"], 18),
            groups=np.concatenate([seeds, np.char.add("other ", seeds)]),
        )
        self.assertEqual(frontier, fit_learning_curve(x, best, groups=seeds))

    def test_a_frontier_of_fewer_points_than_a_law_takes_has_too_few(self) -> None:
        cost, edge = [1.0, 2.0, 3.0], [True, False, True]
        fit = fit_frontier(cost, [0.9, 0.8, 0.75], plateau=[False] * 3, edge=edge, configurations=["a", "b", "c"])
        self.assertEqual((fit.status, fit.n), ("too_few_points", 3))


if __name__ == "__main__":
    tf.test.main()
