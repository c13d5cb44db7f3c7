import dataclasses
import fractions
import threading
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import special

from tests.helpers.logs import synthetic_blocks
from tests.helpers.studies import stored, stored_scores, tiny_config, tiny_content, tiny_data
from tfrs_scaling.common.strict_yaml import validated
from tfrs_scaling.config import Config, Precision
from tfrs_scaling.fit.runs.run_table import TIMING_COLUMNS
from tfrs_scaling.hardware import make_strategy
from tfrs_scaling.input.manifest import SPLITS, SplitName
from tfrs_scaling.input.pruning import by_error
from tfrs_scaling.input.row_scores import Cost, RowScores, ScoresManifest, write_manifest, write_scores
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema
from tfrs_scaling.input.shards import ClickData, parse_record
from tfrs_scaling.model.dlrm import DLRM, make_model
from tfrs_scaling.study.export import MEASURED, read_scalars
from tfrs_scaling.study.search import Need
from tfrs_scaling.study.trials import Trial, all_trials
from tfrs_scaling.training import trial as trial_module
from tfrs_scaling.training.isolation import IsolatedError, run_isolated
from tfrs_scaling.training.loop import Progress
from tfrs_scaling.training.trial import Build, Trained, measure_ladder, run_trial

TIMED = {tag for tag, column in MEASURED.items() if column in TIMING_COLUMNS}


