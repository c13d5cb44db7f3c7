"""Which runs would settle a question that a study leaves open, as values of ``--set``."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from tfrs_scaling.fit.advice.uses import ARCHITECTURE, DATA, Plan
from tfrs_scaling.fit.advice.words import listed, shape_words
from tfrs_scaling.fit.analyses.noise import Noise
from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.schemes import SCALED

_FOUND = 1.96 + 1.28  # standard errors: a difference of so many is found nine times in ten
_MOST_SEEDS = 10
_MOST_DOUBLINGS = 3


class Settle:
    """Proposals of further runs.

    Args:
        rows: The rows that may carry a fit, as ``selected`` returns them.
        noise: Of one training.
        now: What is done now.
    """

    def __init__(self, rows: pd.DataFrame, noise: Noise, now: Plan):
        self._rows, self._noise, self._now = rows, noise, now
        self._seeds = sorted(int(seed) for seed in rows["seed"].unique())

    def seeds_for(self, gap: float) -> int:
        """How many seeds of each shape find a difference of NE nine times in ten; three where the noise is unknown."""
        if not self._noise.degrees or gap == 0:
            return 3 if gap else _MOST_SEEDS + 1
        return max(math.ceil(2 * (_FOUND * self._noise.sd / abs(gap)) ** 2), 2)

    def between(self, first: Plan, others: Sequence[Plan]) -> dict[str, Any]:
        """Runs that would tell one plan from others: more seeds, or further data sizes where a law was extrapolated.

        Args:
            first: The plan of lowest expected NE.
            others: One or more; the first two are looked at.

        Returns:
            runs (a clause) and set (values of ``--set``, none where no number of runs is worth it).
        """
        plans = [first, *others[:2]]
        if any(DATA in plan.levers for plan in plans):
            return self._further_sizes(plans)
        needed = max(self.seeds_for(other.ne - first.ne) for other in others[:2])
        names = listed(self._names(plans))
        if needed > _MOST_SEEDS:
            return {
                "runs": (
                    f"no runs that are worth it: {names} differ by so little that more than {_MOST_SEEDS} seeds of "
                    "each would be needed; take the cheapest of them"
                ),
                "set": [],
            }
        seeds = self._with_more(max(needed, len(self._seeds) + 1))
        further = [str(seed) for seed in seeds if seed not in self._seeds]
        return {
            "runs": (
                f"seed{'s' * (len(further) > 1)} {listed(further)} of {names} at {self._now.examples:,} examples, "
                "beside those there are"
            ),
            "set": [*self._shapes(plans), _of("seeds", seeds), *self._rates(plans)],
        }

    def larger(self, plan: Plan) -> dict[str, Any]:
        """The multiplier beyond the largest measured one."""
        beyond = multiplier_label(plan.multiplier * 4)
        label = multiplier_label(plan.multiplier)
        others = [_of(scheme, []) for scheme in self._schemes() if scheme != plan.scheme]
        values = [f"sweep.{plan.scheme}=[{label}, {beyond}]", *others]
        return {"runs": f"{plan.scheme} at {beyond}×", "set": [*values, *self._rates([plan])]}

    def _further_sizes(self, plans: Sequence[Plan]) -> dict[str, Any]:
        ladder = sorted(int(size) for size in self._rows.loc[self._rows["scheme"] == "D", "examples"].unique())
        wanted = max(plan.examples for plan in plans) / ladder[-1]
        doublings = min(max(math.ceil(math.log2(wanted) - 1e-9), 1), _MOST_DOUBLINGS)
        further = [ladder[-1] * 2**step for step in range(1, doublings + 1)]
        names = listed(self._names(plans))
        return {
            "runs": f"{names} at {listed(f'{size:,}' for size in further)} examples, if the log has as many rows",
            "set": [*self._shapes(plans), _of("examples", [*ladder, *further]), *self._rates(plans)],
        }

    def _names(self, plans: Iterable[Plan]) -> list[str]:
        """The shapes of plans, and the baseline, each once."""
        names = [shape_words(plan) for plan in plans if plan.scheme != "D" or plan.levers - {DATA}]
        return [*dict.fromkeys(names), "the baseline"]

    def _shapes(self, plans: Sequence[Plan]) -> list[str]:
        """The sweep of these shapes alone; the baseline is always in it."""
        values: dict[str, list[str]] = {scheme: [] for scheme in self._schemes()}
        for plan in plans:
            if plan.scheme in values:
                label = multiplier_label(_power_of_two(plan))
                values[plan.scheme] += [label] * (label not in values[plan.scheme])
        sweep = [_of(scheme, labels) for scheme, labels in values.items()]
        if self._rows["architecture"].nunique() > 1:  # the config's own is always in it
            sweep.append(_of("A", sorted({plan.architecture for plan in plans if ARCHITECTURE in plan.levers})))
        return sweep

    def _schemes(self) -> list[str]:
        """The schemes that the study sweeps, and a config names with a list of multipliers."""
        present = set(self._rows["scheme"])
        return [scheme for scheme in SCALED if scheme in present]

    def _with_more(self, number: int) -> list[int]:
        seeds = list(self._seeds)
        while len(seeds) < number:
            seeds.append(max(seeds) + 1)
        return seeds

    def _rates(self, plans: Sequence[Plan]) -> list[str]:
        """The learning rates selected for these shapes, where a sweep of fewer rates will do."""
        wanted = {(plan.architecture, plan.scheme, plan.multiplier) for plan in (*plans, self._now)}
        keys = self._rows[["architecture", "scheme", "multiplier"]].itertuples(index=False, name=None)
        rates = sorted(self._rows["learning_rate"][[key in wanted for key in keys]].unique())
        return [f"training.learning_rates=[{', '.join(f'{rate:g}' for rate in rates)}]"]


def _of(name: str, values: Iterable[object]) -> str:
    return f"sweep.{name}=[{', '.join(str(value) for value in values)}]"


def _power_of_two(plan: Plan) -> float:
    """The multiplier to measure: the plan's own, or near one that a law asked for."""
    if plan.how in ("measured", "law of data"):
        return plan.multiplier
    return 2.0 ** round(math.log2(plan.multiplier))
