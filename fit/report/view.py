"""What a report is made from: computed once, and passed to each of its parts."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from tfrs_scaling.common.words import UNKNOWN, human
from tfrs_scaling.fit.advice.advice import Advice
from tfrs_scaling.fit.advice.advise import COSTS, advise
from tfrs_scaling.fit.advice.budget import BUDGETS
from tfrs_scaling.fit.advice.savings import Savings, savings
from tfrs_scaling.fit.advice.settle import Place
from tfrs_scaling.fit.analyses.lines import frontier_points, points, with_plateau
from tfrs_scaling.fit.analyses.noise.training_noise import noise_of
from tfrs_scaling.fit.labels import shape_name
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.report.tables.quality import quality_table
from tfrs_scaling.fit.report.tables.study_tables import study_tables
from tfrs_scaling.fit.report.tables.table import Table
from tfrs_scaling.fit.runs.run_table import is_recorded, recorded_axes
from tfrs_scaling.fit.runs.screening import SHAPE, usable_runs
from tfrs_scaling.fit.schemes import ARCHITECTURE, BASELINE, SCHEMES
from tfrs_scaling.fit.study import StudyFits


@dataclass(frozen=True)
class About:
    """What is known of a study besides its runs. All of it is shown as plain text.

    Attributes:
        name: Name of the study.
        description: Description of the data; empty where unknown.
        rows: Number of rows in each split.
        bayes_ne: The lowest NE that any model can reach, where that is known.
        place: Where the study came from, for the runs that advice proposes.
        settings: Blocks of settings: a title, and pairs of dotted name and text.
        date: When the study began.
        command: What runs it again.
        commit: Of the code that started it; empty where it was no checkout.
        workdir: The study's folder, as a shell takes it.
    """

    name: str
    description: str = ""
    date: str = ""
    command: str = ""
    commit: str = ""
    workdir: str = "WORKDIR"
    rows: Mapping[str, int] = field(default_factory=dict)
    bayes_ne: float | None = None
    place: Place = field(default_factory=Place)
    settings: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()


@dataclass(frozen=True)
class StudyView:
    """A study as its report sees it.

    Attributes:
        runs: The run table.
        chosen: Usable rows of the run table, with a column ``plateau``.
        fits: Result of ``fit_study`` for the runs.
        about: What else is known of the study.
        architectures: Architectures that are scaled, and not by A alone, sorted; all of the runs where none is.
        points: Results of ``points``, by architecture (scaled or not) and scheme, for every scheme with an axis.
    """

    runs: pd.DataFrame
    chosen: pd.DataFrame
    fits: StudyFits
    about: About
    architectures: tuple[str, ...]
    points: Mapping[tuple[str, str], pd.DataFrame]

    @cached_property
    def frontiers(self) -> dict[tuple[str, str, str], pd.DataFrame]:
        """By architecture, scheme and x, ``frontier_points`` with two more columns: ``trial_id``, the shape in words,
        and ``key``, the trials that a point is the mean of."""
        return {
            (*names, x): _named(frontier_points(rows, x), rows)
            for names, rows in self.points.items()
            if not rows.empty
            for x in recorded_axes(rows, names[1])
        }

    @cached_property
    def tables(self) -> dict[str, Table[Any]]:
        """Every table by name."""
        return study_tables(self.fits) | {"quality": quality_table(self.chosen)}

    def error(self, architecture: str, examples: float, trainings: int) -> float:
        """Half the width of the interval of a mean NE of so many trainings; NaN where the noise is unknown."""
        noise = noise_of(architecture, self.fits.noise)
        return noise.quantile((1 + self.fits.level) / 2) * noise.error(examples, trainings)

    def errors(self, architecture: str, frontier: pd.DataFrame) -> list[float]:
        """``error`` of each point of ``frontiers``."""
        return [
            self.error(architecture, float(str(examples)), len(key.split("\n")))
            for examples, key in zip(frontier["examples"], frontier["key"], strict=True)
        ]

    @cached_property
    def advice(self) -> dict[str, Advice]:
        """The advice for each of ``BUDGETS``; empty where nothing was measured, or costs are not recorded."""
        if self.chosen.empty or not all(is_recorded(self.runs, name) for name in COSTS):
            return {}
        return {budget: advise(self.runs, self.fits, budget, place=self.about.place) for budget in BUDGETS}

    @cached_property
    def savings(self) -> Savings | None:
        """What can be saved; None where that is not known."""
        return savings(self.runs, self.fits)

    @property
    def has_several_architectures(self) -> bool:
        """Whether several architectures are scaled, so that names must say which."""
        return len(self.architectures) > 1

    def law(self, architecture: str, scheme: str, x: str, line: str) -> PowerLawFit | None:
        """The law of a line; None where it has none."""
        found = self.fits.find(scheme=scheme, x=x, line=line, architecture=architecture)
        return None if found is None else found.fit

    def fitted(self, architecture: str) -> dict[str, pd.DataFrame]:
        """The points of each scheme that has a fit, in the order of ``SCHEMES``."""
        schemes = {line.scheme for line in self.fits.lines if line.architecture == architecture}
        return {scheme: self.points[architecture, scheme] for scheme in SCHEMES if scheme in schemes}


def study_view(runs: pd.DataFrame, fits: StudyFits, about: Mapping[str, Any] | None = None) -> StudyView:
    """The view of a study.

    Args:
        runs: The run table.
        fits: Result of ``fit_study`` for these runs.
        about: As in ``write_report``.
    """
    chosen = with_plateau(usable_runs(runs).reset_index(drop=True))
    every = sorted(str(name) for name in runs["architecture"].unique())
    studied = runs[~runs["scheme"].isin([BASELINE, ARCHITECTURE])]
    scaled = sorted(str(name) for name in studied["architecture"].unique())
    return StudyView(
        runs=runs,
        chosen=chosen,
        fits=fits,
        about=read_about(about or {}, str(runs["study"].iloc[0])),
        architectures=tuple(scaled or every),
        points={
            (architecture, scheme): points(chosen, architecture, scheme)
            for architecture in every
            for scheme, row in SCHEMES.items()
            if row.axes
        },
    )


def _named(frontier: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    trials = rows.groupby([*SHAPE, "examples"], sort=True)["trial_id"].agg(lambda ids: "\n".join(sorted(ids)))
    keys = trials.reindex(pd.MultiIndex.from_frame(frontier[[*SHAPE, "examples"]])).to_list()
    names = [
        f"{shape_name(row['scheme'], row['multiplier'])} at {human(row['examples'])} examples"
        for _, row in frontier.iterrows()
    ]
    return frontier.assign(trial_id=names, key=keys)


def read_about(content: Mapping[str, Any], default_name: str) -> About:
    """What the caller knows of a study, as ``write_report`` takes it, in its parts."""
    data = content.get("data") or {}
    shown_elsewhere = {"description", "bayes_ne", "bayes_ne_standard_error", "own_rows_from"}
    blocks = {
        "Data": {key: value for key, value in data.items() if key not in shown_elsewhere and value is not None},
        "Configuration": content.get("config") or {},
        "Software and machine": {key: content[key] for key in ("libraries", "machine") if content.get(key)},
    }
    return About(
        name=str(content.get("name") or default_name),
        description=str(data.get("description") or ""),
        date=str(content.get("date") or ""),
        command=str(content.get("command") or ""),
        commit=str(content.get("commit") or ""),
        workdir=shlex.quote(str(content.get("workdir") or "WORKDIR")),
        rows=data.get("rows") or {},
        bayes_ne=data.get("bayes_ne"),
        place=_place(content, data),
        settings=tuple((title, tuple(_flat(block))) for title, block in blocks.items() if block),
    )


def _place(content: Mapping[str, Any], data: Mapping[str, Any]) -> Place:
    """The study's configuration and data, as far as they are known."""
    config: Mapping[str, Any] = content.get("config") or {}
    known: dict[str, str] = {}
    if workdir := str(content.get("workdir") or ""):
        own = config.get("synthetic") or config.get("log")
        folder = "" if own else shlex.quote(str(content.get("data_folder") or "DATA"))
        known = {
            "config": shlex.quote(f"{workdir}/config.yaml"),
            "workdir": shlex.quote(f"{workdir}-further"),
            "data": folder,
        }
    return Place(
        **known,
        training_rows=(data.get("rows") or {}).get("train"),
        finds_rates=(config.get("training") or {}).get("learning_rates") == "auto",
        own_rows_from=data.get("own_rows_from"),
        made_rows=(config.get("synthetic") or {}).get("rows"),
    )


def _flat(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as (dotted name, text) pairs, in the order given."""
    rows: list[tuple[str, str]] = []
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += _flat(value, f"{name}.")
        elif isinstance(value, list | tuple):
            rows.append((name, ", ".join(_setting(item) for item in value)))
        else:
            rows.append((name, _setting(value)))
    return rows


def _setting(value: Any) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) and value > 9999 else str(value)
