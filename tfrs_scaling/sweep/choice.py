"""Which of GPU and CPU a study's trials run on, where ``--strategy auto`` found a GPU."""

import functools
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tfrs_scaling.config import Config
from tfrs_scaling.hardware import StrategyName
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.planning.choice import GPU_OR_CPU, options
from tfrs_scaling.planning.plan import plan_on
from tfrs_scaling.study.workdir import Workdir


def strategy_of_trials(workdir: Workdir) -> StrategyName | None:
    """Which of GPU and CPU ran most of the trials that a folder holds; None if neither ran any."""
    ran = Counter(record["strategy"] for record in workdir.records() if record["strategy"] in GPU_OR_CPU)
    return ran.most_common(1)[0][0] if ran else None


def gpu_or_cpu(
    config: Config, folder: str, workdir: Workdir, jobs: int | None, on_progress: Callable[[str], None]
) -> tuple[StrategyName, str]:
    """The hardware of the trials and why: what ran those that there are, or else the faster one by a calibration.

    Args:
        config: the study.
        folder: its prepared data.
        workdir: its folder.
        jobs: trials at a time; None: as many as the hardware allows.
        on_progress: called with what is being done.
    """
    if earlier := strategy_of_trials(workdir):
        return earlier, "as the trials that there are"
    data = ClickData.open(folder)
    planned_at = functools.partial(plan_on, config, data.manifest)
    with tempfile.TemporaryDirectory() as work:
        found = options(GPU_OR_CPU, config, data, planned_at, jobs, Path(work), on_progress)
    return found[0].strategy, f"by a calibration: {', '.join(option.words for option in found)}"
