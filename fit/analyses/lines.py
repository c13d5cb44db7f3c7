"""The lines of a study, one shape's ladder or a scheme's frontier along one axis, and their laws."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tfrs_scaling.common.arrays import Array, Mask
from tfrs_scaling.fit.labels import FRONTIER, multiplier_label
from tfrs_scaling.fit.laws.frontier import fit_frontier, grid_edge, longest_run, pareto_frontier
from tfrs_scaling.fit.laws.learning_curve import fit_learning_curve
from tfrs_scaling.fit.laws.plateau import power_law_region
from tfrs_scaling.fit.laws.power_law import PowerLawFit, fit_power_law
from tfrs_scaling.fit.laws.validation import positive
from tfrs_scaling.fit.runs.run_table import is_recorded, recorded_axes
from tfrs_scaling.fit.runs.screening import SHAPE, rows_of_scheme
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES
from tfrs_scaling.fit.serialization import StoredPowerLaw


@dataclass(frozen=True)
class LineFit:
    """A line or frontier of a study with its law.

    Attributes:
        scheme: A letter of ``SCHEMES``.
        x: data, parameters or compute.
        line: A multiplier such as "1/4", a data size, or "frontier".
        fit: Law of the line.
    """

    architecture: str
    scheme: str
    x: str
    line: str
    fit: StoredPowerLaw

    @property
    def is_frontier(self) -> bool:
        """Whether it is the frontier of its scheme."""
        return self.line == FRONTIER

    @property
    def means(self) -> tuple[Array, Array]:
        """The fitted x, increasing, and the mean loss at each; both of shape (n,)."""
        x, at = np.unique(self.fit.x, return_inverse=True)
        return x, np.asarray(np.bincount(at, self.fit.y) / np.bincount(at))


@dataclass(frozen=True)
class DataLine:
    """Points of one line against data.

    Attributes:
        scheme: A letter of ``SCHEMES``.
        line: A multiplier such as "1/4", or "frontier".
        is_frontier: Whether it is all points of a scheme, of which the frontier is wanted.
        rows: The rows, each with its trial_id, SHAPE, examples and what is to be fitted; and with its weight, if rows
            differ in precision.
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
        """The data sizes, in increasing order."""
        return sorted(int(size) for size in self.rows["examples"].unique())

    def fit(self, column: str = "test_ne", *, level: float = 0.95) -> PowerLawFit | None:
        """The law of a column against data, the plateau found and left out; None of fewer than two places."""
        x, y, trials = (self.rows[name] for name in ("examples", column, "trial_id"))
        weights = self.rows.get("weight")
        if x.nunique() < 2:
            return None
        if self.is_frontier:
            means = self.rows.groupby([*SHAPE, "examples"], sort=True)[column].mean().reset_index()
            members = means.iloc[pareto_frontier(means["examples"], means[column])]
            if len(members) < 2 or len(members) - power_law_region(members["examples"], members[column]) < 2:
                return None
            shapes = self.rows[SHAPE].astype("str").agg(" ".join, axis=1)
            return fit_frontier(x, y, weights=weights, configurations=shapes, groups=trials, level=level)
        return fit_learning_curve(x, y, weights=weights, groups=trials, level=level)

    def measured(self, examples: int) -> float:
        """Test NE at a data size, mean of seeds; on a frontier that of the best shape."""
        there = self.rows[self.rows["examples"] == examples]
        return float(there.groupby(SHAPE)["test_ne"].mean().min())


