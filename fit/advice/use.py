"""One way to train, with its cost, its expected NE and the uncertainty of it; and the measured shapes to train."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.analyses.noise.ladders import RESAMPLES, Ladders, resample_ladders
from tfrs_scaling.fit.analyses.noise.training_noise import TrainingNoise, base_architecture, noise_of
from tfrs_scaling.fit.runs.costs import UnevenSpeed, rows_per_example
from tfrs_scaling.fit.runs.screening import SHAPE
from tfrs_scaling.fit.schemes import ARCHITECTURE as DENSE_PART
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES

How = Literal["measured", "law of data", "law of parameters", "joint law"]
Levers = frozenset[str]

DRAWS = RESAMPLES  # of measured NE they are the same as in every other comparison of the study
DATA, ARCHITECTURE = "data", "architecture"  # levers that are no schemes


@dataclass(frozen=True)
class Use:
    """One way to train.

    Attributes:
        scheme: Scheme of the multiplier; D for the baseline's shape.
        examples: Number of different training rows.
        epochs: Passes over them.
        levers: What the use changes: schemes, ``data`` or ``architecture``; empty for the baseline.
        cost: compute (FLOPs), data (rows, those that N and P leave out included), params, hours (NaN where times of
            training are no facts).
        ne: Expected test NE.
        how: How ``ne`` is known.
        draws: Random draws of NE, shape (DRAWS,), paired between two uses; NaN where the noise is unknown.
        affordable: The examples that the budget would pay for, where the law does not reach as far; else 0.
        measured: Of a shape on more data than measured, the shape at the baseline's largest data size; else None.
    """

    architecture: str
    scheme: str
    multiplier: float
    embedding_dim: int
    examples: int
    epochs: int
    levers: Levers
    cost: Mapping[str, float]
    ne: float
    how: How
    draws: Array = field(repr=False, compare=False)
    affordable: float = 0.0
    measured: "Use | None" = field(default=None, repr=False, compare=False)

    @property
    def has_measured_shape(self) -> bool:
        """Whether a model of just this shape was trained, if on fewer examples."""
        return self.how in ("measured", "law of data")

    @property
    def is_extrapolated(self) -> bool:
        """Whether a law says its NE."""
        return self.how != "measured"

    @property
    def at_hand(self) -> "Use | None":
        """The same shape on the baseline's data; None where it was not measured."""
        return self.measured if self.how == "law of data" else self if self.how == "measured" else None

    def expense(self, baseline: "Use") -> float:
        """Compute, parameters and data, each as a multiple of the baseline's, multiplied."""
        return math.prod(self.cost[name] / baseline.cost[name] for name in ("compute", "params", "data"))


@dataclass(frozen=True)
class Change:
    """A predicted change of NE.

    Attributes:
        ne: Expected NE.
        draws: Random draws of it, shape (DRAWS,).
    """

    ne: float
    draws: Array = field(repr=False, compare=False)


@dataclass(frozen=True)
class Shape:
    """A measured shape: its rows at the baseline's largest data size, averaged over seeds.

    Attributes:
        scheme: Scheme of the multiplier.
        epochs: Passes over the data.
        levers: What the shape changes; empty for the baseline.
        parameters: Number of all parameters.
        outside_tables: Number of parameters outside the embedding tables.
        flops: FLOPs of training on one example once.
        rate: Examples per second; NaN where times of training are no facts.
        log_rows: Rows of the log per row trained on.
        ne: Test NE.
        draws: Random draws of it, shape (DRAWS,).
        scorer: What the model takes besides that scores its rows (T's teacher, P's scorer), but for its predictions:
            compute (FLOPs), data (rows) and hours; empty where it has none.
        scoring_flops: FLOPs of its predictions per example.
    """

    architecture: str
    scheme: str
    multiplier: float
    embedding_dim: int
    epochs: int
    levers: Levers
    parameters: int
    outside_tables: int
    flops: float
    rate: float
    log_rows: float
    ne: float
    draws: Array = field(repr=False, compare=False)
    scorer: Mapping[str, float] = field(default_factory=dict)
    scoring_flops: float = 0.0

    def cost(self, examples: float) -> dict[str, float]:
        """By resource."""
        own = {
            "compute": (self.flops * self.epochs + self.scoring_flops) * examples,
            "data": examples * self.log_rows,
            "params": float(self.parameters),
            "hours": examples * self.epochs / self.rate / 3600,
        }
        return {name: amount + self.scorer.get(name, 0.0) for name, amount in own.items()}

    def measured(self, examples: int) -> Use:
        """This shape as it was trained."""
        return self._use(examples, self.ne, self.draws, "measured", self.levers)

    def grown(self, examples: int, change: Change, measured: int, *, affordable: float = 0.0) -> Use:
        """This shape trained on more examples than measured."""
        use = self._use(examples, self.ne + change.ne, self.draws + change.draws, "law of data", self.levers | {DATA})
        return replace(use, affordable=affordable, measured=self.measured(measured))

    def _use(self, examples: int, ne: float, draws: Array, how: How, levers: Levers) -> Use:
        return Use(
            architecture=self.architecture,
            scheme=self.scheme,
            multiplier=self.multiplier,
            embedding_dim=self.embedding_dim,
            examples=examples,
            epochs=self.epochs,
            levers=levers,
            cost=self.cost(examples),
            ne=ne,
            how=how,
            draws=draws,
        )


