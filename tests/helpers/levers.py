"""Planted studies in which one lever beats the others by a known number of standard errors, and the advice on them."""

import functools
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from tests.helpers.planted import planted_row
from tests.helpers.planted_answers import study_fits
from tests.helpers.worlds import World
from tfrs_scaling.fit.advice.advice import Advice
from tfrs_scaling.fit.advice.advise import advise
from tfrs_scaling.fit.advice.savings import savings
from tfrs_scaling.fit.analyses.effects import effects
from tfrs_scaling.fit.analyses.held_out import held_out
from tfrs_scaling.fit.analyses.joint import joint_record
from tfrs_scaling.fit.analyses.lines import DataLine, LineFit, points, with_plateau
from tfrs_scaling.fit.analyses.noise.ladders import resample_ladders
from tfrs_scaling.fit.analyses.noise.training_noise import training_noise
from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.laws.power_law import fit_power_law
from tfrs_scaling.fit.runs.run_table import COLUMNS
from tfrs_scaling.fit.runs.screening import usable_runs
from tfrs_scaling.fit.schemes import SIZES
from tfrs_scaling.fit.study import StudyFits, fit_study

NOISE = 5e-4
LADDER = tuple(10_000 * 2**rung for rung in range(8))
DOUBLING = 0.2 * (LADDER[-1] / LADDER[0]) ** -0.3 * (1 - 2**-0.3)  # of NE, by twice a scenario's data


@dataclass(frozen=True, eq=False)
class Scenario:
    """A planted truth and a budget; of the multipliers, 4 is what the budget pays for, where parameters limit it.

    Attributes:
        budget: As typed.
        gains: How much a scheme's multiplier 4 lowers NE, and 1/4 raises it, in standard errors of a difference; 16
            lowers it no further.
        right: The levers of the right answer, the cheapest of those that are equally good; None where nothing helps.
        multiplier: That of the right answer; None where any will do.
        top: What more data could still remove at the smallest data size.
        beta: The exponent of the data.
        offset: Noise of a whole training, besides that of its points; unit of NE.
        seeds: Trainings of each shape.
        multipliers: Of every scheme.
        world: If given, the loss is that of this world, d being 1 amid the ladder, and these are ignored: gains, top
            and beta.
        strengths: Of a scheme in the world: its multiplier to this power is n.
    """

    budget: str
    gains: Mapping[str, float]
    right: frozenset[str] | None
    top: float = 0.2
    beta: float = 0.3
    offset: float = 0.0
    seeds: int = 1
    multipliers: tuple[float, ...] = (1 / 16, 1 / 4, 4.0, 16.0)
    multiplier: float | None = None
    world: World | None = None
    strengths: Mapping[str, float] = field(default_factory=dict)

    @property
    def unit(self) -> float:
        """One standard error of a difference, in NE."""
        return math.hypot(NOISE, self.offset) * math.sqrt(2 / self.seeds)

    def ne(self, scheme: str, multiplier: float, examples: float) -> float:
        """The truth."""
        if self.world is not None:
            n, d = multiplier ** self.strengths.get(scheme, 0.0), examples / math.sqrt(LADDER[0] * LADDER[-1])
            return float(self.world.loss(np.array(n), np.array(d)))
        gain = self.gains.get(scheme, 0.0) * self.unit * min(math.log(multiplier, 4), 1.0)
        return 0.78 + self.top * (examples / LADDER[0]) ** -self.beta - gain

    def costs(self) -> list[tuple[str, float, float, float]]:
        """Scheme, multiplier, parameters and training FLOPs of one example, of each shape."""
        columns = ["scheme", "multiplier", "params_total", "flops_train"]
        return list(_template(self)[0][columns].drop_duplicates().itertuples(index=False, name=None))

    def study(self, rng: np.random.Generator) -> pd.DataFrame:
        """A run table."""
        rows, truth, training = _template(self)
        offsets = rng.normal(0, self.offset, training.max() + 1) if self.offset else np.zeros(training.max() + 1)
        ne = truth + offsets[training] + rng.normal(0, NOISE, truth.size)
        return rows.assign(test_ne=ne, validation_ne=ne)

    def advice(self, rng: np.random.Generator, whole: bool = False) -> Advice:
        """The advice on a study of it; with all of its fits if ``whole``, else with those that advice looks at."""
        runs = self.study(rng)
        fits = fit_study(runs) if whole else needed_fits(runs, extrapolates=not self.budget.startswith("params"))
        return advise(runs, fits, self.budget)