def points(chosen: pd.DataFrame, architecture: str, scheme: str) -> pd.DataFrame:
    """A scheme's points that may carry a fit, the baseline's included, with their x on every axis.

    Args:
        chosen: The rows that may carry a fit, as ``usable_runs`` returns them.
        architecture: Keep only this architecture.
        scheme: A letter of ``SCHEMES``.

    Returns:
        Their rows with three more columns: ``data`` (training examples), ``parameters`` (all of them; for O and M,
        which change no others, those outside the embedding tables) and ``plateau`` (left of the power-law region of
        its shape's curve). ``compute`` they have already.
    """
    rows = rows_of_scheme(chosen, scheme)
    rows = rows[rows["architecture"] == architecture]
    parameters = rows["params_total"].astype("float64")
    if SCHEMES[scheme].outside_tables:
        tables = rows["params_embedding"] if is_recorded(rows, "params_embedding") else parameters  # nothing is known
        parameters = parameters - tables
    if "plateau" not in rows:
        rows = with_plateau(rows)
    return rows.assign(data=rows["examples"].astype("float64"), parameters=parameters)


def with_plateau(chosen: pd.DataFrame) -> pd.DataFrame:
    """The rows with a column ``plateau``: whether a point lies left of the power-law region of its shape's curve."""
    plateau = pd.Series(False, index=chosen.index)
    for _, curve in chosen.groupby(SHAPE, sort=True):
        plateau[curve.index] = _on_plateau(curve)
    return chosen.assign(plateau=plateau)


def frontier_points(rows: pd.DataFrame, x: str) -> pd.DataFrame:
    """The Pareto frontier of a scheme's points, averaged over seeds.

    Args:
        rows: Result of ``points``.
        x: data, parameters or compute.

    Returns:
        Columns of SHAPE, examples, x, test_ne and plateau, by increasing x.
    """
    values = [x, "test_ne", "plateau"]
    means = rows.groupby([*SHAPE, "examples"], sort=True)[values].mean().reset_index()
    frontier = means.iloc[pareto_frontier(means[x], means["test_ne"])].reset_index(drop=True)
    if x == "data":  # one point per data size: the frontier is itself a learning curve, with its own plateau
        return frontier.assign(plateau=_on_plateau(frontier))
    return frontier.assign(plateau=frontier["plateau"] > 0)


def data_lines(planes: Mapping[tuple[str, str], pd.DataFrame]) -> Iterator[DataLine]:
    """Every line against data once: the baseline's ladder as D, multipliers and the frontier of every other scheme.

    Args:
        planes: Results of ``points``, by architecture and scheme.
    """
    for (architecture, scheme), rows in planes.items():
        if not SCHEMES[scheme].axes:
            continue
        for multiplier, line in rows[rows["scheme"] == scheme].groupby("multiplier", sort=True):
            yield DataLine(architecture, scheme, multiplier_label(float(str(multiplier))), False, line)
        if scheme != BASELINE and not rows.empty:
            yield DataLine(architecture, scheme, FRONTIER, True, rows)


def fit_lines(planes: Mapping[tuple[str, str], pd.DataFrame], *, level: float = 0.95) -> list[LineFit]:
    """The law of every line and frontier of a study, along every axis of its scheme.

    Args:
        planes: Results of ``points``, by architecture and scheme.
        level: Confidence level.

    Returns:
        One record for each line of two places or more on its axis.
    """
    fitted: list[LineFit] = []
    baselines: dict[tuple[str, str], PowerLawFit] = {}  # all schemes have it among their lines
    for (architecture, scheme), rows in planes.items():
        for x in recorded_axes(rows, scheme):
            for name, line in _along(rows, scheme, x):
                shared = x != "parameters" and (line["scheme"] == BASELINE).all()
                fit = baselines.get((architecture, x)) if shared else None
                if fit is None:
                    fit_line = fit_power_law if x == "parameters" else fit_learning_curve
                    weights, groups = line.get("weight"), line["trial_id"]
                    fit = fit_line(line[x], line["test_ne"], weights=weights, groups=groups, level=level)
                if shared:
                    baselines[architecture, x] = fit
                fitted.append(LineFit(architecture, scheme, x, name, fit))
            if (~frontier_points(rows, x)["plateau"]).sum() > 1:
                fitted.append(LineFit(architecture, scheme, x, FRONTIER, frontier_law(rows, x, level=level)))
    return fitted


