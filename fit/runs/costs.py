"""What a training takes that its row of the run table does not state, and whether the time that it states is a fact."""

import itertools
import statistics
from dataclasses import dataclass

import pandas as pd

from tfrs_scaling.common.words import plural
from tfrs_scaling.fit.runs.screening import SHAPE
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES

_EVEN = 1.25  # times: by so much two equal trainings usually differ in speed at most where little else runs


@dataclass(frozen=True)
class UnevenSpeed:
    """Trainings of one shape on equally many examples, with other seeds or learning rates, which should be equally
    fast and were not.

    Attributes:
        examples: On how many they were.
        pairs: How many pairs of such trainings there are, of all shapes.
        times: The speed of the faster of two divided by that of the slower, the median over pairs.
    """

    examples: int
    pairs: int
    times: float

    @property
    def short(self) -> str:
        """``words`` in few of them."""
        return f"equal trainings differ {self.times:.2g} times in speed"

    @property
    def words(self) -> str:
        """Why no time of this study is a fact, as the end of a sentence."""
        return (
            f"two trainings of a shape on {self.examples:,} examples, which should take equally long, differ "
            f"{self.times:.2g} times in speed (the median of {plural(self.pairs, 'pair')}), as on a machine that does "
            "other work"
        )


def uneven_speed(runs: pd.DataFrame) -> UnevenSpeed | None:
    """Whether times of training depend on what else the machine did.

    Shapes are judged at the baseline's largest data size, where costs are compared, by all of their trainings there. A
    shape's speed is the median over these, so that a slow one among several does no harm.

    Args:
        runs: The run table.

    Returns:
        None where two equal trainings differ by 1.25 times or less, as the median over pairs, or none was trained
        twice: then the times are taken as they were measured.

    Examples:
        >>> uneven_speed(read_runs("runs.csv")) is None
        True
    """
    timed = runs[(runs["status"] == "ok") & (runs["examples_per_second"] > 0)]
    size = timed.loc[timed["scheme"] == BASELINE, "examples"].max()
    speeds = timed[timed["examples"] == size].groupby(SHAPE)["examples_per_second"]
    times = [max(pair) / min(pair) for _, of_shape in speeds for pair in itertools.combinations(of_shape, 2)]
    if not times or (usual := statistics.median(times)) <= _EVEN:
        return None
    return UnevenSpeed(int(size), len(times), usual)


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
