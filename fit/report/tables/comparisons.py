"""Tables of what is compared: schemes, shapes, predictions and the paper."""

from collections.abc import Callable, Mapping, Sequence

from tfrs_scaling.fit.analyses.dimension import BestDimension
from tfrs_scaling.fit.analyses.effects import Change, Effect
from tfrs_scaling.fit.analyses.held_out import HeldOut
from tfrs_scaling.fit.analyses.noise.training_noise import TrainingNoise
from tfrs_scaling.fit.analyses.outlook import gain_words
from tfrs_scaling.fit.analyses.paper.claim import Claim
from tfrs_scaling.fit.analyses.ranking import Pair, Ranking, SchemeLaw
from tfrs_scaling.fit.analyses.zones import Cell, Quarter, Zones
from tfrs_scaling.fit.labels import FRONTIER, axis_name, line_name, multiplier_label
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.report.tables.columns import ARCHITECTURE, FORM, SCHEME, goodness, parameter, percent
from tfrs_scaling.fit.report.tables.table import Column, Table
from tfrs_scaling.fit.study import StudyFits


def ranking_table(study: StudyFits) -> Table[tuple[Ranking, SchemeLaw]]:
    """Table 1 of the paper: the law of each scheme, and which scheme is better."""
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
            parameter("alpha", "α", lambda r: r[1]),
            parameter("beta", "β", lambda r: r[1]),
            parameter("gamma", "γ", lambda r: r[1]),
            Column("r2", "R²", lambda r: r[1].r2, "number"),
            Column("status", "Fit", lambda r: r[1].status.words, "verdict", why=lambda r: r[1].status.meaning),
            *goodness(fit),
            Column(
                "saturated",
                "Saturated",
                lambda r: r[1].saturated,
                "verdict",
                why=lambda r: r[1].why,
                note=lambda r: gain_words(r[1].gain, r[1].epsilon),
            ),
            Column("gain_percent", "Next doubling, % of NE", lambda r: percent(r[1].gain), "number"),
        ),
        "NE ≈ α·x⁻ᵝ + γ on the frontier of each scheme. In small print: the interval. Saturated: whether the next "
        f"doubling of x, from the largest measured, removes less of NE than the threshold. {FORM}",
    )


def pairs_table(ranking: Sequence[Ranking]) -> Table[tuple[Ranking, Pair]]:
    """Every comparison of two schemes."""
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
    )


def zones_table(zones: Sequence[Zones]) -> Table[tuple[Zones, Quarter]]:
    """Which of two schemes is better by size and amount of data, in quarters."""
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


def cells_table(zones: Sequence[Zones]) -> Table[tuple[Zones, Cell]]:
    """The same at every budget and data size."""
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


def dimension_table(records: Sequence[BestDimension]) -> Table[BestDimension]:
    """The best embedding dimension, and the knee, by rows."""
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


_OF_EFFECTS: tuple[Column[Effect], ...] = (
    ARCHITECTURE,
    SCHEME,
    Column("multiplier", "Multiplier", lambda r: multiplier_label(r.multiplier)),
    Column("embedding_dim", "Dimension", lambda r: r.embedding_dim or None),
)


def effects_table(records: Sequence[Effect]) -> Table[Effect]:
    """What every multiplier changes."""
    return Table(
        "effects",
        "What every multiplier changes",
        records,
        (
            *_OF_EFFECTS,
            Column("examples", "Examples", lambda r: r.examples, "count"),
            Column("baseline", "NE of the baseline", lambda r: r.baseline, "number"),
            Column("ne", "NE", lambda r: r.ne, "number"),
            Column("change", "Change (interval)", lambda r: r.change, "estimate", lambda r: (r.low, r.high)),
            Column("outcome", "NE against the baseline", lambda r: r.outcome, "verdict", why=lambda r: r.why),
        ),
        "lower, higher: by more than the noise; ≈: within it. The intervals of all larger shapes hold together, as do "
        "those of all smaller ones; the answer and what can be saved use the same.",
    )


def levers_table(records: Sequence[Effect]) -> Table[Effect]:
    """What every multiplier changes at equal cost."""
    return Table(
        "levers",
        "Every lever at equal cost",
        records,
        (
            *_OF_EFFECTS,
            Column("compute_times", "FLOPs of training, times", lambda r: r.compute_times, "number"),
            *_at_cost("compute", "Change at equal FLOPs", lambda r: r.at_compute),
            Column("rows_times", "Rows collected, times", lambda r: r.rows_times, "number"),
            *_at_cost("rows", "Change at equal rows", lambda r: r.at_rows),
            Column("parameters_times", "Parameters, times", lambda r: r.parameters_times, "number"),
            Column(
                "per_doubling", "Change per doubling of parameters (interval)",
                lambda r: r.per_doubling and r.per_doubling[0], "estimate",
                lambda r: r.per_doubling[1:] if r.per_doubling else (None, None),
            ),
        ),
        "At equal FLOPs, or rows: against the baseline, which spends them on more or fewer data, at the largest size "
        "for which that was measured; none where a shape costs more, or less, than the baseline ever did. What scores "
        "rows for T and P is counted. Other architectures are compared with the baseline of the one studied. Where a "
        "cost is the same, the change is that at equal examples; intervals of the others at one cost hold together. "
        "A change per doubling is that at equal examples.",
    )  # fmt: skip


def _at_cost(key: str, heading: str, change: Callable[[Effect], Change | None]) -> tuple[Column[Effect], ...]:
    """A change at equal cost, the data size of the shape, and the verdict."""
    return (
        Column(f"{key}_examples", "at examples", lambda r: at.examples if (at := change(r)) else None, "count"),
        Column(
            f"{key}_change", f"{heading} (interval)", lambda r: at.change if (at := change(r)) else None, "estimate",
            lambda r: (at.low, at.high) if (at := change(r)) else (None, None),
        ),
        Column(
            f"{key}_outcome", "NE", lambda r: at.outcome if (at := change(r)) else None, "verdict",
            why=lambda r: at.why if (at := change(r)) else "",
        ),
    )  # fmt: skip


def noise_table(noises: Sequence[TrainingNoise]) -> Table[tuple[TrainingNoise, int]]:
    """The noise of one training by data size."""
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
    )  # fmt: skip


def _least_difference(row: tuple[TrainingNoise, int]) -> float:
    noise, examples = row
    return noise.quantile(0.975) * noise.error(examples, 1, 1)


def held_out_table(records: Sequence[HeldOut]) -> Table[HeldOut]:
    """The largest data sizes, predicted from the others."""
    return Table(
        "held_out",
        "Predictions of the largest data size",
        records,
        (
            ARCHITECTURE,
            SCHEME,
            Column("line", "Line", lambda r: line_name(r.line)),
            Column("examples", "Examples held out", lambda r: r.examples, "count"),
            Column("predicted", "Predicted NE", lambda r: r.predicted, "estimate", lambda r: (r.low, r.high)),
            Column("measured", "Measured NE", lambda r: r.measured, "number"),
            Column("inside", "Measured lies", lambda r: "inside" if r.inside else "outside", "verdict"),
            Column("relative_error_percent", "Error, %", lambda r: 100 * r.relative_error, "number"),
            Column("law", "Law", lambda r: r.law),
        ),
    )


def paper_table(claims: Sequence[Claim]) -> Table[Claim]:
    """The claims of the paper beside what was found."""
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
