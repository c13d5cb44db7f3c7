"""Every lever of published studies at equal cost, as Markdown; what teacher, pruning and architectures come to."""

from collections.abc import Sequence

from tfrs_scaling.common.words import UNKNOWN, compact
from tfrs_scaling.fit.analyses.effects import Change
from tfrs_scaling.fit.labels import multiplier_label, shape_name
from tfrs_scaling.fit.report.dense_parts import growth_section, laws_of_architectures
from tfrs_scaling.fit.report.published import Published, change_words, made_by, slope_words, table, value_words
from tfrs_scaling.fit.schemes import ARCHITECTURE, KEEPING, SCHEMES
from tfrs_scaling.fit.study import StudyFits

LEVER_FIGURES = {
    "compute": ("figure-effects-compute", "what each lever changes at equal FLOPs of training"),
    "rows": ("figure-effects-rows", "what each lever changes at equal rows of the log"),
}
_HEAD = """## Every lever at equal cost

The paper proposes more features (F), a teacher trained on history (T), other negatives (N), more epochs (E) and better
architectures (A), and cites pruning (P). Here is what each changes beside rows (V), dimension (H) and widths (O, M): at
equal examples, and against a baseline that spends the same FLOPs of training, or the same rows of the log, on data
alone. Two cells of one column need not be of one data size: each is of the largest one at which both could be compared,
and says it. A lever that costs many FLOPs is compared where little was spent, where NE is high and all differences are
larger, so such cells rank no levers. Where a cell at equal cost is –, the baseline was never given so much.

Where a log is split at random, a teacher has seen other rows of the same time and none from before; proposal 2 of the
paper, history, is the study that is split by time. All seeds of a study share one teacher, and one scorer of P: the
luck of these is in no interval. The small teacher saw a quarter of the rows that its students are given at most, so
that T has a value at equal cost; the larger one and a student cost more together than any baseline here. At equal
examples, A at sizes other than 1 is compared with its own architecture at 1; at equal cost, with the baseline like all
others. Intervals at one cost other than the baseline's hold together. An architecture's intervals are as wide as its
own trainings scatter. A shape of which a seed of three ends as a dead network is left out. In rankings, ≈ and level
mean that no difference is seen, not that there is none; an architecture is ranked by the best of all its sizes so far.
"""


def levers_section(studies: Sequence[Published], folder: str) -> str:
    """The section of the page.

    Args:
        studies: Those of levers.
        folder: Path of the run tables, as links on the page give it.
    """
    answers = growth_section(studies), _teachers(studies), _prunings(studies)
    return "\n".join((_HEAD, *answers, *(_levers(study, folder) for study in studies)))


_TEACHERS = """### Does a teacher move the law?

NE at the largest data size against the baseline on the same examples, and whether beta and gamma of the law of data
move; the numbers are in the section of each study. **moves** is of no use by itself: a steeper law may end at a higher
floor, as with the small teacher on the votes.
"""
_PRUNINGS = """### Does pruning beat the power law, and is there a crossover?

Sorscher et al. (2022) find that on images hard examples are the best to keep where there are many, easy ones where
there are few, and that the first beat the power law of random ones. Here a quarter of a log is kept.
"""


_NO_DIFFERENCE = "no difference seen"


def _teachers(studies: Sequence[Published]) -> str:
    """Every teacher's effect and what it does to the law."""
    rows = []
    for study in studies:
        moved = {(each.second, each.parameter): each.verdict for each in study.fits.taught_parameters}
        for each in (each for each in study.fits.effects if each.scheme == "T"):
            name = f"T at {multiplier_label(each.multiplier)}"
            verdicts = (moved.get((name, parameter), UNKNOWN) for parameter in ("beta", "gamma"))
            rows.append((study.entry.title, name, _change(each), *verdicts))
    return f"{_TEACHERS}\n{table(('log', 'weight', 'change of test NE', 'beta', 'gamma'), rows)}"


