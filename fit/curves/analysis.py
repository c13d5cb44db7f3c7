"""From the columns of any table to its curves, their laws, what to expect beyond them, and their differences."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.words import five_digits, plural
from tfrs_scaling.fit.curves.records import (
    Columns,
    CurveComparison,
    CurveFit,
    JointCurves,
    Prediction,
    TableFit,
)
from tfrs_scaling.fit.extrapolation.choose import ChosenLaw, choose_law
from tfrs_scaling.fit.joint.law import fit_joint_law
from tfrs_scaling.fit.joint.status import FEWEST_POINTS, FEWEST_SIZES
from tfrs_scaling.fit.laws.comparison import compare_laws
from tfrs_scaling.fit.laws.learning_curve import fit_learning_curve
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.laws.status import FEWEST

FACTORS = (2.0, 4.0, 10.0)  # times the largest x
_MOST_PLACES = 50  # of one training; a log of every step has thousands, which say no more
_STEPS = 1000  # a mean is of a thousandth of the steps at least
_MOST_COMPARED = 8  # curves: 28 pairs
_BUDGETS = (1.0, 10.0, 100.0)  # times the largest compute
_FLOPS = 6.0  # per parameter and example


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
        frame: The columns named in ``columns``; numbers, but for ``group`` and ``seed``. A row without a loss, or
            without a place, is left out.
        columns: Which column holds what.
        at: Places at which to predict the loss; by default 2, 4 and 10 times each curve's largest x.
        level: Confidence level of all intervals, between 0 and 1.
        seed: Seed of every resampling.
        source: The table's name for messages.

    Returns:
        The laws, predictions and comparisons.

    Raises:
        InputError: a column is missing, or a value is not positive; the message names column, row and value.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"tokens": [1e3 * 2**k for k in range(9)]})
        >>> frame["loss"] = 2 + 3 * frame["tokens"] ** -0.3
        >>> [curve] = fit_table(frame, Columns(x="tokens", y="loss")).curves
        >>> round(curve.law.beta, 3), round(curve.predictions[0].loss, 2)
        (0.3, 2.06)
    """
    used, notices = _checked(frame, columns, source)
    curves: list[CurveFit] = []
    if columns.x:
        names = used[columns.group].map(_name) if columns.group else pd.Series("", index=used.index)
        for name in dict.fromkeys(names):
            points, averaged = _thinned(used[names == name], columns)
            if averaged:
                notices.append(averaged if not name else f"{name}: {averaged}")
            curves.append(_curve(name, points, columns, at, level, seed))
        if len(curves) > _MOST_COMPARED:
            notices.append(
                f"{len(curves)} curves are too many pairs to compare; give a table of up to {_MOST_COMPARED}"
            )
        if not columns.seed:
            notices.append(
                "every row counts as a training of its own; rows of one training err together, and --seed names the "
                "column that says which training a row belongs to"
            )
    return TableFit(
        source=source,
        columns=columns,
        rows=len(used),
        level=level,
        notices=tuple(notices),
        curves=tuple(curves),
        comparisons=_compared(curves, level, seed) if len(curves) <= _MOST_COMPARED else (),
        joint=_joint(used, columns, level, seed) if columns.n and columns.d else None,
    )


def _checked(frame: pd.DataFrame, columns: Columns, source: str) -> tuple[pd.DataFrame, list[str]]:
    """The rows that can be used, and what is said of the others."""
    given = {role: name for role, name in vars(columns).items() if name}
    missing = [name for name in given.values() if name not in frame]
    if missing:
        raise InputError(f"{source}: has no column {missing[0]!r}; it has {', '.join(map(str, frame.columns))}")
    if not columns.x and not (columns.n and columns.d):
        raise InputError(f"{source}: name what the loss is a function of: x, or both n and d")
    numeric = [name for role, name in given.items() if role not in ("group", "seed")]
    empty = frame[list(given.values())].isna().any(axis=1)
    used = frame[~empty]
    if used.empty:
        raise InputError(f"{source}: no row has a value in all of {', '.join(given.values())}")
    for name in dict.fromkeys(numeric):
        values = used[name].to_numpy(dtype=np.float64)
        bad = ~((values >= 0) if name == columns.y else (values > 0)) | ~np.isfinite(values)
        if bad.any():
            row = int(np.flatnonzero(~empty)[int(np.argmax(bad))])
            rule = "0 or above" if name == columns.y else "above 0"
            raise InputError(f"{source}: row {row + 1}, column {name}: {values[bad][0]:g} must be finite and {rule}")
    notices = [f"{plural(int(empty.sum()), 'row')} with an empty field left out"] if empty.any() else []
    return used.reset_index(drop=True), notices


def _name(value: object) -> str:
    return five_digits(value) if isinstance(value, float) else str(value)


def _thinned(rows: pd.DataFrame, columns: Columns) -> tuple[pd.DataFrame, str]:
    """The rows of a curve, neighbours averaged in a training of very many, and what is said of that."""
    key = rows[columns.seed].astype("str") if columns.seed else pd.Series("", index=rows.index)
    own = pd.DataFrame(
        {"x": rows[columns.x].astype("float64"), "y": rows[columns.y].astype("float64"), "training": key}
    )
    if not columns.seed:
        own["training"] = np.arange(len(own)).astype("str")
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
    else:
        chosen = choose_law(x, y)
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


def _joint(used: pd.DataFrame, columns: Columns, level: float, seed: int) -> JointCurves:
    n, d = (used[name].to_numpy(dtype=np.float64) for name in (columns.n, columns.d))
    sizes = min(np.unique(n).size, np.unique(d).size)
    if len(used) < FEWEST_POINTS or sizes < FEWEST_SIZES:
        raise InputError(
            f"a law of {columns.n} and {columns.d} needs {FEWEST_POINTS} rows and {FEWEST_SIZES} different values of "
            f"each; there are {len(used)} rows, {np.unique(n).size} {columns.n} and {np.unique(d).size} {columns.d}"
        )
    names = [name for name in (columns.group, columns.seed) if name]
    training = used[names].astype("str").agg(" ".join, axis=1) if columns.seed else None
    fit = fit_joint_law(n, d, used[columns.y], groups=training, level=level, seed=seed)
    if not fit.status.has_split:
        return JointCurves(fit, ())
    largest = math.exp(float(np.log(_FLOPS * n * d).max()))
    splits = tuple(fit.compute_optimal(budget * largest, cost_per_example=_FLOPS) for budget in _BUDGETS)
    return JointCurves(fit, splits)
