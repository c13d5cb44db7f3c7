"""The sections of the report in the order of the page: what each shows, and how to read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tfrs_scaling.common.words import listed
from tfrs_scaling.fit.advice.budget import BUDGETS
from tfrs_scaling.fit.advice.words import short_words
from tfrs_scaling.fit.analyses.dimension import MARGIN, BestDimension
from tfrs_scaling.fit.analyses.effects import Effect
from tfrs_scaling.fit.analyses.generalisation import Generalisation
from tfrs_scaling.fit.analyses.held_out import HeldOut
from tfrs_scaling.fit.labels import (
    FRONTIER,
    architecture_suffix,
    has_several_architectures,
    line_name,
    multiplier_label,
)
from tfrs_scaling.fit.report.captions import ALL, AXES, CAPTIONS, HOW, PAPER, REGROUPED, TITLES, VIEWS
from tfrs_scaling.fit.report.figures.curves import (
    architectures_figure,
    dimension_figure,
    generalisation_figure,
    joint_figure,
)
from tfrs_scaling.fit.report.figures.forest import effects_figure, held_out_figure
from tfrs_scaling.fit.report.figures.phases import SharedAxis
from tfrs_scaling.fit.report.figures.schemes import Key, regrouped_figures, study_figures
from tfrs_scaling.fit.report.figures.zones import zone_figure
from tfrs_scaling.fit.report.tables.table import Table
from tfrs_scaling.fit.report.view import StudyView
from tfrs_scaling.fit.runs.screening import SHAPE
from tfrs_scaling.fit.schemes import ARCHITECTURE, BASELINE, SCHEMES


@dataclass(frozen=True)
class View:
    """One of the figures that share a place on the page: the id of its element, its name there, the figure."""

    element: str
    label: str
    plot: Any


@dataclass(frozen=True)
class Figure:
    """A place for figures on the page: what they show, the paper's figure to compare with (empty: none), how to read
    them."""

    title: str
    paper: str
    caption: str
    views: tuple[View, ...]
    wide: bool = False


@dataclass(frozen=True)
class Section:
    """A section: id and name for the contents, heading, words before, figures, tables."""

    id: str
    short: str
    title: str
    words: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table[Any], ...] = ()
    controls: bool = False


def study_sections(view: StudyView, axes: Sequence[SharedAxis]) -> list[Section]:
    """The sections that the study has something for, in the order of the page."""
    return [
        *_ranking(view),
        *_schemes(view),
        *_levers(view, axes),
        *_zones(view),
        *_dimension(view),
        *_generalisation(view),
        *_joint(view),
        *_effects(view),
        *_architectures(view),
        *_held_out(view),
        *_paper(view),
    ]


def ranking_words(view: StudyView) -> list[str]:
    """The order of the schemes along each axis, a sentence each."""
    several = has_several_architectures(view.fits.ranking)
    return [
        f"{ranking.architecture + ', against' if several else 'Against'} {ranking.x}: {ranking.text}"
        for ranking in view.fits.ranking
    ]


def _ranking(view: StudyView) -> list[Section]:
    """Table 1: which scheme is best, against data, parameters and compute."""
    if not view.fits.ranking:
        return []
    tables = (view.tables["table1"], view.tables["table1_pairs"])
    words = (*ranking_words(view), *ranking_against_answers(view))
    return [Section("ranking", "Ranking", "Which scheme is best", words, (), tables)]


def ranking_against_answers(view: StudyView) -> list[str]:
    """Why a ranking does not confirm an answer that scales one scheme: a sentence for each such answer."""
    words = []
    for budget, advice in view.advice.items():
        if advice.do is None or advice.baseline is None:
            continue
        use, baseline = advice.do.use, advice.baseline
        pairs = [
            (ranking.x, pair)
            for ranking in view.fits.ranking
            for pair in ranking.pairs
            if ranking.architecture == use.architecture and use.scheme in (pair.first, pair.second)
        ]
        otherwise = [
            f"{pair.first} {pair.outcome} {pair.second} against {x}"
            for x, pair in pairs
            if pair.difference is not None and pair.outcome != (">" if use.scheme == pair.first else "<")
        ]
        if otherwise:
            words.append(
                f"{BUDGETS[budget]} the answer is {short_words(use, baseline)}, although {listed(otherwise)}: a "
                "ranking compares the frontiers of two schemes where both end, all pairs together; an answer compares "
                "single options within its budget."
            )
    return words


def _schemes(view: StudyView) -> list[Section]:
    """Figures 4, 6 and 5: NE against data, parameters and compute, of all schemes and of each, in both groupings."""
    usual, other = study_figures(view), regrouped_figures(view)
    architectures = sorted({architecture for architecture, _, _ in usual})
    sections = []
    for architecture in architectures:
        suffix = _id_suffix(architectures, architecture)
        where = architecture_suffix(architecture, bool(suffix))
        for scheme in ("all", *SCHEMES):
            found = [key for key in usual if key[:2] == (architecture, scheme)]
            if not found:
                continue
            title = "Schemes side by side" if scheme == "all" else f"{scheme}: {SCHEMES[scheme].words}"
            figures = tuple(_scheme_figure(key, usual, other, suffix) for key in found)
            short = ("Side by side" if scheme == "all" else scheme) + where
            sections.append(Section(f"scheme-{scheme}{suffix}", short, title + where, (), figures))
    return sections


def _scheme_figure(key: Key, usual: Mapping[Key, Any], other: Mapping[Key, Any], suffix: str) -> Figure:
    _, scheme, x = key
    element = f"figure-{scheme}-{x}{suffix}"
    if scheme == "all":
        return Figure(TITLES[x], PAPER[x], ALL[x], (View(element, "", usual[key]),))
    views = [View(element, VIEWS[x][0], usual[key])]
    if key in other:
        views.append(View(f"{element}-regrouped", VIEWS[x][1], other[key]))
    caption = CAPTIONS[x] + (REGROUPED[x] if key in other else "") + SCHEMES[scheme].caption + HOW
    return Figure(TITLES[x], PAPER[x], caption, tuple(views))


def _levers(view: StudyView, groups: Sequence[SharedAxis]) -> list[Section]:
    """Figure 3 with its sliders, and the limits."""
    if not groups:
        return []
    architectures = sorted({group.architecture for group in groups})
    pairs = []
    for what, title, caption in (
        (
            "ne",
            "NE and its two phases",
            "Up to the diamond, each doubling of x still removes more of NE than the threshold: high return. Beyond it "
            "the law is saturated. Circled crosses show where a law meets the target NE (the dashed line). A triangle "
            "at the edge points to a mark outside the figure. Dashed curves are extrapolation; dotted ones are "
            "extrapolation that the fit does not support.",
        ),
        (
            "gain",
            "Return of the next doubling",
            "The share of NE that the next doubling of x removes, by each frontier's law. The dashed line is the "
            "threshold ε; where a curve crosses it (the diamond) is its point of diminishing return. A curve that "
            "bends down is approaching its floor.",
        ),
    ):
        views = tuple(
            View(
                f"lever-{what}-{group.name}{_id_suffix(architectures, group.architecture)}",
                AXES[group.name] + architecture_suffix(group.architecture, has_several_architectures(groups)),
                group.ne if what == "ne" else group.gain,
            )
            for group in groups
        )
        pairs.append(Figure(title, "Figure 3", caption, views))
    words = (
        "Every frontier has two phases: high return, then saturation. Where the one becomes the other depends on what "
        "is still worth its cost: move the threshold. Move the target to see how much of x each scheme needs for it.",
    )
    shown = (view.tables["phases"], view.tables["limits"])
    return [Section("levers", "Phases and limits", "How far more would go", words, tuple(pairs), shown, controls=True)]


def _zones(view: StudyView) -> list[Section]:
    """Figures 7 and 8 and Table 2."""
    zones = [zone for zone in view.fits.zones if zone.cells]
    if not zones:
        return []
    several = has_several_architectures(zones)
    figures = []
    for number, zone in enumerate(zones):
        first, second = zone.first, zone.second
        caption = (
            f"{first}: {SCHEMES[first].words}; {second}: {SCHEMES[second].words}. Each cell "
            "compares the models of both with that many parameters, trained on that many examples, where both were "
            f"measured. A letter names the scheme whose NE is lower by more than the margin ({zone.margin:g}) and the "
            "noise; ≈ means that neither is."
        )
        title = f"{first} against {second}{architecture_suffix(zone.architecture, several)}"
        paper = {("V", "H"): "Figure 7", ("O", "M"): "Figure 8"}.get((first, second), "Figures 7 and 8")
        figures.append(Figure(title, paper, caption, (View(f"figure-zone-{number}", "", zone_figure(zone)),)))
    shown = (view.tables["table2"], view.tables["zones"])
    return [Section("zones", "Zones", "Which scheme in which budget", (), tuple(figures), shown)]


def _dimension(view: StudyView) -> list[Section]:
    """Figure 9."""
    if not view.fits.dimension:
        return []
    figures = []
    architectures = sorted({record.architecture for record in view.fits.dimension})
    for architecture in architectures:
        records = [record for record in view.fits.dimension if record.architecture == architecture]
        keys = [[_trials_of_dimension(view.chosen, record, dim) for dim in record.dims] for record in records]
        suffix = _id_suffix(architectures, architecture)
        caption = (
            "One line per number of rows, at the largest data size that all its dimensions reached. A star marks the "
            f"dimension of the lowest NE, a ring the knee: the smallest dimension whose NE is within {MARGIN:.1%} of "
            "it. Thick bars are their intervals. If the knee is the same for all lines, the dimension does not need to "
            "grow with the tables."
        )
        title = "NE against embedding dimension" + architecture_suffix(architecture, bool(suffix))
        views = (View(f"figure-dimension{suffix}", "", dimension_figure(records, keys)),)
        figures.append(Figure(title, "Figure 9", caption, views, wide=True))
    tables = (view.tables["dimension"],)
    return [Section("dimension", "Dimension", "Embedding dimension", (), tuple(figures), tables)]


def _generalisation(view: StudyView) -> list[Section]:
    """The paper's Figure 10: exponents of training against those of test."""
    views = []
    several = has_several_architectures(view.fits.generalisation)
    for number, record in enumerate(view.fits.generalisation):
        rows = _with_training(view, record)
        if rows["train_ne"].notna().any():
            plot = generalisation_figure(record, rows)
            views.append(View(f"figure-generalisation-{number}", _line_label(record, several), plot))
    if not views:
        return []
    caption = (
        "Training NE is that of the rows since the previous data size, each predicted before the model learns from it; "
        "test NE is that of other rows. If the exponents are equal, training NE predicts what users get; if the "
        "training curve falls faster, the model fits its own rows. Lines are the laws of both."
    )
    figures = (Figure("Training and test NE against data", "Figure 10", caption, tuple(views), wide=True),)
    title = "Training against test"
    return [Section("generalisation", "Train and test", title, (), figures, (view.tables["generalisation"],))]


