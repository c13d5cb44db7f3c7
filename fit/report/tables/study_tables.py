"""Every table of a study."""

from collections.abc import Sequence
from typing import Any

from tfrs_scaling.fit.labels import multiplier_label
from tfrs_scaling.fit.report.tables.comparisons import (
    cells_table,
    dimension_table,
    effects_table,
    held_out_table,
    levers_table,
    noise_table,
    pairs_table,
    paper_table,
    ranking_table,
    zones_table,
)
from tfrs_scaling.fit.report.tables.laws import (
    architectures_table,
    fits_table,
    generalisation_table,
    joint_table,
    limits_table,
    path_table,
    phases_table,
    prunings_table,
    taught_parameters_table,
    taught_table,
)
from tfrs_scaling.fit.report.tables.learning_rates import rates_table
from tfrs_scaling.fit.report.tables.table import Column, Table
from tfrs_scaling.fit.runs.doubtful import DoubtfulTrial, FlaggedPoint, LeftOutTrial, MissingTrial
from tfrs_scaling.fit.study import StudyFits


def study_tables(study: StudyFits) -> dict[str, Table[Any]]:
    """The tables of a study by name.

    Args:
        study: Result of ``fit_study``.
    """
    tables: list[Table[Any]] = [
        ranking_table(study),
        pairs_table(study.ranking),
        phases_table(study.saturation),
        limits_table(study.limits),
        zones_table(study.zones),
        cells_table(study.zones),
        dimension_table(study.dimension),
        generalisation_table(study.generalisation),
        joint_table(study.joint),
        path_table(study.joint),
        architectures_table(study.architectures),
        taught_table(study.taught),
        taught_parameters_table(study.taught_parameters),
        prunings_table(study.prunings),
        effects_table(study.effects),
        levers_table(study.effects),
        noise_table(study.noise),
        rates_table(study.rates),
        held_out_table(study.held_out),
        paper_table(study.paper),
        fits_table(study.lines),
        _missing_table(study.missing),
        _left_out_table(study.left_out),
        _flagged_table(study.flagged),
    ]
    return {table.name: table for table in tables}


_TRIAL: tuple[Column[DoubtfulTrial], ...] = (
    Column("trial_id", "trial id", lambda r: r.trial_id),
    Column("architecture", "architecture", lambda r: r.architecture),
    Column("scheme", "scheme", lambda r: r.scheme),
    Column("multiplier", "multiplier", lambda r: multiplier_label(r.multiplier)),
    Column("learning_rate", "learning rate", lambda r: r.learning_rate),
    Column("seed", "seed", lambda r: r.seed),
)


def _missing_table(trials: Sequence[MissingTrial]) -> Table[MissingTrial]:
    columns: tuple[Column[MissingTrial], ...] = (
        *_TRIAL, Column("status", "status", lambda r: r.status), Column("reason", "reason", lambda r: r.reason)
    )  # fmt: skip
    title = f"Failed or skipped trials: {len(trials) or 'none'}"
    note = "They were not measured; the reason is the one that the trial recorded."
    return Table("missing", title, trials, columns if trials else (), note)


def _left_out_table(trials: Sequence[LeftOutTrial]) -> Table[LeftOutTrial]:
    columns: tuple[Column[LeftOutTrial], ...] = (*_TRIAL, Column("why", "why", lambda r: r.why))
    title = f"Trials left out: {len(trials) or 'none'}"
    note = (
        "collapsed: it ends as a dead network, with an NE of 0.9995 or more on the test rows and on those trained on. "
        "unstable: it does not, but more than a quarter of its shape's seeds do, so that shape has no measurement: "
        "train it at a smaller learning rate. None of these is in a fit."
    )
    return Table("left_out", title, trials, columns if trials else (), note)


def _flagged_table(points: Sequence[FlaggedPoint]) -> Table[FlaggedPoint]:
    columns: tuple[Column[FlaggedPoint], ...] = (
        *_TRIAL, Column("examples", "examples", lambda r: r.examples), Column("flags", "flags", lambda r: r.flags)
    )  # fmt: skip
    note = (
        "plateau: left of the power-law region of its curve. lr_at_edge: the learning rate selected for this shape "
        "is the smallest or largest of the grid. collapsed and unstable: as above."
    )
    title = f"Flagged points: {len(points) or 'none'}"
    return Table("flagged", title, points, columns if points else (), note)
