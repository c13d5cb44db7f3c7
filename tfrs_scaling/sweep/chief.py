"""The chief of a study on several machines: it serves the grid to workers, and runs no trial itself.

Workers run the trials and write the outcomes into the study's folder, which all machines share. The folder is the only
source of truth: a trial is finished once its record is there, whoever wrote it. So nothing is lost or counted twice
when the chief is killed and restarted, or when a worker presumed dead turns out to be only slow.
"""

import concurrent.futures
import time
from collections.abc import Callable, Iterable
from typing import Any

from tfrs_scaling.config import Config
from tfrs_scaling.planning.plan import PlannedTrial
from tfrs_scaling.study.attempts import LOST_SECONDS, Attempt, all_attempts, live_attempts, remove_debris
from tfrs_scaling.study.search import Need
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.agenda import Agenda
from tfrs_scaling.sweep.grid import INVALID, RUNNING, STOPPED, GridOracle, served
from tfrs_scaling.sweep.role import Role
from tfrs_scaling.sweep.runner import OnPlan, Watcher, prepare_workdir, write_plan
from tfrs_scaling.training.loop import Progress

POLL_SECONDS = 0.5  # between two looks of the chief into the folder
FAREWELL_SECONDS = 10.0  # that the chief stays, to tell workers which asked recently that all trials are done

DONE = " (done)"  # after a tuner's name: it says that its trial has ended, but the record is not visible yet


def lead(
    config: Config,
    workdir: Workdir,
    planned: list[PlannedTrial],
    role: Role,
    *,
    watcher: Watcher,
    say: Callable[[str], None],
    on_plan: OnPlan = lambda _: None,
) -> None:
    """The chief's part of a study: serve until every trial has ended. The workdir must be locked and claimed.

    Raises:
        InputError: the address cannot be served.
        KeyboardInterrupt: Ctrl-C was pressed; workers continue with the trials they have.
    """
    prepare_workdir(config, workdir)
    with concurrent.futures.ThreadPoolExecutor(1) as thread:  # every method of the oracle is called in it
        oracle = thread.submit(ChiefOracle, config, workdir, watcher, say, planned, on_plan).result()
        with served(oracle, role.address, thread):
            while thread.submit(oracle.update).result():
                time.sleep(POLL_SECONDS)
            while thread.submit(oracle.has_askers).result():
                time.sleep(POLL_SECONDS)
    remove_debris(workdir.running)


class ChiefOracle(GridOracle):
    """The grid, handed out to workers according to the study's folder.

    Its methods must be called from one thread.
    """

    def __init__(
        self,
        config: Config,
        workdir: Workdir,
        watcher: Watcher,
        say: Callable[[str], None],
        planned: list[PlannedTrial],
        on_plan: OnPlan = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ):
        super().__init__(config, workdir.keras_tuner)
        self._workdir, self._watcher, self._say, self._clock = workdir, watcher, say, clock
        self._planned, self._on_plan = planned, on_plan
        self._agenda = Agenda(config, workdir, retry=True)
        self._beats: dict[str, tuple[int, float]] = {}  # tuner: its attempt's last beat, and when that was first seen
        self._asked: dict[str, float] = {}  # tuner not yet told that all is done: when it last asked
        self._assigned: set[str] = set()  # trials that were handed out at least once
        self._add(self._agenda.needs.values())
        for attempt in live_attempts(workdir.running):  # begun under an earlier chief
            if attempt.trial_id in self.waiting:
                self.assign(attempt.trial_id, attempt.worker)
                self._note_assigned(attempt.worker)

    def create_trial(self, tuner_id: str) -> Any:
        """A trial for a worker to run; the same one again until it has ended or the worker is lost."""
        if tuner_id not in self._asked:
            self._requeue_trials_of_restarted_worker(tuner_id)
        self._asked[tuner_id] = self._clock()
        self.update()
        is_new = tuner_id not in self.running
        trial = super().create_trial(tuner_id)
        if trial.status == STOPPED:
            del self._asked[tuner_id]
        elif is_new and trial.status == RUNNING:
            self._note_assigned(tuner_id)
        return trial

    def end_trial(self, trial: Any) -> None:
        """A worker is done with a trial. The outcome is in the folder; the chief may see it a little later.

        The status is INVALID if the worker was stopped and gives the trial back.
        """
        for tuner_id, name in self.running.items():
            if name != self.name(trial) or tuner_id.endswith(DONE):
                continue
            if trial.status == INVALID:
                self._take_back(tuner_id, "stopped")
            else:
                self.rename_tuner(tuner_id, tuner_id + DONE)  # so that it may ask for another
                self._beats[tuner_id + DONE] = (-1, self._clock())
        self.update()

    def update(self) -> bool:
        """Read from the folder what has ended and which workers were lost; whether there is more to do."""
        attempts = {(attempt.worker, attempt.trial_id): attempt for attempt in all_attempts(self._workdir.running)}
        new = self._agenda.update()  # before trials end, lest workers find that there is nothing left to do
        if new is not None:
            self._add(new)
        for tuner_id, name in self.running.items():
            if not self._has_ended(name) and self._is_lost(tuner_id, attempts.get((tuner_id, name))):
                self._take_back(tuner_id, "lost")
        for name in self._assigned.intersection(self.waiting):
            if self._has_ended(name):  # by a worker that was presumed lost
                self.waiting = [other for other in self.waiting if other != name]
        return bool(self.running or self.waiting)

    def has_askers(self) -> bool:
        """Whether a worker asked recently and has not been told yet that all is done."""
        return any(self._clock() - asked < FAREWELL_SECONDS for asked in self._asked.values())

    def _add(self, needs: Iterable[Need]) -> None:
        names = [need.trial.trial_id for need in needs]
        self.add(self._agenda.needs[name].trial for name in names)
        write_plan(self._workdir, self._agenda, self._planned, self._on_plan)
        ended = {name for name in names if self._has_ended(name)}
        self.waiting = [name for name in self.waiting if name not in ended]

    def _note_assigned(self, tuner_id: str) -> None:
        name = self.running[tuner_id]
        self._beats[tuner_id] = (-1, self._clock())
        self._assigned.add(name)
        self._watcher(name, Progress(0, 0.0))

    def _take_back(self, tuner_id: str, why: str) -> None:
        name = self.take_back(tuner_id)
        self._asked.pop(tuner_id, None)
        self._say(f"{tuner_id.rpartition('/')[0]}: {why}; its trial {name} will be run again")

    def _requeue_trials_of_restarted_worker(self, tuner_id: str) -> None:
        """The same worker under an earlier id has lost its trial."""
        who = tuner_id.rpartition("/")[0]
        for other in self.running:
            if other != tuner_id and other.rpartition("/")[0] == who and not other.endswith(DONE):
                self._take_back(other, "restarted")

    def _is_lost(self, tuner_id: str, attempt: Attempt | None) -> bool:
        last, since = self._beats[tuner_id]
        now = self._clock()
        if attempt is not None and attempt.beat != last:  # timed by the chief's clock: those of machines differ
            self._beats[tuner_id] = (attempt.beat, since := now)
            self._watcher(attempt.trial_id, Progress(attempt.examples, attempt.examples_per_second))
        return now - since > LOST_SECONDS or (attempt is not None and attempt.process.is_alive() is False)

    def _has_ended(self, name: str) -> bool:
        """Whether a trial has ended; if so, KerasTuner and the watcher are told its outcome."""
        record = self._agenda.outcome(name)
        if record is None:
            return False
        self._watcher(name, record)
        self.finish(name, record)
        return True