def line_multipliers(rows: pd.DataFrame, scheme: str) -> "pd.Series[float]":
    """For each of a scheme's points the multiplier of its line; the baseline's is the scheme's neutral one."""
    return rows["multiplier"].where(rows["scheme"] != BASELINE, SCHEMES[scheme].neutral)


def _along(rows: pd.DataFrame, scheme: str, x: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """The lines of a scheme along one axis with their names; a single x is a point, not a line."""
    for value, line in rows.groupby(
        rows["examples"] if x == "parameters" else line_multipliers(rows, scheme), sort=True
    ):
        if line[x].nunique() > 1:
            yield str(value) if x == "parameters" else multiplier_label(float(str(value))), line


def frontier_law(rows: pd.DataFrame, x: str, *, level: float = 0.95) -> PowerLawFit:
    """The law of ``frontier_points``, two or more off the plateau.

    Args:
        rows: Result of ``points``.
        x: data, parameters or compute.
        level: Confidence level.
    """
    by = ["examples"] if x == "parameters" else SHAPE  # against parameters the ladders are the data sizes
    configurations = rows[by].astype("str").agg(" ".join, axis=1)
    plateau = None if x == "data" else rows["plateau"] & (x != "parameters")
    return fit_frontier(
        rows[x],
        rows["test_ne"],
        weights=rows.get("weight"),
        configurations=configurations,
        groups=rows["trial_id"],
        plateau=plateau,
        edge=_compute_edge(rows) if x == "compute" else None,
        level=level,
    )


def _compute_edge(rows: pd.DataFrame) -> Mask:
    """Which rows lie on the edge of the grid: all of them, where one model makes up the frontier inside.

    Between two models the frontier is steeper than the ladder of either, and of one model's points it cannot be told.
    """
    edge = grid_edge(rows["multiplier"], rows["examples"])
    inner = rows.assign(plateau=rows["plateau"] | edge)
    frontier = frontier_points(inner, "compute")
    run = frontier.iloc[longest_run(~frontier["plateau"].to_numpy())]
    one_ladder = frontier["multiplier"].nunique() == 1
    return np.ones_like(edge) if run["multiplier"].nunique() == 1 and not one_ladder else edge


def inner_points(flops: ArrayLike, examples: ArrayLike) -> int:
    """How many points inside a grid its frontier of compute may be expected to have in a row; a law takes four.

    They are those of ``n**-0.35 + d**-0.35``, n and d in units of their geometric means: models and data matter equally
    in the middle of the grid. Elsewhere the frontier runs closer to an edge, and has fewer.

    Args:
        flops: Training FLOPs of one example of each model, shape (m,).
        examples: Data sizes, shape (k,).

    Examples:
        >>> inner_points([1, 2, 4, 8, 16, 32, 64], [1, 2, 4, 8, 16, 32, 64, 128])
        10
        >>> inner_points([1, 4, 16], [1, 2, 4, 8, 16, 32, 64, 128])  # one model only lies inside
        0
    """
    n, d = (values.ravel() for values in np.meshgrid(positive("flops", flops), positive("examples", examples)))
    loss = sum(np.exp(-0.35 * (np.log(values) - np.log(values).mean())) for values in (n, d))
    members = pareto_frontier(n * d, loss)
    run = members[longest_run(~grid_edge(n, d)[members])]
    return len(run) if np.unique(n[run]).size > 1 else 0


def _on_plateau(curve: pd.DataFrame) -> "pd.Series[bool]":
    """Whether each point of one shape lies left of the power-law region of its seed-averaged curve."""
    means = curve.groupby("examples", sort=True)["test_ne"].mean()
    if len(means) < 2:
        return pd.Series(False, index=curve.index)
    start = power_law_region(means.index.to_numpy(), means.to_numpy())
    return curve["examples"].isin(means.index[:start])
