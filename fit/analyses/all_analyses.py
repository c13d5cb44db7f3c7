"""What a study says beyond its laws: every analysis of fits.json that compares, extrapolates or allocates."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from tfrs_scaling.common.json_numbers import to_json
from tfrs_scaling.fit.analyses.architectures import architectures
from tfrs_scaling.fit.analyses.dimension import dimension
from tfrs_scaling.fit.analyses.effects import effects
from tfrs_scaling.fit.analyses.generalisation import generalisation
from tfrs_scaling.fit.analyses.held_out import held_out, held_out_words
from tfrs_scaling.fit.analyses.joint import joint_record
from tfrs_scaling.fit.analyses.lines import DataLine
from tfrs_scaling.fit.analyses.noise import base_architecture, training_noise
from tfrs_scaling.fit.schemes import SIZES


def analyses(
    chosen: pd.DataFrame, lines: Sequence[DataLine], planes: dict[tuple[str, str], pd.DataFrame], *, level: float
) -> dict[str, Any]:
    """The records of ``dimension``, ``generalisation``, ``joint``, ``architectures``, ``held_out`` and ``effects``.

    Args:
        chosen: The rows that may carry a fit, as ``selected`` returns them.
        lines: Every line against data, each once: the baseline's ladder under scheme D alone.
        planes: What ``study_fits.points`` returns, by architecture and scheme.
        level: Confidence level of all intervals.

    Returns:
        A list for each of these keys, and ``held_out_words``, a sentence. All values are plain JSON.
    """
    noise = training_noise(chosen)
    tested = held_out(lines, level=level)
    # Of E each number of epochs is a curve of its own, of rows seen as often; a frontier would mix them.
    compared = [line for line in lines if line.is_frontier == (line.scheme not in ("D", "E"))]
    baselines = {line.architecture: line for line in lines if line.scheme == "D"}
    base = base_architecture(chosen) if not chosen.empty else ""
    joint = [
        joint_record(rows, architecture, scheme, level=level)
        for (architecture, scheme), rows in planes.items()
        if scheme in SIZES
    ]
    return {
        "dimension": dimension(chosen, noise, level=level),
        "generalisation": generalisation(compared, level=level),
        "joint": [record for record in joint if record is not None],
        "architectures": [
            architectures(baselines[base], line, level=level)
            for name, line in sorted(baselines.items())
            if name != base and base in baselines
        ],
        "held_out": [{name: to_json(value) for name, value in asdict(record).items()} for record in tested],
        "held_out_words": held_out_words(tested, level=level),
        "effects": effects(chosen, noise, level=level),
    }
