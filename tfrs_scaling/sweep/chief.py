"""A study on several machines: KerasTuner's chief and workers, over a folder that all of them share.

The chief serves KerasTuner's oracle over gRPC and hands out the trials of the grid; it runs none. Workers run them, and
write what they came to into the study's folder. The folder is what is believed: the chief takes a trial for over when
its record is there, whoever wrote it, so nothing is lost or counted twice by a chief that was killed and started again,
or by a worker that was taken for dead and was only slow.
"""

import concurrent.futures
import contextlib
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import grpc
import keras_tuner as kt
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.engine import conditions

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import Config
from tfrs_scaling.hardware import StrategyName
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.planning.plan import PlannedTrial, jobs_at_once, plan_on
from tfrs_scaling.study.attempts import LOST_SECONDS, Attempt, all_attempts, live_attempts, remove_debris
from tfrs_scaling.study.trials import all_trials
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.grid import GridOracle, Watcher, prepare_workdir, trial_of
from tfrs_scaling.sweep.role import Member
from tfrs_scaling.sweep.runner import OBJECTIVE, Runner
from tfrs_scaling.training.trial import Progress, run_trial

LOOK_SECONDS = 0.5  # between two looks of the chief into the folder
ASK_SECONDS = 1.0  # between two requests of a worker that has nothing to do
FAREWELL_SECONDS = 10.0  # that the chief stays for workers which asked lately, to tell them that all is done
WAIT_SECONDS = 1800.0  # that a worker waits for a chief it cannot reach

CALL_SECONDS = 10.0  # that a worker waits for one answer
RETRY_SECONDS = 2.0  # between two calls of a chief that does not answer

DONE = " (done)"  # after a tuner's name: its trial is over, as it says, but its record is not to be seen yet
RUNNING, INVALID = kt.engine.trial.TrialStatus.RUNNING, kt.engine.trial.TrialStatus.INVALID
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)


def lead(
    config: Config,
    workdir: Workdir,
    planned: list[PlannedTrial],
    member: Member,
    *,
    watcher: Watcher,
    say: Callable[[str], None],
) -> None:
    """The chief's part of a study: serve until every trial is over. The workdir must be locked and claimed.

    Args:
        config: the study.
        workdir: its folder.
        planned: its trials.
        member: the chief.
        watcher: hears of every trial.
        say: takes a line for the user.

    Raises:
        InputError: the address cannot be served.
        KeyboardInterrupt: Ctrl-C was pressed; workers go on with the trials they have.
    """
    prepare_workdir(config, workdir, planned)
    # KerasTuner 1.4.8 prints a scheme's letter for each condition of the grid that it sends.
    vars(conditions)["print"] = lambda *_: None
    with concurrent.futures.ThreadPoolExecutor(1) as thread:  # all that the oracle does, it does here
        oracle = thread.submit(ChiefOracle, config, workdir, watcher, say).result()
        # Without the option two chiefs could share a port, and each get half of the requests.
        server = grpc.server(thread, options=[("grpc.so_reuseport", 0)])
        protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(oracle), server)
        try:
            server.add_insecure_port(member.address)
        except RuntimeError:
            raise InputError(
                f"{member.address}: cannot be served; KERASTUNER_ORACLE_IP should be an address of this machine (or "
                "0.0.0.0), KERASTUNER_ORACLE_PORT a port that is free"
            ) from None
        server.start()
        try:
            while thread.submit(oracle.look).result():
                time.sleep(LOOK_SECONDS)
            while thread.submit(oracle.is_asked).result():
                time.sleep(LOOK_SECONDS)
        finally:
            server.stop(grace=1).wait()
    remove_debris(workdir.running)