def _joint(view: StudyView) -> list[Section]:
    """NE over parameters and data, and the best split of compute."""
    drawn = [law for law in view.fits.joint if law.fit.status.is_fitted]
    if not drawn:
        return []
    several = has_several_architectures(drawn)
    views = tuple(
        View(f"figure-joint-{number}", law.scheme + architecture_suffix(law.architecture, several), joint_figure(law))
        for number, law in enumerate(drawn)
    )
    caption = (
        "Thin lines connect points of equal NE according to the law. Where they are horizontal, more parameters do not "
        "help; where they are vertical, more data do not. Diamonds: the split of a compute budget (a tenth to ten "
        "times the largest measured) with the lowest NE; hover for the budget. Beyond the measured points it is "
        "extrapolation."
    )
    figures = (Figure("Equal NE over parameters and data", "", caption, views, wide=True),)
    shown = (view.tables["joint_law"], view.tables["compute_optimal"])
    return [Section("joint", "Joint law", "Parameters and data together", (), figures, shown)]


def _effects(view: StudyView) -> list[Section]:
    """What each multiplier changes."""
    effects = view.fits.effects
    if not effects:
        return []
    plot = effects_figure(effects, [_trials_of_effect(view.chosen, effect) for effect in effects])
    caption = (
        "Each shape against its baseline, at the largest data size of both; another architecture's baseline "
        "against that of the one studied. Bars are intervals that hold for all rows together: where one crosses "
        "0, the effect is within the noise, unless the table says (alone)."
    )
    figure = Figure("Change of NE against the baseline", "", caption, (View("figure-effects", "", plot),), wide=True)
    return [Section("effects", "Effects", "What each multiplier changes", (), (figure,), (view.tables["effects"],))]


