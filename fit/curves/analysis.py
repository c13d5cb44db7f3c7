"""From the columns of any table to its curves, their laws, what to expect beyond them, and their differences."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.words import five_digits, listed, plural
from tfrs_scaling.fit.curves.records import (
    Columns,
    CurveComparison,
    CurveFit,
    JointCurves,
    Prediction,
    TableFit,
)
from tfrs_scaling.fit.curves.rows import LARGEST, SMALLEST, training_labels, usable_rows
from tfrs_scaling.fit.extrapolation.choose import ChosenLaw, choose_law
from tfrs_scaling.fit.joint.law import fit_joint_law
from tfrs_scaling.fit.joint.status import FEWEST_POINTS, FEWEST_SIZES
from tfrs_scaling.fit.laws.comparison import compare_laws
from tfrs_scaling.fit.laws.learning_curve import fit_learning_curve
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.laws.status import FEWEST, Status

FACTORS = (2.0, 4.0, 10.0)  # times the largest x
_MOST_PLACES = 50  # of one training; a log of every step has thousands, which say no more
_STEPS = 1000  # a mean is of a thousandth of the steps at least
_MOST_COMPARED = 8  # curves: 28 pairs
_BUDGETS = (1.0, 10.0, 100.0)  # times the largest compute
_FLOPS = 6.0  # per parameter and example
_CORRELATED = "neighbouring points miss the power law in the same direction"


def fit_table(
    frame: pd.DataFrame,
    columns: Columns,
    *,
    at: Sequence[float] = (),
    level: float = 0.95,
    seed: int = 0,
    source: str = "the table",
) -> TableFit:
    """Fit the curves of a table.

    Args:
        frame: The columns named in ``columns``; numbers, but for ``group`` and ``seed``. A row with an empty field, or
            at x = 0, is left out, and a notice says so; a row without a seed is a training of its own.
        columns: Which column holds what.
        at: Places at which to predict the loss; by default 2, 4 and 10 times each curve's largest x.
        level: Confidence level of all intervals, between 0 and 1.
        seed: Seed of every resampling.
        source: The table's name for messages.

    Returns:
        The laws, predictions and comparisons.

    Raises:
        InputError: a column is missing, repeated or named in two roles, a value is not a positive number between
            1e-100 and 1e100 (0 is allowed of the loss), a place of ``at`` is not, or there are too few rows for a joint
            law and no curves; the message names column, row and value.

    Examples:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"tokens": [1e3 * 2**k for k in range(9)]})
        >>> frame["loss"] = 2 + 3 * frame["tokens"] ** -0.3
        >>> [curve] = fit_table(frame, Columns(x="tokens", y="loss")).curves
        >>> round(curve.law.beta, 3), round(curve.predictions[0].loss, 2)
        (0.3, 2.06)
    """
    used, notices = usable_rows(frame, columns, source)
    for place in at:
        if not SMALLEST <= place <= LARGEST:
            raise InputError(
                f"{source}: the loss cannot be predicted at {place:g}; name places from {SMALLEST:g} to {LARGEST:g}"
            )
    trainings = training_labels(used, columns)
    curves: list[CurveFit] = []
    single = []
    if columns.x:
        names = used[columns.group].map(_name) if columns.group else pd.Series("", index=used.index)
        for name in dict.fromkeys(names):
            rows = names == name
            points, averaged = _thinned(used[rows], trainings[rows], columns)
            if averaged:
                notices.append(averaged if not name else f"{name}: {averaged}")
            if rows.sum() > 1 and trainings[rows].nunique() == 1:
                single.append(name)
            curves.append(_curve(name, points, columns, at, level, seed))
        if len(curves) > _MOST_COMPARED:
            notices.append(
                f"{len(curves)} curves are too many pairs to compare; give a table of up to {_MOST_COMPARED}"
            )
    if single:
        notices.append(_one_training(single, curves, columns))
    if not columns.seed:
        notices.append(
            "every row counts as a training of its own; rows of one training err together, and --seed names the "
            "column that says which training a row belongs to"
        )
    joint = None
    if columns.n and columns.d:
        too_few = _too_few(used, columns)
        if too_few and not columns.x:
            raise InputError(f"{source}: {too_few}")
        if too_few:
            notices.append(too_few)
        else:
            joint = _joint(used, trainings, columns, level, seed)
    return TableFit(
        source=source,
        columns=columns,
        rows=len(used),
        level=level,
        notices=tuple(notices),
        curves=tuple(curves),
        comparisons=_compared(curves, level, seed) if len(curves) <= _MOST_COMPARED else (),
        joint=joint,
    )


def _one_training(single: Sequence[str], curves: Sequence[CurveFit], columns: Columns) -> str:
    """What intervals are for, where all rows of a curve are of one training."""
    if not columns.group:
        rows = "all rows are of one training"
    elif len(single) == len(curves):
        rows = f"all rows of each {columns.group} are of one training"
    else:
        rows = f"all rows of {listed(single)} are of one training each"
    return (
        f"{rows}: intervals are for that training alone, and if its learning rate decays, the losses on the way are "
        "not those of shorter trainings: do not extrapolate them"
    )


def _name(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    short = five_digits(value)
    return short if float(short.replace(",", "")) == value else repr(float(value))


def _thinned(rows: pd.DataFrame, trainings: pd.Series, columns: Columns) -> tuple[pd.DataFrame, str]:
    """The rows of a curve, neighbours averaged in a training of very many, and what is said of that."""
    own = pd.DataFrame({"x": rows[columns.x], "y": rows[columns.y], "training": trainings})
    key = trainings if columns.seed else pd.Series("", index=rows.index)
    if own.groupby(key)["x"].nunique().max() <= _MOST_PLACES:
        return own.assign(weight=1.0), ""
    parts = [_averaged(training) for _, training in own.groupby(key, sort=False)]
    means = pd.concat(parts, ignore_index=True)
    words = (
        f"{plural(len(own), 'row')} averaged to {plural(len(means), 'point')}, about evenly spaced in log {columns.x}"
    )
    return means, words


def _averaged(training: pd.DataFrame) -> pd.DataFrame:
    """The means of neighbours: of one step alone, a training loss is mostly the luck of its batch.

    A mean of many steps weighs as many. The first ones are of more steps than even spacing would give them.
    """
    rows = training.sort_values("x", kind="stable")
    logs = np.log(rows["x"].to_numpy())
    width, fewest = (logs[-1] - logs[0]) / _MOST_PLACES, len(rows) // _STEPS
    starts = [0]
    for at, log in enumerate(logs):
        if log - logs[starts[-1]] >= width and at - starts[-1] >= fewest and len(rows) - at >= fewest:
            starts.append(at)
    number = np.searchsorted(starts, np.arange(len(rows)), side="right")
    means = rows.assign(x=logs, weight=1.0).groupby(number, sort=True)
    found = means.agg({"x": "mean", "y": "mean", "training": "first", "weight": "sum"})
    return found.assign(x=np.exp(found["x"]))


def _curve(name: str, points: pd.DataFrame, columns: Columns, at: Sequence[float], level: float, seed: int) -> CurveFit:
    x, y = points["x"].to_numpy(), points["y"].to_numpy()
    places = np.unique(x).size
    law: PowerLawFit | None = None
    if places > 1:
        groups = points["training"] if columns.seed else None
        law = fit_learning_curve(x, y, weights=points["weight"], groups=groups, level=level, seed=seed)
    chosen: ChosenLaw | None = None
    why = ""
    if places < FEWEST:
        why = f"{columns.x} has {plural(places, 'different value')}, and a law needs {FEWEST}"
    elif (y <= 0).any():
        why = f"{columns.y} is 0 somewhere, which no law of ln {columns.y} describes"
    elif law is not None and law.status is Status.NOT_MONOTONE:
        why = f"{columns.y} rises somewhere, which no law that falls describes; of an accuracy, fit 1 minus it"
    else:
        try:
            chosen = choose_law(x, y)
        except ValueError as error:  # x or y span too much
            why = str(error)
    if chosen is not None and law is not None and law.status is Status.CORRELATED_RESIDUALS and chosen.extrapolates:
        reasons = f"{chosen.why.removesuffix('extrapolates')}not to be extrapolated: {_CORRELATED}"
        chosen = replace(chosen, extrapolates=False, why=reasons)
    predictions: tuple[Prediction, ...] = ()
    if chosen is not None:
        wanted = np.array([*at] or [factor * x.max() for factor in FACTORS], dtype=np.float64)
        predictions = _predictions(chosen, wanted, float(x.max()), level)
    return CurveFit(name, tuple(x.tolist()), tuple(y.tolist()), law, chosen, predictions, why)


def _predictions(chosen: ChosenLaw, places: Array, largest: float, level: float) -> tuple[Prediction, ...]:
    losses, interval = chosen.predict(places), chosen.predict_interval(places, level)
    return tuple(
        Prediction(float(x), float(x) / largest, float(loss), float(low), float(high), interval.kind)
        for x, loss, low, high in zip(places, losses, interval.low, interval.high, strict=True)
    )


def _compared(curves: Sequence[CurveFit], level: float, seed: int) -> tuple[CurveComparison, ...]:
    """Every pair of curves, each pair by itself."""
    found = []
    for first, second in combinations(curves, 2):
        unknown = CurveComparison(first.name, second.name, None, False, None, None, "one of them has no law")
        if first.law is not None and second.law is not None:
            try:
                result = compare_laws(first.law, second.law, level=level, seed=seed)
            except ValueError as error:  # too few points, or no range of x in common
                unknown = replace(unknown, why_none=str(error))
            else:
                unknown = replace(
                    unknown,
                    p_value=result.p_value,
                    different=result.different,
                    beta_difference=result.beta_difference,
                    beta_interval=result.beta_interval,
                    why_none="",
                )
        found.append(unknown)
    return tuple(found)


def _too_few(used: pd.DataFrame, columns: Columns) -> str:
    """What a law of parameters and data lacks; empty for nothing."""
    n, d = used[columns.n].nunique(), used[columns.d].nunique()
    if len(used) >= FEWEST_POINTS and min(n, d) >= FEWEST_SIZES:
        return ""
    return (
        f"a law of {columns.n} and {columns.d} needs {FEWEST_POINTS} rows and {FEWEST_SIZES} different values of each; "
        f"there are {len(used)} rows, {n} {columns.n} and {d} {columns.d}"
    )


def _joint(used: pd.DataFrame, trainings: pd.Series, columns: Columns, level: float, seed: int) -> JointCurves:
    n, d = (used[name].to_numpy(dtype=np.float64) for name in (columns.n, columns.d))
    fit = fit_joint_law(n, d, used[columns.y], groups=trainings if columns.seed else None, level=level, seed=seed)
    if not fit.status.has_split:
        return JointCurves(fit, ())
    largest = math.exp(float(np.log(_FLOPS * n * d).max()))
    splits = tuple(fit.compute_optimal(budget * largest, cost_per_example=_FLOPS) for budget in _BUDGETS)
    return JointCurves(fit, splits)
