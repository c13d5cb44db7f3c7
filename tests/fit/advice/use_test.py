"""Tests of measured shapes and what it costs to train them."""

import dataclasses

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.levers import LADDER, Scenario
from tests.helpers.noise import UNKNOWN, noise
from tests.helpers.planted import planted_row
from tfrs_scaling.fit.advice.use import ARCHITECTURE, DRAWS, Shape, measured_shapes
from tfrs_scaling.fit.advice.words import use_words
from tfrs_scaling.fit.analyses.noise.training_noise import TrainingNoise
from tfrs_scaling.fit.runs.run_table import COLUMNS

NOISE = noise(1e-3, 50)


def shapes_of(rows: pd.DataFrame, known: TrainingNoise = NOISE) -> dict[tuple[str, float], Shape]:
    """By scheme and multiplier; those of other architectures left out."""
    names = sorted(rows["architecture"].unique())
    found = measured_shapes(rows, [dataclasses.replace(known, architecture=name) for name in names]).shapes
    return {(shape.scheme, shape.multiplier): shape for shape in found if ARCHITECTURE not in shape.levers}


class MeasuredShapesTest(tf.test.TestCase):
    def test_means_over_seeds_with_the_noise_of_as_many_trainings(self) -> None:
        rows = Scenario("params=4x", {"V": 8.0}, None, seeds=4, multipliers=(4.0,)).study(np.random.default_rng(0))
        at_top = rows[rows["examples"] == LADDER[-1]].groupby(["scheme", "multiplier"])["test_ne"].mean()
        for key, shape in shapes_of(rows).items():
            self.assertAllClose(shape.ne, at_top[key], rtol=1e-12)
            self.assertAllClose(np.std(shape.draws), 1e-3 / 2, rtol=0.1)
            self.assertAllClose(np.mean(shape.draws), shape.ne, atol=5 * 1e-3 / 2 / np.sqrt(DRAWS))

    def test_unknown_noise_makes_unknown_draws(self) -> None:
        rows = Scenario("params=4x", {}, None, multipliers=(4.0,)).study(np.random.default_rng(0))
        for shape in shapes_of(rows, UNKNOWN).values():
            self.assertTrue(np.isnan(shape.draws).all())

    def test_cost(self) -> None:
        rows = [
            planted_row(*shape, 0, 0.02, LADDER[-1], 0.8)
            for shape in (("D", 1.0), ("E", 3.0), ("N", 0.25), ("P-hard", 0.25))
        ]
        rows.append(planted_row("D", 1.0, 0, 0.02, LADDER[-1], 0.8) | {"architecture": "cross"})
        table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
        shapes = shapes_of(table)
        baseline, epochs, negatives = (shapes[key].cost(1000) for key in (("D", 1.0), ("E", 3.0), ("N", 0.25)))
        per_example = 2 * 3 * 33_000 + 3 * 1000  # of planted_row
        self.assertEqual(
            baseline, {"compute": 1000 * per_example, "data": 1000, "params": 1_633_000, "hours": 0.02 / 3600}
        )
        self.assertAllClose(epochs, baseline | {"compute": 3 * baseline["compute"], "hours": 3 * baseline["hours"]})
        # Of 100 rows 20 are clicks and a quarter of the other 80 is kept: 40 rows trained on.
        self.assertAllClose(negatives, baseline | {"data": 2500})
        self.assertAllClose(shapes["P-hard", 0.25].cost(1000), baseline | {"data": 4000})
        self.assertLen(shapes, 4)  # that of another architecture left out
        now, hard = (shapes[key].measured(1000) for key in (("D", 1.0), ("P-hard", 0.25)))
        self.assertEndsWith(use_words(hard, now), "on the same 1,000 examples, which take 4k rows of the log")
        self.assertEndsWith(use_words(now, now), "on the same 1,000 examples")

    def test_shapes_that_compare_architectures_are_left_out(self) -> None:
        rows = [planted_row(*shape, 0, 0.02, LADDER[-1], 0.8) for shape in (("D", 1.0), ("V", 4.0), ("A", 4.0))]
        rows += [row | {"architecture": "wukong"} for row in (rows[0], rows[2])]
        found = measured_shapes(pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS), [NOISE]).shapes
        self.assertEqual(
            [(shape.architecture, shape.scheme) for shape in found], [("dot", "D"), ("dot", "V"), ("wukong", "D")]
        )


if __name__ == "__main__":
    tf.test.main()