def _architectures(view: StudyView) -> list[Section]:
    """The baselines of several architectures."""
    compared = view.fits.architectures
    if not compared:
        return []
    names = sorted({name for record in compared for name in (record.first, record.second)})
    lines = {name: (view.points[name, BASELINE], view.law(name, BASELINE, "data", "1")) for name in names}
    caption = (
        "The baseline of each architecture. Parallel curves differ by a factor of data; curves that diverge or cross "
        "have different exponents."
    )
    views = (View("figure-architectures", "", architectures_figure(lines, view.about.bayes_ne)),)
    figure = Figure("NE of the baselines against data", "", caption, views, wide=True)
    tables = (view.tables["architectures"],)
    return [Section("architectures", "Architectures", "Architectures", (), (figure,), tables)]


def _held_out(view: StudyView) -> list[Section]:
    """Whether the laws predict."""
    tested = view.fits.held_out
    if not tested:
        return []
    several = has_several_architectures(tested)
    plot = held_out_figure(tested, [_line_label(record, several) for record in tested])
    caption = (
        "Each line was fitted without its largest data size, which was then predicted. Points at 0 were predicted "
        "exactly; crosses are outside the interval. Do not trust longer extrapolations more than these."
    )
    figure = Figure("Measured minus predicted NE", "", caption, (View("figure-held-out", "", plot),), wide=True)
    words = (view.fits.held_out_words, *(test.words for test in view.fits.backtests))
    tables = (view.tables["held_out"],)
    return [Section("held-out", "Held out", "Do the laws predict?", words, (figure,), tables)]


