"""What can be saved: the cheapest measured shape that loses nothing that counts on the same data."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from tfrs_scaling.common.json_numbers import to_json
from tfrs_scaling.common.words import duration, listed, plural
from tfrs_scaling.fit.advice.use import MeasuredShapes, Use, measured_shapes
from tfrs_scaling.fit.advice.words import at_most, capitalized, shape_words
from tfrs_scaling.fit.analyses.effects import Effect
from tfrs_scaling.fit.analyses.zones import MARGIN
from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.runs.costs import UnevenSpeed, uneven_speed
from tfrs_scaling.fit.runs.run_table import is_recorded
from tfrs_scaling.fit.runs.screening import usable_runs
from tfrs_scaling.fit.schemes import BASELINE
from tfrs_scaling.fit.study import StudyFits

Verdict = Literal["save", "cannot tell", "nothing"]

_NEEDED = ("params_total", "params_embedding", "flops_train", "examples_per_second")  # columns, to know a shape's cost
_CHEAPER = 0.95  # of the baseline's compute and parameters, multiplied: at most so much is a saving
_RESOURCES = {"compute": "compute", "params": "parameters", "hours": "time as measured here"}
_MOST_SEEDS = 30


@dataclass(frozen=True)
class Least:
    """The shape that takes least of one resource.

    Attributes:
        resource: compute, params or hours.
        share: Of what the baseline takes.
        change: NE of the shape less that of the baseline.
        high: Upper end of its interval.
    """

    resource: str
    use: Use
    share: float
    change: float
    high: float


@dataclass(frozen=True)
class Savings:
    """The cheapest measured shape that may stand in for the baseline, and what it is known to lose.

    Attributes:
        verdict: ``save``: its loss is within the margin, at the level. ``cannot tell``: it is not distinguishable from
            the baseline, but may lose more than the margin. ``nothing``: every cheaper shape is distinguishably worse.
        use: The shape: of those that the verdict holds for, that of the least compute, of equals the cheapest; where
            there is nothing to save, the one that loses least.
        baseline: The baseline on the same data.
        change: NE of the shape less that of the baseline; negative is better.
        low: Lower end of its interval, which holds together with those of all shapes measured; NaN where the noise is
            unknown.
        high: Upper end.
        margin: A loss of NE that is accepted.
        why_margin: What the margin is, as the end of a sentence.
        level: Confidence level.
        cheaper: How many cheaper shapes were measured.
        seeds: Seeds of each shape that would bring the loss within the margin, if the change stays as measured; None
            where that is not known, or more than 30.
        least: Of each resource that can be saved, the shape that takes least of those that can stand in.
        uneven: Why hours of training are not known; None where they are.
        price: Of an hour of the study's machine; None where it was not given.
    """

    verdict: Verdict
    use: Use
    baseline: Use
    change: float
    low: float
    high: float
    margin: float
    why_margin: str
    level: float
    cheaper: int
    seeds: int | None
    least: tuple[Least, ...] = ()
    uneven: UnevenSpeed | None = None
    price: float | None = None

    @property
    def share_of_compute(self) -> float:
        """Training FLOPs, as a share of the baseline's."""
        return self._share("compute")

    @property
    def share_of_parameters(self) -> float:
        """Parameters, as a share of the baseline's."""
        return self._share("params")

    @property
    def share_of_hours(self) -> float:
        """Hours of training on the study's machine, as a share of the baseline's; NaN where they are not known."""
        return self._share("hours")

    @property
    def most_lost(self) -> float:
        """The largest loss of NE that the interval allows, at least 0; NaN where the noise is unknown."""
        return max(self.high, 0.0) if math.isfinite(self.high) else math.nan

    @property
    def cost(self) -> float | None:
        """Of one training of the shape, in the unit of ``price``; None where it is not known."""
        return None if self.price is None or self.uneven else self.price * self.use.cost["hours"]

    @property
    def baseline_cost(self) -> float | None:
        """Of one training of the baseline, in the unit of ``price``; None where it is not known."""
        return None if self.price is None or self.uneven else self.price * self.baseline.cost["hours"]

    @property
    def answer(self) -> str:
        """One sentence."""
        name, examples = shape_words(self.use), f"{self.baseline.examples:,} examples"
        shares = (
            f"{self.share_of_compute:.0%} of the training FLOPs and {self.share_of_parameters:.0%} of the parameters"
        )
        match self.verdict:
            case "save":
                return (
                    f"{capitalized(name)} can stand in for the baseline on {examples}, with {shares}: its NE is "
                    f"{self._changed} as measured, and may be higher by {at_most(self.most_lost, self.baseline)} at "
                    f"{self.level:.0%}."
                )
            case "cannot tell":
                return (
                    f"Cannot tell whether anything can be saved on {examples}: the NE of {name}, with {shares}, is "
                    f"{self._changed} as measured, {self._bound}."
                )
            case "nothing":
                return (
                    f"Nothing to save on {examples}: {_each(self.cheaper)} is worse by more than the noise. "
                    f"{capitalized(name)}, with {shares}, loses least: its NE is {self._changed} ({self.low:.4f} to "
                    f"{self.high:.4f} at {self.level:.0%})."
                )

    def lines(self) -> list[str]:
        """The answer, the costs and the notes, as a terminal shows them."""
        return [self.answer, self._costs, *self.notes]

    @property
    def notes(self) -> list[str]:
        """Savings of other resources, the margin, and what would settle it."""
        lines = [*self._of_other_resources, f"A loss of up to {self.margin:.4f} NE is accepted: {self.why_margin}."]
        if self.verdict == "cannot tell" and math.isfinite(self.high):
            more = f"about {self.seeds} seeds of both" if self.seeds else f"more than {_MOST_SEEDS} seeds of both"
            lines.append(f"To tell would take {more}, if the change stays as measured.")
        if self.verdict != "nothing":
            lines.append("With more data than these a smaller shape may fall behind: compare them again there.")
        return lines

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON: null for what is not known."""
        finite = {name: getattr(self, name) for name in ("change", "low", "high", "most_lost")}
        return {
            "verdict": self.verdict,
            "answer": self.answer,
            "lines": self.lines(),
            "architecture": self.use.architecture,
            "scheme": self.use.scheme,
            "multiplier": self.use.multiplier,
            "embedding_dim": self.use.embedding_dim,
            "examples": self.use.examples,
            "ne": self.use.ne,
            "baseline_ne": self.baseline.ne,
            **{name: value if math.isfinite(value) else None for name, value in finite.items()},
            "margin": self.margin,
            "level": self.level,
            "cheaper": self.cheaper,
            "seeds": self.seeds,
            "cost": to_json(self.use.cost),
            "baseline": to_json(self.baseline.cost),
            "share_of_compute": self.share_of_compute,
            "share_of_parameters": self.share_of_parameters,
            "share_of_hours": to_json(self.share_of_hours),
            "no_hours": None if self.uneven is None else self.uneven.words,
            "price": self.price,
            "price_of_training": self.cost,
            "price_of_baseline": self.baseline_cost,
        }

    @property
    def _bound(self) -> str:
        if not math.isfinite(self.high):
            return "but the noise of one training is unknown"
        return (
            f"but may be higher by {at_most(self.most_lost, self.baseline)} at {self.level:.0%}, where "
            f"{self.margin:.4f} would be accepted"
        )

    @property
    def _changed(self) -> str:
        if f"{self.change:.4f}" in ("0.0000", "-0.0000"):
            return "the same to four digits"
        return f"{'higher' if self.change > 0 else 'lower'} by {abs(self.change):.4f}"

    @property
    def _of_other_resources(self) -> list[str]:
        if self.verdict != "save":
            return []
        words = [
            f"Of what can stand in, {shape_words(least.use)} takes the least {_RESOURCES[least.resource]}: "
            f"{least.share:.0%}; its NE may be higher by {at_most(least.high, self.baseline)}."
            for least in self.least
            if least.use is not self.use
        ]
        if self.uneven is None and not any(least.resource == "hours" for least in self.least):
            words.append(
                "Nothing that can stand in saves time on the study's machine, where the speed varies between trainings."
            )
        return words

    @property
    def _costs(self) -> str:
        use, baseline = self.use.cost, self.baseline.cost
        parts = [
            f"{use['compute']:.2g} FLOPs instead of {baseline['compute']:.2g} ({self.share_of_compute:.0%})",
            f"{use['params']:,.0f} parameters instead of {baseline['params']:,.0f} ({self.share_of_parameters:.0%})",
        ]
        if self.uneven is not None:
            unknown = "how long" if self.price is None else "how long, and at what price,"
            return f"One training takes {listed(parts)}; {unknown} is not known: {self.uneven.words}."
        hours = [duration(cost["hours"] * 3600) for cost in (use, baseline)]
        parts.append(f"{hours[0]} on the study's machine instead of {hours[1]} ({self.share_of_hours:.0%})")
        if self.cost is None or self.baseline_cost is None:
            return f"One training takes {listed(parts)}."
        priced = f"cost {self.cost:.2g} instead of {self.baseline_cost:.2g}"
        return f"One training takes {listed(parts)}, which {priced}."

    def _share(self, name: str) -> float:
        return self.use.cost[name] / self.baseline.cost[name]


def savings(runs: pd.DataFrame, fits: StudyFits, *, price: float | None = None) -> Savings | None:
    """What a finished study shows can be saved without a loss that counts.

    Shapes are compared with the baseline where both were measured, on the baseline's largest data size: nothing is
    extrapolated. Not distinguishable is not the same as equal: a shape can stand in if it is not distinguishably worse
    and the whole interval of its change lies below a margin (a test of non-inferiority). The intervals are those of
    ``StudyFits.effects``, which hold for all shapes together, so the cheapest may be picked among them. The margin is
    what twice the data would bring by the baseline's law: a smaller loss is made good by them. It
    is at least that of ``zones``, .001, within which a loss does not count even if it is distinguishable.

    Args:
        runs: The run table.
        fits: Result of ``fit_study`` for these runs.
        price: Of an hour of the study's machine, in any currency.

    Returns:
        The cheapest shape that can stand in, else one of which that cannot be told, else the one that loses least. None
        where there is no baseline, no shape is cheaper in compute or parameters and dearer in neither, or the run
        table does not record what shapes cost.

    Examples:
        >>> runs = read_runs("runs.csv")
        >>> saved = savings(runs, fit_study(runs))
        >>> saved.verdict, saved.use.scheme, saved.use.multiplier, round(saved.change, 3)
        ('nothing', 'V', 0.25, 0.024)
    """
    rows = usable_runs(runs)
    if not all(is_recorded(runs, name) for name in _NEEDED) or not (rows["scheme"] == BASELINE).any():
        return None
    uneven = uneven_speed(runs)
    measured = measured_shapes(rows, fits.noise, uneven=uneven)
    uses = {(use.architecture, use.scheme, use.multiplier, use.embedding_dim): use for use in _cheaper(measured)}
    found = [
        (effect, uses[key])
        for effect in fits.effects
        if effect.examples == measured.examples and (key := _shape_key(effect)) in uses
    ]
    if not found:
        return None
    margin, why = _margin(fits, measured)
    verdict, (effect, use) = _pick(found, measured.baseline, margin)
    as_good = _as_good(found, margin)
    low, high = (math.nan if end is None else end for end in (effect.low, effect.high))
    seeds = rows.loc[(rows["scheme"] == BASELINE) & (rows["architecture"] == measured.architecture), "seed"].nunique()
    return Savings(
        verdict=verdict,
        use=use,
        baseline=measured.baseline,
        change=effect.change,
        low=low,
        high=high,
        margin=margin,
        why_margin=why,
        level=fits.level,
        cheaper=len(found),
        seeds=_seeds_needed(effect.change, high, margin, seeds) if verdict == "cannot tell" else None,
        least=tuple(_least(as_good, measured.baseline)),
        uneven=uneven,
        price=price,
    )


def _as_good(found: Sequence[tuple[Effect, Use]], margin: float) -> list[tuple[Effect, Use]]:
    """The shapes that are not distinguishably worse, and lose at most the margin."""
    return [pair for pair in found if not _is_worse(pair[0]) and pair[0].high is not None and pair[0].high <= margin]


def _least(as_good: Sequence[tuple[Effect, Use]], baseline: Use) -> Iterator[Least]:
    for resource in _RESOURCES if as_good else ():  # a share that is not known is none of them
        effect, use = min(as_good, key=lambda pair: (pair[1].cost[resource], pair[0].change))
        if (share := use.cost[resource] / baseline.cost[resource]) <= _CHEAPER:
            yield Least(resource, use, share, effect.change, math.nan if effect.high is None else effect.high)


def _pick(found: Sequence[tuple[Effect, Use]], baseline: Use, margin: float) -> tuple[Verdict, tuple[Effect, Use]]:
    """The verdict, and the shape that it is about."""

    def cheapest(pairs: Sequence[tuple[Effect, Use]]) -> tuple[Effect, Use]:
        def cost(pair: tuple[Effect, Use]) -> tuple[float, ...]:
            amounts = pair[1].cost["compute"] / baseline.cost["compute"], pair[1].expense(baseline)
            return *(round(math.log(amount), 6) for amount in amounts), pair[0].change

        return min(pairs, key=cost)

    may_be = [pair for pair in found if not _is_worse(pair[0])]
    if as_good := _as_good(found, margin):
        return "save", cheapest(as_good)
    if may_be:
        near = [pair for pair in may_be if pair[0].change <= margin]
        return "cannot tell", cheapest(near) if near else min(may_be, key=lambda pair: pair[0].change)
    return "nothing", min(found, key=lambda pair: pair[0].change)


def _is_worse(effect: Effect) -> bool:
    """Whether a shape is distinguishably worse, by more than what counts as no difference in the zones either."""
    return effect.low is not None and effect.high is not None and effect.low > 0 and effect.high > MARGIN


def _cheaper(measured: MeasuredShapes) -> list[Use]:
    """The shapes that cost less than the baseline in compute or parameters, and no more in either or in data."""
    uses = [shape.measured(measured.examples) for shape in measured.shapes]
    baseline = measured.baseline
    return [
        use
        for use in uses
        if use.expense(baseline) <= _CHEAPER
        and all(use.cost[name] <= baseline.cost[name] * (1 + 1e-9) for name in ("compute", "params", "data"))
    ]


def _shape_key(effect: Effect) -> tuple[str, str, float, int]:
    return effect.architecture, effect.run_scheme, effect.multiplier, effect.embedding_dim


def _margin(fits: StudyFits, measured: MeasuredShapes) -> tuple[float, str]:
    """The loss that is accepted, and what it is."""
    line = fits.find(scheme=BASELINE, x="data", line=multiplier_label(1.0), architecture=measured.architecture)
    end = measured.examples
    if line is not None and line.fit.status.has_exponent and max(line.fit.x) >= end:
        doubling = float(line.fit.predict(end) - line.fit.predict(2 * end))
        if doubling > MARGIN:
            return doubling, "about what twice the data would bring by the baseline's law"
    return MARGIN, "less than that is no difference in the zones either"


def _seeds_needed(change: float, high: float, margin: float, seeds: int) -> int | None:
    """Seeds with which the upper end of the interval reaches the margin; None where it never does, or not soon."""
    room = margin - max(change, 0.0)
    if not (math.isfinite(high) and room > 0):
        return None
    needed = math.ceil(seeds * ((high - max(change, 0.0)) / room) ** 2)
    return needed if needed <= _MOST_SEEDS else None


def _each(number: int) -> str:
    return "the only cheaper shape" if number == 1 else f"each of {plural(number, 'cheaper shape')}"
