"""What a budget could be spent on: uses, each with its cost, its expected NE and what is uncertain about it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tfrs_scaling.fit.advice.budget import Budget
from tfrs_scaling.fit.analyses.held_out import one_sided
from tfrs_scaling.fit.analyses.joint import measured_cost
from tfrs_scaling.fit.analyses.noise import Noise, base_architecture, training_noise
from tfrs_scaling.fit.extrapolation.choose import choose_law
from tfrs_scaling.fit.joint.allocation import MeasuredCost
from tfrs_scaling.fit.joint.law import JointFit
from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.laws.resampled_laws import law_draws, losses_at
from tfrs_scaling.fit.schemes import SCHEMES, SIZES
from tfrs_scaling.fit.screening import SHAPE
from tfrs_scaling.fit.study import find_line, points

Array = NDArray[np.float64]
How = Literal["measured", "law of data", "law of parameters", "joint law"]

DRAWS = 2000
DATA, ARCHITECTURE = "data", "architecture"  # levers that are no schemes; E is epochs

_FARTHEST = 16.0  # times the largest x, which a sound law is followed to at most
_UNSURE = 2.0  # times the largest x, for a law whose floor is not identified
_WORTH = 1.25  # times the data or the multiplier: less growth is no use of its own
_PROMISING = 3  # uses of one lever that are looked at closely


@dataclass(frozen=True)
class Use:
    """One way to train.

    Attributes:
        architecture: Of the model.
        scheme: Whose multiplier it is; D for the baseline's shape.
        multiplier: Of that scheme.
        embedding_dim: Of the model.
        examples: Different training rows.
        epochs: Passes over them.
        levers: What it changes: schemes, ``data`` or ``architecture``; empty for what is done now.
        cost: compute (FLOPs), data (rows, those that N leaves out included), params, hours.
        ne: Expected test NE.
        how: Where that is from.
        draws: NE drawn at random, shape (DRAWS,); of two uses, one draw goes with the same draw of the other. NaN
            where the noise is not known.
        affordable: The examples that the budget would pay for, where the law does not reach as far; else 0.
    """

    architecture: str
    scheme: str
    multiplier: float
    embedding_dim: int
    examples: int
    epochs: int
    levers: frozenset[str]
    cost: Mapping[str, float]
    ne: float
    how: How
    draws: Array = field(repr=False, compare=False)
    affordable: float = 0.0

    @property
    def has_measured_shape(self) -> bool:
        """Whether a model of just this shape was trained, if on fewer examples."""
        return self.how in ("measured", "law of data")


@dataclass(frozen=True)
class _Shape:
    """A measured shape: its rows at the present data size, averaged over seeds."""

    architecture: str
    scheme: str
    multiplier: float
    embedding_dim: int
    epochs: int
    levers: frozenset[str]
    parameters: int
    outside: int  # of the embedding tables
    flops: float
    rate: float  # examples per second
    raw: float  # rows of the log per row trained on
    ne: float
    draws: Array = field(repr=False, compare=False)

    def cost(self, examples: float) -> dict[str, float]:
        """By resource."""
        return {
            "compute": self.flops * examples * self.epochs,
            "data": examples * self.raw,
            "params": float(self.parameters),
            "hours": examples * self.epochs / self.rate / 3600,
        }

    def use(self, examples: int, ne: float, how: How, draws: Array, levers: frozenset[str], **more: Any) -> Use:
        """This shape trained on some examples."""
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
            **more,
        )


class Uses:
    """Every use that a budget allows, from a study's rows and fits.

    Args:
        chosen: The rows that may carry a fit, as ``selected`` returns them; there is a baseline among them.
        fits: What ``fit_study`` returned.
        budget: What may be spent.
        seed: Of the draws.

    Raises:
        InputError: the budget is below what is used now.
    """

    def __init__(self, chosen: pd.DataFrame, fits: Mapping[str, Any], budget: Budget, *, seed: int = 0):
        self._chosen, self._fits, self._budget = chosen, fits, budget
        self.noise: Noise = training_noise(chosen)
        self._rng = np.random.default_rng(seed)
        baselines = chosen[chosen["scheme"] == "D"]
        self.architecture = base_architecture(chosen[chosen["architecture"].isin(baselines["architecture"])])
        self.examples = int(baselines.loc[baselines["architecture"] == self.architecture, "examples"].max())
        degrees = max(self.noise.degrees, 1.0)
        self._factor = np.sqrt(degrees / self._rng.chisquare(degrees, DRAWS)) * self.noise.sd
        shapes = list(self._shapes())
        self._shape = next(shape for shape in shapes if not shape.levers)
        self._others = [shape for shape in shapes if shape.levers]
        baseline = self._shape
        self.baseline = baseline.use(self.examples, baseline.ne, "measured", baseline.draws, frozenset())
        self.allowed = budget.allowed(self.baseline.cost)

    def _shapes(self) -> Iterator[_Shape]:
        there = self._chosen[self._chosen["examples"] == self.examples]
        there = there[(there["architecture"] == self.architecture) | (there["scheme"] == "D")]
        for _, rows in there.groupby(SHAPE, sort=True):
            first = rows.iloc[0]
            scheme, multiplier = str(first["scheme"]), float(first["multiplier"])
            levers = frozenset() if scheme == "D" else frozenset(scheme)
            if first["architecture"] != self.architecture:
                levers = frozenset([ARCHITECTURE])
            share = 1.0
            if scheme == "N":  # of the rows of the log, those that the sampling keeps
                share = float(first["base_ctr"] + (1 - first["base_ctr"]) * multiplier)
            ne = float(rows["test_ne"].mean())
            yield _Shape(
                architecture=str(first["architecture"]),
                scheme=scheme,
                multiplier=multiplier,
                embedding_dim=int(first["embedding_dim"]),
                epochs=int(first["epochs"]),
                levers=levers,
                parameters=int(first["params_total"]),
                outside=int(first["params_total"] - first["params_embedding"]),
                flops=float(first["flops_train"]),
                rate=float(rows["examples_per_second"].median()),
                raw=1 / share,
                ne=ne,
                draws=ne + self._rng.standard_normal(DRAWS) * self._factor / math.sqrt(len(rows)),
            )

    def all(self) -> list[Use]:
        """The uses within the budget, what is done now not among them."""
        found = [*self._measured()]
        if self._budget.grows_data:
            found += [*self._more_data(), *self._joint()]
        return [*found, *self._larger()]

    def _affords(self, cost: Mapping[str, float]) -> bool:
        return all(cost[name] <= limit * (1 + 1e-9) for name, limit in self.allowed.items()) and (
            self._budget.grows_data or cost["data"] <= self.baseline.cost["data"] * (1 + 1e-9)
        )

    def _measured(self) -> Iterator[Use]:
        """Shapes that cost at least as much as the baseline's, at the present data size."""
        for shape in self._others:
            cost = shape.cost(self.examples)
            grows = all(cost[name] >= self.baseline.cost[name] * (1 - 1e-9) for name in ("compute", "params"))
            if shape.scheme != "F" and (grows or shape.levers == {ARCHITECTURE}) and self._affords(cost):
                yield shape.use(self.examples, shape.ne, "measured", shape.draws, shape.levers)

    def _more_data(self) -> Iterator[Use]:
        """Every shape, smaller ones too, on as many examples as the budget pays for and its law reaches."""
        rough: dict[frozenset[str], list[tuple[float, _Shape, PowerLawFit, float, float]]] = {}
        for shape in (self._shape, *self._others):
            line = find_line(
                self._fits,
                scheme=shape.scheme,
                x="data",
                line=multiplier_label(shape.multiplier),
                architecture=shape.architecture,
            )
            reach = _reach(line[1]) if line is not None and shape.scheme != "F" else 1.0
            one = shape.cost(1.0)
            if line is None or one["params"] > self.allowed["params"]:
                continue
            paid = min(self.allowed[name] / one[name] for name in ("compute", "data", "hours"))
            examples = min(paid, reach * max(line[1].x))
            if examples >= _WORTH * self.examples:
                change = float(line[1].predict(examples) - line[1].predict(self.examples))
                levers = shape.levers | {DATA}
                rough.setdefault(levers, []).append((shape.ne + change, shape, line[1], examples, paid))
        for levers, few in rough.items():
            for _, shape, fit, examples, paid in sorted(few, key=lambda of: of[0])[:_PROMISING]:
                use = self._grown(shape, fit, examples, paid, levers)
                if use is not None:
                    yield use

    def _grown(
        self, shape: _Shape, fit: PowerLawFit, examples: float, paid: float, levers: frozenset[str]
    ) -> Use | None:
        rows = self._chosen[
            (self._chosen[SHAPE] == [shape.architecture, shape.scheme, shape.multiplier, shape.embedding_dim]).all(
                axis=1
            )
        ]
        second = choose_law(rows["examples"], rows["test_ne"])
        if not second.extrapolates:
            examples = min(examples, _UNSURE * max(fit.x))
        if examples < _WORTH * self.examples:
            return None
        change = float(fit.predict(examples) - fit.predict(self.examples))
        laws = law_draws(fit, seed=int(self._rng.integers(2**31)))
        changes = losses_at(laws, fit, examples) - losses_at(laws, fit, self.examples)
        changes = changes[self._rng.integers(len(changes), size=DRAWS)]
        # Errors of the model, which no resample of the points shows: two laws that fit alike and promise differently, a
        # study whose laws all erred to one side, and a misfit too small to be seen in the noise.
        other = float(second.predict(examples) - second.predict(self.examples))
        overshoot = self.overshoot * math.log2(examples / self.examples) * shape.ne
        model = math.hypot(other - change, overshoot, self.noise.sd)
        draws = shape.draws + changes + model * self._rng.standard_normal(DRAWS)
        beyond = paid if examples < 0.99 * paid else 0.0
        return shape.use(round(examples), shape.ne + change, "law of data", draws, levers, affordable=beyond)

    def is_largest(self, use: Use) -> bool:
        """Whether a use's multiplier is the largest measured of a scheme, and the budget pays for more."""
        if use.scheme not in SIZES or not use.has_measured_shape:
            return False
        own = self._of(use.scheme)
        if use.multiplier < own[-1].multiplier or len(own) < 2:
            return False
        return self._affords(_Interpolated(own, use.scheme).cost(2 * use.multiplier, use.examples))

    @cached_property
    def overshoot(self) -> float:
        """What a doubling of extrapolation is off by, as a share of NE, where all held-out lines erred alike."""
        errors = np.array([of["relative_error"] for of in self._fits["held_out"]], dtype=np.float64)
        return float(np.median(np.abs(errors))) if one_sided(errors) else 0.0

    def _larger(self) -> Iterator[Use]:
        """Shapes beyond the largest affordable one, at the present data size, by a sound law of parameters."""
        for scheme in SIZES:
            line = find_line(
                self._fits, scheme=scheme, x="parameters", line=str(self.examples), architecture=self.architecture
            )
            if line is None or line[1].status != "ok":
                continue
            yield from self._beyond(scheme, self._of(scheme), line[1])

    def _of(self, scheme: str) -> list[_Shape]:
        """The baseline and the shapes of one scheme, by multiplier."""
        own = [self._shape, *(shape for shape in self._others if shape.levers == {scheme})]
        return sorted(own, key=lambda shape: shape.multiplier)

    def _beyond(self, scheme: str, own: list[_Shape], fit: PowerLawFit) -> Iterator[Use]:
        within = [shape for shape in own if self._affords(shape.cost(self.examples)) and shape.multiplier >= 1]
        if len(own) < 2 or not within:
            return
        reference = within[-1]
        of = _Interpolated(own, scheme)
        multipliers = np.geomspace(reference.multiplier, _FARTHEST * own[-1].multiplier, 400)
        sizes = of.axis(multipliers)
        reach = sizes <= _reach(fit) * max(fit.x)
        paid = np.array([self._affords(of.cost(float(m), self.examples)) for m in multipliers])
        possible = multipliers[reach & paid]
        if possible.size == 0 or possible[-1] < _WORTH * reference.multiplier:
            return
        largest = float(possible[-1])
        places = float(of.axis(np.array(largest))), float(of.axis(np.array(reference.multiplier)))
        change = float(fit.predict(places[0]) - fit.predict(places[1]))
        laws = law_draws(fit, seed=int(self._rng.integers(2**31)))
        changes = losses_at(laws, fit, places[0]) - losses_at(laws, fit, places[1])
        yield Use(
            architecture=self.architecture,
            scheme=scheme,
            multiplier=largest,
            embedding_dim=round(reference.embedding_dim * (largest / reference.multiplier if scheme == "H" else 1)),
            examples=self.examples,
            epochs=1,
            levers=frozenset([scheme]),
            cost=of.cost(largest, self.examples),
            ne=reference.ne + change,
            how="law of parameters",
            draws=reference.draws + changes[self._rng.integers(len(changes), size=DRAWS)],
        )

    def _joint(self) -> Iterator[Use]:
        """The compute-optimal split of each scheme's joint law, where it asks for no model beyond the measured."""
        if not math.isfinite(self.allowed["compute"]):
            return
        for record in self._fits["joint"]:
            scheme = record["scheme"]
            if record["architecture"] != self.architecture or scheme == "V" or record["fit"]["status"] != "ok":
                continue
            rows = points(self._chosen, self.architecture, scheme)
            cost = measured_cost(rows)
            own = self._of(scheme)
            if cost is None or len(own) < 2:
                continue
            use = self._split(scheme, JointFit.from_dict(record["fit"]), cost, own)
            if use is not None:
                yield use

    def _split(self, scheme: str, fit: JointFit, cost: MeasuredCost, own: list[_Shape]) -> Use | None:
        try:
            split = fit.compute_optimal(self.allowed["compute"], cost_per_example=cost)
        except ValueError:  # larger and larger models, without end
            return None
        of = _Interpolated(own, scheme)
        multipliers = np.geomspace(own[0].multiplier, own[-1].multiplier, 400)
        multiplier = float(multipliers[int(np.argmin(np.abs(np.log(of.axis(multipliers) / split.n))))])
        reach = min(math.sqrt(max(fit.d) / min(fit.d)), _FARTHEST) * max(fit.d)
        inside = min(fit.n) <= split.n <= max(fit.n) and self.examples <= split.d <= reach
        costs = of.cost(multiplier, split.d)
        if not inside or not self._affords(costs | {"compute": self.allowed["compute"]}):
            return None
        baseline = float(of.axis(np.array(1.0)))
        change = float(fit.predict(split.n, split.d) - fit.predict(baseline, self.examples))
        low, high = (float(end) for end in fit.predict_interval(split.n, split.d))
        spread = (high - low) / 2 / 1.96
        levers = {scheme, DATA} if not 1 / _WORTH < multiplier < _WORTH else {DATA}
        return Use(
            architecture=self.architecture,
            scheme=scheme,
            multiplier=multiplier,
            embedding_dim=round(self._shape.embedding_dim * (multiplier if scheme == "H" else 1)),
            examples=round(split.d),
            epochs=1,
            levers=frozenset(levers),
            cost=costs,
            ne=self.baseline.ne + change,
            how="joint law",
            draws=self.baseline.draws + change + spread * self._rng.standard_normal(DRAWS),
        )


