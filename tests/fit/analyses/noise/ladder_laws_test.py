"""Tests of the means of seeds that all comparisons are made of."""

import pandas as pd

from tests.helpers.planted import planted_row
from tfrs_scaling.fit.analyses.noise.ladder_laws import shape_points
from tfrs_scaling.fit.runs.run_table import COLUMNS

import tensorflow as tf  # isort: skip -- after tfrs_scaling, which chooses the Keras it comes with


class PointsTest(tf.test.TestCase):
    def test_means_count_their_seeds(self) -> None:
        rows = [
            planted_row(scheme, multiplier, seed, 0.02, 1000, ne) | {"trial_id": f"{scheme}-{seed}"}
            for scheme, multiplier, seed, ne in (("V", 4.0, 0, 0.80), ("V", 4.0, 1, 0.82), ("D", 1.0, 0, 0.9))
        ]
        means = shape_points(pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS))
        found = {row.scheme: (row.ne, row.seeds) for row in means.itertuples()}
        self.assertEqual(found["D"], (0.9, 1))
        self.assertAllClose(found["V"], (0.81, 2))


if __name__ == "__main__":
    tf.test.main()
