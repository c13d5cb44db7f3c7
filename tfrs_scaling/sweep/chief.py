"""The chief of a study: the process that hands out its trials, to its own jobs and to other processes that joined.

All write the outcomes into the study's folder, which they share. The folder is the only source of truth: a trial is
finished once its record is there, whoever wrote it. So nothing is lost or counted twice when the chief is killed and
another process takes the lead, or when a worker presumed dead turns out to be only slow.
"""

import concurrent.futures
import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from tfrs_scaling.config import Config
from tfrs_scaling.planning.plan import PlannedTrial, by_shape
from tfrs_scaling.study.attempts import LOST_SECONDS, Attempt, all_attempts, remove_debris
from tfrs_scaling.study.lead import Lead, LeadLostError
from tfrs_scaling.study.search import Need, waiting_for
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.agenda import Agenda
from tfrs_scaling.sweep.endpoint import Endpoint
from tfrs_scaling.sweep.grid import RUNNING, STOPPED, GridOracle, served
from tfrs_scaling.sweep.runner import OnPlan, Watcher, prepare_workdir, write_plan
from tfrs_scaling.training.loop import Progress

POLL_SECONDS = 0.5  # between two looks of the chief into the folder
FAREWELL_SECONDS = 10.0  # that the chief stays, to tell workers which asked recently that all trials are done

DONE = " (done)"  # after a tuner's name: it says that its trial has ended, but the record is not visible yet


