"""One of the processes that run a study: it runs trials that the chief hands out, and is the chief if there is none.

The first process that sweeps in a folder leads (``study.lead``), and those that follow join it. Where the chief dies,
the first of the others that gets the lock leads; the trials that they are running continue.
"""

import contextlib
import functools
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable
from typing import TypeVar

import grpc

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import Config
from tfrs_scaling.planning.plan import PlannedTrial, by_shape
from tfrs_scaling.study.attempts import LOST_SECONDS
from tfrs_scaling.study.lead import LOCK, WAIT_SECONDS, Lead, LeadLostError, Watch
from tfrs_scaling.study.search import Need, Record
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.agenda import Agenda
from tfrs_scaling.sweep.chief import ChiefService
from tfrs_scaling.sweep.endpoint import Endpoint
from tfrs_scaling.sweep.grid import REFUSED, RUNNING, STOPPED, UNREACHABLE, OracleClient
from tfrs_scaling.sweep.runner import OBJECTIVE, OnPlan, Runner, Watcher
from tfrs_scaling.training.isolation import side_by_side

T = TypeVar("T")

IDLE_SECONDS = 0.1  # between two requests of a job that has nothing to do
ASK_SECONDS = 1.0  # between two of one in another process than the chief
CALL_SECONDS = 10.0  # that a job waits for one answer
RETRY_SECONDS = 2.0  # between two calls to a chief that does not answer


def sweep(
    config: Config,
    workdir: Workdir,
    planned: list[PlannedTrial],
    runner: Runner,
    watcher: Watcher,
    lead: Lead | None,
    *,
    on_plan: OnPlan = lambda _: None,
    watch: Watch | None = None,
    endpoint: Endpoint | None = None,
    check: Callable[[], None] = lambda: None,
    say: Callable[[str], None] = lambda _: None,
    wait_seconds: float = WAIT_SECONDS,
) -> bool:
    """Run trials of a study until every one has ended; called again after it was killed, it continues.

    A trial that failed before is run again. The study must be claimed.

    Args:
        config: the study.
        workdir: its folder.
        planned: its trials.
        runner: runs those that this process is given.
        watcher: of the chief, called with every trial's progress and outcome, from several threads.
        lead: of the study; None: another process has it. It is given up at the end.
        on_plan: of the chief, called with the planned seconds of each trial as far as they are known, at the start and
            when outcomes add some.
        watch: by which the lead was found; None: a new one.
        endpoint: lets other processes in; None: none can join.
        check: called before trials of another chief are run; raises ``InputError`` if it works on another study.
        say: called with lines for the user.
        wait_seconds: for a chief that does not answer.

    Returns:
        Whether this process led the study at its end.

    Raises:
        InputError: the workdir cannot be written to, holds another study, or the chief did not answer or refused the
            token.
        KeyboardInterrupt: ``runner.stop`` was set, or Ctrl-C pressed; running trials were ended.
    """
    longest = by_shape(planned)

    def begin(lead: Lead) -> ChiefService:
        return ChiefService(
            config, workdir, planned, lead, endpoint, watcher=watcher, on_plan=on_plan, say=say, stop=runner.stop
        )

    member = _Member(
        config, workdir, watch or Watch(workdir.root), endpoint, runner.stop, begin, check, say, wait_seconds
    )

    def run_trials(job: int) -> None:
        try:
            run_until_done(job)
        finally:
            runner.release(job)

    def run_until_done(job: int) -> None:
        tuner_id = f"{platform.node()}:{os.getpid()}/{job}/{uuid.uuid4().hex[:8]}"
        while (name := member.next_trial(tuner_id)) is not None:
            need, record = member.need(name)
            if record is None or record["status"] == "failed":
                tell = functools.partial(watcher, name) if member.is_chief else lambda _: None
                try:
                    record = runner.run(need, longest[need.trial.shape_id], job, tuner_id, tell)
                except KeyboardInterrupt:
                    member.give_back(name)
                    raise
            if not member.is_chief:
                outcome = f"validation NE {record[OBJECTIVE]:.4f}" if record["status"] == "ok" else record["reason"]
                say(f"{record['status']} {name}: {outcome}")
            member.end_trial(name)

    try:
        if lead is not None:
            member.lead(lead)
        side_by_side(run_trials, range(runner.jobs), runner.jobs, runner.stop)
        return member.wait()
    except KeyboardInterrupt:
        if (failure := member.failure) is not None:
            raise failure from None
        raise
    finally:
        if runner.strategy == "multi_worker":
            workdir.announce(None)
        member.close()


