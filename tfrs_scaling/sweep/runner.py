"""Trials run in processes of their own, for a sweep and for a worker alike."""

import concurrent.futures
import errno
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import Config
from tfrs_scaling.hardware import StrategyName, count_cores, count_gpus, on_one_gpu
from tfrs_scaling.planning.plan import PlannedTrial
from tfrs_scaling.study.attempts import Heartbeat, begin, publish
from tfrs_scaling.study.workdir import Workdir, libraries, machine
from tfrs_scaling.training.isolation import IsolatedError, run_isolated

if TYPE_CHECKING:
    from tfrs_scaling.input.shards import ClickData
    from tfrs_scaling.training.trial import Progress

OBJECTIVE = "validation_ne"
# What a plan says is of one machine, and the first trials of a study may be slow: ended are trials that hang.
LIMIT_TIMES_PLANNED = 20
LEAST_LIMIT_SECONDS = 3600.0


class Runner:
    """Runs the trials of a study, several at a time, each to a record that is written whole or not at all.

    Args:
        config: the study.
        data: its shards.
        workdir: its folder.
        strategy: the hardware of each trial.
        jobs: trials at a time; they share the machine's cores evenly.
        time_limit: seconds after which a trial is ended; None: 20 times what it was planned to take, an hour at least.
        train: ``tfrs_scaling.training.trial.run_trial``.
        stop: set, it ends what runs.
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
        train: Callable[..., float],
        stop: threading.Event | None = None,
    ):
        self.jobs = jobs
        self.stop = stop or threading.Event()
        self._config, self._data, self._workdir = config, data, workdir
        self._strategy, self._train, self._time_limit = strategy, train, time_limit
        self._threads = max(1, count_cores() // jobs)

    def side_by_side(self, work: Callable[[int], None]) -> None:
        """Call ``work`` with the number of each job, all at a time, until every call is over.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed; running trials were ended.
            Exception: what a call raised; the others' running trials were ended.
        """
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            calls = [pool.submit(work, job) for job in range(self.jobs)]
            try:
                for call in concurrent.futures.as_completed(calls):
                    call.result()
            except BaseException:
                self.stop.set()
                raise

    def run(self, planned: PlannedTrial, job: int, worker: str, hear: Callable[["Progress"], None]) -> dict[str, Any]:
        """Run a trial, and write down what it came to.

        Args:
            planned: the trial.
            job: which of the ``jobs`` this is.
            worker: who runs it, for those who look.
            hear: takes its progress.

        Returns:
            The record that counts: another's, where the same trial came off there first.

        Raises:
            InputError: the workdir cannot be written to.
            KeyboardInterrupt: ``stop`` was set.
        """
        trial_id = planned.trial.trial_id
        started = time.monotonic()
        try:
            directory = begin(self._workdir.running, trial_id)
            record: dict[str, Any] = {
                "attempt": directory.name,
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
                try:
                    with Heartbeat(directory, trial_id, worker) as heartbeat:
                        record[OBJECTIVE] = self._train_isolated(planned, directory, job, heartbeat, hear)
                except IsolatedError as error:
                    record |= {"status": "failed", "reason": str(error)}
                except KeyboardInterrupt:
                    shutil.rmtree(directory, ignore_errors=True)
                    raise
            record["seconds"] = round(time.monotonic() - started, 3)
            return self._published(directory, trial_id, record)
        except OSError as error:
            raise InputError(
                f"{self._workdir.root}: cannot be written: {error.strerror}; mend it, and the same command goes on "
                "from here"
            ) from error

    def limit(self, planned: PlannedTrial) -> float:
        """Seconds that a trial may take."""
        return self._time_limit or max(LEAST_LIMIT_SECONDS, LIMIT_TIMES_PLANNED * planned.seconds)

    def _train_isolated(
        self,
        planned: PlannedTrial,
        directory: Path,
        job: int,
        heartbeat: Heartbeat,
        hear: Callable[["Progress"], None],
    ) -> float:
        def on_report(progress: "Progress") -> None:
            heartbeat.hear(progress.examples, progress.examples_per_second)
            hear(progress)

        if self._strategy == "multi_worker":
            self._workdir.announce(planned.trial.trial_id)
        call: tuple[Any, ...] = (
            self._train,
            planned.trial,
            self._config,
            self._data,
            directory,
            self._strategy,
            self._threads,
        )
        if self._strategy == "gpu":
            call = (on_one_gpu, job % max(1, count_gpus()), *call)
        validation_ne: float = run_isolated(
            call[0], call[1:], directory / "log.txt", on_report, self.stop, self.limit(planned)
        )
        return validation_ne

    def _published(self, directory: Path, trial_id: str, record: dict[str, Any]) -> dict[str, Any]:
        trial = self._workdir.trials / trial_id
        try:
            return publish(directory, trial, record)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            # Its own measurements may be what fills the disk; without them there is room for a record of the failure.
            for path in directory.glob("events.out.tfevents.*"):
                path.unlink()
            reason = f"{error.strerror} in {self._workdir.root}"
            return publish(directory, trial, record | {"status": "failed", "reason": reason, OBJECTIVE: None})