class ChiefOracle(GridOracle):
    """KerasTuner's grid, handed out to workers by what the study's folder says.

    Lays out the whole grid at once. Its methods must be called from one thread.
    """

    def __init__(self, config: Config, workdir: Workdir, watcher: Watcher, say: Callable[[str], None]):
        super().__init__(config)
        self._set_project_dir(str(workdir.root), workdir.keras_tuner.name)
        self._workdir, self._watcher, self._say = workdir, watcher, say
        self._signs: dict[str, tuple[int, float]] = {}  # tuner: its attempt's last beat, and when that was news
        self._asked: dict[str, float] = {}  # tuner: when it asked for work last
        shutil.rmtree(workdir.keras_tuner, ignore_errors=True)
        self._names = self.lay_out(config)
        records = [workdir.record(name) for name in self._names.values()]
        self._failed_before = {r.get("attempt") for r in records if r and r["status"] == "failed"}
        self._retry_queue = [trial_id for trial_id in reversed(self._names) if not self._ended(trial_id)]
        self._given: set[str] = set()
        waiting = {self._names[trial_id]: trial_id for trial_id in self._retry_queue}
        for attempt in live_attempts(workdir.running):  # begun under a chief that is no more
            if trial_id := waiting.pop(attempt.trial_id, ""):
                self._retry_queue.remove(trial_id)
                self.ongoing_trials[attempt.worker] = self.trials[trial_id]
                self._note_given(attempt.worker)

    def create_trial(self, tuner_id: str) -> Any:
        """A trial for a worker to run; the same one again until it is over or the worker is lost."""
        if tuner_id not in self._asked:
            self._replace_earlier_self(tuner_id)
        self._asked[tuner_id] = time.monotonic()
        self.look()
        is_new = tuner_id not in self.ongoing_trials
        trial = super().create_trial(tuner_id)
        if is_new and trial.status == RUNNING:
            self._note_given(tuner_id)
        return trial

    def end_trial(self, trial: Any) -> None:
        """A worker is done with a trial. What it came to is in the folder; the chief may see it a little later.

        Its status is INVALID where the worker was stopped and gives the trial back.
        """
        for tuner_id, given in list(self.ongoing_trials.items()):
            if given.trial_id != trial.trial_id or tuner_id.endswith(DONE):
                continue
            if trial.status == INVALID:
                self._take_back(tuner_id, "stopped")
            else:
                self.ongoing_trials[tuner_id + DONE] = self.ongoing_trials.pop(tuner_id)  # it may ask for another
                self._signs[tuner_id + DONE] = (-1, time.monotonic())
        self.look()

    def look(self) -> bool:
        """See in the folder what is over and who was lost; whether there is more to do."""
        attempts = {(attempt.worker, attempt.trial_id): attempt for attempt in all_attempts(self._workdir.running)}
        for tuner_id, trial in list(self.ongoing_trials.items()):
            if self._ended(trial.trial_id):
                continue
            name = self._names[trial.trial_id]
            if self._is_lost(tuner_id, attempts.get((tuner_id, name))):
                self._take_back(tuner_id, "lost")
        for trial_id in self._given.intersection(self._retry_queue):
            if self._ended(trial_id):  # by one that was taken for lost
                self._retry_queue.remove(trial_id)
        return bool(self.ongoing_trials or self._retry_queue)

    def is_asked(self) -> bool:
        """Whether a worker asked lately and has not heard yet that all is done."""
        now = time.monotonic()
        return any(now - self._asked.get(tuner_id, 0.0) < FAREWELL_SECONDS for tuner_id in self.tuner_ids)

    def _note_given(self, tuner_id: str) -> None:
        trial_id = self.ongoing_trials[tuner_id].trial_id
        self._signs[tuner_id] = (-1, time.monotonic())
        self._given.add(trial_id)
        self._watcher(self._names[trial_id], Progress(0, 0.0))

    def _take_back(self, tuner_id: str, why: str) -> None:
        trial = self.ongoing_trials.pop(tuner_id)
        self.tuner_ids.discard(tuner_id)
        self._retry_queue.append(trial.trial_id)
        self._say(f"{tuner_id.rpartition('/')[0]}: {why}; its trial {self._names[trial.trial_id]} is to do again")

    def _replace_earlier_self(self, tuner_id: str) -> None:
        """The same worker, started anew, has nothing of what it was at."""
        who = tuner_id.rpartition("/")[0]
        for other in list(self.ongoing_trials):
            if other != tuner_id and other.rpartition("/")[0] == who and not other.endswith(DONE):
                self._take_back(other, "started anew")

    def _is_lost(self, tuner_id: str, attempt: Attempt | None) -> bool:
        last, since = self._signs[tuner_id]
        now = time.monotonic()
        if attempt is not None and attempt.beat != last:  # by the chief's clock: those of machines differ
            self._signs[tuner_id] = (attempt.beat, since := now)
            self._watcher(attempt.trial_id, Progress(attempt.examples, attempt.examples_per_second))
        return now - since > LOST_SECONDS or (attempt is not None and attempt.process.is_alive() is False)

    def _ended(self, trial_id: str) -> bool:
        """Whether a trial is over; KerasTuner is told what it came to."""
        record = self._workdir.record(self._names[trial_id])
        if record is None or (record["status"] == "failed" and record.get("attempt") in self._failed_before):
            return False
        self._watcher(self._names[trial_id], record)
        trial = self.trials[trial_id]
        trial.message = record["reason"]
        if record["status"] == "ok":
            self.update_trial(trial_id, {OBJECTIVE: record[OBJECTIVE]})
            trial.status = kt.engine.trial.TrialStatus.COMPLETED
        else:
            trial.status = kt.engine.trial.TrialStatus.FAILED
        super().end_trial(trial)
        return True


