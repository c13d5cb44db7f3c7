"""Every table of the report, as columns over the records of a study; an empty one exists too, so that its CSV does."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from tfrs_scaling.fit.advice.words import capitalized
from tfrs_scaling.fit.analyses.architectures import ArchitectureComparison
from tfrs_scaling.fit.analyses.dimension import BestDimension
from tfrs_scaling.fit.analyses.effects import Effect
from tfrs_scaling.fit.analyses.generalisation import PROGRESSIVE, Generalisation
from tfrs_scaling.fit.analyses.held_out import HeldOut
from tfrs_scaling.fit.analyses.joint import JointLaw, PathStep
from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.analyses.noise import TrainingNoise
from tfrs_scaling.fit.analyses.outlook import HalfGap, Limit, Saturation
from tfrs_scaling.fit.analyses.paper import Claim
from tfrs_scaling.fit.analyses.ranking import Pair, Ranking, SchemeLaw
from tfrs_scaling.fit.analyses.zones import Cell, Quarter, Zones
from tfrs_scaling.fit.joint.status import JointStatus
from tfrs_scaling.fit.labels import FRONTIER, axis_name, line_name, multiplier_label
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.report.table import Column, Ends, Kind, Table, Value
from tfrs_scaling.fit.serialization import finite_or_none
from tfrs_scaling.fit.study import CollapsedTrial, FlaggedPoint, MissingTrial, StudyFits

Record = TypeVar("Record")
DOUBTFUL = 0.05  # p value below which a law's form counts as wrong


class _Shape(Protocol):
    @property
    def architecture(self) -> str: ...
    @property
    def scheme(self) -> str: ...


class _OnAxis(_Shape, Protocol):
    @property
    def x(self) -> str: ...


class _Law(Protocol):
    @property
    def interval(self) -> Mapping[str, Ends] | None: ...


_ARCHITECTURE = Column[_Shape]("architecture", "Architecture", lambda r: r.architecture)
_SCHEME = Column[_Shape]("scheme", "Scheme", lambda r: r.scheme)
_WHERE: tuple[Column[_OnAxis], ...] = (
    _ARCHITECTURE, _SCHEME, Column("against", "Against", lambda r: axis_name(r.x, r.scheme))
)  # fmt: skip


def study_tables(study: StudyFits) -> dict[str, Table[Any]]:
    """The tables of a study by name.

    Args:
        study: Result of ``fit_study``.
    """
    tables: list[Table[Any]] = [
        _ranking(study), _pairs(study.ranking), _phases(study.saturation), _limits(study.limits),
        _zones(study.zones), _cells(study.zones), _dimension(study.dimension), _generalisation(study.generalisation),
        _joint(study.joint), _path(study.joint), _architectures(study.architectures), _effects(study.effects),
        _noise(study.noise), _held_out(study.held_out), _paper(study.paper), fits_table(study.lines),
        _missing(study.missing), _collapsed(study.collapsed), _flagged(study.flagged),
    ]  # fmt: skip
    return {table.name: table for table in tables}


def _parameter(
    name: str, heading: str, law: Callable[[Record], _Law | None], *, key: str | None = None, csv_only: bool = False
) -> Column[Record]:
    """The column of a law's parameter, with its interval."""

    def value(record: Record) -> Value:
        number: float | None = getattr(law(record), name, None)
        return None if number is None else finite_or_none(number)

    def ends(record: Record) -> Ends:
        found = law(record)
        low, high = (found and found.interval and found.interval[name]) or (None, None)
        return None if low is None else finite_or_none(low), None if high is None else finite_or_none(high)

    return Column(key or name, heading, value, "estimate", ends, csv_only=csv_only)


_FORM = (
    "Form: lack of fit compares the law with a free loss at every x, by replicates; the runs test looks for neighbours "
    "that err alike. Misfit: one of their p values is as small as chance makes it in one law of twenty."
)


