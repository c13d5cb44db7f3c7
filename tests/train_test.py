import dataclasses
import threading
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf

from tests.studies import stored, tiny_config, tiny_content, tiny_data
from tfrs_scaling.config import Config
from tfrs_scaling.export import MEASURED, read_scalars
from tfrs_scaling.fit.runs import TIMING_COLUMNS
from tfrs_scaling.input.shards import SPLITS, parse_record
from tfrs_scaling.input.synthetic import generate
from tfrs_scaling.input.validated import validated
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
        self.assertAllClose(list(scalars["test/base_ctr"].values()), [self.data.manifest.splits["test"].ctr] * 3)

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

    def test_weights_count_alike_in_training_and_evaluation(self) -> None:
        # A model that does not learn has one NE on the rows it is trained on and on the same rows in the test split.
        config = tiny_config(examples=[1024])
        assert config.synthetic is not None
        rows = next(generate(config.synthetic)).take(np.arange(1024))
        rng = np.random.default_rng(3)
        weight = np.where(rows.label == 1, rng.integers(0, 9, 1024), rng.integers(0, 3, 1024)).astype(np.float32)
        columns = {
            "label": rows.label[:, None],
            "dense": np.log1p(rows.dense).astype(np.float32),
            "ids": rows.codes.astype(np.int32),
            "weight": weight[:, None],
        }
        schema = dataclasses.replace(config.synthetic.schema(), weight="importance")
        self.data = stored(self.folder / "weighted", schema, dict.fromkeys(SPLITS, columns))
        trial = dataclasses.replace(all_trials(config)[0], learning_rate=1e-12)
        scalars, _, _ = self.run_trial(trial, config, "one")
        self.assertAllClose(scalars["train/ne"][1024], scalars["test/ne"][1024], rtol=1e-6)
        self.assertAllClose(scalars["test/base_ctr"][1024], weight @ rows.label / weight.sum(), rtol=1e-6)
        self.assertGreater(scalars["test/base_ctr"][1024], rows.label.mean() + 0.1)

    def test_predictions_of_a_model_that_saw_few_negatives_are_calibrated(self) -> None:
        content = tiny_content(examples=[8192], N=["1/8", "1/2"])
        content["synthetic"] |= {"rows": 60_000, "ctr": 0.1}
        config = validated(Config, content, "sampled")
        whole = self.data = tiny_data(config, self.folder / "sampled")
        _, eighth, half = all_trials(config)
        calibration = {}
        for name, train in (("corrected", run_trial), ("as learned", _without_correction)):
            calibration[name] = self.run_trial(eighth, config, name, train)[0]["test/calibration"][8192]
        # The same again, three quarters of the negatives having been dropped when the data were prepared.
        splits = {}
        for split in SPLITS:
            records = [parse_record(r, whole.manifest.schema) for r in tf.data.TFRecordDataset(whole.files(split))]
            splits[split] = {name: np.concatenate([record[name] for record in records]) for name in records[0]}
        label = splits["train"]["label"][:, 0]
        left = (label == 1) | (np.random.default_rng(5).random(len(label)) < 0.25)
        splits["train"] = {name: column[left] for name, column in splits["train"].items()}
        self.data = stored(self.folder / "fewer", whole.manifest.schema, splits, negative_rate=0.25)
        scalars, _, _ = self.run_trial(half, config, "prepared so")
        calibration["prepared so"] = scalars["test/calibration"][8192]
        # Adagrad at a constant rate moves the baseline's calibration about as far from 1, 600 test clicks by 0.04.
        self.assertNear(calibration["corrected"], 1, 0.2)
        self.assertNear(calibration["prepared so"], 1, 0.2)
        self.assertGreater(calibration["as learned"], 3)

    def test_fewer_features_train(self) -> None:
        config = tiny_config(F=["1/4", "1/2"])
        for trial in all_trials(config)[1:]:
            scalars, validation_ne, _ = self.run_trial(trial, config, trial.trial_id)
            self.assertTrue(np.isfinite(validation_ne))
            kept = trial.schema(config, self.data.manifest.schema)
            self.assertEqual(len(kept.dense) + len(kept.categorical), 4 * trial.multiplier)
            self.assertEqual(list(scalars["test/ne"]), [256, 512, 1024])

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

    def test_batch_that_replicas_cannot_share_evenly_is_refused(self) -> None:
        config = dataclasses.replace(self.config, training=dataclasses.replace(self.config.training, batch_size=63))
        with self.assertRaisesRegex(
            IsolatedError, "training.batch_size: 63 rows cannot be shared evenly by 2 replicas"
        ):
            self.run_trial(all_trials(config)[0], config, "odd", _on_two_replicas)

    def test_diverging_loss_fails_with_its_place(self) -> None:
        trial = dataclasses.replace(all_trials(self.config)[0], learning_rate=1e30)
        with self.assertRaisesRegex(IsolatedError, r"training loss became (nan|inf) between examples \d+ and \d+"):
            self.run_trial(trial, self.config, "diverges")


def _without_correction(*arguments: Any) -> float:
    with mock.patch("tfrs_scaling.train.prior_correction", return_value=0.0):
        return run_trial(*arguments)


def _on_two_replicas(*arguments: Any) -> float:
    def two_replicas(_: str) -> tf.distribute.Strategy:
        half = tf.config.LogicalDeviceConfiguration()
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [half, half])
        return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

    with mock.patch("tfrs_scaling.train.make_strategy", two_replicas):
        return run_trial(*arguments)


if __name__ == "__main__":
    tf.test.main()
