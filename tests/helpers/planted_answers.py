"""Records of every analysis, made by hand: what a report must be able to show, for the tests of the report."""

from typing import Any

from tests.helpers.planted import LADDER
from tfrs_scaling.fit.study import fit_study

_INTERVAL = {"alpha": [0.1, 0.3], "beta": [0.25, 0.35], "gamma": [0.77, 0.79]}
_LAW = {"alpha": 0.2, "beta": 0.3, "gamma": 0.78, "interval": _INTERVAL, "r2": 0.999, "status": "ok"}
_ON_LADDER = _LAW | {"range": [float(LADDER[1]), float(LADDER[-1])]}


def answers(architecture: str = "dot") -> dict[str, Any]:
    """What fits.json holds beside the laws."""
    return {
        "ranking": [_ranking(architecture, "data", "V > H ≈ O ≈ M"), _ranking(architecture, "compute", "M ≈ O > H")],
        "phases": [
            {"architecture": architecture, "scheme": "V", "x": "data", "line": "frontier", "at": 1.28e6}
            | {"epsilon": 0.01}
            | {"gain": 0.012, "elasticity": 0.02, "saturated": "cannot tell", "probability": 0.4, "why": "close"}
            | {"diminishing_return": 2.1e6, "low": 1.5e6, "high": None}
        ],
        "zones": [_zone(architecture, "V", "H"), _zone(architecture, "O", "M")],
        "limits": [
            {"architecture": architecture, "scheme": "V", "x": "data", "best_ne": 0.80, "gamma": 0.78}
            | {"gamma_low": 0.77}
            | {"gamma_high": 0.785, "gap": 0.02, "words": "Half of it takes 10 times the data."}
            | {"half_gap": _half_gap()},
            {"architecture": architecture, "scheme": "M", "x": "data", "best_ne": 0.80, "gamma": None}
            | {"gamma_low": None}
            | {"gamma_high": None, "gap": None, "half_gap": None, "words": "Nothing can be told."},
        ],
        "paper": [
            {"claim": "Data efficiency is not saturated", "source": "Table 1, data", "paper": "not saturated"}
            | {"ours": "not saturated", "verdict": "agrees", "why": "gain 2 %"},
            {"claim": "Knee of the dimension", "source": "Figure 9", "paper": "64", "ours": "16", "verdict": "differs"}
            | {"why": "smaller tables"},
            {"claim": "Ranking of parameters", "source": "Table 1", "paper": "V ≈ H ≈ O ≈ M", "ours": ""}
            | {"why": "noise"}
            | {"verdict": "cannot tell"},
        ],
        "dimension": [
            {"architecture": architecture, "multiplier": multiplier, "examples": LADDER[-1], "dims": [4, 8, 16, 32]}
            | {"ne": [0.82 - shift, 0.805 - shift, 0.80 - shift, 0.801 - shift], "margin": 0.001}
            | {"best": 16, "best_low": 8, "best_high": 32, "knee": 16, "knee_low": 8, "knee_high": 16, "why": "noise"}
            for multiplier, shift in ((0.25, 0.0), (1.0, 0.01), (4.0, 0.02))
        ],
        "generalisation": [
            {"architecture": architecture, "scheme": scheme, "line": line, "train": _ON_LADDER, "test": _ON_LADDER}
            | {"difference_beta": 0.01, "low": -0.05, "high": 0.07, "words": "The exponents are not told apart."}
            for scheme, line in (("D", "1"), ("V", "frontier"))
        ],
        "architectures": [
            {"first": "dot", "second": "cross", "verdict": "shifted", "beta_difference": 0.0, "low": -0.1, "high": 0.1}
            | {"data_ratio": 0.8, "data_ratio_low": 0.7, "data_ratio_high": 0.9, "p_value": 0.01, "words": "Less data."}
        ],
        "held_out": [
            {"architecture": architecture, "scheme": "D", "line": "1", "examples": LADDER[-1], "predicted": 0.81}
            | {"low": 0.808, "high": 0.812, "measured": measured, "inside": inside, "relative_error": 0.001}
            | {"law": "power"}
            for measured, inside in ((0.811, True), (0.815, False))
        ],
        "held_out_words": "1 of 2 held-out points lies in its interval.",
        "effects": [
            {"architecture": architecture, "scheme": scheme, "multiplier": multiplier, "embedding_dim": 16}
            | {"examples": LADDER[-1], "ne": 0.80, "baseline": 0.81, "change": -0.01, "low": -0.012, "high": -0.008}
            | {"outcome": "lower", "why": "noise", "equal_compute": None}
            for scheme, multiplier in (("V", 4.0), ("E", 2.0), ("F", 0.5), ("A", 1.0))
        ],
    }  # fmt: skip


def answered(runs: Any, **options: Any) -> dict[str, Any]:
    """The fits of a study, with the planted answers in place of its own."""
    return fit_study(runs, **options) | answers()


def _ranking(architecture: str, x: str, text: str) -> dict[str, Any]:
    pair = {"first": "V", "second": "H", "outcome": ">", "difference": -0.01, "low": -0.02, "high": -0.005, "at": 1e6}
    scheme = {"scheme": "V", "saturated": "no", "gain": 0.02, "why": "gain above the threshold"} | _LAW
    flat = scheme | {"scheme": "H", "status": "flat", "saturated": "cannot tell", "gain": None, "r2": None}
    return {
        "architecture": architecture, "x": x, "text": text, "order": [["V"], ["H", "O", "M"]],
        "pairs": [pair | {"why": "outside the noise"}], "schemes": [scheme, flat],
    }  # fmt: skip


def _half_gap() -> dict[str, Any]:
    return {
        "ne": 0.79, "x": 1.28e7, "low": 8e6, "high": None, "factor": 10.0, "reachable": True,
        "unreachable_probability": 0.1,
    }  # fmt: skip


def _zone(architecture: str, first: str, second: str) -> dict[str, Any]:
    cells = [
        {"parameters": 1e5 * 4**column, "examples": LADDER[row], "outcome": "><≈"[(row + column) % 3]}
        | {"difference": 0.001 * (row - column), "low": -0.001, "high": 0.002}
        for column in range(5)
        for row in range(8)
    ]
    table = [
        {"parameters": parameters, "data": data, "outcome": outcome, "cells": {">": 4, "<": 1, "≈": 5}}
        | {"why": "counted"}
        for parameters, data, outcome in (
            ("low", "low", "<"), ("low", "high", "≈"), ("high", "low", ">"), ("high", "high", ">"),
        )
    ]  # fmt: skip
    named = {"architecture": architecture, "first": first, "second": second, "margin": 0.001}
    return named | {"cells": cells, "table": table}