def _goodness(law: Callable[[Record], PowerLawFit | None]) -> tuple[Column[Record], ...]:
    """The columns that say whether a law has the right form."""

    def p_values(record: Record) -> dict[str, float]:
        fit = law(record)
        found = {} if fit is None else {"lack of fit": fit.lack_of_fit, "runs": fit.residual_runs_p}
        return {name: value for name, value in found.items() if not math.isnan(value)}

    def form(record: Record) -> str:
        values = p_values(record).values()
        if not values:
            return "untested"
        return "misfit" if len(values) * min(values) < DOUBTFUL else "fits"

    def shown(record: Record) -> str:
        return ", ".join(f"{name} p = {value:.2g}" for name, value in p_values(record).items())

    return (
        Column("form", "Form", form, "verdict", why=shown, note=shown),
        Column("lack_of_fit", "Lack of fit, p", lambda r: p_values(r).get("lack of fit"), "number", csv_only=True),
        Column("residual_runs_p", "Runs test, p", lambda r: p_values(r).get("runs"), "number", csv_only=True),
    )


def _law_of_line(line: LineFit) -> PowerLawFit:
    return line.fit


def _interval_kind(fit: PowerLawFit) -> str:
    return fit.interval_words.partition(":")[0]


def _threshold(epsilon: float) -> str:
    """What counts as saturated: the same verdict with another threshold may differ."""
    return f"below {epsilon:.1%} per doubling"


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _ranking(study: StudyFits) -> Table[tuple[Ranking, SchemeLaw]]:
    records = [(ranked, law) for ranked in study.ranking for law in ranked.schemes]

    def fit(record: tuple[Ranking, SchemeLaw]) -> PowerLawFit | None:
        ranked, law = record
        line = study.find(scheme=law.scheme, x=ranked.x, line=FRONTIER, architecture=ranked.architecture)
        return None if line is None else line.fit

    return Table(
        "table1",
        "Table 1: data, parameter and compute efficiency",
        records,
        (
            Column("architecture", "Architecture", lambda r: r[0].architecture),
            Column("scheme", "Scheme", lambda r: r[1].scheme),
            Column("against", "Against", lambda r: axis_name(r[0].x, r[1].scheme)),
            _parameter("alpha", "α", lambda r: r[1]),
            _parameter("beta", "β", lambda r: r[1]),
            _parameter("gamma", "γ", lambda r: r[1]),
            Column("r2", "R²", lambda r: r[1].r2, "number"),
            Column("status", "Fit", lambda r: r[1].status.words, "verdict", why=lambda r: r[1].status.meaning),
            *_goodness(fit),
            Column(
                "saturated",
                "Saturated",
                lambda r: r[1].saturated,
                "verdict",
                why=lambda r: r[1].why,
                note=lambda r: _threshold(r[1].epsilon),
            ),
            Column("gain_percent", "Next doubling, % of NE", lambda r: _percent(r[1].gain), "number"),
        ),
        "NE ≈ α·x⁻ᵝ + γ on the frontier of each scheme. In small print: the interval. Saturated: whether the next "
        f"doubling of x, from the largest measured, removes less of NE than the threshold. {_FORM}",
    )


def _pairs(ranking: Sequence[Ranking]) -> Table[tuple[Ranking, Pair]]:
    return Table(
        "table1_pairs",
        "Pair by pair",
        [(ranked, pair) for ranked in ranking for pair in ranked.pairs],
        (
            Column("architecture", "Architecture", lambda r: r[0].architecture),
            Column("against", "Against", lambda r: r[0].x),
            Column("pair", "Pair", lambda r: f"{r[1].first} against {r[1].second}"),
            Column("outcome", "Outcome", lambda r: r[1].outcome, "verdict", why=lambda r: r[1].why),
            Column(
                "difference", "Difference of NE", lambda r: r[1].difference, "estimate", lambda r: (r[1].low, r[1].high)
            ),
            Column("at", "At x", lambda r: r[1].at, "count"),
            Column("why", "Why", lambda r: r[1].why, "words"),
        ),
        folded=True,
    )