class TrialTest(tf.test.TestCase):
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
        trained: Trained = run_isolated(
            train,
            (Need(trial), config, self.data, directory, "cpu", 1),
            directory / "log.txt",
            reports.append,
            threading.Event(),
        )
        scalars = read_scalars(directory)
        return {tag: values for tag, values in scalars.items() if tag not in TIMED}, trained.validation_ne[-1], reports

    def test_measures_every_rung_and_reports_progress(self) -> None:
        scalars, validation_ne, reports = self.run_trial(all_trials(self.config)[0], self.config, "one")
        for tag in set(MEASURED) - TIMED:
            self.assertEqual(list(scalars[tag]), [256, 512, 1024], tag)
            self.assertTrue(np.isfinite(list(scalars[tag].values())).all(), tag)
        self.assertEqual(np.float32(validation_ne), np.float32(scalars["validation/ne"][1024]))
        self.assertEqual(reports[-1].examples, 1024)
        self.assertAllClose(list(scalars["test/base_ctr"].values()), [self.data.manifest.splits["test"].ctr] * 3)

    def test_float32_is_what_every_device_is_asked_for(self) -> None:
        cases: tuple[tuple[Precision, bool], ...] = (("float32", True), ("tf32", False))
        for precision, asked in cases:
            training = dataclasses.replace(self.config.training, precision=precision)
            config = dataclasses.replace(self.config, training=training)
            folder = self.folder / precision
            folder.mkdir()
            arguments = (Need(all_trials(config)[0]), config, self.data, folder, "cpu", 1)
            hlo = run_isolated(_product_after_trial, arguments, folder / "log.txt", print, threading.Event())
            self.assertEqual("operand_precision={highest,highest}" in hlo, asked, precision)

    def test_same_trial_twice_is_the_same_to_the_last_bit(self) -> None:
        trial = all_trials(self.config)[1]
        self.assertEqual(
            self.run_trial(trial, self.config, "first")[:2], self.run_trial(trial, self.config, "second")[:2]
        )

    def test_trials_of_a_shape_in_one_process_are_those_of_processes_of_their_own_to_the_last_bit(self) -> None:
        config = tiny_config(examples=[256, 512], E=[2])
        for optimizer in ("adagrad", "adam"):
            dense: Any = {"dense_optimizer": optimizer, "dense_learning_rate": 0.01 if optimizer == "adam" else None}
            config = dataclasses.replace(config, training=dataclasses.replace(config.training, **dense))
            baseline, epochs = all_trials(config)
            trials = [
                dataclasses.replace(trial, learning_rate=rate, seed=seed)
                for trial in (baseline, epochs)
                for rate, seed in ((0.04, 0), (0.04, 1), (0.08, 1))
            ]
            self.folder = Path(self.get_temp_dir()) / f"{self._testMethodName} {optimizer}"
            together = self.run_together([(trial, config, run_trial) for trial in trials])
            alone = [self.run_trial(trial, config, trial.trial_id)[0] for trial in trials[2::3]]
            self.assertEqual(together[2::3], alone)
            self.assertLen({run["test/ne"][512] for run in together}, len(trials))

    def test_functions_are_traced_once_for_a_shape(self) -> None:
        config = tiny_config(examples=[256, 512])
        (trial,) = all_trials(config)
        runs = [(dataclasses.replace(trial, seed=seed), config, run_trial) for seed in range(3)]
        directories = [self.folder / str(seed) for seed in range(3)]
        for directory in directories:
            directory.mkdir()
        arguments = (runs, self.data, directories)
        traces = run_isolated(_traces, arguments, self.folder / "log.txt", print, threading.Event())
        self.assertEqual(traces, [1, 1])

    def run_together(self, runs: list[tuple[Trial, Config, Any]]) -> list[dict[str, Any]]:
        """The scalars of trials that one process runs one after the other, for speed."""
        directories = [self.folder / f"run{number}" for number in range(len(runs))]
        for directory in directories:
            directory.mkdir(parents=True)
        arguments = (runs, self.data, directories)
        run_isolated(_one_after_the_other, arguments, self.folder / "log.txt", print, threading.Event())
        return [
            {tag: values for tag, values in read_scalars(directory).items() if tag not in TIMED}
            for directory in directories
        ]

    def assert_rungs_are_separate_runs(self, trials: list[Trial], config: Config) -> None:
        alone = [
            dataclasses.replace(config, sweep=dataclasses.replace(config.sweep, examples=(size,)))
            for size in config.sweep.examples
        ]
        scalars = iter(self.run_together([(trial, c, run_trial) for trial in trials for c in (config, *alone)]))
        for trial in trials:
            ladder = next(scalars)
            for size in config.ladder:
                separate = next(scalars)
                for tag in ("test/ne", "test/log_loss", "test/auc", "test/calibration", "validation/ne"):
                    self.assertEqual(separate[tag], {size: ladder[tag][size]}, f"{trial.trial_id} {tag}")
            self.assertLen(set(ladder["test/ne"].values()), len(config.ladder))

    def test_rungs_of_a_ladder_are_separate_runs_ends_to_the_last_bit(self) -> None:
        config = tiny_config(examples=[256, 512, 1024], M=[2])
        self.assert_rungs_are_separate_runs(all_trials(config), config)

    def test_rungs_trained_from_scratch_are_separate_runs_to_the_last_bit(self) -> None:
        config = tiny_config(examples=[256, 512], E=[2])
        config = dataclasses.replace(config, training=dataclasses.replace(config.training, schedule="cosine"))
        self.assert_rungs_are_separate_runs(all_trials(config), config)

    def test_decay_is_the_schedule_s_and_a_rung_does_not_depend_on_those_below(self) -> None:
        config = tiny_config(examples=[512])
        linear = dataclasses.replace(config, training=dataclasses.replace(config.training, schedule="linear"))
        (trial,) = all_trials(config)
        constant, decayed, by_hand = self.run_together(
            [(trial, config, run_trial), (trial, linear, run_trial), (trial, config, _with_rates_by_hand)]
        )
        self.assertNotEqual(decayed["test/ne"], constant["test/ne"])
        self.assertAllClose(decayed["test/ne"][512], by_hand["test/ne"][512], rtol=1e-6)
        self.assertAllClose(decayed["train/ne"][512], by_hand["train/ne"][512], rtol=1e-6)

    def test_epochs_are_one_pass_over_the_rows_written_out_twice(self) -> None:
        epochs = tiny_config(examples=[256, 512], E=[2])
        twice = tiny_config(examples=[256, 512])
        baseline, two = all_trials(epochs)
        measured, written_out = self.run_together([(two, epochs, run_trial), (baseline, twice, _on_256_rows_twice)])
        for tag in ("test/ne", "test/auc", "validation/ne"):
            self.assertEqual(measured[tag][256], written_out[tag][512], tag)
        # Before each update of the second pass, on rows seen before.
        self.assertEqual(measured["train/ne"][256], written_out["train/ne"][512])
        self.assertLess(measured["train/ne"][256], written_out["train/ne"][256])

    def test_progress_counts_every_pass(self) -> None:
        config = tiny_config(examples=[256, 512], E=[2])
        _, two = all_trials(config)
        _, _, reports = self.run_trial(two, config, "epochs")
        self.assertEqual(reports[-1].examples, two.training_rows(config))
        self.assertEqual(reports[-1].examples, 2 * (256 + 512))
        self.assertAllEqual(np.diff([report.examples for report in reports]) > 0, [True] * (len(reports) - 1))

    def test_weights_count_alike_in_training_and_evaluation(self) -> None:
        # A model that does not learn has one NE on the rows it is trained on and on the same rows in the test split.
        config = tiny_config(examples=[1024])
        assert config.synthetic is not None
        rows = next(synthetic_blocks(config.synthetic)).take(np.arange(1024))
        rng = np.random.default_rng(3)
        weight = np.where(rows.label == 1, rng.integers(0, 9, 1024), rng.integers(0, 3, 1024)).astype(np.float32)
        columns = {
            "label": rows.label[:, None],
            "dense": rows.dense.astype(np.float32),
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

    def test_student_of_the_bayes_probabilities_has_no_label_noise(self) -> None:
        # A weight for each id, by plain gradient descent from 0: z moves by rate * (target - sigmoid(z)) at each row.
        # About the id's true z it shrinks by 1 - rate * v at each of its rows, v = p (1 - p), and a label adds a
        # variance of rate^2 v that the true probability does not; a variance s of z costs v s / 2 nats.
        ids, rate, test_rows = 512, 0.2, 60_000
        rng = np.random.default_rng(1)
        truth = rng.uniform(-1, 1, ids)
        config = tiny_config(examples=[2560, 5120, 20_480], A=["linear"])
        training = dataclasses.replace(config.training, table_optimizer="sgd", dense_learning_rate=1e-12,
                                       embedding_range=1e-12, learning_rates=(rate * 64,))  # fmt: skip
        config = dataclasses.replace(config, training=training)
        splits: dict[SplitName, dict[str, np.ndarray]] = {}
        for split, rows in zip(SPLITS, (20_480, 1000, test_rows), strict=True):
            row_ids = rng.integers(0, ids, rows)
            label = rng.random(rows) < special.expit(truth[row_ids])
            splits[split] = {
                "label": label.astype(np.uint8)[:, None], "ids": row_ids.astype(np.int32)[:, None],
                "dense": np.zeros((rows, 1), np.float32),
            }  # fmt: skip
        schema = Schema("click", (CategoricalFeature("id", ids, "id"),), (DenseFeature("none"),))
        data = stored(self.folder / "bayes", schema, splits)
        self.data = _taught(data, special.expit(truth)[splits["train"]["ids"][:, 0]], self.folder)
        plain = next(trial for trial in all_trials(config) if trial.architecture == "linear")
        taught = [dataclasses.replace(plain, scheme="T", multiplier=fractions.Fraction(weight)) for weight in (0, 1)]
        still = [dataclasses.replace(trial, learning_rate=1e-12) for trial in (plain, taught[1])]
        runs = self.run_together([(trial, config, run_trial) for trial in (plain, *taught, *still)])
        self.assertEqual(runs[1], runs[0])  # the weight 0, to the last bit
        self.assertEqual(runs[4]["train/ne"], runs[3]["train/ne"])  # measured against labels, on the same rows
        v = special.expit(truth) * special.expit(-truth)
        base = next(iter(runs[0]["test/base_ctr"].values()))
        entropy = special.entr(base) + special.entr(1 - base)
        for examples in config.ladder:
            # Of an id's rows, as many as expected: the noise of z after n of them.
            variance = rate * v / (v * (2 - rate * v)) * (1 - (1 - rate * v) ** (2 * examples / ids))
            expected = (v * variance / 2).mean() / entropy
            gap = runs[0]["test/ne"][examples] - runs[2]["test/ne"][examples]
            # 512 variances, each known to its square root of two, and the test labels.
            error = expected * (2 / ids) ** 0.5 + (v**2 * variance).mean() ** 0.5 / test_rows**0.5 / entropy
            self.assertNear(gap, expected, 4 * error, str(examples))
        self.assertGreater(expected, 10 * error)

    def test_rows_chosen_by_error_are_weighted_back_and_all_of_them_are_the_plain_trial(self) -> None:
        content = tiny_content(examples=[16_384], P={"keep": ["1/4"], "by": ["hard"]})
        config = validated(Config, content | {"synthetic": None, "scorer": {"examples": 256}}, "kept")
        rng = np.random.default_rng(6)
        truth = np.array([0.02, 0.05, 0.1, 0.2, 0.5, 0.8])  # of a click, by id

        def rows(count: int) -> dict[str, np.ndarray]:
            ids = rng.integers(0, len(truth), (count, 1), np.int32)
            return {"ids": ids, "label": (rng.random((count, 1)) < truth[ids]).astype(np.uint8)}

        schema = Schema("click", (CategoricalFeature("id", len(truth), "id"),))
        splits: dict[SplitName, dict[str, np.ndarray]] = {"train": rows(80_000), "validation": rows(1000)}
        data = stored(self.folder / "by id", schema, {**splits, "test": rows(30_000)})
        scores = stored_scores(self.folder / "p", data, truth[splits["train"]["ids"][:, 0]])
        self.data = dataclasses.replace(data, scores={"scorer": scores})
        plain, hard = all_trials(config)
        whole = dataclasses.replace(hard, multiplier=plain.multiplier)
        trials = [(trial, config, run_trial) for trial in (plain, whole, hard)]
        alone, all_kept, weighted, unweighted = self.run_together([*trials, (hard, config, _without_weights)])
        self.assertEqual(all_kept, alone)
        self.assertNotEqual(weighted["test/ne"], alone["test/ne"])
        self.assertNear(weighted["test/calibration"][16_384], 1, 0.05)
        self.assertNear(weighted["test/ne"][16_384], alone["test/ne"][16_384], 0.01)
        self.assertNear(weighted["train/ne"][16_384], alone["train/ne"][16_384], 0.03)
        # Without weights the odds of a click are multiplied by how much likelier a click is kept than another row.
        counts = np.round(1000 * np.concatenate([truth, 1 - truth])).astype(int)
        pruning = by_error(0.25, np.repeat(np.concatenate([1 - truth, truth]), counts), largest=True)
        clicks, others = (pruning.probability(error).numpy() for error in (1 - truth, truth))
        learned = truth * clicks / (truth * clicks + (1 - truth) * others)
        self.assertNear(unweighted["test/calibration"][16_384], learned.mean() / truth.mean(), 0.1)

    def test_fewer_features_train(self) -> None:
        config = tiny_config(F=["1/4", "1/2"])
        for trial in all_trials(config)[1:]:
            scalars, validation_ne, _ = self.run_trial(trial, config, trial.trial_id)
            self.assertTrue(np.isfinite(validation_ne))
            kept = trial.schema(config, self.data.manifest.schema)
            self.assertEqual(len(kept.dense) + len(kept.categorical), 4 * trial.multiplier)
            self.assertEqual(list(scalars["test/ne"]), [256, 512, 1024])

    def test_seed_changes_the_start_and_the_order_of_rows(self) -> None:
        trial = all_trials(self.config)[0]
        other = dataclasses.replace(trial, seed=1)
        one, two, order = self.run_together(
            [
                (trial, self.config, run_trial),
                (other, self.config, run_trial),
                (other, self.config, _starting_as_seed_0),
            ]
        )
        self.assertLen({runs["validation/ne"][1024] for runs in (one, two, order)}, 3)

    def test_two_replicas_learn_and_measure_what_one_device_does(self) -> None:
        config = tiny_config(A=["wukong"])
        trials = all_trials(config)
        on_one_device = self.run_together([(trial, config, run_trial) for trial in trials])
        for trial, alone in zip(trials, on_one_device, strict=True):
            mirrored = self.run_trial(trial, config, trial.shape_id, _on_two_replicas)[0]
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


def _taught(data: ClickData, scores: np.ndarray, folder: Path) -> ClickData:
    """The data with these scores of the training rows, one shard of them, as a teacher's predictions."""
    (shard,) = data.manifest.splits["train"].shards
    per_record = data.manifest.rows_per_record
    records = np.split(scores, range(per_record, len(scores), per_record))
    cost = Cost(0, len(scores), 0.0, 0.0, 0.0, 1.0, 1.0)
    write_manifest(folder, ScoresManifest(1, {}, (write_scores(folder, 0, records),), cost, "0"))
    return dataclasses.replace(data, scores={"teacher": RowScores.open(folder, {}, [shard])})


def _one_after_the_other(
    runs: list[tuple[Trial, Config, Any]], data: Any, directories: list[Path], report: Any
) -> None:
    for (trial, config, train), directory in zip(runs, directories, strict=True):
        train(Need(trial), config, data, directory, "cpu", 1, report)


def _traces(*arguments: Any) -> list[int]:
    _one_after_the_other(*arguments)
    functions: list[Any]
    ((_, *functions),) = [kept.traced for kept in trial_module._KEPT.values() if kept.traced]
    return [function.experimental_get_tracing_count() for function in functions]


class _StartingAsSeed0(Build):
    def model(self, steps: int) -> DLRM:
        trial = dataclasses.replace(self.trial, seed=0)
        return Build(trial, self.config, self.data, self.strategy).model(steps)


def _starting_as_seed_0(need: Need, config: Config, data: Any, directory: Path, *rest: Any) -> Trained:
    return measure_ladder(_StartingAsSeed0(need.trial, config, data, _set_up()), directory, rest[-1])


class _RatesByHand(Build):
    """A trial of 8 steps whose optimizers are given a rate for each."""

    def model(self, steps: int) -> DLRM:
        rates = tf.constant([self.trial.learning_rate * (8 - step) / 8 for step in range(8)], tf.float32)

        class ByHand(tf.keras.optimizers.schedules.LearningRateSchedule):
            def __call__(self, step: tf.Tensor) -> tf.Tensor:
                return tf.gather(rates, tf.cast(step, tf.int32))

            def get_config(self) -> dict[str, Any]:
                return {}

        tf.keras.utils.set_random_seed(self.trial.seed)
        return make_model(self.shape, self.schema, self.config.training, ByHand())


def _with_rates_by_hand(need: Need, config: Config, data: Any, directory: Path, *rest: Any) -> Trained:
    return measure_ladder(_RatesByHand(need.trial, config, data, _set_up()), directory, rest[-1])


class _On256RowsTwice(Build):
    def training_rows(self) -> tf.data.Dataset:
        rows = super().training_rows()
        return rows.take(4).concatenate(rows.take(4))


def _on_256_rows_twice(need: Need, config: Config, data: Any, directory: Path, *rest: Any) -> Trained:
    return measure_ladder(_On256RowsTwice(need.trial, config, data, _set_up()), directory, rest[-1])


class _WithoutCorrection(Build):
    correction = 0.0


def _without_correction(need: Need, config: Config, data: Any, directory: Path, *rest: Any) -> Trained:
    return measure_ladder(_WithoutCorrection(need.trial, config, data, _set_up()), directory, rest[-1])


class _WithoutWeights(Build):
    def training_rows(self) -> tf.data.Dataset:
        return super().training_rows().map(lambda batch: batch | {"weight": tf.ones_like(batch["weight"])})


def _without_weights(need: Need, config: Config, data: Any, directory: Path, *rest: Any) -> Trained:
    return measure_ladder(_WithoutWeights(need.trial, config, data, _set_up()), directory, rest[-1])


def _on_two_replicas(need: Need, config: Config, data: Any, directory: Path, *rest: Any) -> Trained:
    half = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [half, half])
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    return measure_ladder(Build(need.trial, config, data, strategy), directory, rest[-1])


def _set_up() -> tf.distribute.Strategy:
    """As ``run_trial`` sets up a process for one core."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    return make_strategy("cpu")


def _product_after_trial(*arguments: Any) -> str:
    """A matrix product as XLA gets it in a trial's process; left alone, TPUs multiply in bfloat16 and GPUs in TF32."""
    run_trial(*arguments)
    matrix = tf.zeros((8, 8))
    product = tf.function(lambda a, b: a @ b, jit_compile=True)
    hlo: str = product.experimental_get_compiler_ir(matrix, matrix)(stage="hlo")
    return hlo


if __name__ == "__main__":
    tf.test.main()
