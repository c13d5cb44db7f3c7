"""The workers of a ``multi_worker`` study that are not its chief.

The chief sweeps as it would alone, and announces each trial in the study's folder, which all workers share. The others
do not decide which trial is next: they join the one that is announced, and so agree with the chief whichever processes
were killed and restarted.
"""

import concurrent.futures
import threading
import time
from collections.abc import Callable

from tfrs_scaling.config import Config
from tfrs_scaling.hardware import Worker, count_cores
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.study.row_scores import with_scores
from tfrs_scaling.study.search import Need
from tfrs_scaling.study.workdir import Announcement, Workdir
from tfrs_scaling.sweep.agenda import Agenda
from tfrs_scaling.training.isolation import IsolatedError, run_isolated
from tfrs_scaling.training.trial import run_trial

WAIT_SECONDS = 0.2


def join_as_worker(
    config: Config, data_folder: str, workdir: Workdir, worker: Worker, say: Callable[[str], None]
) -> None:
    """Join the chief's trials one after the other, until there are no more; waits for the chief if necessary.

    A trial that fails here fails at the chief too, which records it.

    The data exist once the first trial is announced. The output of this worker's trials goes to ``workerN.txt`` in the
    workdir.

    Raises:
        InputError: the chief works on another study or on other data.
        KeyboardInterrupt: Ctrl-C was pressed; a running trial was ended.
    """
    # Read before the records, so that an end announced later is seen as new.
    last = workdir.announced()
    if Agenda(config, workdir, retry=True).is_done():
        return
    agenda = Agenda(config, workdir, retry=False)
    if last is not None and last.trial_id is not None:
        last = None  # a trial to join; if its chief is dead, the next chief will announce another one
    while True:
        announced = workdir.announced()
        if announced is None or announced == last:
            time.sleep(WAIT_SECONDS)
            continue
        if announced.trial_id is None:
            return
        need = agenda.find(announced.trial_id)
        if need is None:  # the outcomes that call for it are not visible here yet
            time.sleep(WAIT_SECONDS)
            continue
        last = announced
        data = ClickData.open(data_folder)
        workdir.check(config, data)
        data = with_scores(config, data, workdir.root)
        failure = _join(need, config, data, workdir, worker, announced)
        if failure:
            say(f"failed {announced.trial_id}, on worker {worker.index}: {failure}")


def _join(
    need: Need, config: Config, data: ClickData, workdir: Workdir, worker: Worker, announced: Announcement
) -> str:
    """Train with the others until the trial ends or the chief moves on; why it failed here, or nothing."""
    stop = threading.Event()
    log = workdir.root / f"worker{worker.index}.txt"
    arguments = (need, config, data, workdir.trials / need.trial.trial_id, "multi_worker", count_cores())
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        part = pool.submit(run_isolated, run_trial, arguments, log, lambda _: None, stop)
        try:
            while not part.done() and workdir.announced() == announced:
                time.sleep(WAIT_SECONDS)
        finally:
            stop.set()
    error = part.exception()
    if error is None or isinstance(error, KeyboardInterrupt):  # the latter: ended here because the chief has moved on
        return ""
    if isinstance(error, IsolatedError):
        return str(error)
    raise error
