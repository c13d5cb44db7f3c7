"""What a budget could be spent on."""

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

import numpy as np
import pandas as pd

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.advice.budget import Budget
from tfrs_scaling.fit.advice.projection import (
    FARTHEST,
    LawErrors,
    SchemeSizes,
    change_between,
    joint_change,
    law_change,
    law_errors,
    law_reach,
    no_more_than_last_step,
)
from tfrs_scaling.fit.advice.use import ARCHITECTURE, DATA, DRAWS, Shape, Use, measured_shapes
from tfrs_scaling.fit.analyses.held_out import one_sided
from tfrs_scaling.fit.analyses.joint import JointLaw, measured_cost
from tfrs_scaling.fit.analyses.lines import points
from tfrs_scaling.fit.joint.status import JointStatus
from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.laws.resampling import inflation
from tfrs_scaling.fit.runs.costs import UnevenSpeed
from tfrs_scaling.fit.schemes import BASELINE, SCHEMES, SIZES
from tfrs_scaling.fit.study import StudyFits

_WORTH = 1.25  # times the data or the multiplier: less growth is not worth a use of its own
_STEPS = 400  # multipliers that are tried between two


class Uses:
    """Every use that a budget allows, from a study's rows and fits.

    Args:
        rows: The rows that may carry a fit, as ``usable_runs`` returns them; there is a baseline among them.
        study: Result of ``fit_study``.
        budget: What may be spent.
        own_rows_from: As in ``Place``.
        uneven: As in ``measured_shapes``; then the budget names no hours.
        seed: Seed of the draws.

    Attributes:
        baseline: The baseline at its largest data size.
        allowed: The largest amount of each resource.
        noise: Noise of one training.
        same_data: The shapes measured on the baseline's data that take no less compute and have no fewer parameters,
            and the baselines of other architectures; within the budget or not.
        rows_used: The most rows of the log that a measured shape took, those that N and P left out and those that a
            teacher or scorer was trained on included.
        full: The multiplier of a scheme beyond which nothing can be gained: models have no more parameters, or, of V,
            no ids share a row any more. Larger ones are left out.

    Raises:
        InputError: the budget is below what the baseline used.
    """

    def __init__(
        self,
        rows: pd.DataFrame,
        study: StudyFits,
        budget: Budget,
        *,
        own_rows_from: float | None = None,
        uneven: UnevenSpeed | None = None,
        seed: int = 0,
    ):
        self.study, self.budget, self._rows = study, budget, rows
        self._rng = np.random.default_rng(seed)
        measured = measured_shapes(rows, study.noise, uneven=uneven)
        self._architecture, self._examples, self.noise = measured.architecture, measured.examples, measured.noise
        shapes = [shape for shape in measured.shapes if SCHEMES[shape.scheme].is_option]
        self.full = _full(shapes, own_rows_from)
        self._shapes = [shape for shape in shapes if shape.multiplier <= self.full.get(shape.scheme, math.inf)]
        self.baseline = measured.baseline
        taken = [shape.cost(self._examples)["data"] for shape in measured.shapes]
        self.rows_used = max([float(rows["examples"].max()), *taken])
        self.same_data = tuple(use for shape in measured.shapes if self._grows(use := shape.measured(self._examples)))
        self.allowed = budget.allowed(self.baseline.cost)

    def all(self) -> list[Use]:
        """The uses within the budget, without the baseline."""
        found = [use for use in self.same_data if self._is_option(use) and self._affords(use.cost)]
        if self.budget.grows_data:
            found += [*self._more_data(), *self._optimal_splits()]
        return [*found, *self._larger()]

    @property
    def baseline_law(self) -> PowerLawFit | None:
        """The baseline's law of data; None where there is none."""
        return self._law_of_data(self.baseline)

    @cached_property
    def scored(self) -> dict[str, tuple[Shape, bool]]:
        """Of each scheme whose rows a model scores, a shape, and whether the budget pays for one with that model."""
        shapes = [shape for shape in self._shapes if shape.scorer]
        affords = {shape.scheme for shape in shapes if self._affords(shape.cost(self._examples))}
        return {shape.scheme: (shape, shape.scheme in affords) for shape in shapes}

    def is_largest(self, use: Use) -> bool:
        """Whether a use's multiplier is the largest measured of a scheme, and the budget pays for more."""
        if use.scheme not in SIZES or not use.has_measured_shape:
            return False
        shapes = self._of_scheme(use.scheme)
        if use.scheme in self.full:
            return False
        if use.multiplier < shapes[-1].multiplier or len(shapes) < 2:
            return False
        return self._affords(SchemeSizes(shapes, use.scheme).cost(2 * use.multiplier, use.examples))

    @cached_property
    def _errors(self) -> LawErrors:
        return law_errors(self.study, self._architecture)

    @property
    def overshoot(self) -> float:
        """What held-out lines erred by, as a share of NE at the median, where nearly all erred alike; else 0."""
        errors = np.array([record.relative_error for record in self.study.held_out], dtype=np.float64)
        return float(np.median(np.abs(errors))) if one_sided(errors) else 0.0

    def _affords(self, cost: Mapping[str, float]) -> bool:
        limits = [(name, limit) for name, limit in self.allowed.items() if math.isfinite(limit)]
        return all(cost[name] <= limit * (1 + 1e-9) for name, limit in limits) and (
            self.budget.grows_data or cost["data"] <= self.baseline.cost["data"] * (1 + 1e-9)
        )

    def _law_of_data(self, shape: Shape | Use) -> PowerLawFit | None:
        line = self.study.find(
            scheme=shape.scheme,
            x="data",
            line=multiplier_label(shape.multiplier),
            architecture=shape.architecture,
        )
        return None if line is None else line.fit

    def _of_scheme(self, scheme: str) -> list[Shape]:
        """The baseline and the shapes of one scheme, by multiplier."""
        own = [shape for shape in self._shapes if shape.levers <= {scheme}]
        return sorted(own, key=lambda shape: shape.multiplier)

    def _grows(self, use: Use) -> bool:
        costs = all(use.cost[name] >= self.baseline.cost[name] * (1 - 1e-9) for name in ("compute", "params"))
        return bool(use.levers) and (costs or use.levers == {ARCHITECTURE})

    def _is_option(self, use: Use) -> bool:
        return SCHEMES[use.scheme].is_option and use.multiplier <= self.full.get(use.scheme, math.inf)

    def _more_data(self) -> Iterator[Use]:
        """All shapes on more data, as far as half the baseline's ladder is long; smaller ones only on more than it."""
        ladder = self._rows["examples"][self._rows["scheme"] == BASELINE]
        farthest = min(math.sqrt(ladder.max() / ladder.min()), FARTHEST) * self._examples
        shared = self._rng.standard_normal(DRAWS)
        wide = inflation(self._errors.degrees, self._rng, DRAWS)[:, 0]
        alone = 0
        for shape in sorted(self._shapes, key=lambda shape: bool(shape.levers)):
            own = self._rng.standard_normal(DRAWS)
            errors = wide * (math.sqrt(self._errors.shared) * shared + math.sqrt(1 - self._errors.shared) * own)
            use = self._grown(shape, farthest, errors)
            if use is None:
                continue
            alone = alone if shape.levers else max(alone, use.examples)
            if shape.measured(self._examples).expense(self.baseline) >= 1 - 1e-9 or use.examples > _WORTH * alone:
                yield use

    def _grown(self, shape: Shape, farthest: float, errors: Array) -> Use | None:
        """A shape on as many examples as possible; None where these are hardly more than the baseline's."""
        law = self._law_of_data(shape)
        fixed, one = shape.cost(0.0), shape.cost(1.0)  # a teacher's is fixed
        if law is None or not law.status.has_exponent or one["params"] > self.allowed["params"]:
            return None
        limited = [name for name in ("compute", "data", "hours") if math.isfinite(self.allowed[name])]
        paid = min((self.allowed[name] - fixed[name]) / (one[name] - fixed[name]) for name in limited)
        examples = min(paid, farthest)
        if examples < _WORTH * self._examples or max(law.x) < self._examples or min(law.y) <= 0:
            return None
        change = law_change(law, examples, shape.ne, errors, self._errors.factor)
        return shape.grown(round(examples), change, self._examples, affordable=paid if examples < 0.99 * paid else 0.0)

    def _larger(self) -> Iterator[Use]:
        """Shapes beyond the largest affordable one, at the baseline's data size, by a sound law of parameters."""
        for scheme in SIZES:
            line = self.study.find(
                scheme=scheme, x="parameters", line=str(self._examples), architecture=self._architecture
            )
            shapes = self._of_scheme(scheme)
            sound = line is not None and line.fit.status.has_floor and scheme not in self.full
            if line is not None and sound and min(line.fit.y) > 0 and len(shapes) >= 2:
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
        start, end = sizes.position(reference.multiplier), sizes.position(largest)
        if end > max(fit.x):
            errors = inflation(LawErrors().degrees, self._rng, DRAWS)[:, 0] * self._rng.standard_normal(DRAWS)
            change = law_change(fit, end, reference.ne, errors, LawErrors().factor)
            at_before, at_last = (sizes.position(shape.multiplier) for shape in shapes[-2:])
            change = no_more_than_last_step(change, shapes[-2], shapes[-1], at_before, at_last, end)
        else:
            change = change_between(fit, start, end, self._rng)
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


def _full(shapes: Iterable[Shape], own_rows_from: float | None) -> dict[str, float]:
    """The multiplier of each scheme of sizes beyond which nothing can be gained."""
    full = {}
    for scheme in SIZES:
        own = sorted((shape for shape in shapes if shape.levers <= {scheme}), key=lambda shape: shape.multiplier)
        same = [shape.multiplier for shape in own if shape.parameters == own[-1].parameters]
        if len(same) > 1:
            full[scheme] = same[0]
        elif scheme == "V" and own_rows_from is not None:
            enough = [shape.multiplier for shape in own if shape.multiplier >= own_rows_from]
            full |= {"V": enough[0]} if enough else {}
    return full
