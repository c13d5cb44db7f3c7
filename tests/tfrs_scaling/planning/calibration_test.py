import dataclasses
import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import tensorflow as tf

from tests.helpers.studies import read_split, tiny_config, tiny_content, tiny_data
from tfrs_scaling.common.strict_yaml import validated
from tfrs_scaling.config import Config
from tfrs_scaling.input.manifest import SPLITS
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.planning.calibration import Calibration, Machine, calibrate, excerpt, shapes_to_measure
from tfrs_scaling.planning.choice import options
from tfrs_scaling.planning.cost import TYPICAL, RowSeconds, Speed, work_of
from tfrs_scaling.planning.plan import plan, plan_on
from tfrs_scaling.study.trials import Trial
from tfrs_scaling.training.isolation import IsolatedError

TRUE = Speed(3.0, RowSeconds(1e-3, 5e-5, 4e-8), RowSeconds(2e-4, 1e-5, 3e-8))


class FakeMachine:
    """A machine on which time passes as ``TRUE`` says, on a GPU so many times as fast, and only while trials run."""

    def __init__(self, data: ClickData, fails: str = "", hangs: str = "", gpu: float = 1.0):
        self.now, self.data, self.fails, self.hangs, self.gpu = 100.0, data, fails, hangs, gpu
        self.gpus: list[int] = []
        self.scalars: dict[Path, dict[str, dict[int, float]]] = {}
        self.ran: list[tuple[Trial, Config, int]] = []

    def run(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        log: Path,
        on_report: Any,
        stop: threading.Event,
        *,
        on_tpu: bool = False,
    ) -> Any:
        if on_gpu := function.__name__ == "on_one_gpu":
            index, function, *arguments = arguments  # type: ignore[assignment]
            self.gpus.append(index)
            if not self.gpu:
                raise IsolatedError("InternalError: no CUDA")
        if function.__name__ != "run_trial":
            self.now += 7.0  # the server's start
            return function(*arguments, on_report)
        need, config, _, directory, strategy, threads = arguments
        assert on_gpu == (strategy == "gpu")
        trial = need.trial
        self.ran.append((trial, config, threads))
        if self.fails and trial.trial_id.startswith(self.fails):
            raise IsolatedError("ValueError: too odd")
        if self.hangs and trial.trial_id.startswith(self.hangs):
            raise KeyboardInterrupt
        rows = self.data.manifest.splits["validation"].rows + self.data.manifest.splits["test"].rows
        training, evaluation = TRUE.row_seconds(work_of(trial, config, self.data.manifest.schema, rows))
        training, evaluation = (seconds / (self.gpu if on_gpu else 1.0) for seconds in (training, evaluation))
        wall, before = 2.0, 0  # of 3 seconds a start takes 2 before the first step, and 1 after the last
        scalars: dict[str, dict[int, float]] = {"time/wall_seconds": {}, "time/examples_per_second": {}}
        for examples in config.ladder:
            wall += (examples - before) * training + rows * evaluation
            scalars["time/wall_seconds"][examples] = wall
            # Tracing is in the first stretch, whose speed means nothing.
            scalars["time/examples_per_second"][examples] = 1 / training if before else 1.0
            before = examples
        self.scalars[directory] = scalars
        self.now += wall + 1.0
        return 0.9

    def machine(self) -> Machine:
        return Machine(self.run, self.scalars.__getitem__, lambda: self.now)


class CalibrationTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.get_temp_dir()) / self._testMethodName
        self.folder.mkdir()
        self.config = tiny_config(V=["1/2", 2, 4], H=[2, 4], O=["1/2", 8], E=[2], N=["1/2"], examples=[128, 256])
        self.data = tiny_data(self.config, self.folder / "clicks")

    def calibrated(self, machine: FakeMachine, config: Config) -> Calibration:
        planned = plan_on(config, self.data.manifest)
        work = self.folder / "work"
        work.mkdir()
        return calibrate(
            config, self.data, planned, work, strategy="cpu", jobs=1, on_progress=lambda _: None,
            machine=machine.machine(),
        )  # fmt: skip

    def test_plan_is_what_a_machine_of_known_speed_takes(self) -> None:
        machine = FakeMachine(self.data)
        calibration = self.calibrated(machine, self.config)
        self.assertEqual(calibration.server_seconds, 7.0)
        self.assertEqual(calibration.left_out, {})
        rows = self.data.manifest.splits["validation"].rows + self.data.manifest.splits["test"].rows
        for p in plan_on(self.config, self.data.manifest, calibration.speed):
            work = work_of(p.trial, self.config, self.data.manifest.schema, rows)
            training = 1e-3 + 5e-5 * work.embedding_values + 4e-8 * p.flops_train
            evaluation = 2e-4 + 1e-5 * work.embedding_values + 3e-8 * p.flops_forward
            trainings, trained = (2, 2 * (128 + 256)) if p.trial.scheme == "E" else (1, 256)
            expected = 3.0 * trainings + training * trained + evaluation * 2 * rows
            self.assertAllClose(p.seconds, expected, rtol=1e-6, msg=p.trial.trial_id)

    def test_ends_of_every_scheme_are_measured_once_and_in_one_go(self) -> None:
        machine = FakeMachine(self.data)
        schedule = dataclasses.replace(self.config.training, schedule="cosine", learning_rates=(0.02, 0.04))
        self.calibrated(machine, dataclasses.replace(self.config, training=schedule))
        ran = [trial.trial_id.removesuffix("-lr0.02-seed0") for trial, _, _ in machine.ran]
        self.assertCountEqual(ran, ["D-1", "V-1_2", "V-4", "H-2", "H-4", "O-1_2", "O-8", "N-1_2"])  # E has D's shape
        for _, config, _ in machine.ran:
            self.assertEqual(config.training.schedule, "constant")
            first, second, third = config.ladder
            self.assertEqual(third - second, second - first)
            self.assertLessEqual(third, self.data.manifest.splits["train"].rows)

    def test_what_fails_or_takes_too_long_is_left_out_by_name(self) -> None:
        calibration = self.calibrated(FakeMachine(self.data, fails="H-4", hangs="O-8"), self.config)
        self.assertEqual(calibration.left_out["H-4-lr0.04-seed0"], "ValueError: too odd")
        self.assertRegex(calibration.left_out["O-8-lr0.04-seed0"], "not done within")
        self.assertLen(calibration.speed.measured, 6)

    def test_where_nothing_runs_the_speed_is_a_typical_one(self) -> None:
        nothing = self.calibrated(FakeMachine(self.data, fails="D"), tiny_config())
        self.assertEqual(nothing.speed, TYPICAL)
        self.assertLen(nothing.left_out, 1)

    def test_trials_whose_rows_are_yet_to_be_scored_count_as_the_baseline(self) -> None:
        chosen = tiny_content(examples=[128, 256], P={"keep": ["1/2"], "by": ["hard", "random"]}, T=["1/2"])
        config = validated(Config, chosen | {"scorer": {"examples": 64}, "teacher": {"examples": 64}}, "tiny")
        machine = FakeMachine(self.data)
        speed = self.calibrated(machine, config).speed
        self.assertEqual([(t.scheme, c.sweep.P, c.scorers) for t, c, _ in machine.ran], [("D", {}, {})])
        baseline, *others = plan(config, self.data.manifest.schema, 300, speed)
        self.assertAllClose([p.seconds for p in others], [baseline.seconds] * 3)

    def test_what_does_not_fit_or_steps_slowly_is_not_measured(self) -> None:
        planned = plan_on(self.config, self.data.manifest)
        slow = [
            dataclasses.replace(p, work=dataclasses.replace(p.work, flops_train=10**12))
            if p.trial.trial_id.startswith("O-8")
            else dataclasses.replace(p, too_large="yes" if p.trial.trial_id.startswith("V-4") else "")
            for p in planned
        ]
        ids = [p.trial.trial_id.split("-lr")[0] for p in shapes_to_measure(slow)]
        self.assertEqual(ids, ["D-1", "V-1_2", "V-2", "H-2", "H-4", "O-1_2", "N-1_2"])

    def test_the_faster_of_two_is_first_and_both_times_are_told(self) -> None:
        for gpu, expected, words in (
            (4.0, "gpu", r"about .* on gpu \(2 at a time\)"),
            (0.25, "cpu", r"about .* on gpu \(2 at a time\)"),
            (0.0, "cpu", r"unknown on gpu \(InternalError: no CUDA\)"),
        ):
            machine, work = FakeMachine(self.data, gpu=gpu), self.folder / f"work {gpu}"
            work.mkdir()
            planned_at = functools.partial(plan_on, self.config, self.data.manifest)
            with mock.patch("tfrs_scaling.hardware.usable_gpus", return_value=2):
                found = options(
                    ("gpu", "cpu"), self.config, self.data, planned_at, 2, work, lambda _: None, machine.machine()
                )
            self.assertEqual(found[0].strategy, expected)
            seconds = {option.strategy: option.seconds for option in found}
            self.assertEqual(min(seconds.values()), seconds[found[0].strategy])
            (on_gpu,) = (option.words for option in found if option.strategy == "gpu")
            self.assertRegex(on_gpu, words)
            self.assertEqual(set(machine.gpus), {0, 1})

    def test_excerpt_is_the_first_rows(self) -> None:
        few = excerpt(self.data, {"train": 100, "validation": 7, "test": 10**9}, self.folder / "few", lambda _: None)
        for split in SPLITS:
            whole, part = read_split(self.data.folder, split), read_split(few.folder, split)
            for name, column in part.items():
                self.assertAllEqual(column, whole[name][: len(column)])
        rows = {split: few.manifest.splits[split].rows for split in SPLITS}
        self.assertEqual(rows, {"train": 100, "validation": 7, "test": self.data.manifest.splits["test"].rows})


if __name__ == "__main__":
    tf.test.main()
