"""NE, AUC and calibration of every shape, side by side."""

import math
from dataclasses import dataclass

import pandas as pd

from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.report.tables.table import Column, Table
from tfrs_scaling.fit.runs.screening import SHAPE


@dataclass(frozen=True)
class Quality:
    """A shape at its largest data size, mean of seeds; None where a measure is not recorded."""

    architecture: str
    scheme: str
    multiplier: float
    embedding_dim: int
    examples: int
    seeds: int
    ne: float
    auc: float | None
    calibration: float | None


def quality_table(chosen: pd.DataFrame) -> Table[Quality]:
    """A row for each shape.

    Args:
        chosen: Usable rows of the run table.
    """
    return Table(
        "quality",
        "NE, AUC and calibration",
        _qualities(chosen),
        (
            Column("architecture", "Architecture", lambda r: r.architecture),
            Column("scheme", "Scheme", lambda r: r.scheme),
            Column("multiplier", "Multiplier", lambda r: multiplier_label(r.multiplier)),
            Column("embedding_dim", "Dimension", lambda r: r.embedding_dim or None),
            Column("examples", "Examples", lambda r: r.examples, "count"),
            Column("seeds", "Seeds", lambda r: r.seeds),
            Column("ne", "NE", lambda r: r.ne, "number"),
            Column("auc", "AUC", lambda r: r.auc, "number"),
            Column("calibration", "Calibration", lambda r: r.calibration, "number"),
        ),
        "Every shape on the test split at its largest data size, mean of seeds. AUC: higher is better. Calibration: "
        "mean prediction divided by mean label; 1 is best.",
    )


def _qualities(chosen: pd.DataFrame) -> list[Quality]:
    found = []
    for _, rows in chosen.groupby(SHAPE, sort=True):
        last = rows[rows["examples"] == rows["examples"].max()]
        first = last.iloc[0]
        ne, auc, calibration = (float(last[name].mean()) for name in ("test_ne", "test_auc", "test_calibration"))
        found.append(
            Quality(
                architecture=str(first["architecture"]),
                scheme=str(first["scheme"]),
                multiplier=float(first["multiplier"]),
                embedding_dim=int(first["embedding_dim"]),
                examples=int(first["examples"]),
                seeds=int(last["seed"].nunique()),
                ne=ne,
                auc=None if math.isnan(auc) else auc,
                calibration=None if math.isnan(calibration) else calibration,
            )
        )
    return found
