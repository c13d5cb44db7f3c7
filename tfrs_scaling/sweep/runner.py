"""Trials run in processes of their own, by a sweep and by a worker alike."""

import contextlib
import errno
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tfrs_scaling
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import Config
from tfrs_scaling.hardware import StrategyName, count_cores, on_own_device
from tfrs_scaling.planning.plan import PlannedScorer, PlannedTrial, by_shape
from tfrs_scaling.study.attempts import EVENT_FILES, Heartbeat, begin, publish, remove_debris
from tfrs_scaling.study.search import Need, Record
from tfrs_scaling.study.trials import traces_once
from tfrs_scaling.study.workdir import Workdir, libraries, machine
from tfrs_scaling.sweep.agenda import Agenda
from tfrs_scaling.training.hparams import write_layout
from tfrs_scaling.training.isolation import IsolatedError, Process

if TYPE_CHECKING:
    from tfrs_scaling.input.shards import ClickData
    from tfrs_scaling.training.loop import Progress
    from tfrs_scaling.training.trial import Trained

OBJECTIVE = "validation_ne"
# Generous, because plans assume a typical machine and the first trials may be slow: limits are for trials that hang.
LIMIT_TIMES_PLANNED = 20
LEAST_LIMIT_SECONDS = 3600.0

_SHARE = ("cpu", "gpu")  # strategies under which a process can run several trials
# Trains a trial in another process; with the arguments and the result of ``training.trial.run_trial``.
Train = Callable[..., "Trained"]
# Called with the planned seconds of each trial.
OnPlan = Callable[[Mapping[str, float]], None]
# Called with a trial's id and its progress, or its record once it has ended.
Watcher = Callable[[str, "Progress | Record"], None]


def limit_of(planned: PlannedTrial | PlannedScorer, asked: float | None) -> float:
    """The seconds after which a training is ended, if so many were asked for."""
    return asked or max(LEAST_LIMIT_SECONDS, LIMIT_TIMES_PLANNED * planned.seconds)


def prepare_workdir(config: Config, workdir: Workdir) -> None:
    """Write what a claimed folder holds before the first trial starts."""
    remove_debris(workdir.running)
    write_layout(workdir.root, config)


def write_plan(workdir: Workdir, agenda: Agenda, planned: list[PlannedTrial], on_plan: OnPlan) -> None:
    """Record the planned seconds of each trial, as far as it is known which there are."""
    seconds, longest = {p.trial.trial_id: p.seconds for p in planned}, by_shape(planned)
    plan = {name: seconds.get(name, longest[trial.shape_id].seconds) for name, trial in agenda.expected().items()}
    workdir.write_plan(plan)
    on_plan(plan)


@contextlib.contextmanager
def write_errors_located(workdir: Workdir) -> Iterator[None]:
    """Turn what a full or read-only disk makes of any writer, TensorFlow's and KerasTuner's included, into words.

    Raises:
        InputError: the workdir cannot be written to.
    """
    import tensorflow as tf

    try:
        yield
    except BrokenPipeError:  # the terminal's
        raise
    except (OSError, tf.errors.OpError) as error:
        why = error.message if isinstance(error, tf.errors.OpError) else error.strerror
        where = getattr(error, "filename", None) or workdir.root  # TensorFlow's message names the file
        raise InputError(
            f"{where}: cannot be written: {why}; fix this, then run the same command again to continue"
        ) from error


