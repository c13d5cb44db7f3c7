"""Records of every analysis, made by hand: what a report must be able to show, for the tests of the report."""

from dataclasses import fields, replace
from typing import Any

import pandas as pd

from tests.helpers.planted import LADDER
from tfrs_scaling.fit.analyses.architectures import ArchitectureComparison
from tfrs_scaling.fit.analyses.dimension import BestDimension
from tfrs_scaling.fit.analyses.effects import Effect
from tfrs_scaling.fit.analyses.generalisation import Generalisation, SplitLaw
from tfrs_scaling.fit.analyses.held_out import LAW, HeldOut
from tfrs_scaling.fit.analyses.outlook import HalfGap, Limit, Saturation
from tfrs_scaling.fit.analyses.paper.claim import Claim
from tfrs_scaling.fit.analyses.ranking import Outcome, Pair, Ranking, SchemeLaw
from tfrs_scaling.fit.analyses.stretches import Stretch
from tfrs_scaling.fit.analyses.zones import Cell, Quarter, Zones
from tfrs_scaling.fit.laws.status import Status
from tfrs_scaling.fit.study import StudyFits, fit_study

_INTERVAL: dict[str, tuple[float | None, float | None]] = {
    "alpha": (0.1, 0.3), "beta": (0.25, 0.35), "gamma": (0.77, 0.79)
}  # fmt: skip
_ON_LADDER = SplitLaw(0.2, 0.3, 0.78, _INTERVAL, Status.OK, (float(LADDER[1]), float(LADDER[-1])))


def study_fits(**known: Any) -> StudyFits:
    """Fits of which only some are known: the others are empty."""
    empty: dict[str, Any] = {field.name: () for field in fields(StudyFits)} | {"level": 0.95, "base": "dot"}
    empty |= {"best": None, "held_out_words": ""}
    return StudyFits(**(empty | known))


def answers(architecture: str = "dot") -> StudyFits:
    """Every analysis that compares or extrapolates, and no law."""
    return study_fits(
        ranking=(_ranking(architecture, "data", "V > H ≈ O ≈ M"), _ranking(architecture, "compute", "M ≈ O > H")),
        saturation=(
            Saturation(
                architecture=architecture, scheme="V", x="data", line="frontier", at=1.28e6, epsilon=0.01, gain=0.012,
                elasticity=0.02, saturated="cannot tell", probability=0.4, diminishing_return=2.1e6, low=1.5e6,
                high=None, why="close",
            ),
        ),
        zones=(_zones(architecture, "V", "H"), _zones(architecture, "O", "M")),
        limits=_limits(architecture),
        paper=(
            Claim(
                "Data efficiency is not saturated", "Table 1, data", "not saturated", "not saturated", "agrees",
                "gain 2 %",
            ),
            Claim("Knee of the dimension", "Figure 9", "64", "16", "differs", "smaller tables"),
            Claim("Ranking of parameters", "Table 1", "V ≈ H ≈ O ≈ M", "", "cannot tell", "noise"),
        ),
        dimension=tuple(
            BestDimension(
                architecture=architecture, multiplier=multiplier, examples=LADDER[-1], dims=(4, 8, 16, 32),
                ne=(0.82 - shift, 0.805 - shift, 0.80 - shift, 0.801 - shift), best=16, best_low=8, best_high=32,
                knee=16, knee_low=8, knee_high=16, margin=0.001, why="noise",
            )
            for multiplier, shift in ((0.25, 0.0), (1.0, 0.01), (4.0, 0.02))
        ),
        generalisation=tuple(
            Generalisation(
                architecture, scheme, line, _ON_LADDER, _ON_LADDER, 0.01, -0.05, 0.07,
                "The exponents are not distinguishable.",
            )
            for scheme, line in (("D", "1"), ("V", "frontier"))
        ),
        architectures=(
            ArchitectureComparison(
                "data", "1", architecture, architecture, "shifted", 0.0, -0.1, 0.1, 0.8, 0.7, 0.9, 0.01, "Less data."
            ),
        ),
        held_out=tuple(
            HeldOut(architecture, "D", "1", LADDER[-1], 0.81, 0.808, 0.812, measured, inside, 0.001, LAW)
            for measured, inside in ((0.811, True), (0.815, False))
        ),
        held_out_words="1 of 2 held-out points lies in its interval.",
        effects=tuple(
            Effect(
                architecture=architecture, scheme=scheme, multiplier=multiplier, embedding_dim=16, examples=LADDER[-1],
                ne=0.80, baseline=0.81, change=-0.01, low=-0.012, high=-0.008, outcome="lower", why="noise",
                compute_times=1.0,
                rows_times=1.0,
                parameters_times=multiplier,
                parameters_grown=multiplier,
                at_compute=None,
                at_rows=None,
            )
            for scheme, multiplier in (("V", 4.0), ("E", 2.0), ("F", 0.5), ("A", 1.0))
        ),
    )  # fmt: skip


