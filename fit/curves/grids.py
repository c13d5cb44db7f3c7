"""The tables that the terminal and the page show of a table's curves."""

import math
from dataclasses import dataclass

from tfrs_scaling.common.words import FLOPS, UNKNOWN, five_digits, human, plural
from tfrs_scaling.fit.curves.records import CurveComparison, CurveFit, JointCurves, TableFit
from tfrs_scaling.fit.extrapolation.predictive import ALLOWS_WRONG_FORM, ASSUMES_FORM
from tfrs_scaling.fit.joint.allocation import FLOPS_PER_PARAMETER
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.laws.status import Status

_LEAST_SHARE = 0.05  # of a law in the average, to be named
_KINDS = {
    ASSUMES_FORM: "within the data they allow for noise alone",
    ALLOWS_WRONG_FORM: "they allow for noise and for the form of the law being wrong",
}


@dataclass(frozen=True)
class Grid:
    """A table of texts.

    Attributes:
        title: Its heading.
        header: Names of the columns, the first of which names the rows.
        rows: Cells, as many in each row as in the header.
        words: Sentences below it.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[str, ...] = ()


def source_words(table: TableFit) -> str:
    """What was read: file, rows, and which column was taken for what."""
    names = table.columns
    subjects = [names.x] if names.x else []
    if names.n and names.d:
        subjects.append(f"{names.n} and {names.d}{' together' if names.x else ''}")
    words = [f"{names.y} against {', and against '.join(subjects)}"]
    words += [f"a curve for each {names.group}"] if names.group else []
    words += [f"a training for each {names.seed}"] if names.seed else []
    return f"{table.source}: {plural(table.rows, 'row')}; {', '.join(words)}"


def law_grid(table: TableFit) -> Grid:
    """A line for each curve: its law, its status, and whether the residuals look like noise."""
    names, ends = table.columns, f"{100 * table.level:g} % interval"
    header = (names.group or "curve", "points", "β", ends, "γ", ends, "lack of fit, p", "runs test, p", "status")
    rows = []
    for curve in table.curves:
        law, name = curve.law, curve.name or names.y
        if law is None or not law.status.is_fitted:
            rows.append((name, str(len(curve.x)), *[UNKNOWN] * 6, str(Status.TOO_FEW_POINTS)))
            continue
        beta = _estimate(law, "beta") if law.status.has_exponent else [UNKNOWN] * 2
        cells = [*beta, *_estimate(law, "gamma")]
        p_values = (p_value(law.lack_of_fit), p_value(law.residual_runs_p))
        rows.append((name, str(law.n), *cells, *p_values, str(law.status)))
    statuses = dict.fromkeys(curve.law.status for curve in table.curves if curve.law is not None)
    words = tuple(f"{status}: {status.meaning}" for status in statuses)
    return Grid(f"{names.y} ≈ α·{names.x}^−β + γ", header, tuple(rows), words)


def _estimate(law: PowerLawFit, parameter: str) -> list[str]:
    return [five_digits(getattr(law, parameter)), " to ".join(map(five_digits, law.interval[parameter]))]


def prediction_grid(table: TableFit) -> Grid:
    """What to expect at larger x, by the laws that extrapolate, and whether to rely on them."""
    names, several = table.columns, len(table.curves) > 1
    rows, words = list[tuple[str, ...]](), list[str]()
    for curve in table.curves:
        prefix = f"{curve.name}: " if several else ""
        for at in curve.predictions:
            numbers = (f"{at.factor:.3g}×", *map(five_digits, (at.loss, at.low, at.high)))
            rows.append((*([curve.name] * several), place_words(at.x), *numbers))
        words.append(prefix + chosen_words(curve))
    kinds = sorted({at.kind for curve in table.curves for at in curve.predictions})
    if kinds:
        words.insert(0, f"Intervals are those of one further measurement; {', '.join(_KINDS[kind] for kind in kinds)}.")
    header = (*([names.group] * several), names.x, "times", names.y, f"{100 * table.level:g} % from", "to")
    return Grid("Extrapolation", header, tuple(rows), tuple(words))


def chosen_words(curve: CurveFit) -> str:
    """By which laws a curve is extrapolated, and whether to rely on it."""
    law = curve.chosen
    if law is None:
        return f"No extrapolation: {curve.why_none}."
    shares = ", ".join(f"{share:.0%} {name}" for name, share in law.shares.items() if share >= _LEAST_SHARE)
    held_out = "" if math.isnan(law.holdout_error) else f"; held-out points were missed by {law.holdout_error:.2%}"
    verdict = ""
    if not law.extrapolates:
        verdict = f" Do not rely on it: {law.why.partition('not to be extrapolated: ')[2]}."
    elif curve.law is not None and not curve.law.status.has_floor:
        verdict = f" The average is not the power law above, whose status ({curve.law.status}) allows no extrapolation."
    return f"Predicted by an average of laws: {shares}{held_out}.{verdict}"


def comparison_grid(table: TableFit) -> Grid:
    """Whether curves have the same law, a line for each pair."""
    rows = []
    for pair in table.comparisons:
        name = f"{pair.first} and {pair.second}"
        if pair.p_value is None or pair.beta_difference is None or pair.beta_interval is None:
            rows.append((name, *[UNKNOWN] * 3, _verdict(pair)))
            continue
        ends = " to ".join(map(five_digits, pair.beta_interval))
        rows.append((name, f"{pair.p_value:.2g}", five_digits(pair.beta_difference), ends, _verdict(pair)))
    header = ("curves", "p", "difference of β", f"{100 * table.level:g} % interval", "laws")
    words = f"Each pair by itself: of many equal pairs, {1 - table.level:.0%} would seem different by chance."
    return Grid("Comparison of the curves", header, tuple(rows), (words,))


def _verdict(comparison: CurveComparison) -> str:
    if comparison.p_value is None:
        return f"not compared: {comparison.why_none}"
    return "different" if comparison.different else "not distinguishable"


def split_grid(table: TableFit, joint: JointCurves) -> Grid:
    """The compute-optimal split of a few budgets."""
    names, ends = table.columns, (f"{100 * table.level:g} % from", "to")
    rows = []
    for split in joint.splits:
        cells = [
            text
            for name, value in (("n", split.n), ("d", split.d), ("loss", split.loss))
            for text in map(five_digits if name == "loss" else human, (value, *split.interval[name]))
        ]
        rows.append((human(split.budget, FLOPS), *cells))
    return Grid(
        "Best split of compute",
        ("FLOPs", names.n, *ends, names.d, *ends, names.y, *ends),
        tuple(rows),
        (
            f"1, 10 and 100 times the largest compute in the table, which is taken to be {FLOPS_PER_PARAMETER:g} × "
            f"{names.n} × {names.d} FLOPs; beyond the table it assumes that the law has the right form.",
        ),
    )


def place_words(x: float) -> str:
    """An x in few characters, whatever its unit."""
    return human(x) if 1e-3 <= x < 1e15 else f"{x:.3g}"


def p_value(value: float) -> str:
    """A p value in two digits; a dash where it is unknown."""
    return UNKNOWN if math.isnan(value) else f"{value:.2g}"
