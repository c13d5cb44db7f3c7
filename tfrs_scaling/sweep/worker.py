"""A worker of a study on several machines: it runs the trials that the chief hands out."""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from typing import TypeVar

import grpc

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import Config
from tfrs_scaling.hardware import StrategyName
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.planning.plan import by_shape, jobs_at_once, plan_on
from tfrs_scaling.study.attempts import LOST_SECONDS
from tfrs_scaling.study.row_scores import with_scores
from tfrs_scaling.study.search import Need, Record
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.agenda import Agenda
from tfrs_scaling.sweep.grid import RUNNING, STOPPED, OracleClient, is_away
from tfrs_scaling.sweep.role import Role
from tfrs_scaling.sweep.runner import OBJECTIVE, Runner, Train
from tfrs_scaling.training.isolation import side_by_side
from tfrs_scaling.training.trial import run_trial

T = TypeVar("T")

ASK_SECONDS = 1.0  # between two requests of a worker that has nothing to do
CALL_SECONDS = 10.0  # that a worker waits for one answer
RETRY_SECONDS = 2.0  # between two calls to a chief that does not answer
WAIT_SECONDS = 1800.0  # that a worker waits for a chief it cannot reach


def run_worker(
    config: Config,
    data_folder: str,
    workdir: Workdir,
    role: Role,
    *,
    strategy: StrategyName,
    jobs: int | None,
    time_limit: float | None,
    say: Callable[[str], None],
    train: Train = run_trial,
    wait_seconds: float = WAIT_SECONDS,
) -> None:
    """A worker's part of a study: run what the chief hands out, until it says that all is done.

    The data exist once the chief answers. ``jobs``, None: as many as the machine allows; ``time_limit`` is in seconds.

    Raises:
        InputError: the chief works on another study or on other data, it did not answer, or the folder cannot be
            written to.
        KeyboardInterrupt: Ctrl-C was pressed; running trials were ended, and other workers will run them.
    """
    chief = _Chief(config, role, workdir, say, wait_seconds)
    chief.wait()
    data = ClickData.open(data_folder)
    workdir.check(config, data)
    data = with_scores(config, data, workdir.root)
    planned = plan_on(config, data.manifest, strategy=strategy)
    longest = by_shape(planned)
    jobs = jobs or jobs_at_once(planned, strategy)
    runner = Runner(
        config, data, workdir, strategy=strategy, jobs=jobs, time_limit=time_limit, train=train, stop=chief.stop
    )
    say(f"{role.name}: {jobs} trials at a time for the chief at {role.address}")
    incarnation = uuid.uuid4().hex[:8]  # a new one after a restart

    def run_trials(job: int) -> None:
        try:
            run_until_done(job)
        finally:
            runner.release(job)

    def run_until_done(job: int) -> None:
        tuner_id = f"{role.name}/{job}/{incarnation}"
        while (trial := chief.next_trial(tuner_id)) is not None:
            _, name = trial
            need = chief.need(name)
            record = chief.outcome(name)  # if it is done, but the chief cannot see that yet
            if record is None or record["status"] == "failed":
                try:
                    record = runner.run(need, longest[need.trial.shape_id], job, tuner_id, lambda _: None)
                except KeyboardInterrupt:
                    chief.give_back(name)
                    raise
            outcome = f"validation NE {record[OBJECTIVE]:.4f}" if record["status"] == "ok" else record["reason"]
            say(f"{record['status']} {name}: {outcome}")
            chief.end_trial(name)

    side_by_side(run_trials, range(jobs), jobs, chief.stop)


class _Chief:
    """The chief as a worker reaches it: calls are repeated until it answers or ``stop`` is set."""

    def __init__(self, config: Config, role: Role, workdir: Workdir, say: Callable[[str], None], wait_seconds: float):
        self._oracle = OracleClient(role.address, config)
        self._workdir, self._say, self._wait_seconds = workdir, say, wait_seconds
        self._address, self._is_missed = role.address, False
        self._agenda, self._lock = Agenda(config, workdir, retry=False), threading.Lock()
        self.stop = threading.Event()

    def wait(self) -> None:
        """Wait until the chief answers."""
        self._call(lambda: self._oracle.check(CALL_SECONDS))

    def next_trial(self, tuner_id: str) -> tuple[str, str] | None:
        """KerasTuner's and the study's name of a trial to run, once there is one; None when all is done."""
        while (answer := self._call(lambda: self._oracle.create_trial(tuner_id, CALL_SECONDS))) is not None:
            status, trial_id, name = answer
            if status == RUNNING:
                return trial_id, name
            if status == STOPPED:
                break
            self.stop.wait(ASK_SECONDS)
        return None

    def need(self, name: str) -> Need:
        """A trial that was handed out, once this machine sees the outcomes that call for it."""
        ends = time.monotonic() + LOST_SECONDS
        while not self.stop.is_set():
            with self._lock:
                need = self._agenda.find(name)
            if need is not None:
                return need
            if time.monotonic() > ends:
                raise InputError(
                    f"{self._address}: its chief hands out {name}, which is not called for by what "
                    f"{self._workdir.root} holds"
                )
            self.stop.wait(ASK_SECONDS)
        raise KeyboardInterrupt

    def outcome(self, name: str) -> Record | None:
        """The record of a trial that was handed out; None if it has to be run, or run again."""
        with self._lock:
            return self._agenda.outcome(name)

    def end_trial(self, trial_id: str) -> None:
        """Say that a trial has ended; its record is in the study's folder."""
        self._call(lambda: self._oracle.end_trial(trial_id, CALL_SECONDS))

    def give_back(self, trial_id: str) -> None:
        """Let another worker run a trial; a chief that cannot be reached will notice by itself."""
        with contextlib.suppress(grpc.RpcError):
            self._oracle.end_trial(trial_id, RETRY_SECONDS, give_back=True)

    def _call(self, method: Callable[[], T]) -> T | None:
        """The chief's answer; None if it is gone and all is done."""
        since = time.monotonic()
        while not self.stop.is_set():
            try:
                answer = method()
            except grpc.RpcError as error:
                if not is_away(error):
                    raise InputError(f"the chief at {self._address} failed: {error.details()}") from None
            else:
                self._is_missed = False
                return answer
            if not self._is_missed:
                self._is_missed = True
                self._say(f"waiting for the chief at {self._address}")
            with self._lock:
                is_done, done, known = self._agenda.is_done(), self._agenda.done, len(self._agenda.needs)
            if is_done:
                return None
            if time.monotonic() - since > self._wait_seconds:
                raise InputError(
                    f"the chief at {self._address} did not answer for {self._wait_seconds / 60:.0f} min; {done} of "
                    f"{known} trials are done and kept in {self._workdir.root}. Start the chief again "
                    "with its command, then this worker with its own"
                )
            self.stop.wait(min(RETRY_SECONDS, self._wait_seconds))
        raise KeyboardInterrupt
