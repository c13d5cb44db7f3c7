"""The joint law of parameters and data for each scheme, and the compute-optimal path by the study's measured cost."""

from dataclasses import dataclass

import pandas as pd

from tfrs_scaling.common.words import human
from tfrs_scaling.fit.joint.allocation import MeasuredCost
from tfrs_scaling.fit.joint.law import JointFit, fit_joint_law
from tfrs_scaling.fit.joint.status import FEWEST_POINTS, FEWEST_SIZES
from tfrs_scaling.fit.runs.run_table import is_recorded
from tfrs_scaling.fit.schemes import SCHEMES
from tfrs_scaling.fit.serialization import StoredJointFit, finite_or_none

RESAMPLES = 200

_SHARES = (0.1, 10**-0.5, 1.0, 10**0.5, 10.0)  # of the largest compute measured


@dataclass(frozen=True)
class PathStep:
    """The best split of one compute budget.

    Attributes:
        budget: Budget in FLOPs.
        n: Parameters.
        d: Training examples.
        ne: Expected NE.
        measured: Whether n and d lie within what was measured.
    """

    budget: float
    n: float
    d: float
    ne: float
    low: float | None
    high: float | None
    measured: bool


@dataclass(frozen=True)
class JointLaw:
    """The law of parameters and data of one scheme, and its compute-optimal path.

    Attributes:
        scheme: A scheme that scales a size of the model.
        parameters: Which parameters n counts, in words.
        fit: The law.
        path: Compute-optimal splits from a tenth to ten times the largest compute measured; empty where none follows.
    """

    architecture: str
    scheme: str
    parameters: str
    fit: StoredJointFit
    path: tuple[PathStep, ...]
    words: str


def joint_law_of(rows: pd.DataFrame, *, level: float = 0.95, resamples: int = RESAMPLES) -> JointFit | None:
    """The joint law of a scheme's points.

    Args:
        rows: Result of ``lines.points`` for V, H, O or M; points on a plateau are left out.
        level: Confidence level.
        resamples: Number of bootstrap resamples of the trainings.

    Returns:
        The fit; None of fewer than six points, or of three different sizes of model, of data, or trainings.
    """
    kept = rows[~rows["plateau"]]
    counts = [kept[name].nunique() for name in ("parameters", "data", "trial_id")]
    if len(kept) < FEWEST_POINTS or min(counts) < FEWEST_SIZES:
        return None
    return fit_joint_law(
        kept["parameters"], kept["data"], kept["test_ne"], groups=kept["trial_id"], level=level, resamples=resamples
    )


def measured_cost(rows: pd.DataFrame) -> MeasuredCost | None:
    """Training FLOPs of one example against parameters, through the measured models; None of fewer than two sizes, or
    where it is not recorded."""
    costs = rows.groupby("parameters", sort=True)["flops_train"].mean()
    if len(costs) < 2 or not is_recorded(rows, "flops_train"):
        return None
    return MeasuredCost(tuple(float(n) for n in costs.index), tuple(float(cost) for cost in costs))


def joint_record(
    rows: pd.DataFrame,
    architecture: str,
    scheme: str,
    *,
    bayes_ne: float | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> JointLaw | None:
    """The joint law and the compute-optimal path of one scheme.

    Args:
        rows: Result of ``lines.points``.
        architecture: Architecture of the rows.
        scheme: V, H, O or M.
        bayes_ne: The lowest NE that any model can reach; None where it is not known.
        level: Confidence level.
        resamples: Number of bootstrap resamples of the trainings.

    Returns:
        The law and its path; None where there are too few points. The path is empty for V, whose compute does not
        change with its rows, and where no split follows from the fit.
    """
    fit = joint_law_of(rows, level=level, resamples=resamples)
    if fit is None:
        return None
    path: list[PathStep] = []
    further = ""
    cost = measured_cost(rows)
    if scheme == "V":
        further = "V's parameters cost memory and no compute, so there is no compute-optimal split"
    elif fit.status.has_split and cost is not None:
        path, further = _path(fit, cost, float(rows["compute"].max()), bayes_ne or 0.0)
    return JointLaw(
        architecture=architecture,
        scheme=scheme,
        parameters="outside the embedding tables" if SCHEMES[scheme].outside_tables else "all",
        fit=fit,
        path=tuple(path),
        words=_words(fit, further, bayes_ne or 0.0),
    )


def _path(fit: JointFit, cost: MeasuredCost, largest: float, least: float) -> tuple[list[PathStep], str]:
    path: list[PathStep] = []
    for share in _SHARES:
        try:
            split = fit.compute_optimal(share * largest, cost_per_example=cost)
        except ValueError as error:  # the cost hardly grows with n: the larger the model, the better, without end
            return path, f"for {human(share * largest)} FLOPs there is no best split: {error}"
        low, high = split.interval["loss"]
        within = min(fit.n) <= split.n <= max(fit.n) and min(fit.d) <= split.d <= max(fit.d)
        path.append(
            PathStep(
                budget=split.budget,
                n=split.n,
                d=split.d,
                ne=max(split.loss, least),
                low=finite_or_none(max(low, least)),
                high=finite_or_none(max(high, least)),
                measured=within,
            )
        )
    beyond = sum(not step.measured for step in path)
    last = path[-1]
    words = (
        f"of {human(last.budget)} FLOPs, ten times the largest measured, the best use is {human(last.n)} parameters on "
        f"{human(last.d)} examples"
    )
    return path, words + (
        f"; {beyond} of {len(path)} budgets ask for models or data beyond the measured" * bool(beyond)
    )


def _words(fit: JointFit, further: str, least: float) -> str:
    head = fit.status.meaning
    if not fit.status.has_split:
        said = f"{head}; {further}." if further else f"{head}."
        return said[0].upper() + said[1:]
    below = f", below the {least:.4f} that no model gets below, so that is no floor" if least > fit.E else ""
    exponents = f"with an exponent of {fit.a:.2f} in parameters and of {fit.b:.2f} in examples"
    return f"NE falls towards {fit.E:.4f}{below}, {exponents} ({head}){'; ' * bool(further)}{further}."
