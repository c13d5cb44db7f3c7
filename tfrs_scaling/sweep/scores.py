"""The scores of rows that a study's trials use, made before the first trial."""

import contextlib
import os
import platform
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tfrs_scaling.accelerators import usable_gpus
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.words import duration
from tfrs_scaling.config import Config
from tfrs_scaling.hardware import StrategyName, count_cores, on_own_device
from tfrs_scaling.input.row_scores import MANIFEST
from tfrs_scaling.planning.plan import plan_scorers
from tfrs_scaling.study.attempts import Heartbeat, begin, move_into_place, remove_debris
from tfrs_scaling.study.row_scores import Scoring, with_scores
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.runner import limit_of
from tfrs_scaling.training.isolation import IsolatedError, run_isolated
from tfrs_scaling.training.loop import Progress
from tfrs_scaling.training.row_scores import make_scores

if TYPE_CHECKING:
    from rich.console import Console

    from tfrs_scaling.input.shards import ClickData

SAY_SECONDS = 60.0  # between two lines of progress where there is no terminal


def make_missing_scores(
    config: Config,
    data: "ClickData",
    workdir: Workdir,
    strategy: StrategyName,
    time_limit: float | None,
    is_lead_lost: threading.Event,
    say: Callable[[str], None],
    console: "Console | None" = None,
) -> "ClickData":
    """The data with the scores that the study's trials use, of which those that are missing are made now.

    Each is an attempt, as a trial's is: ``status`` and TensorBoard show it while it runs. This process must lead the
    study, and have claimed the workdir. Under ``multi_worker`` it makes them alone.

    Args:
        config: the study.
        data: its data.
        workdir: its folder.
        strategy: the hardware.
        time_limit: seconds for each scorer; None: 20 times its planned time, at least an hour.
        is_lead_lost: set once another process has taken the lead.
        say: called with lines for the user.
        console: shows the progress on a terminal; else ``say`` gets a line a minute.

    Raises:
        InputError: a scorer cannot be trained or took too long, scores that are there were damaged, or another process
            has taken the lead.
    """
    if strategy == "multi_worker":
        strategy = "gpu" if usable_gpus() else "cpu"
    manifest = data.manifest
    train, others = manifest.splits["train"].rows, (manifest.splits[name].rows for name in ("validation", "test"))
    planned = plan_scorers(
        config, manifest.schema, train, sum(others), strategy=strategy, data_hash=manifest.data_hash
    )  # fmt: skip
    missing = [scorer for scorer in planned if not (scorer.scoring.folder(workdir.root) / MANIFEST).exists()]
    if missing:
        remove_debris(workdir.running)
    for scorer in missing:
        scoring, log = scorer.scoring, scorer.scoring.folder(workdir.root).with_suffix(".txt")
        rows = f"{scoring.examples:,} rows held apart"
        say(f"{scoring.name}: training {scoring.trial.shape_id} on {rows}, and predicting all rows")
        try:
            with _attempt(scoring, workdir) as (directory, heartbeat), _teller(say, console) as tell:

                def on_report(progress: Progress) -> None:
                    heartbeat.update(progress.examples, progress.examples_per_second)
                    tell(scoring.words(progress.examples, progress.examples_per_second, train))  # noqa: B023

                function, *arguments = on_own_device(
                    strategy, 0, make_scores, scoring, config, data, directory, strategy, count_cores()
                )
                run_isolated(
                    function, tuple(arguments), log, on_report, is_lead_lost, limit_of(scorer, time_limit),
                    on_tpu=strategy == "tpu",
                )  # fmt: skip
        except KeyboardInterrupt:
            if is_lead_lost.is_set():
                raise InputError(
                    f"{workdir.root}: another process leads this study now; the same command joins it"
                ) from None
            raise
        except IsolatedError as error:
            raise InputError(f"{scoring.name}: no predictions: {error}; its output is in {log}") from None
    scored = with_scores(config, data, workdir.root)
    for scorer in planned:
        name, cost = scorer.scoring.name, scored.scores[scorer.scoring.keys[0]].manifest.cost
        say(f"{name}: test NE {cost.test_ne:.4f} after {cost.examples:,} rows; took {duration(cost.seconds)}")
    return scored


@contextlib.contextmanager
def _attempt(scoring: Scoring, workdir: Workdir) -> Iterator[tuple[Path, Heartbeat]]:
    """The folder of an attempt, which becomes that of the scores if it is whole, and what writes how far it is.

    Another process may have taken the lead and have ended its own attempt: its scores are kept.
    """
    place = scoring.folder(workdir.root)
    place.parent.mkdir(exist_ok=True)  # for the log
    directory = begin(workdir.running, scoring.name)
    try:
        with Heartbeat(directory, scoring.name, f"{platform.node()}:{os.getpid()}/scores") as heartbeat:
            yield directory, heartbeat
        move_into_place(directory, place, lambda there: there if (there / MANIFEST).exists() else None)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


@contextlib.contextmanager
def _teller(say: Callable[[str], None], console: "Console | None") -> Iterator[Callable[[str], None]]:
    """What shows lines of progress: each in place of the last on a terminal, one a minute elsewhere."""
    if console is not None and console.is_terminal:
        with console.status("") as status:
            yield status.update
        return
    told = time.monotonic()

    def tell(line: str) -> None:
        nonlocal told
        if time.monotonic() - told >= SAY_SECONDS:
            say(line)
            told = time.monotonic()

    yield tell