class _Interpolated:
    """Sizes and costs between the measured multipliers of one scheme, and on beyond them: powers of the multiplier."""

    def __init__(self, own: list[_Shape], scheme: str):
        multipliers = tuple(shape.multiplier for shape in own)
        axis = tuple(float(shape.outside if SCHEMES[scheme].outside_tables else shape.parameters) for shape in own)
        self.axis = MeasuredCost(multipliers, axis)
        self._parameters = MeasuredCost(multipliers, tuple(float(shape.parameters) for shape in own))
        self._flops = MeasuredCost(multipliers, tuple(shape.flops for shape in own))
        self._rate = MeasuredCost(multipliers, tuple(shape.rate for shape in own))

    def cost(self, multiplier: float, examples: float) -> dict[str, float]:
        """By resource, of one pass over some examples."""
        return {
            "compute": float(self._flops(multiplier)) * examples,
            "data": examples,
            "params": float(self._parameters(multiplier)),
            "hours": examples / float(self._rate(multiplier)) / 3600,
        }


def _reach(fit: PowerLawFit) -> float:
    """How far beyond its largest x a law is followed, as a multiple of it; 1: not at all.

    A sound law (``ok``) as far as half the measured range is long on a logarithmic axis, at most 16 times; one
    whose floor is not identified one doubling.
    """
    if fit.status == "gamma_unidentified":
        return _UNSURE
    return min(math.sqrt(max(fit.x) / min(fit.x)), _FARTHEST) if fit.status == "ok" else 1.0