class ChiefService:
    """The chief at work: its oracle, called in a thread of its own, and served to other processes.

    ``stop`` is set where it can no longer read the folder; ``failure`` then says why. ``LeadLostError`` is raised if
    another process has taken the lead already.
    """

    def __init__(
        self,
        config: Config,
        workdir: Workdir,
        planned: list[PlannedTrial],
        lead: Lead,
        endpoint: Endpoint | None,
        *,
        watcher: Watcher,
        on_plan: OnPlan,
        say: Callable[[str], None],
        stop: threading.Event,
    ):
        self.failure: Exception | None = None
        self._workdir, self._lead, self._stop, self._over = workdir, lead, stop, threading.Event()
        with contextlib.ExitStack() as stack:
            stack.callback(lead.close)
            prepare_workdir(config, workdir)
            self._thread = stack.enter_context(concurrent.futures.ThreadPoolExecutor(1))
            self._oracle = self._call(ChiefOracle, config, workdir, watcher, say, planned, on_plan)
            if endpoint is not None:
                token = endpoint.token(make=True)
                give, end = (
                    functools.partial(self._as_chief, method) for method in (self._oracle.give, self._oracle.end)
                )
                port = stack.enter_context(served(give, end, endpoint.bound, token, self._thread))
                lead.serve_at(endpoint.published(port))
            updating = threading.Thread(target=self._keep_updating, daemon=True)
            updating.start()
            stack.callback(updating.join)
            stack.callback(self._over.set)
            self._resources = stack.pop_all()

    @property
    def is_lost(self) -> bool:
        """Whether another process leads the study now."""
        return self._lead.is_lost.is_set()

    def create_trial(self, tuner_id: str) -> tuple[str, str]:
        """The status, and if that is RUNNING the study's name of a trial to run."""
        given: tuple[str, str] = self._call(self._oracle.give, tuner_id)
        return given

    def need(self, name: str) -> Need | None:
        """A trial that was handed out; None: not by this chief."""
        return self._oracle.need(name)

    def end_trial(self, name: str, *, give_back: bool = False) -> None:
        """Take note that a trial has ended, or was given back to be run by another job."""
        self._call(self._oracle.end, name, give_back)

    def wait(self) -> None:
        """Wait until all trials have ended, wherever they run, and the workers have been told.

        Raises:
            LeadLostError: another process leads the study now.
        """
        while self._call(self._oracle.update):
            time.sleep(POLL_SECONDS)
        while self._call(self._oracle.has_askers):
            time.sleep(POLL_SECONDS)
        remove_debris(self._workdir.running)

    def close(self) -> None:
        """Give up the lead."""
        self._resources.close()

    def _call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """The answer of a method, in the oracle's thread."""
        try:
            answer = self._thread.submit(self._as_chief, method, *arguments)
        except RuntimeError:  # closed, because the lead was lost
            raise LeadLostError from None
        return answer.result()

    def _as_chief(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """The answer of a method, unless the lead is lost, as where the next chief has rewritten KerasTuner's files."""
        if self.is_lost:
            raise LeadLostError
        try:
            return method(*arguments)
        except Exception:
            if self._lead.is_replaced():
                raise LeadLostError from None
            raise

    def _keep_updating(self) -> None:
        try:
            while not self._over.wait(POLL_SECONDS):
                self._call(self._oracle.update)
        except LeadLostError:
            return
        except Exception as error:
            self.failure = error
            self._stop.set()


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
        self._longest, self._followers = by_shape(planned), waiting_for(config)
        self._agenda = Agenda(config, workdir, retry=True)
        self._beats: dict[str, tuple[int, float]] = {}  # tuner: its attempt's last beat, and when that was first seen
        self._asked: dict[str, float] = {}  # tuner not yet told that all is done: when it last asked
        self._due: dict[str, float] = {}  # when the folder may be read again
        self._assigned: set[str] = set()  # trials that were handed out at least once
        self._add(self._agenda.needs.values())
        for attempt in all_attempts(workdir.running):  # begun under an earlier chief
            if attempt.process.is_alive() is not False and attempt.trial_id in self.waiting:
                self.assign(attempt.trial_id, attempt.worker)
                self._note_assigned(attempt.worker)

    def give(self, tuner_id: str) -> tuple[str, str]:
        """``create_trial``'s status, and if that is RUNNING the study's name of the trial."""
        trial = self.create_trial(tuner_id)
        return trial.status, self.name(trial) if trial.status == RUNNING else ""

    def create_trial(self, tuner_id: str) -> Any:
        """A trial for a worker to run; the same one again until it has ended or the worker is lost."""
        self._asked[tuner_id] = self._clock()
        self._sparingly(self._read_outcomes)
        is_new = tuner_id not in self.running
        trial = super().create_trial(tuner_id)
        if trial.status == STOPPED:
            del self._asked[tuner_id]
        elif is_new and trial.status == RUNNING:
            self._note_assigned(tuner_id)
        return trial

    def need(self, name: str) -> Need | None:
        """A trial, and where it is to be stopped; None: it is not known."""
        return self._agenda.needs.get(name)

    def end(self, name: str, give_back: bool = False) -> None:
        """A worker is done with a trial. The outcome is in the folder; the chief may see it a little later.

        A worker that was stopped gives its trial back.
        """
        for tuner_id, running in self.running.items():
            if running != name or tuner_id.endswith(DONE):
                continue
            if give_back:
                self._take_back(tuner_id, "stopped")
            else:
                self.rename_tuner(tuner_id, tuner_id + DONE)  # so that it may ask for another
                self._beats[tuner_id + DONE] = (-1, self._clock())
        self._sparingly(self._read_outcomes)

    def update(self) -> bool:
        """Read from the folder what has ended and which workers were lost; whether there is more to do."""
        self._sparingly(self._read_outcomes)
        self._sparingly(self._take_back_lost)
        return bool(self.running or self.waiting)

    def has_askers(self) -> bool:
        """Whether a worker asked recently and has not been told yet that all is done."""
        return any(self._clock() - asked < FAREWELL_SECONDS for asked in self._asked.values())

    def _sparingly(self, read: Callable[[], None]) -> None:
        """Read what grows with the study, but not for more than a tenth of the time: workers wait meanwhile."""
        began = self._clock()
        if began >= self._due.get(read.__name__, began):
            read()
            self._due[read.__name__] = self._clock() + 9 * (self._clock() - began)

    def _read_outcomes(self) -> None:
        new = self._agenda.update()  # before trials end, lest workers find that there is nothing left to do
        if new is not None:
            self._add(new)
        for name in self.running.values():
            self._note_ended(name)
        for name in self._assigned.intersection(self.waiting):
            if self._note_ended(name):  # by a worker that was presumed lost
                self.waiting = [other for other in self.waiting if other != name]

    def _take_back_lost(self) -> None:
        attempts = {(attempt.worker, attempt.trial_id): attempt for attempt in all_attempts(self._workdir.running)}
        for tuner_id, name in self.running.items():
            if self._is_lost(tuner_id, attempts.get((tuner_id, name))):
                self._take_back(tuner_id, "lost")

    def _add(self, needs: Iterable[Need]) -> None:
        names = [need.trial.trial_id for need in needs]
        self.add(self._agenda.needs[name].trial for name in names)
        write_plan(self._workdir, self._agenda, self._planned, self._on_plan)
        ended = {name for name in names if self._note_ended(name)}
        self.waiting = sorted((name for name in self.waiting if name not in ended), key=self._order)

    def _order(self, name: str) -> tuple[bool, int, float]:
        """The baseline first, since nothing can be said without it; then shapes that others wait for; then the longest,
        so that none ends alone."""
        shape_id = self._agenda.needs[name].trial.shape_id
        return not name.startswith("D-"), -self._followers[shape_id], -self._longest[shape_id].seconds

    def _note_assigned(self, tuner_id: str) -> None:
        name = self.running[tuner_id]
        self._beats[tuner_id] = (-1, self._clock())
        self._assigned.add(name)
        self._watcher(name, Progress(0, 0.0))

    def _take_back(self, tuner_id: str, why: str) -> None:
        name = self.take_back(tuner_id)
        self._asked.pop(tuner_id, None)
        self._say(f"{tuner_id.rpartition('/')[0]}: {why}; its trial {name} will be run again")

    def _is_lost(self, tuner_id: str, attempt: Attempt | None) -> bool:
        last, since = self._beats[tuner_id]
        now = self._clock()
        if attempt is not None and attempt.beat != last:  # timed by the chief's clock: those of machines differ
            self._beats[tuner_id] = (attempt.beat, since := now)
            self._watcher(attempt.trial_id, Progress(attempt.examples, attempt.examples_per_second))
        return now - since > LOST_SECONDS or (attempt is not None and attempt.process.is_alive() is False)

    def _note_ended(self, name: str) -> bool:
        """Whether a trial has ended; if so, KerasTuner and the watcher are told its outcome."""
        record = self._agenda.outcome(name)
        if record is None:
            return False
        self._watcher(name, record)
        self.finish(name, record)
        return True