def _paper(view: StudyView) -> list[Section]:
    """The claims of the paper."""
    if not view.fits.paper:
        return []
    return [Section("paper", "The paper", "Comparison with the paper", (), (), (view.tables["paper"],))]


def _line_label(record: Generalisation | HeldOut, several: bool) -> str:
    return f"{record.scheme} {line_name(record.line)}{architecture_suffix(record.architecture, several)}"


def _id_suffix(architectures: Sequence[str], architecture: str) -> str:
    """Keeps the ids of several architectures' elements different."""
    return f"-{architectures.index(architecture)}" if len(architectures) > 1 else ""


def _trials_of_dimension(chosen: pd.DataFrame, record: BestDimension, dim: int) -> str:
    rows = chosen[(chosen["architecture"] == record.architecture) & (chosen["embedding_dim"] == dim)]
    multiplier = rows["multiplier"].where(rows["scheme"].isin(["V", "VH"]), 1.0)
    on_line = rows["scheme"].isin(["D", "V", "H", "VH"]) & (multiplier == record.multiplier)
    return "\n".join(sorted(set(rows.loc[on_line, "trial_id"])))


def _trials_of_effect(chosen: pd.DataFrame, effect: Effect) -> str:
    same = (
        (chosen["architecture"] == effect.architecture)
        & (chosen["scheme"] == (BASELINE if effect.scheme == ARCHITECTURE else effect.scheme))
        & (chosen["multiplier"] == effect.multiplier)
        & (chosen["embedding_dim"] == effect.embedding_dim)
    )
    return "\n".join(sorted(set(chosen.loc[same, "trial_id"])))


def _with_training(view: StudyView, record: Generalisation) -> pd.DataFrame:
    """The points of a data line or of the data frontier, with their training NE."""
    rows = view.points[record.architecture, record.scheme]
    if record.line != FRONTIER:
        on_line = [multiplier_label(value) == record.line for value in rows["multiplier"]]
        return rows[on_line].assign(key=rows["trial_id"])
    means = rows.groupby([*SHAPE, "examples"], sort=True)["train_ne"].mean().reset_index()
    frontier = view.frontiers[record.architecture, record.scheme, "data"]
    return frontier.merge(means, on=[*SHAPE, "examples"], how="left")
