"""A line of a study against data: one shape's ladder, or a scheme's frontier, and its law."""

from dataclasses import dataclass, replace

import pandas as pd

from tfrs_scaling.fit.laws.frontier import fit_frontier, pareto_frontier
from tfrs_scaling.fit.laws.learning_curve import fit_learning_curve
from tfrs_scaling.fit.laws.plateau import power_law_region
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.screening import SHAPE


@dataclass(frozen=True)
class LineFit:
    """A line or frontier of a study with its law.

    Attributes:
        architecture: Of its points.
        scheme: A letter of ``SCHEMES``.
        x: data, parameters or compute.
        line: A multiplier such as "1/4", a data size, or "frontier".
        fit: Its law.
    """

    architecture: str
    scheme: str
    x: str
    line: str
    fit: PowerLawFit


@dataclass(frozen=True)
class DataLine:
    """Points of one line against data.

    Attributes:
        architecture: Of all its rows.
        scheme: A scheme of ``runs.SCHEMES``.
        line: A multiplier such as "1/4", or "frontier".
        is_frontier: Whether it is all points of a scheme, of which the frontier is wanted.
        rows: The rows, each with its trial_id, SHAPE, examples and what is to be fitted.
    """

    architecture: str
    scheme: str
    line: str
    is_frontier: bool
    rows: pd.DataFrame

    def within(self, low: float, high: float) -> "DataLine":
        """The line with the data sizes from low to high, both included."""
        return replace(self, rows=self.rows[self.rows["examples"].between(low, high)])

    def sizes(self) -> list[int]:
        """The data sizes, increasing."""
        return sorted(int(size) for size in self.rows["examples"].unique())

    def fit(self, column: str = "test_ne", *, level: float = 0.95) -> PowerLawFit | None:
        """The law of a column against data, the plateau found and left out; None of fewer than two places."""
        x, y, trials = self.rows["examples"], self.rows[column], self.rows["trial_id"]
        if x.nunique() < 2:
            return None
        if self.is_frontier:
            means = self.rows.groupby([*SHAPE, "examples"], sort=True)[column].mean().reset_index()
            members = means.iloc[pareto_frontier(means["examples"], means[column])]
            if len(members) < 2 or len(members) - power_law_region(members["examples"], members[column]) < 2:
                return None
            shapes = self.rows[SHAPE].astype("str").agg(" ".join, axis=1)
            return fit_frontier(x, y, configurations=shapes, groups=trials, level=level)
        return fit_learning_curve(x, y, groups=trials, level=level)

    def measured(self, examples: int) -> float:
        """Test NE at a data size, mean of seeds; on a frontier that of the best shape."""
        there = self.rows[self.rows["examples"] == examples]
        return float(there.groupby(SHAPE)["test_ne"].mean().min())
