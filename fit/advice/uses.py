"""What a budget could be spent on."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from tfrs_scaling.fit.advice.budget import Budget
from tfrs_scaling.fit.advice.projection import (
    FARTHEST,
    UNSURE,
    SchemeSizes,
    expected_change,
    joint_change,
    law_change,
    law_reach,
)
from tfrs_scaling.fit.advice.use import ARCHITECTURE, DATA, DRAWS, Levers, Shape, Use, measured_shapes
from tfrs_scaling.fit.analyses.held_out import one_sided
from tfrs_scaling.fit.analyses.joint import JointLaw, measured_cost
from tfrs_scaling.fit.analyses.ladders import resample_ladders
from tfrs_scaling.fit.analyses.lines import points
from tfrs_scaling.fit.analyses.noise import base_architecture, noise_of
from tfrs_scaling.fit.extrapolation.choose import choose_law
from tfrs_scaling.fit.joint.status import JointStatus
from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES, SIZES
from tfrs_scaling.fit.screening import SHAPE
from tfrs_scaling.fit.study import StudyFits

_WORTH = 1.25  # times the data or the multiplier: less growth is not worth a use of its own
_PROMISING = 3  # uses of one lever that are looked at closely
_STEPS = 400  # multipliers that are tried between two


@dataclass(frozen=True)
class _MoreData:
    """A shape on as many examples as the budget pays for and its law reaches.

    Attributes:
        shape: The shape.
        fit: Law of the shape's NE against data.
        examples: Number of examples.
        paid: Number of examples the budget would pay for.
        ne: Expected NE.
    """

    shape: Shape
    fit: PowerLawFit
    examples: float
    paid: float
    ne: float


class Uses:
    """Every use that a budget allows, from a study's rows and fits.

    Args:
        rows: The rows that may carry a fit, as ``usable_runs`` returns them; there is a baseline among them.
        study: Result of ``fit_study``.
        budget: What may be spent.
        seed: Seed of the draws.

    Attributes:
        baseline: The baseline at its largest data size.
        allowed: The largest amount of each resource.
        noise: Noise of one training.

    Raises:
        InputError: the budget is below what the baseline used.
    """

    def __init__(self, rows: pd.DataFrame, study: StudyFits, budget: Budget, *, seed: int = 0):
        self.study, self.budget, self._rows = study, budget, rows
        self._rng = np.random.default_rng(seed)
        baselines = rows[rows["scheme"] == BASELINE]
        self._architecture = base_architecture(rows[rows["architecture"].isin(baselines["architecture"])])
        self._examples = int(baselines.loc[baselines["architecture"] == self._architecture, "examples"].max())
        self.noise = noise_of(self._architecture, study.noise)
        ladders = {
            name: resample_ladders(rows, noise_of(name, study.noise)) for name in sorted(rows["architecture"].unique())
        }
        shapes = measured_shapes(rows, self._architecture, self._examples, ladders)
        self._shapes = [shape for shape in shapes if SCHEMES[shape.scheme].is_option]
        self.baseline = next(shape for shape in self._shapes if not shape.levers).measured(self._examples)
        self.allowed = budget.allowed(self.baseline.cost)

    def all(self) -> list[Use]:
        """The uses within the budget, without the baseline."""
        found = [*self._measured()]
        if self.budget.grows_data:
            found += [*self._more_data(), *self._optimal_splits()]
        return [*found, *self._larger()]

    def is_largest(self, use: Use) -> bool:
        """Whether a use's multiplier is the largest measured of a scheme, and the budget pays for more."""
        if use.scheme not in SIZES or not use.has_measured_shape:
            return False
        shapes = self._of_scheme(use.scheme)
        if use.multiplier < shapes[-1].multiplier or len(shapes) < 2:
            return False
        return self._affords(SchemeSizes(shapes, use.scheme).cost(2 * use.multiplier, use.examples))

    @cached_property
    def overshoot(self) -> float:
        """The error of a doubling of extrapolation, as a share of NE, where all held-out lines erred alike; else 0."""
        errors = np.array([record.relative_error for record in self.study.held_out], dtype=np.float64)
        return float(np.median(np.abs(errors))) if one_sided(errors) else 0.0

    def _affords(self, cost: Mapping[str, float]) -> bool:
        return all(cost[name] <= limit * (1 + 1e-9) for name, limit in self.allowed.items()) and (
            self.budget.grows_data or cost["data"] <= self.baseline.cost["data"] * (1 + 1e-9)
        )

    def _of_scheme(self, scheme: str) -> list[Shape]:
        """The baseline and the shapes of one scheme, by multiplier."""
        own = [shape for shape in self._shapes if shape.levers <= {scheme}]
        return sorted(own, key=lambda shape: shape.multiplier)

    def _measured(self) -> Iterator[Use]:
        """Shapes that cost at least as much as the baseline's, at its largest data size."""
        for shape in self._shapes:
            use = shape.measured(self._examples)
            grows = all(use.cost[name] >= self.baseline.cost[name] * (1 - 1e-9) for name in ("compute", "params"))
            if shape.levers and (grows or shape.levers == {ARCHITECTURE}) and self._affords(use.cost):
                yield use

    def _more_data(self) -> Iterator[Use]:
        """The most promising of all shapes, smaller ones too, on more data."""
        by_levers: dict[Levers, list[_MoreData]] = {}
        for shape in sorted(self._shapes, key=lambda shape: bool(shape.levers)):
            if grown := self._grown(shape):
                by_levers.setdefault(shape.levers, []).append(grown)
        for family in by_levers.values():
            for grown in sorted(family, key=lambda grown: grown.ne)[:_PROMISING]:
                if use := self._checked(grown):
                    yield use

    def _grown(self, shape: Shape) -> _MoreData | None:
        """A shape on as many examples as possible; None where these are hardly more than the baseline's."""
        line = self.study.find(
            scheme=shape.scheme,
            x="data",
            line=multiplier_label(shape.multiplier),
            architecture=shape.architecture,
        )
        one = shape.cost(1.0)
        if line is None or one["params"] > self.allowed["params"]:
            return None
        paid = min(self.allowed[name] / one[name] for name in ("compute", "data", "hours"))
        examples = min(paid, law_reach(line.fit) * max(line.fit.x))
        if examples < _WORTH * self._examples:
            return None
        ne = shape.ne + expected_change(line.fit, self._examples, examples)
        return _MoreData(shape, line.fit, examples, paid, ne)

    def _checked(self, grown: _MoreData) -> Use | None:
        """The same by the extrapolation's second opinion, with all that is uncertain; None where little is left."""
        shape, fit, examples = grown.shape, grown.fit, grown.examples
        key = [shape.architecture, shape.scheme, shape.multiplier, shape.embedding_dim]
        rows = self._rows[(self._rows[SHAPE] == key).all(axis=1)]
        second = choose_law(rows["examples"], rows["test_ne"])
        if not second.extrapolates:
            examples = min(examples, UNSURE * max(fit.x))
        if examples < _WORTH * self._examples:
            return None
        change = law_change(fit, self._examples, examples, self._rng)
        # Errors of the model, which no resample of the points shows: two laws that fit alike and promise differently, a
        # study whose laws all erred to one side, and a misfit too small to be seen in the noise.
        other = float(second.predict(examples) - second.predict(self._examples))
        overshoot = self.overshoot * math.log2(examples / self._examples) * shape.ne
        model_error = math.hypot(other - change.ne, overshoot, self.noise.error(examples, 1))
        return shape.use(
            round(examples),
            shape.ne + change.ne,
            shape.draws + change.draws + model_error * self._rng.standard_normal(DRAWS),
            "law of data",
            shape.levers | {DATA},
            affordable=grown.paid if examples < 0.99 * grown.paid else 0.0,
        )

    def _larger(self) -> Iterator[Use]:
        """Shapes beyond the largest affordable one, at the baseline's data size, by a sound law of parameters."""
        for scheme in SIZES:
            line = self.study.find(
                scheme=scheme, x="parameters", line=str(self._examples), architecture=self._architecture
            )
            shapes = self._of_scheme(scheme)
            if line is not None and line.fit.status.has_floor and len(shapes) >= 2:
                yield from self._beyond(scheme, shapes, line.fit)

    def _beyond(self, scheme: str, shapes: list[Shape], fit: PowerLawFit) -> Iterator[Use]:
        within = [shape for shape in shapes if self._affords(shape.cost(self._examples)) and shape.multiplier >= 1]
        if not within:
            return
        sizes, reference = SchemeSizes(shapes, scheme), within[-1]
        multipliers = np.geomspace(reference.multiplier, FARTHEST * shapes[-1].multiplier, _STEPS)
        paid = np.array([self._affords(sizes.cost(float(m), self._examples)) for m in multipliers])
        possible = multipliers[paid & (sizes.axis(multipliers) <= law_reach(fit) * max(fit.x))]
        if possible.size == 0 or possible[-1] < _WORTH * reference.multiplier:
            return
        largest = float(possible[-1])
        change = law_change(fit, sizes.position(reference.multiplier), sizes.position(largest), self._rng)
        yield Use(
            architecture=self._architecture,
            scheme=scheme,
            multiplier=largest,
            embedding_dim=sizes.embedding_dim(largest),
            examples=self._examples,
            epochs=1,
            levers=frozenset([scheme]),
            cost=sizes.cost(largest, self._examples),
            ne=reference.ne + change.ne,
            how="law of parameters",
            draws=reference.draws + change.draws,
        )

    def _optimal_splits(self) -> Iterator[Use]:
        """The compute-optimal split of each scheme's joint law, where it asks for no model beyond the measured."""
        if not math.isfinite(self.allowed["compute"]):
            return
        for law in self.study.joint:
            costs_compute = "compute" in SCHEMES[law.scheme].axes
            sound = law.architecture == self._architecture and law.fit.status is JointStatus.OK
            if costs_compute and sound and (use := self._optimal_split(law)):
                yield use

    def _optimal_split(self, law: JointLaw) -> Use | None:
        shapes = self._of_scheme(law.scheme)
        cost_per_example = measured_cost(points(self._rows, self._architecture, law.scheme))
        if cost_per_example is None or len(shapes) < 2:
            return None
        try:
            split = law.fit.compute_optimal(self.allowed["compute"], cost_per_example=cost_per_example)
        except ValueError:  # larger and larger models, without end
            return None
        sizes = SchemeSizes(shapes, law.scheme)
        multipliers = np.geomspace(shapes[0].multiplier, shapes[-1].multiplier, _STEPS)
        multiplier = float(multipliers[int(np.argmin(np.abs(np.log(sizes.axis(multipliers) / split.n))))])
        cost = sizes.cost(multiplier, split.d)
        if not self._affords(cost | {"compute": self.allowed["compute"]}):
            return None
        change = joint_change(law.fit, split, (sizes.position(1.0), self._examples), self._rng)
        if change is None:
            return None
        return Use(
            architecture=self._architecture,
            scheme=law.scheme,
            multiplier=multiplier,
            embedding_dim=sizes.embedding_dim(multiplier),
            examples=round(split.d),
            epochs=1,
            levers=frozenset([DATA] if 1 / _WORTH < multiplier < _WORTH else [law.scheme, DATA]),
            cost=cost,
            ne=self.baseline.ne + change.ne,
            how="joint law",
            draws=self.baseline.draws + change.draws,
        )
