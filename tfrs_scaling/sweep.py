"""The sweep: KerasTuner's grid around isolated trials."""

import concurrent.futures
import dataclasses
import fractions
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import keras_tuner as kt

from tfrs_scaling.config import SCALING_SCHEMES, Config
from tfrs_scaling.hparams import write_layout
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.isolation import IsolatedError, run_isolated
from tfrs_scaling.plan import PlannedTrial
from tfrs_scaling.strategy import StrategyName
from tfrs_scaling.train import Progress, run_trial
from tfrs_scaling.trials import Trial
from tfrs_scaling.workdir import Workdir, libraries, machine

OBJECTIVE = "validation_ne"
IDLE_SECONDS = 0.1
# Called with a trial's id and its progress, or what the trial came to when it is over.
Watcher = Callable[[str, Progress | dict[str, Any]], None]


def sweep(
    config: Config,
    data: ClickData,
    workdir: Workdir,
    planned: list[PlannedTrial],
    *,
    strategy: StrategyName,
    jobs: int,
    watcher: Watcher,
) -> None:
    """Run every trial of the study that is not yet done; the same call goes on where a killed one was.

    A trial that failed before is tried again. The workdir must be locked and claimed. Under ``multi_worker`` this is
    the chief's part; the other workers ``follow``.

    Args:
        config: the study.
        data: its shards.
        workdir: its folder.
        planned: its trials with their costs; those too large for the machine are skipped.
        strategy: the hardware of each trial.
        jobs: trials at a time; they share the machine's cores evenly.
        watcher: hears of every trial, from several threads.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; running trials were ended.
    """
    write_layout(workdir.root, config)
    try:
        StudyTuner(config, data, workdir, planned, strategy, jobs, watcher).search()
    finally:
        if strategy == "multi_worker":
            workdir.announce(None)


def grid(config: Config) -> kt.HyperParameters:
    """The grid as a conditional space: a multiplier exists only under its scheme, and another architecture only under
    D, so that the space is the union of the schemes' grids and not their product."""
    space = kt.HyperParameters()
    own = {scheme: config.sweep.multipliers(scheme) for scheme in SCALING_SCHEMES if config.sweep.multipliers(scheme)}
    schemes = ["D", *own, *(["VH"] if config.sweep.VH else [])]
    space.Choice("scheme", schemes, default="D")

    def choice(name: str, values: Iterable[Any]) -> None:
        texts = [str(value) for value in values]
        space.Choice(name, texts, default=texts[0])

    with space.conditional_scope("scheme", ["D"]):
        choice("architecture", [config.model.architecture, *config.sweep.A])
    for scheme, multipliers in own.items():
        with space.conditional_scope("scheme", [scheme]):
            choice(f"multiplier_{scheme}", multipliers)
    if config.sweep.VH:
        with space.conditional_scope("scheme", ["VH"]):
            choice("multiplier_VH", config.sweep.V)
            choice("dim_multiplier_VH", config.sweep.H)
    rates = list(config.training.learning_rates)
    space.Choice("learning_rate", rates, default=rates[0])
    space.Choice("seed", list(config.sweep.seeds), default=config.sweep.seeds[0])
    return space


def trial_of(values: dict[str, Any], config: Config) -> Trial:
    """The trial that a point of the grid stands for."""
    scheme = values["scheme"]
    multiplier = fractions.Fraction(1 if scheme == "D" else values[f"multiplier_{scheme}"])
    trial = Trial(scheme, multiplier, values["learning_rate"], values["seed"])
    if scheme == "VH":
        return dataclasses.replace(trial, dim_multiplier=fractions.Fraction(values["dim_multiplier_VH"]))
    if scheme == "D" and values["architecture"] != config.model.architecture:
        return dataclasses.replace(trial, architecture=values["architecture"])
    return trial