class Runner:
    """Runs the trials of a study, several at a time; each leaves a complete record or none.

    So many ``jobs`` share the machine's cores evenly. After ``time_limit`` seconds a trial is ended; None: 20 times its
    planned time, at least an hour. ``train`` must be importable by name. Setting ``stop`` ends running trials.
    """

    def __init__(
        self,
        config: Config,
        data: "ClickData",
        workdir: Workdir,
        *,
        strategy: StrategyName,
        jobs: int,
        time_limit: float | None,
        train: Train,
        stop: threading.Event | None = None,
    ):
        self.jobs, self.strategy = jobs, strategy
        self.stop = stop or threading.Event()
        self._config, self._data, self._workdir = config, data, workdir
        self._train, self._time_limit = train, time_limit
        self._threads = max(1, count_cores() // jobs)
        self._processes: dict[int, tuple[str, Process]] = {}  # of each job, with the shape that it serves

    def run(
        self, need: Need, planned: PlannedTrial, job: int, worker: str, on_progress: Callable[["Progress"], None]
    ) -> Record:
        """Run a trial, and record its outcome; ``planned`` is a trial of its shape.

        Returns:
            The record that is kept: this attempt's, or that of one that succeeded earlier.

        Raises:
            InputError: the workdir cannot be written to.
            KeyboardInterrupt: ``stop`` was set.
        """
        trial_id = need.trial.trial_id
        started = time.monotonic()
        with write_errors_located(self._workdir):
            directory = begin(self._workdir.running, trial_id)
            record: dict[str, Any] = {
                "attempt": directory.name,
                "strategy": self.strategy,
                "status": "ok",
                "reason": "",
                "code_version": tfrs_scaling.__version__,
                "libraries": libraries(),
                "machine": machine(),
                OBJECTIVE: None,
            }
            if planned.too_large:
                record |= {"status": "skipped", "reason": planned.too_large}
            else:
                try:
                    with Heartbeat(directory, trial_id, worker) as heartbeat:
                        trained = self._train_isolated(need, planned, directory, job, heartbeat, on_progress)
                    record["rungs"] = trained.validation_ne
                    if trained.stopped:
                        record |= {"status": "stopped", "reason": trained.stopped, "diverged": trained.diverged}
                    else:
                        record[OBJECTIVE] = trained.validation_ne[-1]
                except IsolatedError as error:
                    record |= {"status": "failed", "reason": str(error)}
                except BaseException:  # Ctrl-C, or a full disk: nobody else would know that this has ended
                    shutil.rmtree(directory, ignore_errors=True)
                    raise
            record["seconds"] = round(time.monotonic() - started, 3)
            return self._published(directory, need, record)

    def release(self, job: int) -> None:
        """End a job's process; the job runs no more trials for now."""
        _, process = self._processes.pop(job, ("", None))
        if process is not None:
            process.close()

    def _train_isolated(
        self,
        need: Need,
        planned: PlannedTrial,
        directory: Path,
        job: int,
        heartbeat: Heartbeat,
        on_progress: Callable[["Progress"], None],
    ) -> "Trained":
        def on_report(progress: "Progress") -> None:
            heartbeat.update(progress.examples, progress.examples_per_second)
            on_progress(progress)

        if self.strategy == "multi_worker":
            self._workdir.announce(need.trial.trial_id)
        call = on_own_device(
            self.strategy, job, self._train, need, self._config, self._data, directory, self.strategy, self._threads
        )
        process = self._process(job, need.trial.shape_id)
        trained: Trained = process.call(
            call[0], call[1:], directory / "log.txt", on_report, self.stop, limit_of(planned, self._time_limit)
        )
        return trained

    def _process(self, job: int, shape_id: str) -> Process:
        """The job's process: the same for trials of one shape, one after the other, where they can share one."""
        served, process = self._processes.get(job, ("", None))
        shares = self.strategy in _SHARE and traces_once(self._config.training)  # else each would leave its model there
        if process is None or served != shape_id or not shares:
            self.release(job)
            process = Process(on_tpu=self.strategy == "tpu")
            self._processes[job] = shape_id, process
        return process

    def _published(self, directory: Path, need: Need, record: dict[str, Any]) -> dict[str, Any]:
        trial = self._workdir.trials / need.trial.trial_id

        def is_enough(there: Record) -> bool:
            return need.settled(there, self._config.ladder) is not None

        try:
            return publish(directory, trial, record, is_enough)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            # Its own measurements may have filled the disk; without them there is room for a record of the failure.
            for path in directory.glob(EVENT_FILES):
                path.unlink()
            reason = f"{error.strerror} in {self._workdir.root}"
            failed = record | {"status": "failed", "reason": reason, OBJECTIVE: None}
            return publish(directory, trial, failed, is_enough)
