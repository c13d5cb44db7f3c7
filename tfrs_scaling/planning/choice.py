"""Which hardware a study runs on where there is a choice: that on which a calibration is faster."""

import dataclasses
import math
from collections.abc import Callable, Iterable
from pathlib import Path

from tfrs_scaling.common.words import duration
from tfrs_scaling.config import Config
from tfrs_scaling.hardware import StrategyName
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.planning.calibration import Calibration, Machine, calibrate
from tfrs_scaling.planning.cost import wall_seconds
from tfrs_scaling.planning.plan import PlannedTrial, jobs_at_once

GPU_OR_CPU: tuple[StrategyName, ...] = ("gpu", "cpu")  # among which ``auto`` chooses where there is a GPU


@dataclasses.dataclass(frozen=True)
class Option:
    """A study on one kind of hardware.

    Attributes:
        jobs: trials at a time.
        planned: every trial, at the speed of the calibration.
    """

    strategy: StrategyName
    jobs: int
    planned: list[PlannedTrial]
    calibration: Calibration

    @property
    def seconds(self) -> float:
        """What the study takes; infinite if nothing could be measured."""
        if not self.calibration.speed.measured:
            return math.inf
        return wall_seconds((p.seconds for p in self.planned if not p.too_large), self.jobs)

    @property
    def words(self) -> str:
        """The same for the user."""
        if self.calibration.speed.measured:
            return f"about {duration(self.seconds)} on {self.strategy} ({self.jobs} at a time)"
        reasons = [*self.calibration.left_out.values(), "no shape is small enough to be measured"]
        return f"unknown on {self.strategy} ({reasons[0]})"


def options(
    strategies: Iterable[StrategyName],
    config: Config,
    data: ClickData,
    planned_at: Callable[..., list[PlannedTrial]],
    jobs: int | None,
    folder: Path,
    on_progress: Callable[[str], None],
    machine: Machine | None = None,
) -> list[Option]:
    """The study on each kind of hardware, the best first: first where fewer trials are too large, then the faster.

    Args:
        strategies: one kind or more; the first of equals is first.
        config: the study.
        data: its data, or similar ones.
        planned_at: ``planning.plan.plan`` of the study, given ``strategy`` and, the second time, ``speed``.
        jobs: trials at a time; None: as many as the hardware allows.
        folder: an empty folder, to work in.
        on_progress: called with what is being done.
        machine: for tests.
    """
    found = []
    for strategy in strategies:
        planned = planned_at(strategy=strategy)
        at_once = jobs or jobs_at_once(planned, strategy)
        own = folder / strategy
        own.mkdir()

        def tell(what: str, on: StrategyName = strategy) -> None:
            on_progress(f"{on}: {what}")

        calibration = calibrate(
            config,
            data,
            planned,
            own,
            strategy=strategy,
            jobs=at_once,
            on_progress=tell,
            machine=machine,
        )
        found.append(Option(strategy, at_once, planned_at(strategy=strategy, speed=calibration.speed), calibration))
    return sorted(found, key=lambda option: (sum(bool(p.too_large) for p in option.planned), option.seconds))