def _phases(saturation: Sequence[Saturation]) -> Table[Saturation]:
    return Table(
        "phases",
        "Phase of every line",
        saturation,
        (
            *_WHERE,
            Column("line", "Line", lambda r: line_name(r.line, r.x)),
            Column("at", "Measured to x", lambda r: r.at, "count"),
            Column("epsilon_percent", "Threshold, % of NE", lambda r: 100 * r.epsilon, "number"),
            Column("gain_percent", "Next doubling, % of NE", lambda r: _percent(r.gain), "number"),
            Column("elasticity", "Local exponent", lambda r: r.elasticity, "number"),
            Column(
                "saturated", "Saturated", lambda r: r.saturated, "verdict", why=lambda r: r.why,
                note=lambda r: _threshold(r.epsilon),
            ),
            Column("probability", "Probability of saturation", lambda r: r.probability, "number"),
            Column(
                "diminishing_return", "Point of diminishing return, x", lambda r: r.diminishing_return, "amount",
                lambda r: (r.low, r.high),
            ),
        ),
        folded=True,
    )  # fmt: skip


def _limits(limits: Sequence[Limit]) -> Table[Limit]:
    def half(
        key: str, heading: str, value: Callable[[HalfGap], Value], kind: Kind, *, csv_only: bool = True
    ) -> Column[Limit]:
        return Column(key, heading, lambda r: value(r.half_gap) if r.half_gap else None, kind, csv_only=csv_only)

    return Table(
        "limits",
        "Limits",
        limits,
        (
            *_WHERE,
            Column("best_ne", "Lowest NE", lambda r: r.best_ne, "number"),
            Column("gamma", "Floor γ", lambda r: r.gamma, "estimate", lambda r: (r.gamma_low, r.gamma_high)),
            Column("gap", "Gap", lambda r: r.gap, "number"),
            half("half_gap_ne", "NE at half the gap", lambda h: h.ne, "number"),
            Column(
                "half_gap_x", "x needed for it", lambda r: r.half_gap.x if r.half_gap else None, "amount",
                lambda r: (r.half_gap.low, r.half_gap.high) if r.half_gap else (None, None),
            ),
            half("half_gap_factor", "Times the largest x", lambda h: h.factor, "count", csv_only=False),
            half(
                "unreachable_probability", "Probability that it is out of reach", lambda h: h.unreachable_probability,
                "number",
            ),
            Column("words", "In words", lambda r: r.words, "words"),
        ),
        "How far the best model of each scheme is from the level that no amount of x gets below, and how much x closes "
        "half of that gap.",
        listed_by=(),
    )  # fmt: skip


def _zones(zones: Sequence[Zones]) -> Table[tuple[Zones, Quarter]]:
    return Table(
        "table2",
        "Table 2: which scheme is better in which budget",
        [(zone, quarter) for zone in zones for quarter in zone.table],
        (
            Column("architecture", "Architecture", lambda r: r[0].architecture),
            Column("pair", "Pair", lambda r: f"{r[0].first} against {r[0].second}"),
            Column("parameters", "Parameter budget", lambda r: r[1].parameters),
            Column("data", "Data budget", lambda r: r[1].data),
            Column(
                "outcome", "Better", lambda r: _winner(r[0], r[1].outcome), "verdict", why=lambda r: r[1].why
            ),
            Column("cells", "Cells", lambda r: _counted(r[0], r[1].cells)),
            Column("why", "Why", lambda r: r[1].why, "words"),
        ),
    )  # fmt: skip


def _winner(zone: Zones, outcome: str) -> str:
    return {">": zone.first, "<": zone.second}.get(outcome, outcome)


def _counted(zone: Zones, cells: Mapping[str, int]) -> str:
    """How many cells have each outcome."""
    return ", ".join(f"{_winner(zone, outcome)} {cells[outcome]}" for outcome in "<>≈" if cells.get(outcome))


