"""What a training takes that its row of the run table does not state, and whether the time that it states is a fact."""

from dataclasses import dataclass

import pandas as pd

from tfrs_scaling.fit.labels import shape_name
from tfrs_scaling.fit.runs.screening import SHAPE
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES

_EVEN = 1.5  # times: by at most so much the speeds of equal trainings differ on a machine that does nothing else


@dataclass(frozen=True)
class UnevenSpeed:
    """Trainings of one shape on equally many examples, with other seeds or learning rates, which should be equally
    fast and were not.

    Attributes:
        trainings: How many there are.
        times: The highest of their speeds divided by the lowest.
    """

    architecture: str
    scheme: str
    multiplier: float
    examples: int
    trainings: int
    times: float

    @property
    def short(self) -> str:
        """``words`` in few of them."""
        return f"equal trainings differ {self.times:.2g} times in speed"

    @property
    def words(self) -> str:
        """Why no time of this study is a fact, as the end of a sentence."""
        return (
            f"{self.trainings} trainings of {self.architecture} {shape_name(self.scheme, self.multiplier)} on "
            f"{self.examples:,} examples, which should take equally long, differ {self.times:.2g} times in speed, as "
            "on a machine that does other work"
        )


def uneven_speed(runs: pd.DataFrame) -> UnevenSpeed | None:
    """Whether times of training depend on what else the machine did: the shape whose trainings differ most in speed.

    Shapes are judged at the baseline's largest data size, where costs are compared, by all of their trainings there.

    Args:
        runs: The run table.

    Returns:
        None where no shape's trainings differ by more than 1.5 times, or none was trained twice: then the times are
        taken as they were measured.

    Examples:
        >>> uneven_speed(read_runs("runs.csv")) is None
        True
    """
    timed = runs[(runs["status"] == "ok") & (runs["examples_per_second"] > 0)]
    size = timed.loc[timed["scheme"] == BASELINE, "examples"].max()
    speeds = timed[timed["examples"] == size].groupby(SHAPE)["examples_per_second"]
    times = speeds.max() / speeds.min()
    if times.empty or not times.max() > _EVEN:
        return None
    architecture, scheme, multiplier, _ = shape = times.idxmax()
    trainings = int(speeds.count()[shape])
    return UnevenSpeed(architecture, scheme, float(multiplier), int(size), trainings, float(times.max()))


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
