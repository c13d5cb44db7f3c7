"""Tables of laws and of what follows from them."""

from collections.abc import Callable, Sequence

from tfrs_scaling.fit.advice.words import capitalized
from tfrs_scaling.fit.analyses.architectures import ArchitectureComparison
from tfrs_scaling.fit.analyses.generalisation import PROGRESSIVE, Generalisation
from tfrs_scaling.fit.analyses.joint import JointLaw, PathStep
from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.analyses.outlook import HalfGap, Limit, Saturation
from tfrs_scaling.fit.analyses.parameter_changes import LETTERS, ParameterChange
from tfrs_scaling.fit.analyses.pruning import PruningRanking
from tfrs_scaling.fit.joint.status import JointStatus
from tfrs_scaling.fit.labels import AXIS_NAMES, NON_EMBEDDING, line_name, multiplier_label
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.report.tables.columns import (
    ARCHITECTURE,
    FORM,
    SCHEME,
    WHERE,
    goodness,
    parameter,
    percent,
)
from tfrs_scaling.fit.report.tables.table import Column, Kind, Table, Value
from tfrs_scaling.fit.serialization import finite_or_none


def _law_of_line(line: LineFit) -> PowerLawFit:
    return line.fit


def _interval_kind(fit: PowerLawFit) -> str:
    return fit.interval_words.partition(":")[0]


def phases_table(saturation: Sequence[Saturation]) -> Table[Saturation]:
    """Where each line is along its law."""
    return Table(
        "phases",
        "Phase of every line",
        saturation,
        (
            *WHERE,
            Column("line", "Line", lambda r: line_name(r.line, r.x)),
            Column("at", "Measured to x", lambda r: r.at, "count"),
            Column("epsilon_percent", "Threshold, % of NE", lambda r: 100 * r.epsilon, "number"),
            Column("gain_percent", "Next doubling, % of NE", lambda r: percent(r.gain), "number"),
            Column("elasticity", "Local exponent", lambda r: r.elasticity, "number"),
            Column(
                "saturated", "Saturated", lambda r: r.saturated, "verdict", why=lambda r: r.why,
                note=lambda r: r.compared,
            ),
            Column("probability", "Probability of saturation", lambda r: r.probability, "number"),
            Column(
                "diminishing_return", "Point of diminishing return, x", lambda r: r.diminishing_return, "amount",
                lambda r: (r.low, r.high),
            ),
        ),
    )  # fmt: skip


