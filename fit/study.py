"""Every fit of a study: its lines and frontiers, what they say of the schemes, and the ``fits.json`` of it all."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import groupby
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from tfrs_scaling.common.errors import InputError
from tfrs_scaling.common.files import write_text_atomically
from tfrs_scaling.fit.analyses.architecture_ranking import (
    ArchitectureRanking,
    dense_laws,
    dense_schemes,
    rank_architectures,
)
from tfrs_scaling.fit.analyses.architectures import ArchitectureComparison, architectures
from tfrs_scaling.fit.analyses.backtests import Backtests, backtests
from tfrs_scaling.fit.analyses.best import Best, best_scheme
from tfrs_scaling.fit.analyses.dimension import BestDimension, dimension
from tfrs_scaling.fit.analyses.effects import Effect, effects
from tfrs_scaling.fit.analyses.generalisation import Generalisation, generalisation
from tfrs_scaling.fit.analyses.held_out import HeldOut, held_out, held_out_words
from tfrs_scaling.fit.analyses.joint import JointLaw, joint_record
from tfrs_scaling.fit.analyses.learning_rates import LearningRates, learning_rates
from tfrs_scaling.fit.analyses.lines import LineFit, data_lines, fit_lines, points, with_plateau
from tfrs_scaling.fit.analyses.noise.ladders import Ladders, resample_ladders
from tfrs_scaling.fit.analyses.noise.training_noise import (
    TrainingNoise,
    base_architecture,
    training_noise,
    with_weights,
)
from tfrs_scaling.fit.analyses.outlook import Limit, Saturation, limits, saturation, with_full_tables
from tfrs_scaling.fit.analyses.paper.claim import Claim
from tfrs_scaling.fit.analyses.paper.compare import compare_with_paper
from tfrs_scaling.fit.analyses.parameter_changes import ParameterChange, parameter_changes
from tfrs_scaling.fit.analyses.pruning import PruningRanking, rank_prunings
from tfrs_scaling.fit.analyses.ranking import Ranking, rank_schemes
from tfrs_scaling.fit.analyses.zones import Zones, scheme_zones
from tfrs_scaling.fit.labels import FRONTIER, multiplier_label
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.runs.doubtful import (
    FlaggedPoint,
    LeftOutTrial,
    MissingTrial,
    flagged_points,
    left_out_trials,
    missing_trials,
)
from tfrs_scaling.fit.runs.run_table import is_recorded
from tfrs_scaling.fit.runs.screening import usable_runs
from tfrs_scaling.fit.schemes import ARCHITECTURE, BASELINE, SCHEMES, SIZES
from tfrs_scaling.fit.serialization import encode, flat

FORMAT = 10


@dataclass(frozen=True)
class StudyFits:
    """All that was fitted to one study and concluded from it.

    Attributes:
        level: Confidence level of all intervals.
        base: The architecture that is scaled, or scaled most; empty where nothing was measured.
        noise: Noise of one training, for each architecture.
        rates: What the choice of the learning rate does to each shape that was measured at several.
        lines: The law of every line and frontier.
        saturation: Saturation of every line.
        limits: Limits of every frontier.
        ranking: Ranking of the schemes along each axis.
        zones: Where one scheme beats another.
        best: Best scheme; None where no data frontier was fitted.
        missing: Trials that were not measured.
        left_out: Trials that were measured and carry no fit.
        flagged: Measured points to read with caution.
        dimension: The best embedding dimension of each number of rows.
        generalisation: Training against test curves.
        joint: Laws of parameters and data.
        architectures: Each other architecture's baseline against that of the one studied; and, where A scaled their
            dense parts, their frontiers.
        taught: T's curve at each weight against the baseline's, along data.
        taught_parameters: Whether α, β or γ of these laws differs from the baseline's.
        architecture_ranking: Which architecture leads where along each axis, where A scaled one.
        prunings: Which way to choose rows leads where at each share of P, and their laws.
        held_out: The largest data size of each line, predicted from the others.
        held_out_words: ``held_out`` as a sentence.
        backtests: How many of the study's own predictions fell inside their interval.
        effects: Every shape against its baseline.
        paper: The claims of Ardalani et al. (2022) beside the study's findings.
    """

    level: float
    base: str
    noise: tuple[TrainingNoise, ...]
    rates: tuple[LearningRates, ...]
    lines: tuple[LineFit, ...]
    saturation: tuple[Saturation, ...]
    limits: tuple[Limit, ...]
    ranking: tuple[Ranking, ...]
    zones: tuple[Zones, ...]
    best: Best | None
    missing: tuple[MissingTrial, ...]
    left_out: tuple[LeftOutTrial, ...]
    flagged: tuple[FlaggedPoint, ...]
    dimension: tuple[BestDimension, ...]
    generalisation: tuple[Generalisation, ...]
    joint: tuple[JointLaw, ...]
    architectures: tuple[ArchitectureComparison, ...]
    taught: tuple[ArchitectureComparison, ...]
    taught_parameters: tuple[ParameterChange, ...]
    architecture_ranking: tuple[ArchitectureRanking, ...]
    prunings: tuple[PruningRanking, ...]
    held_out: tuple[HeldOut, ...]
    held_out_words: str
    backtests: tuple[Backtests, ...]
    effects: tuple[Effect, ...]
    paper: tuple[Claim, ...]

    def find(self, *, scheme: str, x: str, line: str, architecture: str) -> LineFit | None:
        """One line with its law; None where the study has no such line."""
        return self._index.get((architecture, scheme, x, line))

    def law(
        self,
        scheme: str,
        *,
        x: str = "data",
        multiplier: float | None = None,
        line: str | None = None,
        architecture: str | None = None,
    ) -> PowerLawFit:
        """The law of one line of the study, or of a scheme's frontier.

        Args:
            scheme: A letter of ``SCHEMES``.
            x: data, parameters or compute.
            multiplier: Multiplier of the line, such as 0.25 or 4.
            line: Name of the line, such as "1/4", a data size where x is ``parameters``, or "frontier", the default
                where neither is given.
            architecture: The one that is scaled, unless it is given.

        Returns:
            The law; mind its ``status``.

        Raises:
            KeyError: there is no such line; the message lists those there are.
            ValueError: both multiplier and line are given.

        >>> fits = fit_study(read_runs("runs.csv"))
        >>> fits.law("V", multiplier=4).status.value
        'ok'
        >>> fits.law("D", multiplier=4)
        Traceback (most recent call last):
        KeyError: 'no line 4 of D against data; D has against data: 1, frontier'
        """
        if multiplier is not None and line is not None:
            raise ValueError("give either multiplier or line, not both")
        name = line or (FRONTIER if multiplier is None else multiplier_label(multiplier))
        which = architecture or self.base
        found = self.find(scheme=scheme, x=x, line=name, architecture=which)
        if found is None:
            raise KeyError(f"no line {name} of {scheme} against {x}; {self._lines_of(scheme, which)}")
        return found.fit

    def to_frame(self, name: str) -> pd.DataFrame:
        """The records of one kind as a table, one row each.

        Args:
            name: ``lines``, ``ranking`` or another attribute that holds records.

        Returns:
            One column for each number and text; those of a record, or of an interval, within the record have its name
            before theirs, as ``half_gap_x``. Records of several within one, as a ranking's pairs, stay as they are.

        Raises:
            KeyError: there are no such records; the message lists those there are.

        >>> fit_study(read_runs("runs.csv")).to_frame("ranking")[["architecture", "x", "text"]]
          architecture           x text
        0          dot        data    V
        1          dot  parameters    V
        """
        kinds = [field.name for field in fields(self) if isinstance(getattr(self, field.name), tuple)]
        if name not in kinds:
            raise KeyError(f"no records {name!r}; there are {', '.join(kinds)}")
        return pd.DataFrame([flat(record) for record in getattr(self, name)])

    def _repr_html_(self) -> str:
        """The laws and the ranking, for a notebook."""
        laws = self.to_frame("lines")
        columns = ["architecture", "scheme", "x", "line", "fit_status", "fit_beta", "fit_gamma", "fit_n"]
        ranking = self.to_frame("ranking")
        shown = [ranking[["architecture", "x", "text"]]] if len(ranking) else []
        return "\n".join(frame.to_html(index=False) for frame in [*shown, *([laws[columns]] if len(laws) else [])])

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write fits.json, whole or not at all; the same fits always give the same bytes.

        Raises:
            OSError: the file cannot be written.
        """
        text = json.dumps(
            {"format": FORMAT, **encode(self)}, sort_keys=True, allow_nan=False, indent=1, ensure_ascii=False
        )
        write_text_atomically(path, text + "\n")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "StudyFits":
        """Read fits.json.

        Raises:
            InputError: the file is not JSON, of another format, or damaged; the message says where.
            OSError: the file cannot be read.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: not readable as JSON ({error}); fit the runs again") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InputError(f"{path}: not the fits of format {FORMAT}; fit the runs again")
        try:
            return _ADAPTER.validate_json(text, strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InputError(f"{path}: {where}: {first['msg']}; fit the runs again") from error

    @cached_property
    def _index(self) -> dict[tuple[str, str, str, str], LineFit]:
        return {(line.architecture, line.scheme, line.x, line.line): line for line in self.lines}

    def _lines_of(self, scheme: str, architecture: str) -> str:
        """The lines of a scheme, in words."""
        ours = [line for line in self.lines if (line.scheme, line.architecture) == (scheme, architecture)]
        if not ours:
            return f"there are lines of {', '.join(sorted({line.scheme for line in self.lines})) or 'no scheme'}"
        along = ((x, sorted(line.line for line in group)) for x, group in groupby(ours, key=lambda line: line.x))
        return f"{scheme} has against " + "; ".join(f"{x}: {', '.join(names)}" for x, names in along)


_ADAPTER = TypeAdapter(StudyFits)


def fit_study(
    runs: pd.DataFrame,
    *,
    bayes_ne: float | None = None,
    bayes_ne_standard_error: float | None = None,
    own_rows_from: float | None = None,
    level: float = 0.95,
) -> StudyFits:
    """Fit every line and frontier of a study, and compare its schemes.

    A line is all points of one multiplier (against data and compute) or of one data size (against parameters), of
    every seed; points of one trial share a training, and are grouped. A frontier is the Pareto frontier of a scheme's
    points averaged over seeds, so that it is not made of lucky seeds, and is found again in every resample. Against
    data and compute the plateau at the left of a curve is left out. Learning rates are selected on the validation
    split.

    Args:
        runs: The run table, as ``read_runs`` returns it.
        bayes_ne: The test NE no model can get below, where the data are synthetic and it is known.
        bayes_ne_standard_error: Standard error of ``bayes_ne`` on the test split; 0 if not given.
        own_rows_from: The multiplier of V from which every id has a row of its own, where that is known.
        level: Confidence level of all intervals.

    Returns:
        The fits, and what they say of the study.

    Raises:
        InputError: the table has no row.

    >>> fits = fit_study(read_runs("runs.csv"))
    >>> fits.best.scheme, len(fits.lines)
    ('V', 17)
    """
    if runs.empty:
        raise InputError("the run table has no rows; run the sweep and export it first")
    usable = with_plateau(usable_runs(runs).reset_index(drop=True))
    noises = training_noise(usable)
    chosen = with_weights(usable, noises)
    planes = {
        (architecture, scheme): points(chosen, architecture, scheme)
        for architecture in sorted(runs["architecture"].unique())
        for scheme in SCHEMES
        if ((runs["scheme"] == scheme) & (runs["architecture"] == architecture)).any()
    }
    lines = tuple(fit_lines(planes, level=level))
    ladders = tuple(data_lines(planes))
    saturated = tuple(with_full_tables(saturation(lines), _full_tables(chosen, own_rows_from)))
    resampled = [resample_ladders(chosen, noise) for noise in noises]
    ranking, zones = _compared_schemes(resampled, lines, saturated, level)
    sized = resampled if is_recorded(chosen, "embedding_dim") else []
    dimensions = tuple(record for own in sized for record in dimension(own, level=level))
    # Each number of epochs is a curve of its own, of rows seen equally often; a frontier would mix them.
    single = {BASELINE, *(row.letter for row in SCHEMES.values() if row.multipliers == "epochs")}
    curves = [line for line in ladders if line.is_frontier == (line.scheme not in single)]
    trained = [line for line in curves if is_recorded(line.rows, "train_ne")]
    generalisations = tuple(generalisation(trained, lines, level=level))
    joint = (
        joint_record(rows, architecture, scheme, bayes_ne=bayes_ne, level=level)
        for (architecture, scheme), rows in planes.items()
        if scheme in SIZES
    )
    predictions = held_out(ladders, level=level)
    base = base_architecture(chosen) if not chosen.empty else ""
    taught_laws = _taught_laws(lines, base)
    return StudyFits(
        level=level,
        base=base,
        noise=noises,
        rates=tuple(learning_rates(runs)) if is_recorded(runs, "learning_rate") else (),
        lines=lines,
        saturation=saturated,
        limits=tuple(limits(lines, bayes_ne)),
        ranking=ranking,
        zones=zones,
        best=best_scheme(lines, bayes_ne, bayes_ne_standard_error or 0.0),
        missing=missing_trials(runs),
        left_out=left_out_trials(runs),
        flagged=flagged_points(runs),
        dimension=dimensions,
        generalisation=generalisations,
        joint=tuple(record for record in joint if record is not None),
        architectures=tuple(_architecture_comparisons(chosen, lines, resampled, base, level)),
        taught=tuple(architectures(taught_laws, BASELINE, level=level)),
        taught_parameters=tuple(parameter_changes(taught_laws, BASELINE, level=level)),
        architecture_ranking=tuple(rank_architectures(resampled, level=level)),
        prunings=tuple(rank_prunings(resampled, lines, level=level)),
        held_out=tuple(predictions),
        held_out_words=held_out_words(predictions, level=level),
        backtests=tuple(backtests(ladders, predictions, level=level)),
        effects=tuple(effects(resampled, base, level=level)),
        paper=tuple(compare_with_paper(lines, saturated, ranking, dimensions, generalisations, zones, predictions)),
    )


def _full_tables(rows: pd.DataFrame, own_rows_from: float | None) -> dict[str, float]:
    """By architecture, the parameters from which every id has a row of its own, as far as that was measured."""
    if own_rows_from is None:
        return {}
    full = rows[rows["scheme"].isin(["V", BASELINE]) & (rows["multiplier"] >= own_rows_from * (1 - 1e-9))]
    return {str(name): float(least) for name, least in full.groupby("architecture")["params_total"].min().items()}


def _compared_schemes(
    resampled: Iterable[Ladders], lines: Sequence[LineFit], saturated: Sequence[Saturation], level: float
) -> tuple[tuple[Ranking, ...], tuple[Zones, ...]]:
    """The ranking and the zones of every architecture."""
    ranking: list[Ranking] = []
    zones: list[Zones] = []
    for ladders in resampled:
        architecture = ladders.noise.architecture
        own = [line for line in lines if line.architecture == architecture]
        ranking += rank_schemes(ladders, own, [s for s in saturated if s.architecture == architecture], level=level)
        zones += scheme_zones(ladders, level=level)
    return tuple(ranking), tuple(zones)


def _architecture_comparisons(
    chosen: pd.DataFrame, lines: Sequence[LineFit], ladders: Iterable[Ladders], base: str, level: float
) -> Iterator[ArchitectureComparison]:
    """The baselines against data; where A scaled an architecture, also the frontiers of dense parts along each axis."""
    yield from architectures(_baseline_laws(chosen, lines), base, level=level)
    schemes = dense_schemes(ladders)
    if ARCHITECTURE in schemes.values():
        for x in SCHEMES[ARCHITECTURE].axes:
            laws = dense_laws(lines, schemes, x)
            yield from architectures(laws, base, x=x, line=FRONTIER, level=level)


def _baseline_laws(chosen: pd.DataFrame, lines: Iterable[LineFit]) -> dict[str, PowerLawFit | None]:
    """The law against data of each architecture's baseline; None where it was measured at one data size."""
    measured = sorted(chosen["architecture"][chosen["scheme"] == BASELINE].unique())
    ladders = {
        line.architecture: line.fit
        for line in lines
        if (line.scheme, line.x, line.is_frontier) == (BASELINE, "data", False)
    }
    return {architecture: ladders.get(architecture) for architecture in measured}


def _taught_laws(lines: Iterable[LineFit], base: str) -> dict[str, PowerLawFit | None]:
    """The law against data of the baseline, and of T at each weight."""
    ours = [line for line in lines if line.architecture == base and line.x == "data" and not line.is_frontier]
    laws: dict[str, PowerLawFit | None] = {
        f"T at {line.line}": line.fit for line in ours if line.scheme == "T" and line.line != "0"
    }
    return {**laws, BASELINE: next((line.fit for line in ours if line.scheme == BASELINE), None)} if laws else {}