def _cells(zones: Sequence[Zones]) -> Table[tuple[Zones, Cell]]:
    return Table(
        "zones",
        "Every cell of the maps (as CSV)",
        [(zone, cell) for zone in zones for cell in zone.cells],
        (
            Column("architecture", "Architecture", lambda r: r[0].architecture),
            Column("first", "First", lambda r: r[0].first),
            Column("second", "Second", lambda r: r[0].second),
            Column("margin", "Margin", lambda r: r[0].margin, "number"),
            Column("parameters", "Parameters", lambda r: r[1].parameters, "count"),
            Column("examples", "Examples", lambda r: r[1].examples, "count"),
            Column("outcome", "Outcome", lambda r: r[1].outcome, "verdict"),
            Column(
                "difference", "Difference of NE", lambda r: r[1].difference, "estimate", lambda r: (r[1].low, r[1].high)
            ),
        ),
        hidden=True,
    )


def _dimension(records: Sequence[BestDimension]) -> Table[BestDimension]:
    return Table(
        "dimension",
        "Best dimension and knee",
        records,
        (
            Column("architecture", "Architecture", lambda r: r.architecture),
            Column("rows", "Rows", lambda r: f"{multiplier_label(r.multiplier)}×"),
            Column("examples", "Examples", lambda r: r.examples, "count"),
            Column("dimensions", "Measured", lambda r: ", ".join(map(str, r.dims))),
            Column("best", "Best dimension", lambda r: r.best, "estimate", lambda r: (r.best_low, r.best_high)),
            Column("knee", "Knee", lambda r: r.knee, "estimate", lambda r: (r.knee_low, r.knee_high)),
            Column("why", "Why", lambda r: r.why, "words"),
        ),
    )


def _generalisation(records: Sequence[Generalisation]) -> Table[Generalisation]:
    return Table(
        "generalisation",
        "Exponents of training and test NE",
        records,
        (
            _ARCHITECTURE,
            _SCHEME,
            Column("line", "Line", lambda r: line_name(r.line)),
            _parameter("beta", "β of training NE", lambda r: r.train, key="train_beta"),
            _parameter("beta", "β of test NE", lambda r: r.test, key="test_beta"),
            Column("difference_beta", "Difference", lambda r: r.difference_beta, "estimate", lambda r: (r.low, r.high)),
            _parameter("gamma", "γ of training NE", lambda r: r.train, key="train_gamma"),
            _parameter("gamma", "γ of test NE", lambda r: r.test, key="test_gamma"),
            Column("words", "In words", lambda r: r.words, "words"),
        ),
        PROGRESSIVE,
        listed_by=("scheme", "line"),
    )


def _joint(records: Sequence[JointLaw]) -> Table[JointLaw]:
    return Table(
        "joint_law",
        "The law of parameters and data",
        records,
        (
            _ARCHITECTURE,
            _SCHEME,
            Column("parameters", "N counts", lambda r: r.parameters),
            _parameter("E", "E", lambda r: r.fit),
            _parameter("A", "A", lambda r: r.fit, csv_only=True),
            _parameter("a", "a", lambda r: r.fit),
            _parameter("B", "B", lambda r: r.fit, csv_only=True),
            _parameter("b", "b", lambda r: r.fit),
            _parameter("split_exponent", "b / (a + b)", lambda r: r.fit),
            Column(
                "status",
                "Status",
                lambda r: _joint_words(r.fit.status),
                "verdict",
                why=lambda r: capitalized(r.fit.status.meaning),
            ),
            Column("words", "In words", lambda r: r.words, "words"),
        ),
        "NE ≈ E + A·N⁻ᵃ + B·D⁻ᵇ, of N parameters and D training examples.",
        listed_by=("scheme",),
    )


def _joint_words(status: JointStatus) -> str:
    return "sound" if status is JointStatus.OK else status.replace("_", " ")


def _path(records: Sequence[JointLaw]) -> Table[tuple[JointLaw, PathStep]]:
    return Table(
        "compute_optimal",
        "Compute-optimal path",
        [(law, step) for law in records for step in law.path],
        (
            Column("architecture", "Architecture", lambda r: r[0].architecture),
            Column("scheme", "Scheme", lambda r: r[0].scheme),
            Column("budget", "Budget, FLOPs", lambda r: r[1].budget, "count"),
            Column("n", "Parameters", lambda r: r[1].n, "count"),
            Column("d", "Training examples", lambda r: r[1].d, "count"),
            Column("ne", "NE", lambda r: r[1].ne, "estimate", lambda r: (r[1].low, r[1].high)),
        ),
        folded=True,
    )


