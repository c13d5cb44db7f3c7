"""Tests of what a training takes: on planted run tables whose speeds are known."""

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.planted import LADDER, planted_study
from tfrs_scaling.fit.runs.costs import uneven_speed


def study_of_speeds(noise: float, **wrong: float) -> pd.DataFrame:
    """A study of three seeds and three rates, whose speeds scatter by a share; all but the first training of a shape
    at the largest data size have so many times the true speed, in turn."""
    runs = planted_study(seeds=3, schemes="VM")
    speeds = 50_000 * (1 + noise * np.random.default_rng(0).uniform(-1, 1, len(runs)))
    speeds *= np.where(runs["scheme"] == "M", 3.0, 1.0)  # another shape may be three times as fast
    for scheme, times in wrong.items():
        rows = runs.index[(runs["scheme"] == scheme) & (runs["examples"] == LADDER[-1])]
        speeds[rows[1:]] *= np.resize([1.0, times], len(rows) - 1)
    return runs.assign(examples_per_second=speeds)


class UnevenSpeedTest(tf.test.TestCase):
    """When times of training are no facts."""

    def test_speeds_of_equal_trainings_may_differ_a_little_and_those_of_shapes_a_lot(self) -> None:
        for noise in (0.0, 0.05, 0.18):  # at most 1.18 / 0.82 times
            self.assertIsNone(uneven_speed(study_of_speeds(noise)))

    def test_an_uneven_baseline_is_found_and_named(self) -> None:
        found = uneven_speed(study_of_speeds(0.0, D=0.4))
        assert found is not None
        self.assertEqual(found.examples, LADDER[-1])
        self.assertAllClose(found.times, 2.5)
        self.assertIn("on 1,280,000 examples that should take equally long, those of a baseline, differ", found.words)
        self.assertIn("by a factor of 2.5", found.words)

    def test_half_of_the_shapes_are_found_and_one_of_many_is_not(self) -> None:
        found = uneven_speed(study_of_speeds(0.0, V=0.4, M=0.4))
        assert found is not None
        self.assertIn("those of half of the shapes", found.words)
        runs = study_of_speeds(0.0)
        largest = runs.index[(runs["scheme"] == "V") & (runs["examples"] == LADDER[-1])]
        runs.loc[largest[0], "examples_per_second"] = 100.0
        self.assertIsNone(uneven_speed(runs))

    def test_learning_rates_tell_as_seeds_do_and_single_trainings_tell_nothing(self) -> None:
        runs = study_of_speeds(0.0, D=0.5, V=0.5, M=0.5)
        one_seed = runs[runs["seed"] == 0]
        self.assertIsNotNone(uneven_speed(one_seed))
        self.assertIsNone(uneven_speed(one_seed[one_seed["learning_rate"] == 0.005]))

    def test_small_data_sizes_failures_and_tables_without_times_do_not_count(self) -> None:
        runs = study_of_speeds(0.0)
        slow = runs.assign(examples_per_second=runs["examples_per_second"].where(runs["examples"] > LADDER[0], 7.0))
        self.assertIsNone(uneven_speed(slow))
        worst = study_of_speeds(0.0, D=0.1, V=0.1, M=0.1)
        failed = worst.assign(status=np.where(worst["examples_per_second"] < 10_000, "failed", "ok"))
        self.assertIsNone(uneven_speed(failed))
        for unknown in (np.nan, 0.0):
            self.assertIsNone(uneven_speed(worst.assign(examples_per_second=unknown)))
        self.assertIsNone(uneven_speed(worst[worst["scheme"] != "D"]))


if __name__ == "__main__":
    tf.test.main()