def answered(runs: pd.DataFrame, **options: Any) -> StudyFits:
    """The fits of a study, with the planted answers in place of its own."""
    planted = answers()
    records = {field.name: getattr(planted, field.name) for field in fields(planted) if field.name != "level"}
    return replace(fit_study(runs, **options), **{name: value for name, value in records.items() if value})


def _ranking(architecture: str, x: str, text: str) -> Ranking:
    sound = SchemeLaw(
        scheme="V", alpha=0.2, beta=0.3, gamma=0.78, interval=_INTERVAL, r2=0.999, status=Status.OK, saturated="no",
        epsilon=0.01, gain=0.02, why="gain above the threshold",
    )  # fmt: skip
    flat = replace(sound, scheme="H", status=Status.FLAT, saturated="cannot tell", gain=None, r2=None)
    pair = Pair("V", "H", ">", -0.01, -0.02, -0.005, 1e6, "more than the noise")
    stretches = (Stretch(1e4, 2e5, ("V",)), Stretch(2e5, 1e6, ("V", "H", "O", "M")))
    order = ("V",), ("H", "O", "M")
    return Ranking(architecture, x, text, order, (pair,), stretches, "V best below 200k, level above", (sound, flat))


def _limits(architecture: str) -> tuple[Limit, ...]:
    half = HalfGap(
        ne=0.79, x=1.28e7, low=8e6, high=None, factor=10.0, reachable=True, unreachable_probability=0.1
    )  # fmt: skip
    known = Limit(
        architecture=architecture, scheme="V", x="data", best_ne=0.80, gamma=0.78, gamma_low=0.77, gamma_high=0.785,
        gap=0.02, half_gap=half, words="Half of it takes 10 times the data.",
    )  # fmt: skip
    unknown: dict[str, Any] = dict.fromkeys(("gamma", "gamma_low", "gamma_high", "gap", "half_gap"))
    return known, replace(known, scheme="M", words="Nothing can be told.", **unknown)


def _zones(architecture: str, first: str, second: str) -> Zones:
    outcomes: tuple[Outcome, ...] = (">", "<", "≈")
    cells = tuple(
        Cell(1e5 * 4**column, LADDER[row], outcomes[(row + column) % 3], 0.001 * (row - column), -0.001, 0.002)
        for column in range(5)
        for row in range(8)
    )
    quarters: tuple[tuple[str, str, Outcome], ...] = (
        ("low", "low", "<"), ("low", "high", "≈"), ("high", "low", ">"), ("high", "high", ">"),
    )  # fmt: skip
    table = tuple(
        Quarter(parameters, data, outcome, {">": 4, "<": 1, "≈": 5}, 0.001, -0.001, 0.002, "counted")
        for parameters, data, outcome in quarters
    )
    return Zones(architecture, first, second, 0.001, cells, table)
