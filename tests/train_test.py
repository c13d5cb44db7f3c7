import dataclasses
import threading
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf

from tests.studies import tiny_config, tiny_data
from tfrs_scaling.config import Config
from tfrs_scaling.export import MEASURED, read_scalars
from tfrs_scaling.fit.runs import TIMING_COLUMNS
from tfrs_scaling.isolation import IsolatedError, run_isolated
from tfrs_scaling.train import Progress, run_trial
from tfrs_scaling.trials import Trial, all_trials

TIMED = {tag for tag, column in MEASURED.items() if column in TIMING_COLUMNS}


class TrainTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.get_temp_dir()) / self._testMethodName
        self.config = tiny_config(V=["1/2"])
        self.data = tiny_data(self.config, self.folder / "data")

    def run_trial(
        self, trial: Trial, config: Config, name: str, train: Any = run_trial
    ) -> tuple[dict[str, Any], float, list[Progress]]:
        directory = self.folder / name
        directory.mkdir(parents=True)
        reports: list[Progress] = []
        validation_ne = run_isolated(
            train,
            (trial, config, self.data, directory, "cpu", 1),
            directory / "log.txt",
            reports.append,
            threading.Event(),
        )
        scalars = read_scalars(directory)
        return {tag: values for tag, values in scalars.items() if tag not in TIMED}, validation_ne, reports

    def test_measures_every_rung_and_reports_progress(self) -> None:
        scalars, validation_ne, reports = self.run_trial(all_trials(self.config)[0], self.config, "one")
        for tag in set(MEASURED) - TIMED:
            self.assertEqual(list(scalars[tag]), [256, 512, 1024], tag)
            self.assertTrue(np.isfinite(list(scalars[tag].values())).all(), tag)
        self.assertEqual(np.float32(validation_ne), np.float32(scalars["validation/ne"][1024]))
        self.assertEqual(reports[-1].examples, 1024)

    def test_same_trial_twice_is_the_same_to_the_last_bit(self) -> None:
        trial = all_trials(self.config)[1]
        self.assertEqual(
            self.run_trial(trial, self.config, "first")[:2], self.run_trial(trial, self.config, "second")[:2]
        )

    def test_rung_of_a_ladder_is_a_separate_run_s_end_to_the_last_bit(self) -> None:
        trial = all_trials(self.config)[0]
        ladder = self.run_trial(trial, self.config, "ladder")[0]
        shorter = dataclasses.replace(self.config, sweep=dataclasses.replace(self.config.sweep, examples=(512,)))
        alone = self.run_trial(trial, shorter, "alone")[0]
        for tag in ("test/ne", "test/auc", "validation/ne"):
            self.assertEqual(ladder[tag][512], alone[tag][512], tag)

    def test_seed_changes_the_start(self) -> None:
        trial = all_trials(self.config)[0]
        other = dataclasses.replace(trial, seed=1)
        one, two = (self.run_trial(t, self.config, t.trial_id)[1] for t in (trial, other))
        self.assertNotEqual(one, two)

    def test_two_replicas_learn_and_measure_what_one_device_does(self) -> None:
        trial = all_trials(self.config)[0]
        alone, mirrored = (self.run_trial(trial, self.config, t.__name__, t)[0] for t in (run_trial, _on_two_replicas))
        self.assertEqual(set(mirrored), set(alone))
        for tag, values in alone.items():
            # The same batches, summed in another order.
            self.assertAllClose(list(mirrored[tag].values()), list(values.values()), rtol=2e-4, msg=tag)

    def test_diverging_loss_fails_with_its_place(self) -> None:
        trial = dataclasses.replace(all_trials(self.config)[0], learning_rate=1e30)
        with self.assertRaisesRegex(IsolatedError, r"training loss became (nan|inf) between examples \d+ and \d+"):
            self.run_trial(trial, self.config, "diverges")


def _on_two_replicas(*arguments: Any) -> float:
    def two_replicas(_: str) -> tf.distribute.Strategy:
        half = tf.config.LogicalDeviceConfiguration()
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [half, half])
        return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

    with mock.patch("tfrs_scaling.train.make_strategy", two_replicas):
        return run_trial(*arguments)


if __name__ == "__main__":
    tf.test.main()
