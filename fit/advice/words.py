"""Advice in plain words."""

import math
from collections.abc import Iterable

from tfrs_scaling.common.words import UNKNOWN, duration, human, interval, listed, signed_end
from tfrs_scaling.fit.advice.choice import Option
from tfrs_scaling.fit.advice.use import ARCHITECTURE, DATA, How, Use
from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.runs.costs import UnevenSpeed
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES

_HOW: dict[How, str] = {
    "measured": "as measured",
    "law of data": "by this shape's law of data",
    "law of parameters": "by the law of parameters; this shape was not measured",
    "joint law": "by the joint law of parameters and data; this shape was not measured",
}
_MORE = 1.01  # times: fewer rows of the log than so many more are not worth a word


def shape_words(use: Use) -> str:
    """The shape in a few words: ``V at 4×``."""
    if use.scheme == BASELINE:
        return f"the architecture {use.architecture}" if ARCHITECTURE in use.levers else "the baseline"
    label = multiplier_label(use.multiplier) if use.has_measured_shape else f"{use.multiplier:.2g}"
    scheme = SCHEMES[use.scheme]
    match scheme.multipliers:
        case "epochs":
            return f"{use.epochs} passes over the data"
        case "weight" | "share":
            return f"{use.scheme} at {label}"
        case "size":
            return f"{use.scheme} at {label}×"
        case "none":  # VH, whose multiplier is that of the rows
            return f"V at {label}× with embedding dimension {use.embedding_dim}"


def use_words(use: Use, baseline: Use, least_rows: float | None = None) -> str:
    """What to do, as a clause: ``V at 4× (4 times the embedding rows), on the same 524,288 examples``.

    With the rows of the log that it takes, where these are more than it is trained on (N, T and P), or where the log
    may have fewer.

    Args:
        use: The use.
        baseline: The baseline.
        least_rows: As in ``rows_words``.
    """
    shape = shape_words(use)
    if sizes := SCHEMES[use.scheme].sizes:
        shape += f" ({use.multiplier:.3g} times the {sizes})"
    elif SCHEMES[use.scheme].multipliers in ("weight", "share"):
        shape += f" ({SCHEMES[use.scheme].words})"
    takes = f", which take {human(use.cost['data'])} rows of the log" if use.cost["data"] > _MORE * use.examples else ""
    rows = rows_words(use, least_rows) or takes
    if use.examples == baseline.examples:
        return f"{shape}, on the same {use.examples:,} examples{rows}"
    return f"{shape}, on {use.examples:,} examples ({use.examples / baseline.examples:.3g} times as many){rows}"


def rows_words(use: Use, least_rows: float | None) -> str:
    """The condition that a use depends on: ``, if the log has 3,145,728 rows for training``; empty for none.

    Args:
        use: The use.
        least_rows: How many rows the log is known to have, where it may have more; None where their number is known.
    """
    if least_rows is None or use.cost["data"] <= _MORE * least_rows:
        return ""
    return f", if the log has {use.cost['data']:,.0f} rows for training"


def takes_rows(use: Use, least_rows: float | None) -> str:
    """The same condition among costs: ``, 3,145,728 rows of the log``; empty for none."""
    return f", {use.cost['data']:,.0f} rows of the log" if rows_words(use, least_rows) else ""


def short_words(use: Use, baseline: Use) -> str:
    """The same in few words: ``V at 4×, 10× the data``."""
    data = "" if use.examples == baseline.examples else f"{use.examples / baseline.examples:.3g}× the data"
    if data and use.scheme == BASELINE and not use.levers - {DATA}:
        return data
    return f"{shape_words(use)}{', ' * bool(data)}{data}"


def gain_words(option: Option, baseline: Use, level: float) -> str:
    """What to expect, with its interval and what it is based on."""
    return (
        f"Expect test NE {option.use.ne:.4f} instead of {baseline.ne:.4f}: lower by {option.gain:.4f} "
        f"({level:.0%} interval {_plain_end(option.low)} to {_plain_end(option.high)}), "
        f"{option.gain / baseline.ne:.2%}, "
        f"{_HOW[option.use.how]}."
    )


def _plain_end(value: float) -> str:
    """``signed_end`` without a plus."""
    return signed_end(value).removeprefix("+")


def at_most(most: float, baseline: Use) -> str:
    """The worst end of an interval, without which nothing is said to be as good as something else: ``at most 0.0095
    NE (5.8%)``, of the baseline's; that it is not known, where it is not."""
    if math.isnan(most):
        return "by how much at most is not known"
    return f"at most {max(most, 0.0):.4f} NE ({max(most, 0.0) / baseline.ne:.2%})"


def cost_words(use: Use, baseline: Use, uneven: UnevenSpeed | None) -> str:
    """Compute, parameters and time, each also as a multiple of the baseline's; why time is not known, where it is not.

    Args:
        use: The use.
        baseline: The baseline.
        uneven: Why no time is a fact; None where times are.
    """
    compute, params = f"{use.cost['compute']:.2g} training FLOPs", f"{use.cost['params']:,.0f} parameters"
    parts = [
        f"{compute} ({times_words(use, baseline, 'compute')})",
        f"{params} ({times_words(use, baseline, 'params')})",
    ]
    if uneven is not None:
        return f"{listed(parts)}; how long it takes is not known: {uneven.words}"
    time = f"{duration(use.cost['hours'] * 3600)} of training on the study's machine"
    return listed([*parts, f"{time} ({times_words(use, baseline, 'hours')})"])


def times_words(use: Use, baseline: Use, resource: str) -> str:
    """A cost as a multiple of the baseline's; a dash where it is not known."""
    times = use.cost[resource] / baseline.cost[resource]
    return UNKNOWN if math.isnan(times) else f"{times:.3g}×"


def option_words(option: Option, baseline: Use, least_rows: float | None) -> str:
    """One row of the options; ``least_rows`` as in ``rows_words``."""
    ends = f" ({interval(option.low, option.high, signed_end)})" if math.isfinite(option.low) else ""
    verdict = "; noise unknown" if math.isnan(option.low) else "; not distinguishable from the baseline"
    if option.beats_baseline:
        verdict = "" if option.is_safe else "; a smaller model, not seen to beat the baseline's on more data"
    words, cost = short_words(option.use, baseline), short_cost(option.use, baseline)
    rows = takes_rows(option.use, least_rows)
    return f"{words}: NE {option.use.ne:.4f}, gain {option.gain:+.4f}{ends}; {cost}{rows}{verdict}"


def several_words(uses: Iterable[Use], baseline: Use) -> str:
    """Uses as the beginning of a sentence, each once; semicolons between them, as there are commas within."""
    names = list(dict.fromkeys(short_words(use, baseline) for use in uses))
    if not any(", " in name for name in names):
        return capitalized(listed(names))
    return capitalized("; ".join([*names[:-1], "and " * (len(names) > 1) + names[-1]]))


def short_cost(use: Use, baseline: Use) -> str:
    """Compute and parameters as multiples of the baseline's."""
    names = (("compute", "compute"), ("params", "parameters"))
    return ", ".join(f"{use.cost[name] / baseline.cost[name]:.3g}× {word}" for name, word in names)


def capitalized(words: str) -> str:
    """The same words as the beginning of a sentence."""
    return words[:1].upper() + words[1:]
