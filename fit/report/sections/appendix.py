"""The appendix: every table, folded."""

from dataclasses import dataclass
from typing import Any

from tfrs_scaling.fit.report.tables.table import Table
from tfrs_scaling.fit.report.view import StudyView

_GROUPS = {  # names of tables
    "The schemes": (
        "table1", "table1_pairs", "effects", "levers", "quality", "architectures", "taught", "taught_parameters",
        "prunings",
    ),
    "Limits and phases": ("phases", "limits", "joint_law", "compute_optimal"),
    "Zones": ("table2", "zones", "dimension"),
    "Every fit, and how good it is": ("fits", "held_out", "generalisation", "noise", "learning_rates"),
    "Left out or flagged": ("missing", "left_out", "flagged"),
}  # fmt: skip


@dataclass(frozen=True)
class Group:
    """Tables under one heading."""

    title: str
    tables: tuple[Table[Any], ...]


def appendix(view: StudyView) -> list[Group]:
    """Every table that no section shows."""
    return [Group(title, tuple(view.tables[name] for name in names)) for title, names in _GROUPS.items()]
