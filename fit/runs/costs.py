"""What a training takes that its row of the run table does not state, and whether the time that it states is a fact."""

from dataclasses import dataclass

import pandas as pd

from tfrs_scaling.fit.runs.screening import SHAPE
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES

_EVEN = 1.5  # times: by at most so much the speeds of equal trainings differ on a machine that does nothing else


@dataclass(frozen=True)
class UnevenSpeed:
    """Trainings of one shape on equally many examples, with other seeds or learning rates, which should be equally
    fast and were not.

    Attributes:
        examples: On how many they were.
        whose: Which trainings.
        times: The highest of their speeds divided by the lowest.
    """

    examples: int
    whose: str
    times: float

    @property
    def short(self) -> str:
        """``words`` in few of them."""
        return f"the speeds of equal trainings differ by a factor of {self.times:.2g}"

    @property
    def words(self) -> str:
        """Why no time of this study is a fact, as the end of a sentence."""
        return (
            f"the speeds of trainings on {self.examples:,} examples that should take equally long, {self.whose}, "
            f"differ by a factor of {self.times:.2g}, as on a machine that does other work"
        )


def uneven_speed(runs: pd.DataFrame) -> UnevenSpeed | None:
    """Whether times of training depend on what else the machine did.

    Shapes are judged at the baseline's largest data size, where costs are compared, by all of their trainings there:
    the baseline, with which all are compared, and the others by their median, so that a slow training among many
    shapes does no harm.

    Args:
        runs: The run table.

    Returns:
        None where the highest speed of equal trainings is at most 1.5 times the lowest, or none was trained twice: then
        the times are taken as they were measured.

    Examples:
        >>> uneven_speed(read_runs("runs.csv")) is None
        True
    """
    timed = runs[(runs["status"] == "ok") & (runs["examples_per_second"] > 0)]
    size = timed.loc[timed["scheme"] == BASELINE, "examples"].max()
    speeds = timed[timed["examples"] == size].groupby(SHAPE)["examples_per_second"]
    times = (speeds.max() / speeds.min())[speeds.count() > 1]
    baselines = times[times.index.get_level_values("scheme") == BASELINE]
    worst = {"those of a baseline": baselines.max(), "those of half of the shapes": times.median()}
    for whose, factor in worst.items():
        if factor > _EVEN:
            return UnevenSpeed(int(size), whose, float(factor))
    return None


def rows_per_example(rows: pd.DataFrame) -> "pd.Series[float]":
    """Rows of the log that it takes to train on one, for each row of a run table: more than 1 where some are left out.

    N keeps every click and a share of the other rows, P a share of all.

    Examples:
        >>> runs = read_runs("runs.csv")
        >>> rows_per_example(runs[runs["scheme"] == "V"]).unique().tolist()
        [1.0]
    """
    samples, keeps = (
        rows["scheme"].map({name: chosen(row) for name, row in SCHEMES.items()})
        for chosen in (lambda row: row.samples_negatives, lambda row: row.keeps is not None)
    )
    kept = pd.Series(1.0, rows.index)
    kept = kept.mask(samples, rows["base_ctr"] + (1 - rows["base_ctr"]) * rows["multiplier"])
    return 1 / kept.mask(keeps, rows["multiplier"])