class _Member:
    """The chief as the jobs of this process reach it, wherever it is.

    Calls are repeated until it, or the next one, answers, or ``stop`` is set.
    """

    def __init__(
        self,
        config: Config,
        workdir: Workdir,
        watch: Watch,
        endpoint: Endpoint | None,
        stop: threading.Event,
        begin: Callable[[Lead], ChiefService],
        check: Callable[[], None],
        say: Callable[[str], None],
        wait_seconds: float,
    ):
        self._config, self._workdir, self._watch, self._endpoint = config, workdir, watch, endpoint
        self._stop, self._begin, self._check, self._say = stop, begin, check, say
        self._wait_seconds = wait_seconds
        self._chief: ChiefService | None = None  # in this process
        self._client: OracleClient | None = None  # of one in another
        self._place: tuple[str, str] | None = None  # that one's term and address
        self._away_since: float | None = None
        self._seeking, self._reading = threading.Lock(), threading.Lock()

    @functools.cached_property
    def _agenda(self) -> Agenda:
        return Agenda(self._config, self._workdir, retry=False)

    @property
    def is_chief(self) -> bool:
        """Whether this process leads the study."""
        return self._chief is not None

    @property
    def failure(self) -> Exception | None:
        """What ended the chief in this process."""
        return None if self._chief is None else self._chief.failure

    def lead(self, lead: Lead) -> None:
        """Lead the study from now on, unless another process has taken the lead meanwhile."""
        with contextlib.suppress(LeadLostError):
            self._chief = self._begin(lead)

    def next_trial(self, tuner_id: str) -> str | None:
        """A trial to run, once there is one; None when all is done."""
        while (answer := self._call(lambda there: there.create_trial(tuner_id))) is not None:
            status, name = answer
            if status == RUNNING:
                return name
            if status == STOPPED:
                break
            self._stop.wait(IDLE_SECONDS if self.is_chief else ASK_SECONDS)
        return None

    def need(self, name: str) -> tuple[Need, Record | None]:
        """A trial that was handed out, and its record if it has ended and the chief cannot see that yet."""
        ends = time.monotonic() + LOST_SECONDS
        while not self._stop.is_set():
            if (chief := self._chief) is not None and (need := chief.need(name)) is not None:
                return need, None
            with self._reading:
                if (need := self._agenda.find(name)) is not None:  # once the outcomes that call for it are visible here
                    return need, need.settled(self._workdir.record(name), self._config.ladder)
            if time.monotonic() > ends:
                raise InputError(
                    f"{self._workdir.root}: its chief hands out {name}, which is not called for by what this folder "
                    "holds"
                )
            self._stop.wait(ASK_SECONDS)
        raise KeyboardInterrupt

    def end_trial(self, name: str) -> None:
        """Say that a trial has ended; its record is in the study's folder."""
        self._call(lambda there: there.end_trial(name))

    def give_back(self, name: str) -> None:
        """Let another job run a trial; a chief that cannot be reached will notice by itself."""
        with contextlib.suppress(grpc.RpcError, LeadLostError):
            if (there := self._chief or self._client) is not None:
                there.end_trial(name, give_back=True)

    def wait(self) -> bool:
        """As chief, wait until every trial has ended everywhere; whether this process is the chief."""
        if self._chief is None:
            return False
        try:
            self._chief.wait()
        except LeadLostError:
            return False
        return True

    def close(self) -> None:
        """Give up the lead."""
        with self._seeking:
            if self._chief is not None:
                self._chief.close()

    def _call(self, method: Callable[[ChiefService | OracleClient], T]) -> T | None:
        """The chief's answer; None if the chief has ended because all is done."""
        while not self._stop.is_set():
            there, is_refused = self._chief or self._client, False
            if there is not None:
                try:
                    answer = method(there)
                except grpc.RpcError as error:
                    is_refused = error.code() == REFUSED
                    if not is_refused and error.code() not in UNREACHABLE:
                        raise InputError(f"the chief at {self._address} failed: {error.details()}") from None
                except LeadLostError:
                    pass
                else:
                    self._away_since = None
                    return answer
            with self._seeking:
                if there is (self._chief or self._client) and self._seek(is_refused=is_refused):
                    return None
            if there is (self._chief or self._client):
                self._stop.wait(min(RETRY_SECONDS, self._wait_seconds))
        raise KeyboardInterrupt

    def _seek(self, *, is_refused: bool) -> bool:
        """Find the chief, or be it; whether all is done instead."""
        if self._chief is not None:
            self._chief.close()
            self._chief = None
            self._say(f"{self._workdir.root}: another process leads this study now")
        lead = self._watch.take_lead()
        found = self._watch.chief
        if lead is not None:
            try:
                self._check()
                with self._reading:
                    is_over = found is None and self._agenda.is_done()  # the last chief ended as it should
            except InputError:
                lead.close()
                raise
            if is_over:
                lead.close()
                return True
            self._say(f"{self._workdir.root}: the chief is gone, and this process leads the study now")
            self.lead(lead)
            self._client = self._place = None
        elif found is not None and found.address is not None and self._place != (found.term, found.address):
            self._connect(found.term, found.address)
        else:
            self._miss(is_refused=is_refused)
        return False

    def _connect(self, term: str, address: str) -> None:
        if self._endpoint is None:
            raise InputError(f"{self._workdir.root}: another sweep is running in this folder, {self._watch.named()}")
        self._check()
        self._client = OracleClient(address, self._endpoint.token(make=False), CALL_SECONDS)
        self._place = term, address

    def _miss(self, *, is_refused: bool) -> None:
        """Wait for the chief a little longer, unless that is hopeless."""
        if is_refused and self._watch.is_alive:
            assert self._endpoint is not None
            raise InputError(f"the chief at {self._address} refuses the token in {self._endpoint.token_file}")
        if self._away_since is None:
            self._away_since = time.monotonic()
            self._say(f"waiting for the chief at {self._address}")
        if time.monotonic() - self._away_since > self._wait_seconds:
            with self._reading:
                self._agenda.update()
                done, known = self._agenda.done, len(self._agenda.needs)
            raise InputError(
                f"the chief at {self._address}, {self._watch.named()}, did not answer for "
                f"{self._wait_seconds / 60:.0f} min; {done} of {known} trials are done and kept in "
                f"{self._workdir.root}. Where it lives, this machine cannot reach it (--address); if its machine is "
                f"gone, delete {self._workdir.root / LOCK}"
            )

    @property
    def _address(self) -> str:
        return self._place[1] if self._place is not None else "an address not known yet"