def limits_table(limits: Sequence[Limit]) -> Table[Limit]:
    """How far frontiers are from their floors."""

    def half(
        key: str, heading: str, value: Callable[[HalfGap], Value], kind: Kind, *, csv_only: bool = True
    ) -> Column[Limit]:
        return Column(key, heading, lambda r: value(r.half_gap) if r.half_gap else None, kind, csv_only=csv_only)

    return Table(
        "limits",
        "Limits",
        limits,
        (
            *WHERE,
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


def generalisation_table(records: Sequence[Generalisation]) -> Table[Generalisation]:
    """Laws of training beside those of test."""
    return Table(
        "generalisation",
        "Exponents of training and test NE",
        records,
        (
            ARCHITECTURE,
            SCHEME,
            Column("line", "Line", lambda r: line_name(r.line)),
            parameter("beta", "β of training NE", lambda r: r.train, key="train_beta"),
            parameter("beta", "β of test NE", lambda r: r.test, key="test_beta"),
            Column("difference_beta", "Difference", lambda r: r.difference_beta, "estimate", lambda r: (r.low, r.high)),
            parameter("gamma", "γ of training NE", lambda r: r.train, key="train_gamma"),
            parameter("gamma", "γ of test NE", lambda r: r.test, key="test_gamma"),
            Column("words", "In words", lambda r: r.words, "words"),
        ),
        PROGRESSIVE,
        listed_by=("scheme", "line"),
    )


def joint_table(records: Sequence[JointLaw]) -> Table[JointLaw]:
    """Laws of parameters and data."""
    return Table(
        "joint_law",
        "The law of parameters and data",
        records,
        (
            ARCHITECTURE,
            SCHEME,
            Column("parameters", "N counts", lambda r: r.parameters),
            parameter("E", "E", lambda r: r.fit),
            parameter("A", "A", lambda r: r.fit, csv_only=True),
            parameter("a", "a", lambda r: r.fit),
            parameter("B", "B", lambda r: r.fit, csv_only=True),
            parameter("b", "b", lambda r: r.fit),
            parameter("split_exponent", "b / (a + b)", lambda r: r.fit),
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


def path_table(records: Sequence[JointLaw]) -> Table[tuple[JointLaw, PathStep]]:
    """The splits of compute that joint laws call for."""
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
    )


_COMPARED: tuple[Column[ArchitectureComparison], ...] = (
    Column("verdict", "Verdict", lambda r: r.verdict, "verdict", why=lambda r: r.words),
    Column("beta_difference", "Difference of β", lambda r: r.beta_difference, "estimate", lambda r: (r.low, r.high)),
    Column(
        "data_ratio", "Times as much for the same NE", lambda r: r.data_ratio, "estimate",
        lambda r: (r.data_ratio_low, r.data_ratio_high),
    ),
    Column("p_value", "p", lambda r: r.p_value, "number"),
    Column("words", "In words", lambda r: r.words, "words"),
)  # fmt: skip


def architectures_table(records: Sequence[ArchitectureComparison]) -> Table[ArchitectureComparison]:
    """Other architectures beside the one studied: baselines, and frontiers of their dense parts."""
    return Table(
        "architectures",
        "Architectures: a shifted curve, or another exponent",
        records,
        (
            Column("pair", "Pair", lambda r: f"{r.second} against {r.first}"),
            Column("line", "Line", lambda r: "baseline" if r.line == "1" else "dense part scaled"),
            Column("against", "Against", lambda r: NON_EMBEDDING if r.x == "parameters" else AXIS_NAMES[r.x]),
            *_COMPARED,
        ),
        listed_by=(),
    )


def taught_table(records: Sequence[ArchitectureComparison]) -> Table[ArchitectureComparison]:
    """T at each weight beside the baseline, along data."""
    return Table(
        "taught",
        "With a teacher: a shifted curve, or another exponent",
        records,
        (
            Column("pair", "Pair", lambda r: f"{r.second} against {r.first}"),
            *(column for column in _COMPARED if column.key != "beta_difference"),  # taught_parameters has it
        ),
        "Along the rows that both are trained on: neither the teacher's rows nor its training are counted here.",
        listed_by=(),
    )


def taught_parameters_table(records: Sequence[ParameterChange]) -> Table[ParameterChange]:
    """α, β and γ of T at each weight beside those of the baseline."""
    return Table(
        "taught_parameters",
        "With a teacher: does α, β or γ move?",
        records,
        (
            Column("pair", "Pair", lambda r: f"{r.second} against {r.first}"),
            Column("parameter", "Parameter", lambda r: LETTERS[r.parameter]),
            Column(
                "without", "Without", lambda r: r.first_value, "estimate", lambda r: (r.first_low, r.first_high)
            ),
            Column("with", "With", lambda r: r.second_value, "estimate", lambda r: (r.second_low, r.second_high)),
            Column("change", "Change", lambda r: r.change, "estimate", lambda r: (r.low, r.high)),
            Column("verdict", "Verdict", lambda r: r.verdict, "verdict", why=lambda r: r.words),
            Column("words", "In words", lambda r: r.words, "words"),
        ),
        "Of NE = α·D⁻ᵝ + γ, D the rows that both are trained on. A parameter moves where the interval of its change "
        "leaves out 0; it does not where that holds 0 and no more than a tenth of the parameter (of γ: of what NE is "
        "above it at the largest D). Intervals assume that the form is right, and each is for itself: of twenty true "
        "zeros one is left out.",
        listed_by=(),
    )  # fmt: skip


def prunings_table(records: Sequence[PruningRanking]) -> Table[tuple[PruningRanking, ArchitectureComparison]]:
    """The ways to choose rows of a longer log against chance, share by share."""
    return Table(
        "prunings",
        "Rows chosen from a longer log: a shifted curve, or another exponent",
        [(ranking, law) for ranking in records for law in ranking.laws],
        (
            Column("architecture", "Architecture", lambda r: r[0].architecture),
            Column("share", "Share kept", lambda r: multiplier_label(r[0].share)),
            Column("pair", "Pair", lambda r: f"{r[1].second} against {r[1].first}"),
            Column("verdict", "Verdict", lambda r: r[1].verdict, "verdict", why=lambda r: r[1].words),
            Column(
                "beta_difference", "Difference of β", lambda r: r[1].beta_difference, "estimate",
                lambda r: (r[1].low, r[1].high),
            ),
            Column(
                "data_ratio", "Times the rows trained on for the same NE", lambda r: r[1].data_ratio, "estimate",
                lambda r: (r[1].data_ratio_low, r[1].data_ratio_high),
            ),
            Column("p_value", "p", lambda r: r[1].p_value, "number"),
            Column("leads", "Which leads", lambda r: r[0].words, "words"),
            Column("words", "In words", lambda r: r[1].words, "words"),
        ),
        "Difference of β: the exponent of the pair's latter less that of its former; below 0 the former falls faster.",
        listed_by=(),
    )  # fmt: skip


def fits_table(lines: Sequence[LineFit]) -> Table[LineFit]:
    """The laws of lines, frontiers first."""
    return Table(
        "fits",
        f"{len(lines)} lines and frontiers",
        sorted(lines, key=lambda line: not line.is_frontier),
        (
            *WHERE,
            Column("line", "Line", lambda r: line_name(r.line, r.x)),
            Column(
                "status", "Verdict", lambda r: r.fit.status.words, "verdict", why=lambda r: r.fit.status.meaning
            ),
            Column("points", "Points", lambda r: r.fit.n, "count"),
            Column("left_out", "On the plateau", lambda r: len(r.fit.left_out), "count"),
            parameter("alpha", "α", lambda r: r.fit),
            parameter("beta", "β", lambda r: r.fit),
            parameter("gamma", "γ", lambda r: r.fit),
            Column("r2", "R²", lambda r: finite_or_none(r.fit.r2), "number"),
            *goodness(_law_of_line),
            Column("intervals", "Intervals", lambda r: _interval_kind(r.fit)),
        ),
        "β: how fast NE falls with x; γ: the level that no amount of x gets below. Extrapolate a curve only where the "
        f"verdict is sound. {FORM} Intervals of parameters assume that the form is right, and that trainings (by "
        "profile likelihood: measurements) are independent; predictions beyond the data allow for it being wrong.",
    )  # fmt: skip
