"""A sweep that runs all trials from this process, several at a time."""

import functools
import time

from tfrs_scaling.config import Config
from tfrs_scaling.planning.plan import PlannedTrial
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.grid import IDLE, STOPPED, GridOracle
from tfrs_scaling.sweep.runner import Runner, Watcher, prepare_workdir
from tfrs_scaling.training.isolation import side_by_side

IDLE_SECONDS = 0.1


def sweep(config: Config, workdir: Workdir, planned: list[PlannedTrial], runner: Runner, watcher: Watcher) -> None:
    """Run every trial of the study that is not yet done; called again after it was killed, it continues.

    A trial that failed before is run again. The workdir must be locked and claimed. Under ``multi_worker`` this is the
    chief's part; the other workers ``join_as_worker``.

    The watcher is called with every trial's progress and outcome, from several threads.

    Raises:
        InputError: the workdir cannot be written to.
    """
    prepare_workdir(config, workdir, planned)
    oracle = GridOracle(config, workdir.keras_tuner)
    by_name = {p.trial.trial_id: p for p in planned}
    # The baseline first, since nothing can be said without it; then the longest, so that none runs alone at the end.
    oracle.waiting = sorted(oracle.names, key=lambda name: (not name.startswith("D-"), -by_name[name].seconds))

    def run_trials(job: int) -> None:
        while not runner.stop.is_set():
            trial = oracle.create_trial(f"job{job}")
            if trial.status == STOPPED:
                return
            if trial.status == IDLE:
                time.sleep(IDLE_SECONDS)
                continue
            name = oracle.name(trial)
            record = workdir.record(name)
            if record is None or record["status"] == "failed":
                record = runner.run(by_name[name], job, f"job{job}", functools.partial(watcher, name))
            watcher(name, record)
            oracle.finish(name, record)

    try:
        side_by_side(run_trials, range(runner.jobs), runner.jobs, runner.stop)
    finally:
        if runner.strategy == "multi_worker":
            workdir.announce(None)
