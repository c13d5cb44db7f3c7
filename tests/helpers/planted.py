"""A planted study: a run table whose laws are known, for the tests of the analysis."""

from typing import Any

import numpy as np
import pandas as pd

from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.runs.run_table import COLUMNS
from tfrs_scaling.fit.schemes import SCHEMES
from tfrs_scaling.fit.study import StudyFits

MULTIPLIERS = (1 / 16, 1 / 4, 4.0, 16.0)
LADDER = tuple(10_000 * 2**rung for rung in range(8))
GAMMA, BETA, NOISE = 0.78, 0.3, 5e-4
_ELASTICITY = {"D": 0.0, "V": 0.30, "H": 0.10, "O": 0.05, "M": 0.02, "F": 0.20, "N": 0.04}  # of alpha in the multiplier


def planted_ne(scheme: str, multiplier: float, examples: float) -> float:
    """The NE of a shape at the selected learning rate, without noise."""
    alpha = 0.2 * multiplier ** -_ELASTICITY[scheme]
    return GAMMA + alpha * (examples / LADDER[0]) ** -BETA


def planted_study(seed: int = 0, seeds: int = 1, noise: float = NOISE, schemes: str = "VHOM") -> pd.DataFrame:
    """Four schemes x four multipliers (F and N: two, below 1) and the baseline, 8 rungs, 3 learning rates (the middle
    one wins)."""
    rng = np.random.default_rng(seed)
    shapes = [("D", 1.0)] + [(s, m) for s in schemes for m in MULTIPLIERS if m < 1 or s not in "FN"]
    rows = []
    for scheme, multiplier in shapes:
        for trained in range(seeds):
            for rate, penalty in ((0.005, 0.02), (0.02, 0.0), (0.08, 0.03)):
                for examples in LADDER:
                    ne = planted_ne(scheme, multiplier, examples) + penalty + rng.normal(0, noise)
                    validation = ne + rng.normal(0, noise)
                    trial = f"{scheme}-{multiplier:g}-{rate:g}-{trained}"
                    rows.append(
                        planted_row(scheme, multiplier, trained, rate, examples, ne)
                        | {"trial_id": trial, "validation_ne": validation}
                    )
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def planted_about() -> dict[str, Any]:
    """What the study.json of a planted study says."""
    return {
        "name": "planted", "config": {"study": "planted", "sweep": {"V": ["4"], "examples": [*LADDER]}},
        "config_hash": "c0ffee", "data_hash": "da7a", "data_folder": "clicks",
        "data": {"rows": {}, "base_ctr": {}, "bayes_ne": None, "bayes_ne_standard_error": None, "description": ""},
        "code_version": "0.1.0", "libraries": "", "machine": "x86_64 2 cores Linux",
    }  # fmt: skip


def line_of(fits: StudyFits, scheme: str, x: str, line: str) -> PowerLawFit:
    """The law of a line that must be there."""
    return fits.law(scheme, x=x, line=line, architecture="dot")


def planted_row(scheme: str, multiplier: float, seed: int, rate: float, examples: int, ne: float) -> dict[str, object]:
    """One row of the table, every column filled."""
    wide = {axis: multiplier if axis == scheme else 1.0 for axis in SCHEMES}
    epochs = int(wide["E"])
    embedding = int(1_600_000 * wide["V"] * wide["H"] * wide["F"])
    bottom, interaction = int(5_000 * wide["M"]), int(8_000 * wide["M"])
    overarch = int(20_000 * wide["M"] * wide["O"])
    flops_forward = 2 * (bottom + interaction + overarch) + int(1_000 * wide["H"] * wide["F"])
    return {
        "study": "planted", "trial_id": "", "architecture": "dot", "scheme": scheme,
        "multiplier": multiplier, "seed": seed, "learning_rate": rate, "examples": examples,
        "embedding_dim": int(16 * wide["H"]), "embedding_rows": int(100_000 * wide["V"]),
        "params_embedding": embedding, "params_bottom": bottom, "params_interaction": interaction,
        "params_overarch": overarch, "params_total": embedding + bottom + interaction + overarch,
        "flops_forward": flops_forward, "flops_train": 3 * flops_forward,
        "compute": 3.0 * flops_forward * examples * epochs, "test_ne": ne, "test_log_loss": ne * 0.5,
        "test_auc": 0.75, "test_calibration": 1.01, "validation_ne": ne, "train_ne": ne - 0.01,
        "base_ctr": 0.2, "examples_per_second": 50_000.0, "wall_seconds": examples / 50_000,
        "strategy": "cpu", "status": "ok", "reason": "", "flags": "", "config_hash": "c0ffee",
        "data_hash": "da7a", "code_version": "0.1.0", "epochs": epochs, "libraries": "numpy 2.0",
        "machine": "x86_64 2 cores", "teacher_examples": 0, "teacher_compute": 0.0, "teacher_seconds": 0.0,
    }  # fmt: skip