@dataclass(frozen=True)
class MeasuredShapes:
    """The shapes trained at the baseline's largest data size, and the baseline.

    Attributes:
        architecture: The architecture whose shapes were studied.
        examples: The baseline's largest data size.
        noise: Noise of one training.
        shapes: The shapes of the architecture, the baseline among them and those of A left out, and the baselines of
            the others.
        baseline: The baseline as it was trained.
    """

    architecture: str
    examples: int
    noise: TrainingNoise
    shapes: tuple[Shape, ...]
    baseline: Use


def measured_shapes(
    rows: pd.DataFrame, noises: Iterable[TrainingNoise], *, uneven: UnevenSpeed | None = None
) -> MeasuredShapes:
    """The shapes of a study that were trained on as many examples as the baseline at most.

    Args:
        rows: The rows that may carry a fit, as ``usable_runs`` returns them; there is a baseline among them.
        noises: Noise of each architecture.
        uneven: Result of ``uneven_speed`` for the whole run table: where there is one, hours are not known.
    """
    rows = rows if uneven is None else rows.assign(examples_per_second=math.nan)
    baselines = rows[rows["scheme"] == BASELINE]
    architecture = base_architecture(rows[rows["architecture"].isin(baselines["architecture"])])
    examples = int(baselines.loc[baselines["architecture"] == architecture, "examples"].max())
    found = {name: noise_of(name, noises) for name in sorted(rows["architecture"].unique())}
    ladders = {name: resample_ladders(rows, noise) for name, noise in found.items()}
    there = rows[(rows["examples"] == examples) & (rows["scheme"] != DENSE_PART)]
    there = there[(there["architecture"] == architecture) | (there["scheme"] == BASELINE)]
    every = dict(iter(rows.groupby(SHAPE)))
    shapes = tuple(
        _measured_shape(shape, architecture, ladders, every[key]) for key, shape in there.groupby(SHAPE, sort=True)
    )
    baseline = next(shape for shape in shapes if not shape.levers).measured(examples)
    return MeasuredShapes(architecture, examples, found[architecture], shapes, baseline)


def _measured_shape(
    rows: pd.DataFrame, architecture: str, ladders: Mapping[str, Ladders], every: pd.DataFrame
) -> Shape:
    """A shape from its rows at the data size asked for, and from those at every size."""
    first = rows.iloc[0]
    own = ladders[str(first["architecture"])]
    [point] = np.flatnonzero((own.points[[*SHAPE, "examples"]] == first[[*SHAPE, "examples"]]).all(axis=1))
    scheme, multiplier = str(first["scheme"]), float(first["multiplier"])
    levers = frozenset() if scheme == BASELINE else frozenset(SCHEMES[scheme].crosses or [scheme])
    if first["architecture"] != architecture:
        levers = frozenset([ARCHITECTURE])
    ne = float(own.points["ne"].iloc[point])
    return Shape(
        architecture=str(first["architecture"]),
        scheme=scheme,
        multiplier=multiplier,
        embedding_dim=int(first["embedding_dim"]),
        epochs=int(first["epochs"]),
        levers=levers,
        parameters=int(first["params_total"]),
        outside_tables=int(first["params_total"] - first["params_embedding"]),
        flops=float(first["flops_train"]),
        rate=float(rows["examples_per_second"].median()),
        log_rows=float(rows_per_example(rows).iloc[0]),
        **(_scorer_cost(first, every) if first["scorer_examples"] else {}),
        ne=ne,
        draws=ne + own.shocks[:, point],
    )


def _scorer_cost(row: "pd.Series[Any]", every: pd.DataFrame) -> dict[str, Any]:
    """``scorer`` and ``scoring_flops`` of a row's shape; the parameters of what scores its rows are not served.

    Between two data sizes its FLOPs differ by those of the predictions; of one size alone all count as its training's.
    """
    amounts = {
        name: float(np.nan_to_num(row[column]))
        for name, column in (("data", "scorer_examples"), ("compute", "scorer_compute"), ("hours", "scorer_seconds"))
    }
    amounts["hours"] /= 3600
    spent = every.groupby("examples")["scorer_compute"].first().fillna(0.0)
    slope = (spent.iloc[-1] - spent.iloc[0]) / (spent.index[-1] - spent.index[0]) if len(spent) > 1 else 0.0
    examples = float(row["examples"])
    per_example = float(np.clip(slope, 0.0, amounts["compute"] / examples))
    amounts["compute"] -= per_example * examples
    return {"scorer": amounts, "scoring_flops": per_example}
