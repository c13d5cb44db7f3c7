"""A sweep that runs all trials from this process, several at a time."""

import functools
import threading
import time
from collections.abc import Iterable

from tfrs_scaling.config import Config
from tfrs_scaling.planning.plan import PlannedTrial, by_shape
from tfrs_scaling.study.search import Need, Record, waiting_for
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.agenda import Agenda
from tfrs_scaling.sweep.grid import IDLE, RUNNING, STOPPED, GridOracle
from tfrs_scaling.sweep.runner import OnPlan, Runner, Watcher, prepare_workdir, write_plan
from tfrs_scaling.training.isolation import side_by_side

IDLE_SECONDS = 0.1


def sweep(
    config: Config,
    workdir: Workdir,
    planned: list[PlannedTrial],
    runner: Runner,
    watcher: Watcher,
    on_plan: OnPlan = lambda _: None,
) -> None:
    """Run every trial of the study that is not yet done; called again after it was killed, it continues.

    A trial that failed before is run again. The workdir must be locked and claimed. Under ``multi_worker`` this is the
    chief's part; the other workers ``join_as_worker``.

    The watcher is called with every trial's progress and outcome, from several threads; ``on_plan`` with the planned
    seconds of each trial as far as they are known, at the start and when outcomes add some.

    Raises:
        InputError: the workdir cannot be written to.
    """
    prepare_workdir(config, workdir)
    longest, followers = by_shape(planned), waiting_for(config)
    agenda = Agenda(config, workdir, retry=True)
    oracle = GridOracle(config, workdir.keras_tuner)
    lock = threading.Lock()

    def order(name: str) -> tuple[bool, int, float]:
        """The baseline first, since nothing can be said without it; then shapes that others wait for; then the longest,
        so that none ends alone."""
        shape_id = agenda.needs[name].trial.shape_id
        return not name.startswith("D-"), -followers[shape_id], -longest[shape_id].seconds

    def add(needs: Iterable[Need]) -> None:
        oracle.add(need.trial for need in needs)
        oracle.waiting = sorted(oracle.waiting, key=order)
        write_plan(workdir, agenda, planned, on_plan)

    def next_trial(job: int) -> tuple[str, str]:
        with lock:
            trial = oracle.create_trial(f"job{job}")
            return trial.status, oracle.name(trial) if trial.status == RUNNING else ""

    def end(name: str, record: Record) -> None:
        with lock:
            watcher(name, record)
            new = agenda.update()  # before the trial ends, lest other jobs find that there is nothing left to do
            if new is not None:
                add(new)
            oracle.finish(name, record)

    def run_trials(job: int) -> None:
        try:
            run_until_done(job)
        finally:
            runner.release(job)

    def run_until_done(job: int) -> None:
        while not runner.stop.is_set():
            status, name = next_trial(job)
            if status == STOPPED:
                return
            if status == IDLE:
                time.sleep(IDLE_SECONDS)
                continue
            record = agenda.outcome(name)
            if record is None:
                need = agenda.needs[name]
                planned_trial = longest[need.trial.shape_id]
                record = runner.run(need, planned_trial, job, f"job{job}", functools.partial(watcher, name))
            end(name, record)

    add(agenda.needs.values())
    try:
        side_by_side(run_trials, range(runner.jobs), runner.jobs, runner.stop)
    finally:
        if runner.strategy == "multi_worker":
            workdir.announce(None)
