"""Which runs would settle a question that a study leaves open, as overrides of a configuration."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from tfrs_scaling.common.words import listed
from tfrs_scaling.fit.advice.use import ARCHITECTURE, DATA, Use
from tfrs_scaling.fit.advice.words import rows_words, shape_words
from tfrs_scaling.fit.analyses.noise.training_noise import TrainingNoise
from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.runs.screening import SHAPE
from tfrs_scaling.fit.schemes import ARCHITECTURE as DENSE_PART
from tfrs_scaling.fit.schemes import BASELINE, KEEPING, LISTED, SCHEMES

_FOUND = 1.96 + 1.28  # standard errors: a difference of so many is found nine times in ten
_MOST_SEEDS = 10
_MOST_DOUBLINGS = 3
_MARGIN = 1.01  # on synthetic rows: how many of them are trained on is drawn by chance
_WORTH = 1.25  # times the data: fewer more say nothing new
_RATE_STEP = 2.0  # between learning rates, where the study tried one


@dataclass(frozen=True)
class Place:
    """Where a study came from, for the runs that are proposed.

    Attributes:
        config: Path of its configuration, as a shell takes it.
        workdir: Folder for further runs, as a shell takes it.
        data: Folder of its data, as a shell takes it; empty where the configuration makes them.
        training_rows: How many rows there are to train on; None where that is not known.
        finds_rates: Whether its configuration leaves the learning rates to be found.
        made_rows: How many rows, of all splits, its configuration makes (``synthetic.rows``); None where it makes none.
        own_rows_from: The multiplier of V from which every id has a row of its own; None where that is not known.
    """

    config: str = "CONFIG"
    workdir: str = "ANOTHER"
    data: str = ""
    training_rows: int | None = None
    finds_rates: bool = False
    own_rows_from: float | None = None
    made_rows: int | None = None


@dataclass(frozen=True)
class Settle:
    """The runs that would settle a question.

    Attributes:
        runs: A sentence that names the runs, or says that none is worthwhile.
        overrides: Configuration overrides for ``--set`` and ``read_config``, such as ``sweep.V=[4]``; empty where
            there is nothing to run.
        place: Where the study came from.
    """

    runs: str
    overrides: tuple[str, ...] = ()
    place: Place = Place()

    @property
    def command(self) -> tuple[str, ...]:
        """The parts of the command that starts the runs, which a line break may separate."""
        values = (f"--set '{override}'" for override in self.overrides)
        data = f" --data {self.place.data}" if self.place.data else ""
        return (f"tfrs-scaling study {self.place.config}{data} --workdir {self.place.workdir}", *values)


class Settler:
    """Proposes further runs.

    Args:
        rows: The rows that may carry a fit, as ``usable_runs`` returns them.
        noise: Noise of one training.
        baseline: The baseline at its largest data size.
        learning_rates: All that the study tried.
        place: Where the study came from; None where that is not known.
        rows_used: The most rows of the log that a training took; by default those of the largest data size.
    """

    def __init__(
        self,
        rows: pd.DataFrame,
        noise: TrainingNoise,
        baseline: Use,
        *,
        learning_rates: Iterable[float] = (),
        place: Place | None = None,
        rows_used: float | None = None,
    ):
        self._rows, self._noise, self._baseline, self._place = rows, noise, baseline, place or Place()
        self._rows_used = float(rows["examples"].max()) if rows_used is None else rows_used
        known = (float(rate) for rate in (*learning_rates, *rows["learning_rate"]) if not math.isnan(rate))
        self._tried = sorted(set(known))
        self._seeds = sorted(int(seed) for seed in rows["seed"].unique())

    def seeds_needed(self, gap: float) -> int:
        """Seeds of each shape that find a difference of NE nine times in ten; three where the noise is unknown.

        Both shapes are trained with the same seeds, so what these have in common cancels.
        """
        if not self._noise.is_known or gap == 0:
            return 3 if gap else _MOST_SEEDS + 1
        return max(math.ceil((_FOUND * self._noise.error(self._baseline.examples, 1, 1) / abs(gap)) ** 2), 2)

    @property
    def training_rows(self) -> int | None:
        """How many rows there are to train on; None where that is not known."""
        return self._place.training_rows

    @property
    def least_rows(self) -> float | None:
        """How many rows the log is known to have, where it may have more; None where their number is known."""
        return self._rows_used if self.training_rows is None else None

    def has_rows_for(self, use: Use) -> bool:
        """Whether there are as many rows as a use needs; where their number is unknown, whether the study used them."""
        return self.can_be_trained(use) and not rows_words(use, self.least_rows)

    def can_be_trained(self, use: Use) -> bool:
        """Whether there are as many rows as a use needs, as far as is known."""
        return self.training_rows is None or use.cost["data"] <= self.training_rows

    def distinguish(self, first: Use, others: Sequence[Use]) -> Settle:
        """More seeds, or larger data sizes where a law was extrapolated, to distinguish a use from others.

        Args:
            first: The use of lowest expected NE.
            others: One or more other uses; only the first two are considered.
        """
        uses = [first, *others[:2]]
        if any(DATA in use.levers for use in uses):
            return self._larger_data(uses)
        needed, common = max(self.seeds_needed(other.ne - first.ne) for other in others[:2]), self._common_seeds(uses)
        names = listed(self._names(uses))
        if needed > _MOST_SEEDS:
            return Settle(
                f"No affordable runs would settle it: {names} differ by so little that more than {_MOST_SEEDS} seeds "
                f"of each would be needed; take the cheapest, {self._cheapest(uses)}."
            )
        seeds = self._seeds_up_to(max(needed, len(common) + 1), common)
        further = [str(seed) for seed in seeds if seed not in common]
        return Settle(
            f"More seeds would settle it: seed{'s' * (len(further) > 1)} {listed(further)} of {names} at "
            f"{self._baseline.examples:,} examples, in addition to those measured.",
            (*self._shapes(uses), _override("seeds", seeds), *self._learning_rates(uses)),
            self._place,
        )

    def larger_multiplier(self, use: Use) -> Settle:
        """The multiplier beyond the largest measured one."""
        label, beyond = (multiplier_label(use.multiplier * factor) for factor in (1, 4))
        others = [_override(scheme, []) for scheme in self._schemes() if scheme != use.scheme]
        return Settle(
            f"A larger multiplier would settle it: {use.scheme} at {beyond}×.",
            (
                _override(use.scheme, [label, beyond]),
                *others,
                *self._without_others(),
                *self._learning_rates([use]),
            ),
            self._place,
        )

    def _larger_data(self, uses: Sequence[Use]) -> Settle:
        ladder = sorted(int(size) for size in self._rows.loc[self._rows["scheme"] == BASELINE, "examples"].unique())
        wanted = max(use.examples for use in uses) / ladder[-1]
        doublings = min(max(math.ceil(math.log2(wanted) - 1e-9), 1), _MOST_DOUBLINGS)
        further = [ladder[-1] * 2**step for step in range(1, doublings + 1)]
        rows, names = self._place.training_rows, self._names(uses)
        there = [size for size in further if rows is None or size <= rows]
        if rows is not None and not there and rows >= _WORTH * ladder[-1]:
            there = [rows]
        made, more = self._place.made_rows, ""
        if made is not None and rows and further[-1] > rows:
            there, more = further, f"synthetic.rows={math.ceil(made * further[-1] / rows * _MARGIN)}"
        if not there:
            return Settle(
                f"More data would settle it, but there are no more: {listed(names)} "
                f"{'need' if len(names) > 1 else 'needs'} {further[0]:,} examples and there are {rows:,} rows to train "
                "on. Collect more rows first."
            )
        limit = "" if rows is None else f", of the {rows:,} rows there are"
        if self.least_rows is not None and there[-1] > self.least_rows:
            limit = f", if the log has {there[-1]:,} rows for training"
        limit = ", of more rows, which the study makes itself" if more else limit
        return Settle(
            f"More data would settle it: {listed(names)} at {listed(f'{size:,}' for size in there)} examples{limit}.",
            (
                *([more] if more else []),
                *self._shapes(uses),
                _override("examples", [*ladder, *there]),
                *self._learning_rates(uses),
            ),
            self._place,
        )

    def _names(self, uses: Iterable[Use]) -> list[str]:
        """The shapes of uses, each once."""
        return list(dict.fromkeys(shape_words(use) for use in uses))

    def _cheapest(self, uses: Iterable[Use]) -> str:
        return shape_words(min(uses, key=lambda use: use.expense(self._baseline)))

    def _shapes(self, uses: Sequence[Use]) -> list[str]:
        """The sweep of these shapes alone; the baseline is always in it."""
        values: dict[str, list[str]] = {scheme: [] for scheme in self._schemes()}
        crossed = [use for use in uses if use.scheme == "VH"]
        parts = [(use.scheme, _multiplier_to_measure(use)) for use in uses if use.scheme in values]
        parts += [("V", use.multiplier) for use in crossed]
        parts += [("H", use.embedding_dim / self._baseline.embedding_dim) for use in crossed]
        for scheme, multiplier in parts:
            label = multiplier_label(multiplier)
            values[scheme] += [label] * (label not in values[scheme])
        sweep = [_override(scheme, labels) for scheme, labels in values.items()]
        # The config's own is always in it.
        if self._rows["architecture"].nunique() > 1 or (self._rows["scheme"] == DENSE_PART).any():
            sweep.append(_override("A", sorted({use.architecture for use in uses if ARCHITECTURE in use.levers})))
        kept: dict[str, list[str]] = {}  # shares, by way
        for use in uses:
            if use.scheme in KEEPING:
                kept.setdefault(str(SCHEMES[use.scheme].keeps), []).append(multiplier_label(use.multiplier))
        if kept:
            ways = (f"{way}: [{', '.join(dict.fromkeys(shares))}]" for way, shares in kept.items())
            sweep.append(f"sweep.P={{{', '.join(ways)}}}")
        return [*sweep, *self._without_others(is_crossed=bool(crossed), is_pruned=bool(kept))]

    def _without_others(self, *, is_crossed: bool = False, is_pruned: bool = False) -> list[str]:
        """Without what else the study's configuration asks for, which may not go with fewer multipliers."""
        uneven = self._rows.groupby(SHAPE)["seed"].nunique().nunique() > 1
        crosses = "VH" in set(self._rows["scheme"]) and not is_crossed
        prunes = not is_pruned and bool({*KEEPING} & {*self._rows["scheme"]})
        return ["sweep.VH=false"] * crosses + ["sweep.P={}"] * prunes + ["sweep.more_seeds={}"] * uneven

    def _schemes(self) -> list[str]:
        """The schemes that the study sweeps, and a configuration names with a list of multipliers."""
        present = set(self._rows["scheme"])
        return [scheme for scheme in LISTED if scheme in present]

    def _common_seeds(self, uses: Iterable[Use]) -> list[int]:
        """The seeds with which the baseline and all measured shapes of uses were trained."""
        shapes = [use for use in (*uses, self._baseline) if use.has_measured_shape]
        trained = self._rows.groupby(SHAPE)["seed"].unique()
        return sorted(set.intersection(*({int(s) for s in trained[_key(use)]} for use in shapes)))

    def _seeds_up_to(self, number: int, common: Sequence[int]) -> list[int]:
        """The seeds that shapes have in common and further ones, so many in all; first those that other shapes have."""
        others = [seed for seed in self._seeds if seed not in common]
        further = [*others, *range(self._seeds[-1] + 1, self._seeds[-1] + 1 + number)]
        return [*common, *further[: max(number - len(common), 0)]]

    def _learning_rates(self, uses: Sequence[Use]) -> tuple[str, ...]:
        """The learning rates selected for these shapes, and their neighbours, so that the best has one on each side;
        nothing where rates are found, or not recorded."""
        if self._place.finds_rates:
            return ()
        wanted = {(use.architecture, use.scheme, use.multiplier) for use in (*uses, self._baseline)}
        keys = self._rows[["architecture", "scheme", "multiplier"]].itertuples(index=False, name=None)
        chosen = self._rows["learning_rate"][[key in wanted for key in keys]].dropna()
        if chosen.empty:
            return ()
        step = self._tried[-1] / self._tried[-2] if len(self._tried) > 1 else _RATE_STEP
        around = [self._tried[0] / step, *self._tried, self._tried[-1] * step]
        low, high = (around.index(float(rate)) for rate in (chosen.min(), chosen.max()))
        return (f"training.learning_rates=[{', '.join(f'{rate:.4g}' for rate in around[low - 1 : high + 2])}]",)


def _key(use: Use) -> tuple[str, str, float, int]:
    """A measured shape, as SHAPE names it."""
    return use.architecture, use.scheme, use.multiplier, use.embedding_dim


def _override(name: str, values: Iterable[object]) -> str:
    return f"sweep.{name}=[{', '.join(str(value) for value in values)}]"


def _multiplier_to_measure(use: Use) -> float:
    """The use's own multiplier, or the power of two nearest to one that a law asked for."""
    return use.multiplier if use.has_measured_shape else 2.0 ** round(math.log2(use.multiplier))