def _prunings(studies: Sequence[Published]) -> str:
    """What each way to choose rows changes, how its law compares with that of random rows, and who leads where."""
    rows, words = [], []
    for study in studies:
        laws = {law.second: law.verdict for ranked in study.fits.prunings for law in ranked.laws}
        for each in (each for each in study.fits.effects if each.scheme in KEEPING):
            way = str(SCHEMES[each.scheme].keeps)
            verdict = laws.get(way, UNKNOWN)
            rows.append((study.entry.title, way, _change(each), _NO_DIFFERENCE if verdict == "same" else verdict))
        words += [f"- {study.entry.title}: {ranked.words}.\n" for ranked in study.fits.prunings]
    hard = [verdict for _, way, _, verdict in rows if way == "hard"]
    other = sum(verdict == "other exponent" for verdict in hard)
    told = f"Hard rows are seen to have another exponent than random ones on {other} of {len(hard)} logs.\n"
    columns = "log", "rows kept", "change of test NE at equal examples", "law of data against that of random rows"
    return f"{_PRUNINGS}\n{told}\n{table(columns, rows)}\nWhich rows lead where:\n\n{''.join(words)}"


def figures_of_levers(fits: StudyFits) -> dict[str, tuple[str, str]]:
    """Those in which some lever has a value."""
    return {
        name: figure
        for name, figure in LEVER_FIGURES.items()
        if any(getattr(each, f"at_{name}") is not None for each in fits.effects)
    }


def _levers(study: Published, folder: str) -> str:
    entry, fits = study.entry, study.fits
    rows = []
    for each in fits.effects:
        name = shape_name(each.scheme, each.multiplier)
        if each.scheme == ARCHITECTURE:
            name = f"A: {each.architecture} {multiplier_label(each.multiplier)}×"
        rows.append(
            (
                name,
                _change(each),
                f"{_times(each.compute_times)}",
                _change(each.at_compute, says_examples=True),
                f"{_times(each.rows_times)}",
                _change(each.at_rows, says_examples=True),
                f"{_times(each.parameters_times)}",
                slope_words(each),
            )
        )
    examples = compact(float(study.runs["examples"].max()))
    shown = {name: f"{entry.title}: {words}" for name, (_, words) in figures_of_levers(fits).items()}
    words = [f"Architectures against {ranked.x}: {ranked.words}." for ranked in fits.architecture_ranking]
    words += [
        f"Of P at a share of {multiplier_label(ranked.share)}, along data: {ranked.words}." for ranked in fits.prunings
    ]
    words += [law.words for ranked in fits.prunings for law in ranked.laws]
    parts = [
        f"### Levers on {entry.title}",
        entry.about,
        f"Run table: [{study.name}.parquet]({folder}/{study.name}.parquet). Made by",
        made_by(study),
        table(
            (
                "lever", f"change of test NE at {examples} examples", "FLOPs", "change at equal FLOPs", "rows",
                "change at equal rows", "parameters", "change per doubling of parameters",
            ),
            rows,
        ),
        *(f"![{what}]({folder}/{study.name}-{name}.svg)\n\n{what}" for name, what in shown.items()),
        "\n".join(f"- {sentence}" for sentence in words),
        _teacher(study),
        laws_of_architectures(study),
    ]  # fmt: skip
    return "\n\n".join(part.rstrip() for part in parts if part) + "\n"


def _teacher(study: Published) -> str:
    """Whether alpha, beta or gamma of the law of data move with a teacher."""
    fits = study.fits
    if not fits.taught_parameters:
        return ""
    rows = [
        (
            each.second,
            each.parameter,
            value_words(each.first_value, each.first_low, each.first_high),
            value_words(each.second_value, each.second_low, each.second_high),
            value_words(each.change, each.low, each.high),
            f"**{each.verdict}**" if each.verdict == "moves" else each.verdict,
        )
        for each in fits.taught_parameters
    ]
    columns = ("student", "parameter", "without a teacher", "with it", "change", "verdict")
    words = "".join(f"- {record.words}\n" for record in fits.taught)
    return f"#### The law with a teacher on {study.entry.title}\n\n{table(columns, rows)}\n{words}"


def _times(times: float | None) -> str:
    return UNKNOWN if times is None else f"{times:.3g}×"


def _change(change: Change | None, *, says_examples: bool = False) -> str:
    if change is None:
        return UNKNOWN
    ends = change_words(change)
    ends = f"**{ends}**" if change.outcome in ("lower", "higher") else ends
    return f"{ends} at {compact(float(change.examples))}" if says_examples else ends
