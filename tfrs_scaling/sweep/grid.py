"""The sweep: KerasTuner's grid around isolated trials."""

import dataclasses
import fractions
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import keras_tuner as kt

from tfrs_scaling.config import SCALING_SCHEMES, Config
from tfrs_scaling.hardware import StrategyName
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.planning.plan import PlannedTrial
from tfrs_scaling.study.attempts import remove_debris
from tfrs_scaling.study.trials import Trial
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.runner import OBJECTIVE, Runner
from tfrs_scaling.training.hparams import write_layout
from tfrs_scaling.training.trial import Progress, run_trial

IDLE_SECONDS = 0.1
LAYOUT = "layout"  # the tuner that is given every trial once, before any is run
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
    time_limit: float | None = None,
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
        time_limit: seconds after which a trial is ended; None: ``Runner``'s own.

    Raises:
        InputError: the workdir cannot be written to.
        KeyboardInterrupt: Ctrl-C was pressed; running trials were ended.
    """
    prepare_workdir(config, workdir, planned)
    runner = Runner(config, data, workdir, strategy=strategy, jobs=jobs, time_limit=time_limit, train=run_trial)
    try:
        StudyTuner(config, workdir, planned, runner, watcher).search()
    finally:
        if strategy == "multi_worker":
            workdir.announce(None)


def prepare_workdir(config: Config, workdir: Workdir, planned: list[PlannedTrial]) -> None:
    """What a claimed folder holds before the first trial starts."""
    remove_debris(workdir.running)
    write_layout(workdir.root, config)
    workdir.write_plan({p.trial.trial_id: p.seconds for p in planned})


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

    def __init__(self, config: Config):
        super().__init__(
            objective=kt.Objective(OBJECTIVE, "min"),
            hyperparameters=grid(config),
            allow_new_entries=False,
            tune_new_entries=False,
            max_consecutive_failed_trials=2**31,  # failed trials are rows of the table, no reason to stop
        )
        self.verbose = 0

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """As KerasTuner's, but the trial's successor may start at once."""
        response: dict[str, Any] = super().populate_space(trial_id)
        if response["status"] == kt.engine.trial.TrialStatus.RUNNING:
            self._populate_next.append(trial_id)
        return response

    def lay_out(self, config: Config) -> dict[str, str]:
        """Make every trial of the grid, to be handed out by ``_retry_queue``, which KerasTuner empties from its end
        before it makes new ones. Gives the study's name of each by KerasTuner's, in the grid's order."""
        names = {}
        while (trial := super().create_trial(LAYOUT)).status == kt.engine.trial.TrialStatus.RUNNING:
            del self.ongoing_trials[LAYOUT]
            names[trial.trial_id] = trial_of(trial.hyperparameters.values, config).trial_id
        return names


class StudyTuner(kt.GridSearch):
    """A grid search whose trials run in processes of their own.

    What is done is known from the workdir's trial records, written whole or not at all. KerasTuner's own files are
    made anew from them at each start: they are not written atomically, and would not survive being killed.
    """

    def __init__(self, config: Config, workdir: Workdir, planned: list[PlannedTrial], runner: Runner, watcher: Watcher):
        # Past GridSearch's own __init__, which would make KerasTuner's oracle.
        kt.Tuner.__init__(
            self,
            oracle=GridOracle(config),
            directory=str(workdir.root),
            project_name=workdir.keras_tuner.name,
            overwrite=True,
        )
        self._planned = {p.trial.trial_id: p for p in planned}
        names = self.oracle.lay_out(config)
        # The baseline first, for nothing can be said without it; then the longest, lest one be left alone at the end.
        self.oracle._retry_queue = sorted(
            names, key=lambda name: (not names[name].startswith("D-"), -self._planned[names[name]].seconds)
        )[::-1]
        self._config, self._workdir, self._runner, self._watcher = config, workdir, runner, watcher
        self._saving = threading.Lock()

    def search(self) -> None:
        """Run the grid.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed; running trials were ended.
        """
        self._runner.side_by_side(self._work)

    def _work(self, job: int) -> None:
        while not self._runner.stop.is_set():
            trial = self.oracle.create_trial(f"job{job}")
            if trial.status == kt.engine.trial.TrialStatus.STOPPED:
                return
            if trial.status == kt.engine.trial.TrialStatus.IDLE:
                time.sleep(IDLE_SECONDS)
                continue
            try:
                metrics = self.run_trial(trial, job)
            except kt.errors.FailedTrialError as error:  # any other error is ours, and ends the sweep
                trial.status, trial.message = kt.engine.trial.TrialStatus.FAILED, str(error)
            else:
                self.oracle.update_trial(trial.trial_id, metrics)
                trial.status = kt.engine.trial.TrialStatus.COMPLETED
            with self._saving:
                self.on_trial_end(trial)

    def run_trial(self, trial: Any, job: int) -> dict[str, float]:
        """Run one trial, or look up what it came to.

        Raises:
            kt.errors.FailedTrialError: it failed or was skipped; KerasTuner then marks it.
        """
        trial_id = trial_of(trial.hyperparameters.values, self._config).trial_id
        record = self._workdir.record(trial_id)
        if record is None or not self._workdir.is_settled(trial_id):
            record = self._runner.run(
                self._planned[trial_id], job, f"job{job}", lambda progress: self._watcher(trial_id, progress)
            )
        self._watcher(trial_id, record)
        if record["status"] != "ok":
            raise kt.errors.FailedTrialError(record["reason"])
        return {OBJECTIVE: record[OBJECTIVE]}