@functools.cache
def _template(scenario: Scenario) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The rows, their true NE and the number of the training of each."""
    shapes = [("D", 1.0), *((scheme, m) for scheme in "VHOM" for m in scenario.multipliers)]
    rows, truth = [], []
    for scheme, multiplier in shapes:
        for seed in range(scenario.seeds):
            for examples in LADDER:
                truth.append(scenario.ne(scheme, multiplier, examples))
                row = planted_row(scheme, multiplier, seed, 0.02, examples, truth[-1])
                rows.append(row | {"trial_id": f"{scheme}-{multiplier:g}-{seed}"})
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    return table, np.array(truth), np.arange(len(truth)) // len(LADDER)


def needed_fits(runs: pd.DataFrame, *, extrapolates: bool = True) -> StudyFits:
    """The fits of a study that advice looks at, without the rest, which costs a hundred times as much."""
    chosen = with_plateau(usable_runs(runs).reset_index(drop=True))
    planes = {scheme: points(chosen, "dot", scheme) for scheme in sorted(chosen["scheme"].unique())}
    ladders = [
        DataLine("dot", str(scheme), multiplier_label(float(str(multiplier))), False, rows)
        for (scheme, multiplier), rows in chosen.groupby(["scheme", "multiplier"], sort=True)
        if extrapolates
    ]
    lines = [LineFit("dot", line.scheme, "data", line.line, fit) for line in ladders if (fit := line.fit()) is not None]
    joint = []
    for scheme in SIZES:
        rows = planes.get(scheme)
        if rows is None or rows["parameters"].nunique() < 2:
            continue
        top = rows[rows["examples"] == rows["examples"].max()]
        fit = fit_power_law(top["parameters"], top["test_ne"], groups=top["trial_id"])
        lines.append(LineFit("dot", scheme, "parameters", str(top["examples"].iloc[0]), fit))
        joint += [record] if extrapolates and (record := joint_record(rows, "dot", scheme)) is not None else []
    return study_fits(
        lines=tuple(lines), joint=tuple(joint), held_out=tuple(held_out(ladders)), noise=training_noise(chosen)
    )


def savings_fits(runs: pd.DataFrame) -> StudyFits:
    """The fits of a study that ``savings`` looks at."""
    chosen = with_plateau(usable_runs(runs).reset_index(drop=True))
    noises = training_noise(chosen)
    fit = DataLine("dot", "D", "1", False, chosen[chosen["scheme"] == "D"]).fit()
    return study_fits(
        noise=noises,
        effects=tuple(effects([resample_ladders(chosen, noise) for noise in noises], "dot")),
        lines=() if fit is None else (LineFit("dot", "D", "data", "1", fit),),
    )


SCENARIOS = {
    "best by 4, others at 0": Scenario("params=4x", {"V": 4.0}, frozenset("V"), seeds=3),
    "best by 4, second at 4": Scenario("params=4x", {"V": 8.0, "H": 4.0}, frozenset("V"), seeds=3),
    "best by 4, all others at 4": Scenario(
        "params=4x", {"V": 4.0, "H": 8.0, "O": 4.0, "M": 4.0}, frozenset("H"), seeds=3
    ),
    "best by 4, three seeds with offsets": Scenario(
        "params=4x", {"V": 8.0, "H": 4.0}, frozenset("V"), offset=1e-3, seeds=3
    ),
    "best by 8, data exhausted, compute": Scenario("compute=4x", {"M": 8.0}, frozenset("M"), beta=1.5, seeds=3),
    "data alone, compute": Scenario("compute=4x", {}, frozenset(["data"])),
    "nothing helps": Scenario("params=4x", {}, None),
    "nothing helps, compute": Scenario("compute=4x", {}, None, beta=1.5),
    "two alike": Scenario("params=4x", {"V": 8.0, "H": 8.0}, frozenset("V")),
    "all alike": Scenario("params=4x", dict.fromkeys("VHOM", 8.0), frozenset("O")),
    "two alike, three seeds with offsets": Scenario(
        "params=4x", {"V": 8.0, "H": 8.0}, frozenset("V"), offset=1e-3, seeds=3
    ),
    "flat beyond 4, parameters": Scenario(
        "params=64x", {"V": 16.0}, frozenset("V"), seeds=3, multipliers=(1 / 4, 2.0, 4.0, 8.0, 16.0), multiplier=4.0
    ),
    "flat beyond 4, compute": Scenario(
        "compute=10x", {"V": 16.0}, frozenset(["V", "data"]), seeds=3, multipliers=(1 / 4, 4.0, 16.0), multiplier=4.0
    ),
    "nothing helps, three seeds with offsets": Scenario("params=4x", {}, None, offset=1e-3, seeds=3),
}


def right_share(scenario: Scenario, simulations: int, *, seed: int) -> tuple[float, Counter[str]]:
    """How often the advice is right, and what it was."""
    rng = np.random.default_rng(seed)
    said = Counter[str]()
    right = 0
    for _ in range(simulations):
        advice = scenario.advice(rng)
        levers = None if advice.do is None else advice.do.use.levers
        use = None if advice.do is None else advice.do.use
        right += levers == scenario.right and (
            scenario.multiplier is None or (use is not None and use.multiplier == scenario.multiplier)
        )
        said["not enough evidence" if use is None else f"{'+'.join(sorted(use.levers))} at {use.multiplier:g}"] += 1
    return right / simulations, said


_LOSS = DOUBLING / Scenario("params=4x", {}, None, offset=2e-3, seeds=3).unit
LOSES_THE_MARGIN = Scenario(
    "params=4x", {"V": 9 * _LOSS, "H": 9 * _LOSS, "O": 3 * _LOSS, "M": _LOSS}, None, offset=2e-3, seeds=3,
    multipliers=(1 / 4, 4.0),
)  # fmt: skip


def savings_said(scenario: Scenario, simulations: int, *, seed: int) -> Counter[str]:
    """How often ``savings`` gave each verdict."""
    rng, said = np.random.default_rng(seed), Counter[str]()
    for _ in range(simulations):
        runs = scenario.study(rng)
        saved = savings(runs, savings_fits(runs))
        if saved is not None:
            said[saved.verdict] += 1
    return said
