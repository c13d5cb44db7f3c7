"""The sections of the report in the order of the page: what each shows, and how to read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tfrs_scaling.fit.labels import FRONTIER, axis_name, multiplier_label
from tfrs_scaling.fit.report.captions import ALL, AXES, CAPTIONS, HOW, PAPER, REGROUPED, TITLES, VIEWS
from tfrs_scaling.fit.report.figures.curves import (
    architectures_figure,
    dimension_figure,
    generalisation_figure,
    joint_figure,
)
from tfrs_scaling.fit.report.figures.forest import effects_figure, held_out_figure
from tfrs_scaling.fit.report.figures.phases import Levers
from tfrs_scaling.fit.report.figures.schemes import Key, named_frontier, regrouped_figures, study_figures
from tfrs_scaling.fit.report.figures.zones import pair_name, zone_figure
from tfrs_scaling.fit.report.table import Table
from tfrs_scaling.fit.report.tables import line_name
from tfrs_scaling.fit.schemes import SCHEMES
from tfrs_scaling.fit.study import find_line, points

Fits = Mapping[str, Any]


@dataclass(frozen=True)
class View:
    """One of the figures that share a place on the page: the id of its element, its name there, the figure."""

    element: str
    label: str
    plot: Any


@dataclass(frozen=True)
class Figure:
    """A place for figures on the page: what they show, which figure of the paper that answers (none: empty), how to
    read them."""

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
    tables: tuple[Table, ...] = ()
    controls: bool = False


def ranking_section(fits: Fits, tables: Mapping[str, Table]) -> list[Section]:
    """Table 1: which scheme is best, against data, parameters and compute."""
    if not fits["ranking"]:
        return []
    several = len({record["architecture"] for record in fits["ranking"]}) > 1
    words = [
        f"{record['architecture'] + ', against' if several else 'Against'} {record['x']}: {record['text']}"
        for record in fits["ranking"]
    ]
    return [
        Section(
            "ranking", "Ranking", "Which scheme is best", tuple(words), (), (tables["table1"], tables["table1_pairs"])
        )
    ]  # fmt: skip


def scheme_sections(runs: pd.DataFrame, fits: Fits, bayes_ne: float | None) -> list[Section]:
    """Figures 2, 4, 5 and 6: NE against data, parameters and compute, of all schemes and of each, in both groupings."""
    usual, other = (make(runs, fits, bayes_ne=bayes_ne) for make in (study_figures, regrouped_figures))
    architectures = sorted({architecture for architecture, _, _ in usual})
    sections = []
    for architecture in architectures:
        for scheme in ("all", *SCHEMES):
            found = [key for key in usual if key[:2] == (architecture, scheme)]
            if not found:
                continue
            name = _suffix(architectures, architecture)
            where = f" · {architecture}" if name else ""
            title = "Schemes side by side" if scheme == "all" else f"{scheme}: {SCHEMES[scheme].words}"
            figures = tuple(_scheme_figure(key, usual, other, name) for key in found)
            short = ("Side by side" if scheme == "all" else scheme) + where
            sections.append(Section(f"scheme-{scheme}{name}", short, title + where, (), figures))
    return sections


def _scheme_figure(key: Key, usual: Mapping[Key, Any], other: Mapping[Key, Any], name: str) -> Figure:
    _, scheme, x = key
    element = f"figure-{scheme}-{x}{name}"
    if scheme == "all":
        return Figure(TITLES[x], PAPER[x], ALL[x], (View(element, "", usual[key]),))
    views = [View(element, VIEWS[x][0], usual[key])]
    if key in other:
        views.append(View(f"{element}-regrouped", VIEWS[x][1], other[key]))
    caption = CAPTIONS[x] + (REGROUPED[x] if key in other else "") + SCHEMES[scheme].caption + HOW
    return Figure(TITLES[x], PAPER[x], caption, tuple(views))


def levers_section(groups: Sequence[Levers], tables: Mapping[str, Table]) -> list[Section]:
    """Figure 3 with its sliders, and the limits."""
    if not groups:
        return []
    architectures = sorted({group.architecture for group in groups})
    pairs = []
    for what, title, caption in (
        (
            "ne",
            "NE and its two phases",
            "Up to the diamond, each doubling of x still removes more of NE than the threshold: high return; beyond it "
            "the law is saturated. Circled crosses are where a law meets the target NE (the dashed line). A triangle "
            "at the edge points to a mark beyond it. Dashed is extrapolation; dotted, one that the fit does not "
            "support.",
        ),
        (
            "gain",
            "Return of the next doubling",
            "The share of NE that the next doubling of x removes, by each frontier's law. The dashed line is the "
            "threshold ε: where a curve crosses it (the diamond) lies its point of diminishing return. A curve that "
            "bends down is running into its floor.",
        ),
    ):
        views = tuple(
            View(
                f"lever-{what}-{group.name}{_suffix(architectures, group.architecture)}",
                _axis_label(group.name) + (f" · {group.architecture}" if len(architectures) > 1 else ""),
                getattr(group, what),
            )
            for group in groups
        )
        pairs.append(Figure(title, "Figure 3", caption, views))
    words = (
        "Every frontier falls in two phases: high return, then saturation. Where one turns into the other depends on "
        "what is still worth it: move the threshold. Move the target to see how much of x each scheme needs for it.",
    )
    shown = (tables["phases"], tables["limits"])
    return [Section("levers", "Phases and limits", "How far more would go", words, tuple(pairs), shown, controls=True)]


def zone_sections(fits: Fits, tables: Mapping[str, Table]) -> list[Section]:
    """Figures 7 and 8 and Table 2."""
    zones = [zone for zone in fits["zones"] if zone["cells"]]
    if not zones:
        return []
    several = len({zone["architecture"] for zone in zones}) > 1
    figures = []
    for number, zone in enumerate(zones):
        first, second = zone["first"], zone["second"]
        caption = (
            f"{first}: {SCHEMES[first].words}; {second}: {SCHEMES[second].words}. Each cell "
            "compares the models of both with that many parameters, trained on that many examples, only where "
            "both were measured. A letter names the scheme whose NE is lower by more than the margin "
            f"({zone['margin']:g}) and outside the noise; ≈ where neither is."
        )
        title = pair_name(zone) + (f" · {zone['architecture']}" if several else "")
        paper = {("V", "H"): "Figure 7", ("O", "M"): "Figure 8"}.get((zone["first"], zone["second"]), "Figures 7 and 8")
        figures.append(Figure(title, paper, caption, (View(f"figure-zone-{number}", "", zone_figure(zone)),)))
    shown = (tables["table2"], tables["zones"])
    return [Section("zones", "Zones", "Which scheme in which budget", (), tuple(figures), shown)]


def dimension_section(chosen: pd.DataFrame, fits: Fits, tables: Mapping[str, Table]) -> list[Section]:
    """Figure 9."""
    if not fits["dimension"]:
        return []
    figures = []
    architectures = sorted({record["architecture"] for record in fits["dimension"]})
    for architecture in architectures:
        records = [record for record in fits["dimension"] if record["architecture"] == architecture]
        names = [multiplier_label(float(record["multiplier"])) for record in records]
        keys = [[_trials_of_dimension(chosen, record, dim) for dim in record["dims"]] for record in records]
        suffix = _suffix(architectures, architecture)
        caption = (
            "One line per number of rows, at the largest data size that all its dimensions reached. A star marks the "
            "dimension of the lowest NE, a ring the knee: the smallest dimension that comes as near to it as noise "
            "lets one tell. Thick bars are their intervals. A knee that is the same for all lines says that the "
            "dimension does not need to grow with the tables."
        )
        figures.append(
            Figure(
                "NE against embedding dimension" + (f" · {architecture}" if suffix else ""), "Figure 9", caption,
                (View(f"figure-dimension{suffix}", "", dimension_figure(records, names, keys)),), wide=True,
            )
        )  # fmt: skip
    return [Section("dimension", "Dimension", "Embedding dimension", (), tuple(figures), (tables["dimension"],))]


def generalisation_section(chosen: pd.DataFrame, fits: Fits, tables: Mapping[str, Table]) -> list[Section]:
    """Figure 10."""
    views = []
    several = len({record["architecture"] for record in fits["generalisation"]}) > 1
    for number, record in enumerate(fits["generalisation"]):
        rows = points(chosen, record["architecture"], record["scheme"])
        rows = _with_training(rows, str(record["line"]))
        if rows["train_ne"].notna().any():
            label = f"{record['scheme']} {line_name(record)}" + (f" · {record['architecture']}" if several else "")
            views.append(View(f"figure-generalisation-{number}", label, generalisation_figure(record, rows)))
    if not views:
        return []
    caption = (
        "Training NE is that of the rows since the data size before, each predicted before it is learned from; test NE "
        "is of other rows. Where the exponents are the same, what training shows is what users get; a training curve "
        "that falls faster is fitting its own rows. Lines are the laws of both."
    )
    figures = (Figure("Training and test NE against data", "Figure 10", caption, tuple(views), wide=True),)
    title = "Training against test"
    return [Section("generalisation", "Train and test", title, (), figures, (tables["generalisation"],))]


def joint_section(fits: Fits, tables: Mapping[str, Table]) -> list[Section]:
    """NE over parameters and data, and the best split of compute."""
    drawn = [r for r in fits["joint"] if r["fit"] and r["fit"]["status"] != "too_few_points"]
    if not drawn:
        return []
    several = len({record["architecture"] for record in drawn}) > 1
    views = tuple(
        View(
            f"figure-joint-{number}",
            record["scheme"] + (f" · {record['architecture']}" if several else ""),
            joint_figure(record, axis_name("parameters", record["scheme"])),
        )
        for number, record in enumerate(drawn)
    )
    caption = (
        "Thin lines join places of equal NE by the law. Where they run level, more parameters do not help; where they "
        "run upright, more data do not. Diamonds: the split of a compute budget, of a tenth to ten times the largest "
        "measured, that makes NE lowest; hover for the budget. Beyond the measured points it is extrapolation."
    )
    figures = (Figure("Equal NE over parameters and data", "", caption, views, wide=True),)
    shown = (tables["joint_law"], tables["compute_optimal"])
    return [Section("joint", "Joint law", "Parameters and data together", (), figures, shown)]


def beyond_sections(
    chosen: pd.DataFrame, fits: Fits, tables: Mapping[str, Table], bayes_ne: float | None
) -> list[Section]:
    """What the paper does not ask: other axes, architectures, and whether the laws predict."""
    sections = []
    if fits["effects"]:
        plot = effects_figure(fits["effects"], [_trials_of_effect(chosen, r) for r in fits["effects"]])
        caption = (
            "Each shape against its baseline, at the largest data size of both; another architecture's baseline "
            "against that of the one studied. Bars are intervals that hold for all rows together: one that crosses the "
            "line at 0 shows no effect that can be told from noise."
        )
        view = View("figure-effects", "", plot)
        figure = Figure("Change of NE against the baseline", "", caption, (view,), wide=True)
        title = "What each multiplier changes"
        sections.append(Section("effects", "Effects", title, (), (figure,), (tables["effects"],)))
    if fits["architectures"]:
        names = sorted({name for record in fits["architectures"] for name in (record["first"], record["second"])})
        lines = {}
        for name in names:
            rows = points(chosen, name, "D")
            found = find_line(fits, scheme="D", x="data", line="1", architecture=name)
            lines[name] = (rows, found and found[1])
        caption = (
            "The baseline of each architecture. Curves that run side by side differ by a factor of data; curves that "
            "part or meet have other exponents."
        )
        view = View("figure-architectures", "", architectures_figure(lines, bayes_ne))
        figure = Figure("NE of the baselines against data", "", caption, (view,), wide=True)
        sections.append(
            Section("architectures", "Architectures", "Architectures", (), (figure,), (tables["architectures"],))
        )
    tested = [r for r in fits["held_out"] if r["predicted"] is not None and r["measured"] is not None]
    if tested:
        several = len({record["architecture"] for record in tested}) > 1
        labels = [
            f"{record['scheme']} {line_name(record)}" + (f" · {record['architecture']}" if several else "")
            for record in tested
        ]
        caption = (
            "Each line was fitted without its largest data size, which was then predicted. Points on the line at 0 "
            "were predicted exactly; crosses fell outside the interval. Trust longer extrapolations no more than these."
        )
        view = View("figure-held-out", "", held_out_figure(tested, labels))
        figure = Figure("Measured minus predicted NE", "", caption, (view,), wide=True)
        words = (fits["held_out_words"],)
        title = "Do the laws predict?"
        sections.append(Section("held-out", "Held out", title, words, (figure,), (tables["held_out"],)))
    if fits["paper"]:
        sections.append(Section("paper", "Beside the paper", "Beside the paper", (), (), (tables["paper"],)))
    return sections


def _axis_label(name: str) -> str:
    return AXES[name]


def _suffix(architectures: Sequence[str], architecture: str) -> str:
    """Tells the elements of several architectures apart."""
    return f"-{architectures.index(architecture)}" if len(architectures) > 1 else ""


def _trials_of_dimension(chosen: pd.DataFrame, record: Mapping[str, Any], dim: float) -> str:
    rows = chosen[(chosen["architecture"] == record["architecture"]) & (chosen["embedding_dim"] == dim)]
    multiplier = rows["multiplier"].where(rows["scheme"].isin(["V", "VH"]), 1.0)
    of_line = rows["scheme"].isin(["D", "V", "H", "VH"]) & (multiplier == float(record["multiplier"]))
    return "\n".join(sorted(set(rows.loc[of_line, "trial_id"])))


def _trials_of_effect(chosen: pd.DataFrame, record: Mapping[str, Any]) -> str:
    scheme = "D" if record["scheme"] == "A" else record["scheme"]
    same = (
        (chosen["architecture"] == record["architecture"])
        & (chosen["scheme"] == scheme)
        & (chosen["multiplier"] == record["multiplier"])
        & (chosen["embedding_dim"] == record["embedding_dim"])
    )
    return "\n".join(sorted(set(chosen.loc[same, "trial_id"])))


def _with_training(rows: pd.DataFrame, line: str) -> pd.DataFrame:
    """The points of a data line or of the data frontier, with their training NE."""
    if line != FRONTIER:
        return rows[[multiplier_label(value) == line for value in rows["multiplier"]]].assign(key=rows["trial_id"])
    shape = ["architecture", "scheme", "multiplier", "embedding_dim", "examples"]
    training = rows.groupby(shape, sort=True)["train_ne"].mean().reset_index()
    return named_frontier(rows, "data").merge(training, on=shape, how="left")