def work(
    config: Config,
    data_folder: str,
    workdir: Workdir,
    member: Member,
    *,
    strategy: StrategyName,
    jobs: int | None,
    time_limit: float | None,
    say: Callable[[str], None],
) -> None:
    """A worker's part of a study: run what the chief hands out, until that says that all is done.

    Args:
        config: the study; the same as the chief's.
        data_folder: its shards; there once the chief answers.
        workdir: the study's folder.
        member: this worker.
        strategy: the hardware of each trial.
        jobs: trials at a time; None: as many as the machine takes.
        time_limit: seconds after which a trial is ended; None: ``Runner``'s own.
        say: takes a line for the user.

    Raises:
        InputError: the chief works on another study or on other data, it did not answer for half an hour, or the
            folder cannot be written to.
        KeyboardInterrupt: Ctrl-C was pressed; running trials were ended, and are taken up by others.
    """
    chief = _Chief(config, member, workdir, say)
    chief.knock()
    data = ClickData.open(data_folder)
    workdir.check(config, data)
    planned = {p.trial.trial_id: p for p in plan_on(config, data.manifest)}
    jobs = jobs or jobs_at_once(list(planned.values()), strategy)
    runner = Runner(
        config, data, workdir, strategy=strategy, jobs=jobs, time_limit=time_limit, train=run_trial, stop=chief.stop
    )
    say(f"{member.name}: {jobs} trials at a time for the chief at {member.address}")
    incarnation = uuid.uuid4().hex[:8]  # another than before, had it been killed and started again

    def work_as(job: int) -> None:
        tuner_id = f"{member.name}/{job}/{incarnation}"
        while (trial := chief.next_trial(tuner_id)) is not None:
            trial_id, name = trial
            if name not in planned:
                raise InputError(f"{member.address}: its chief hands out {name}, which this study does not have")
            record = workdir.record(name)  # done, if the chief cannot see that yet
            if record is None or record["status"] == "failed":
                try:
                    record = runner.run(planned[name], job, tuner_id, lambda _: None)
                except KeyboardInterrupt:
                    chief.give_back(trial_id)
                    raise
            came_to = f"validation NE {record[OBJECTIVE]:.4f}" if record["status"] == "ok" else record["reason"]
            say(f"{record['status']} {name}: {came_to}")
            chief.end_trial(trial_id)

    runner.side_by_side(work_as)


class _Chief:
    """The chief as a worker reaches it."""

    def __init__(self, config: Config, member: Member, workdir: Workdir, say: Callable[[str], None]):
        # Kept in mind for a minute or two by default, a chief that was not there yet would be found late.
        options = [("grpc.max_reconnect_backoff_ms", 2000), ("grpc.enable_http_proxy", 0)]
        self._stub = protos.get_service_grpc().OracleStub(grpc.insecure_channel(member.address, options=options))
        self._config, self._workdir, self._say = config, workdir, say
        self._address, self._trial_ids = member.address, [trial.trial_id for trial in all_trials(config)]
        self._is_missed = False
        self.stop = threading.Event()  # set: wait no longer

    def knock(self) -> None:
        """Wait until the chief is there."""
        self._call(self._stub.GetSpace, protos.get_service().GetSpaceRequest())

    def next_trial(self, tuner_id: str) -> tuple[str, str] | None:
        """KerasTuner's and the study's name of a trial to run, once there is one; None when all is done."""
        request = protos.get_service().CreateTrialRequest(tuner_id=tuner_id)
        while (response := self._call(self._stub.CreateTrial, request)) is not None:
            status = kt.engine.trial.TrialStatus.from_proto(response.trial.status)
            if status == RUNNING:
                # Not Trial.from_proto, which prints the conditions of the space.
                values = response.trial.hyperparameters.values.values
                point = {name: getattr(value, value.WhichOneof("kind")) for name, value in values.items()}
                return response.trial.trial_id, trial_of(point, self._config).trial_id
            if status == kt.engine.trial.TrialStatus.STOPPED:
                break
            self.stop.wait(ASK_SECONDS)
        return None

    def end_trial(self, trial_id: str) -> None:
        """Tell that a trial is over; its record is in the study's folder."""
        trial = protos.get_proto().Trial(trial_id=trial_id)
        self._call(self._stub.EndTrial, protos.get_service().EndTrialRequest(trial=trial))

    def give_back(self, trial_id: str) -> None:
        """Let another have a trial; a chief that is not there will find out by itself."""
        invalid = kt.engine.trial.TrialStatus.to_proto(INVALID)
        trial = protos.get_proto().Trial(trial_id=trial_id, status=invalid)
        with contextlib.suppress(grpc.RpcError):
            self._stub.EndTrial(protos.get_service().EndTrialRequest(trial=trial), timeout=RETRY_SECONDS)

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        """The chief's answer; None if it is gone and all is done."""
        since = time.monotonic()
        while not self.stop.is_set():
            try:
                answer = method(request, timeout=CALL_SECONDS)
            except grpc.RpcError as error:
                if error.code() not in _AWAY:
                    raise InputError(f"the chief at {self._address} failed: {error.details()}") from None
            else:
                self._is_missed = False
                return answer
            if not self._is_missed:
                self._is_missed = True
                self._say(f"waiting for the chief at {self._address}")
            done = sum(self._workdir.record(trial_id) is not None for trial_id in self._trial_ids)
            if done == len(self._trial_ids):
                return None
            if time.monotonic() - since > WAIT_SECONDS:
                raise InputError(
                    f"the chief at {self._address} did not answer for {WAIT_SECONDS / 60:.0f} min; {done} of "
                    f"{len(self._trial_ids)} trials are done and kept in {self._workdir.root}. Start the chief again "
                    "with its command, then this worker with its own"
                )
            self.stop.wait(RETRY_SECONDS)
        raise KeyboardInterrupt
