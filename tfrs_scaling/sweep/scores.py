"""The scores of rows that a study's trials use, made before the first trial."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from tfrs_scaling.accelerators import usable_gpus
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.words import duration
from tfrs_scaling.config import Config
from tfrs_scaling.hardware import StrategyName, count_cores, on_own_device
from tfrs_scaling.input.row_scores import MANIFEST
from tfrs_scaling.study.row_scores import scorings, with_scores
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.training.isolation import IsolatedError, run_isolated
from tfrs_scaling.training.row_scores import make_scores

if TYPE_CHECKING:
    from tfrs_scaling.input.shards import ClickData


def make_missing_scores(
    config: Config,
    data: "ClickData",
    workdir: Workdir,
    strategy: StrategyName,
    say: Callable[[str], None],
    is_lead_lost: threading.Event,
) -> "ClickData":
    """The data with the scores that the study's trials use, of which those that are missing are made now.

    This process must lead the study, and have claimed the workdir. Under ``multi_worker`` it makes them alone.

    Raises:
        InputError: a scorer cannot be trained, scores that are there were damaged, or another process has taken the
            lead.
    """
    if strategy == "multi_worker":
        strategy = "gpu" if usable_gpus() else "cpu"
    for scoring in scorings(config, data.manifest.data_hash):
        folder = scoring.folder(workdir.root)
        if (folder / MANIFEST).exists():
            continue
        folder.parent.mkdir(exist_ok=True)
        rows = scoring.steps * config.training.batch_size
        say(f"{scoring.key}: training {scoring.trial.shape_id} on {rows:,} rows held apart, and predicting all rows")
        call = on_own_device(
            strategy, 0, make_scores, scoring, config, data, workdir.root, strategy, count_cores()
        )  # fmt: skip
        log = folder.parent / f"{scoring.key}.txt"
        try:
            run_isolated(call[0], call[1:], log, lambda _: None, is_lead_lost, on_tpu=strategy == "tpu")
        except KeyboardInterrupt:
            if is_lead_lost.is_set():
                raise InputError(
                    f"{workdir.root}: another process leads this study now; the same command joins it"
                ) from None
            raise
        except IsolatedError as error:
            raise InputError(f"{scoring.key}: no predictions: {error}; its output is in {log}") from None
    scored = with_scores(config, data, workdir.root)
    for key, scores in scored.scores.items():
        cost = scores.manifest.cost
        say(f"{key}: test NE {cost.test_ne:.4f} after {cost.examples:,} rows; took {duration(cost.seconds)}")
    return scored