class GridOracle(kt.oracles.GridSearchOracle):
    """KerasTuner's grid, for several trials at a time.

    KerasTuner works out the successor of a trial when that trial ends, in case it brings new hyperparameters, and
    so never has more than two at work. Ours are all known beforehand.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """As KerasTuner's, but the trial's successor may start at once."""
        response: dict[str, Any] = super().populate_space(trial_id)
        if response["status"] == kt.engine.trial.TrialStatus.RUNNING:
            self._populate_next.append(trial_id)
        return response


class StudyTuner(kt.GridSearch):
    """A grid search whose trials run in processes of their own.

    What is done is known from the workdir's trial records, written whole or not at all. KerasTuner's own files are
    made anew from them at each start: they are not written atomically, and would not survive being killed.
    """

    def __init__(
        self,
        config: Config,
        data: ClickData,
        workdir: Workdir,
        planned: list[PlannedTrial],
        strategy: StrategyName,
        jobs: int,
        watcher: Watcher,
    ):
        oracle = GridOracle(
            objective=kt.Objective(OBJECTIVE, "min"),
            hyperparameters=grid(config),
            allow_new_entries=False,
            tune_new_entries=False,
            max_consecutive_failed_trials=2**31,  # failed trials are rows of the table, no reason to stop
        )
        oracle.verbose = 0
        # Past GridSearch's own __init__, which would make KerasTuner's oracle.
        kt.Tuner.__init__(
            self,
            oracle=oracle,
            directory=str(workdir.root),
            project_name=workdir.keras_tuner.name,
            overwrite=True,
        )
        self._planned = {p.trial.trial_id: p for p in planned}
        self._config, self._data, self._workdir = config, data, workdir
        self._strategy, self._jobs, self._watcher = strategy, jobs, watcher
        self._threads = max(1, (os.cpu_count() or 1) // jobs)
        self._stop = threading.Event()
        self._saving = threading.Lock()

    def search(self) -> None:
        """Run the grid, ``jobs`` trials at a time.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed; running trials were ended.
        """
        with concurrent.futures.ThreadPoolExecutor(self._jobs) as pool:
            workers = [pool.submit(self._work, f"job{job}") for job in range(self._jobs)]
            try:
                for worker in concurrent.futures.as_completed(workers):
                    worker.result()
            except BaseException:
                self._stop.set()
                raise

    def _work(self, tuner_id: str) -> None:
        while not self._stop.is_set():
            trial = self.oracle.create_trial(tuner_id)
            if trial.status == kt.engine.trial.TrialStatus.STOPPED:
                return
            if trial.status == kt.engine.trial.TrialStatus.IDLE:
                time.sleep(IDLE_SECONDS)
                continue
            try:
                metrics = self.run_trial(trial)
            except kt.errors.FailedTrialError as error:  # any other error is ours, and ends the sweep
                trial.status, trial.message = kt.engine.trial.TrialStatus.FAILED, str(error)
            else:
                self.oracle.update_trial(trial.trial_id, metrics)
                trial.status = kt.engine.trial.TrialStatus.COMPLETED
            with self._saving:
                self.on_trial_end(trial)

    def run_trial(self, trial: Any) -> dict[str, float]:
        """Run one trial, or look up what it came to.

        Raises:
            kt.errors.FailedTrialError: it failed or was skipped; KerasTuner then marks it.
        """
        study_trial = trial_of(trial.hyperparameters.values, self._config)
        record = self._workdir.record(study_trial.trial_id)
        if record is None or not self._workdir.is_settled(study_trial.trial_id):
            record = self._run(study_trial, self._planned[study_trial.trial_id])
        self._watcher(study_trial.trial_id, record)
        if record["status"] != "ok":
            raise kt.errors.FailedTrialError(record["reason"])
        return {OBJECTIVE: record[OBJECTIVE]}

    def _run(self, trial: Trial, planned: PlannedTrial) -> dict[str, Any]:
        directory = self._workdir.fresh_directory(trial.trial_id)
        record: dict[str, Any] = {
            "strategy": self._strategy,
            "status": "ok",
            "reason": "",
            "libraries": libraries(),
            "machine": machine(),
            OBJECTIVE: None,
        }
        if planned.too_large:
            record |= {"status": "skipped", "reason": planned.too_large}
        else:
            if self._strategy == "multi_worker":
                self._workdir.announce(trial.trial_id)
            arguments = (trial, self._config, self._data, directory, self._strategy, self._threads)
            try:
                record[OBJECTIVE] = run_isolated(
                    run_trial,
                    arguments,
                    directory / "log.txt",
                    lambda progress: self._watcher(trial.trial_id, progress),
                    self._stop,
                )
            except IsolatedError as error:
                record |= {"status": "failed", "reason": str(error)}
        self._workdir.write_record(trial.trial_id, record)
        return record
