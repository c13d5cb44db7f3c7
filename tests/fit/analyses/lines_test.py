"""Tests of the frontier of compute, on worlds whose frontier is known."""

import numpy as np
import tensorflow as tf

from tests.helpers.worlds import GRIDS, WORLDS, frontier_coverage
from tfrs_scaling.fit.analyses.lines import inner_points


class ComputeFrontierTest(tf.test.TestCase):
    def test_where_one_model_makes_up_the_inside_no_law_is_fitted(self) -> None:
        said = frontier_coverage(WORLDS[6], GRIDS[1], 3e-4, 8, seed=1)  # its ladder would give 0.3 instead of 0.19
        self.assertEqual((said["refused"], said["all"]), (8, 8))

    def test_a_balanced_grid_gives_the_law(self) -> None:
        said = frontier_coverage(WORLDS[3], GRIDS[0], 1e-3, 12, seed=2)
        self.assertEqual(said["refused"], 0)
        self.assertGreaterEqual(min(said["beta"], said["gamma"]), 10)  # of 12: 95 % less three binomial errors


class InnerPointsTest(tf.test.TestCase):
    def test_a_law_takes_models_on_both_sides(self) -> None:
        rungs = 2.0 ** np.arange(8)
        self.assertEqual([inner_points(4.0 ** np.arange(sizes), rungs) for sizes in (2, 3)], [0, 0])
        self.assertGreaterEqual(inner_points(4.0 ** np.arange(5), rungs), 4)
        self.assertEqual(inner_points(4.0 ** np.arange(5), rungs[:2]), 0)

    def test_units_do_not_matter(self) -> None:
        sizes, rungs = 2.0 ** np.arange(7), 2.0 ** np.arange(8)
        self.assertEqual(inner_points(1e9 * sizes, 1e4 * rungs), inner_points(sizes, rungs))


if __name__ == "__main__":
    tf.test.main()
