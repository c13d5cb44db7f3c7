"""Tests of the Pareto frontier against the definition, applied to every pair."""

import numpy as np

from tfrs_scaling.fit.frontier import pareto_frontier

import tensorflow as tf  # isort: skip -- after tfrs_scaling, which chooses the Keras it comes with


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
        with self.assertRaisesRegex(ValueError, r"loss\[1\] is not finite"):
            pareto_frontier([1, 2], [1, np.nan])
        with self.assertRaisesRegex(ValueError, "cost has shape"):
            pareto_frontier([1, 2], [1])


if __name__ == "__main__":
    tf.test.main()