def _architectures(records: Sequence[ArchitectureComparison]) -> Table[ArchitectureComparison]:
    return Table(
        "architectures",
        "Architectures: a shifted curve, or another exponent",
        records,
        (
            Column("pair", "Pair", lambda r: f"{r.second} against {r.first}"),
            Column("verdict", "Verdict", lambda r: r.verdict, "verdict", why=lambda r: r.words),
            Column(
                "beta_difference", "Difference of β", lambda r: r.beta_difference, "estimate", lambda r: (r.low, r.high)
            ),
            Column(
                "data_ratio", "Times the data for the same NE", lambda r: r.data_ratio, "estimate",
                lambda r: (r.data_ratio_low, r.data_ratio_high),
            ),
            Column("p_value", "p", lambda r: r.p_value, "number"),
            Column("words", "In words", lambda r: r.words, "words"),
        ),
        listed_by=(),
    )  # fmt: skip


def _effects(records: Sequence[Effect]) -> Table[Effect]:
    return Table(
        "effects",
        "What every multiplier changes",
        records,
        (
            _ARCHITECTURE,
            _SCHEME,
            Column("multiplier", "Multiplier", lambda r: multiplier_label(r.multiplier)),
            Column("embedding_dim", "Dimension", lambda r: r.embedding_dim),
            Column("examples", "Examples", lambda r: r.examples, "count"),
            Column("baseline", "NE of the baseline", lambda r: r.baseline, "number"),
            Column("ne", "NE", lambda r: r.ne, "number"),
            Column(
                "change", "Change (interval of all together)", lambda r: r.change, "estimate", lambda r: (r.low, r.high)
            ),
            Column("outcome", "NE against the baseline", lambda r: r.outcome, "verdict", why=lambda r: r.why),
        ),
        "lower, higher: by more than the noise, all rows considered. (alone): only when no other row is looked at, as "
        "the answer compares an option with the baseline.",
        folded=True,
    )


def _noise(noises: Sequence[TrainingNoise]) -> Table[tuple[TrainingNoise, int]]:
    return Table(
        "noise",
        "Noise of one training",
        [(noise, examples) for noise in noises for examples in noise.examples],
        (
            Column("architecture", "Architecture", lambda r: r[0].architecture),
            Column("examples", "Examples", lambda r: r[1], "count"),
            Column("sd", "Standard deviation of NE", lambda r: r[0].error(r[1], 1), "number"),
            Column("least_difference", "Least difference", _least_difference, "number"),
            Column("shared", "Share kept at all sizes", lambda r: r[0].shared, "number"),
            Column("degrees", "Degrees of freedom", lambda r: r[0].degrees, "number"),
            Column("source", "Estimated from", lambda r: r[0].source),
        ),
        "By how much the NE of one training varies by chance: all comparisons of measured shapes on this page use it. "
        "Least difference: from it on, two trainings differ by more than the noise (95 %, no others looked at).",
        folded=True,
    )  # fmt: skip


def _least_difference(row: tuple[TrainingNoise, int]) -> float:
    noise, examples = row
    return noise.quantile(0.975) * noise.error(examples, 1, 1)


def _held_out(records: Sequence[HeldOut]) -> Table[HeldOut]:
    return Table(
        "held_out",
        "Predictions of the largest data size",
        records,
        (
            _ARCHITECTURE,
            _SCHEME,
            Column("line", "Line", lambda r: line_name(r.line)),
            Column("examples", "Examples held out", lambda r: r.examples, "count"),
            Column("predicted", "Predicted NE", lambda r: r.predicted, "estimate", lambda r: (r.low, r.high)),
            Column("measured", "Measured NE", lambda r: r.measured, "number"),
            Column("inside", "Measured lies", lambda r: "inside" if r.inside else "outside", "verdict"),
            Column("relative_error_percent", "Error, %", lambda r: 100 * r.relative_error, "number"),
            Column("law", "Law", lambda r: r.law),
        ),
        folded=True,
    )


def _paper(claims: Sequence[Claim]) -> Table[Claim]:
    return Table(
        "paper",
        "Comparison with the paper",
        claims,
        (
            Column("claim", "Claim", lambda r: r.claim),
            Column("source", "Where", lambda r: r.source),
            Column("paper", "The paper", lambda r: r.paper),
            Column("ours", "This study", lambda r: r.ours),
            Column("verdict", "Verdict", lambda r: r.verdict, "verdict"),
            Column("why", "Why", lambda r: r.why, "words"),
        ),
        "Ardalani et al. (2022) trained much larger models on another log: agreement is a finding, not a target.",
    )


def fits_table(lines: Sequence[LineFit]) -> Table[LineFit]:
    """The laws of lines, frontiers first."""
    return Table(
        "fits",
        f"{len(lines)} lines and frontiers",
        sorted(lines, key=lambda line: not line.is_frontier),
        (
            *_WHERE,
            Column("line", "Line", lambda r: line_name(r.line, r.x)),
            Column(
                "status", "Verdict", lambda r: r.fit.status.words, "verdict", why=lambda r: r.fit.status.meaning
            ),
            Column("points", "Points", lambda r: r.fit.n, "count"),
            Column("left_out", "On the plateau", lambda r: len(r.fit.left_out), "count"),
            _parameter("alpha", "α", lambda r: r.fit),
            _parameter("beta", "β", lambda r: r.fit),
            _parameter("gamma", "γ", lambda r: r.fit),
            Column("r2", "R²", lambda r: finite_or_none(r.fit.r2), "number"),
            *_goodness(_law_of_line),
            Column("intervals", "Intervals", lambda r: _interval_kind(r.fit)),
        ),
        "β: how fast NE falls with x; γ: the level that no amount of x gets below. Extrapolate a curve only where the "
        f"verdict is sound. {_FORM} Intervals of parameters assume that the form is right, and that trainings (by "
        "profile likelihood: measurements) are independent; predictions beyond the data allow for it being wrong.",
        folded=True,
    )  # fmt: skip


_TRIAL: tuple[Column[CollapsedTrial], ...] = (
    Column("trial_id", "trial id", lambda r: r.trial_id),
    Column("architecture", "architecture", lambda r: r.architecture),
    Column("scheme", "scheme", lambda r: r.scheme),
    Column("multiplier", "multiplier", lambda r: multiplier_label(r.multiplier)),
    Column("learning_rate", "learning rate", lambda r: r.learning_rate),
    Column("seed", "seed", lambda r: r.seed),
)


def _missing(trials: Sequence[MissingTrial]) -> Table[MissingTrial]:
    columns: tuple[Column[MissingTrial], ...] = (
        *_TRIAL, Column("status", "status", lambda r: r.status), Column("reason", "reason", lambda r: r.reason)
    )  # fmt: skip
    title = f"Failed or skipped trials: {len(trials) or 'none'}"
    note = "They were not measured; the reason is the one that the trial recorded."
    return Table("missing", title, trials, columns if trials else (), note)


def _collapsed(trials: Sequence[CollapsedTrial]) -> Table[CollapsedTrial]:
    title = f"Collapsed trials: {len(trials) or 'none'}"
    note = "Test NE is 0.9995 or more at every data size: a dead network. Not fitted."
    return Table("collapsed", title, trials, _TRIAL if trials else (), note)


def _flagged(points: Sequence[FlaggedPoint]) -> Table[FlaggedPoint]:
    columns: tuple[Column[FlaggedPoint], ...] = (
        *_TRIAL, Column("examples", "examples", lambda r: r.examples), Column("flags", "flags", lambda r: r.flags)
    )  # fmt: skip
    note = (
        "plateau: left of the power-law region of its curve. lr_at_edge: the learning rate selected for this shape "
        "is the smallest or largest of the grid. collapsed: as above."
    )
    title = f"Flagged points: {len(points) or 'none'}"
    return Table("flagged", title, points, columns if points else (), note, folded=True)
