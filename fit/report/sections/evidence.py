"""The evidence by lever: what each multiplier changes, how the schemes compare, and NE along data, parameters and
compute in both groupings (the paper's Figures 2, 4, 5 and 6)."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tfrs_scaling.common.words import FLOPS, human, interval, listed, signed, signed_end
from tfrs_scaling.fit.advice.budget import BUDGETS
from tfrs_scaling.fit.advice.words import short_words
from tfrs_scaling.fit.analyses.effects import Change, Effect
from tfrs_scaling.fit.analyses.parameter_changes import LETTERS
from tfrs_scaling.fit.labels import FRONTIER, architecture_suffix, has_several_architectures, multiplier_label
from tfrs_scaling.fit.report.captions import ALL, GROUPS, HOW, LAW, PAPER, QUALITY, TITLES, VIEWS
from tfrs_scaling.fit.report.figures.curves import architectures_figure
from tfrs_scaling.fit.report.figures.forest import effect_name, effects_figure
from tfrs_scaling.fit.report.figures.law import excess_figure, residual_figure
from tfrs_scaling.fit.report.figures.quality import quality_figure
from tfrs_scaling.fit.report.figures.schemes import frontiers_figure, scheme_figure, schemes_of
from tfrs_scaling.fit.report.sections.section import Drawing, Figure, Section, View, id_suffix, one_view
from tfrs_scaling.fit.report.view import StudyView
from tfrs_scaling.fit.schemes import BASELINE, KEEPING, SCHEMES


def evidence(view: StudyView) -> list[Section]:
    """One section; none where there is nothing to show."""
    figures = _effects(view)
    for architecture in view.architectures:
        figures += _side_by_side(view, architecture)
    figures += [*_architecture_figures(view), *_pruning_figures(view)]
    own = [(name, scheme) for name in view.architectures for scheme in schemes_of(view, name)]
    figures += [_scheme(view, *which) for which in own]
    words = (
        *ranking_words(view), *ranking_against_answers(view), *_architecture_words(view), *_pruning_words(view),
        *teacher_words(view),
    )  # fmt: skip
    if not figures and not words:
        return []
    how = f"{HOW}{LAW}" if own else ""
    return [Section("evidence", "Evidence", "What each lever does", words, tuple(figures), how=how)]


def ranking_words(view: StudyView) -> list[str]:
    """The order of the schemes along each axis, a sentence each: where the axis ends, and along it."""
    several = has_several_architectures(view.fits.ranking)
    words = []
    for ranking in view.fits.ranking:
        prefix = f"{ranking.architecture + ', against' if several else 'Against'} {ranking.x}"
        along = f" where they end; along it: {ranking.along}" if ranking.along else ""
        words.append(f"{prefix}: {ranking.text}{along}.")
    return words


def ranking_against_answers(view: StudyView) -> list[str]:
    """Why a ranking does not confirm the answers that scale one scheme: a sentence, if there are such answers."""
    words = []
    for budget, advice in view.advice.items():
        if advice.do is None or advice.baseline is None:
            continue
        use, baseline = advice.do.use, advice.baseline
        lost, level = [], dict[str, list[str]]()
        for ranking in view.fits.ranking:
            for pair in ranking.pairs:
                if ranking.architecture != use.architecture or use.scheme not in (pair.first, pair.second):
                    continue
                wins, loses = (">", "<") if use.scheme == pair.first else ("<", ">")
                if pair.outcome == loses:
                    lost.append(f"{pair.first} {pair.outcome} {pair.second} against {ranking.x}")
                elif pair.difference is not None and pair.outcome != wins:
                    level.setdefault(ranking.x, []).append(pair.second if use.scheme == pair.first else pair.first)
        axes = dict[str, list[str]]()
        for x, names in level.items():
            axes.setdefault(listed(sorted(names)), []).append(x)
        tied = listed(f"{names} against {listed(on)}" for names, on in axes.items())
        why = lost + [f"the frontier of {use.scheme} is level with {tied}"] * bool(level)
        if why:
            words.append(
                f"{BUDGETS[budget].lower()} the answer is {short_words(use, baseline)}, although {listed(why)}"
            )
    if not words:
        return []
    said = "; ".join(words)
    return [
        f"{said[0].upper()}{said[1:]}: a ranking compares the frontiers of two schemes where both end, all pairs "
        "together; an answer compares single options within its budget."
    ]


def _effects(view: StudyView) -> list[Figure]:
    effects = view.fits.effects
    if not effects:
        return []
    at_costs: tuple[tuple[str, str, Sequence[Change | None]], ...] = (
        ("figure-effects", "Equal examples", effects),
        ("figure-effects-compute", "Equal training FLOPs", [effect.at_compute for effect in effects]),
        ("figure-effects-rows", "Equal rows collected", [effect.at_rows for effect in effects]),
    )
    views, absent = [], []
    for element, label, changes in at_costs:
        shown = [(effect, change) for effect, change in zip(effects, changes, strict=True) if change is not None]
        if shown:
            keys = [_trials_of_effect(view.chosen, effect) for effect, _ in shown]
            plot = effects_figure([effect for effect, _ in shown], keys, [change for _, change in shown])
            views.append(one_view(element, plot, label))
            out = [effect_name(effect) for effect, change in zip(effects, changes, strict=True) if change is None]
            if out:
                at = f"{label[0].lower()}{label[1:]}"
                absent.append(f" Not at {at}: {listed(out)}; the baseline was never given as much, or as little.")
    caption = (
        "Each shape against its baseline at the largest data size of both, or against a baseline that spends the same "
        "FLOPs of training, or the same rows of the log, on data alone. The intervals of all larger shapes hold "
        "together, as do those of all smaller ones and those at one cost other than the baseline's: where one crosses "
        "0, the effect is within the noise. At equal cost other architectures are compared with the one studied."
        f"{''.join(absent)}"
    )
    return [Figure("Change of NE against the baseline", "", caption, tuple(views))]


def _side_by_side(view: StudyView, architecture: str) -> list[Figure]:
    """The frontiers of all schemes; AUC and calibration of those against data beside their NE."""
    suffix = id_suffix(view.architectures, architecture)
    fitted = list(view.fitted(architecture))
    views = []
    # The parameters of V, H and F are all of them, those of O and M some: they do not share an axis.
    for x in ("data", "compute"):
        shown = [scheme for scheme in fitted if (architecture, scheme, x) in view.frontiers]
        if len(shown) > 1 or (shown and x == "data"):
            plot = frontiers_figure(view, architecture, shown, x)
            views.append(one_view(f"figure-all-{x}{suffix}", plot, TITLES[x]))
    for column, label in QUALITY.items():
        shown = [scheme for scheme in fitted if (architecture, scheme, "data") in view.frontiers]
        if shown and view.chosen[column].notna().any():
            plot = quality_figure(view, architecture, shown, column)
            views.append(one_view(f"figure-all-{column.removeprefix('test_')}{suffix}", plot, label))
    caption = ALL
    if architecture == view.fits.base and view.fits.architectures:
        views.append(one_view("figure-architectures", _architectures(view), "Architectures"))
        caption += " Architectures: the baseline of each, with the law of its own points."
    if not views:
        return []
    title = "Schemes side by side" + architecture_suffix(architecture, bool(suffix))
    return [Figure(title, f"{PAPER['data']}, {PAPER['compute']}", caption, tuple(views))]


def _scheme(view: StudyView, architecture: str, scheme: str) -> Figure:
    """One scheme along every axis it has, in both groupings, and the law of its frontier."""
    suffix = id_suffix(view.architectures, architecture)
    views: list[View] = []
    papers = []
    for x in SCHEMES[scheme].axes:
        if (architecture, scheme, x) not in view.frontiers:
            continue
        name = f"figure-{scheme}-{x}{suffix}"
        usual, other = VIEWS[x]
        views.append(one_view(name, scheme_figure(view, architecture, scheme, x), usual, GROUPS[x]))
        papers.append(PAPER[x])
        if scheme != BASELINE:
            plot = scheme_figure(view, architecture, scheme, x, regrouped=True)
            views.append(one_view(f"{name}-regrouped", plot, other, GROUPS[x]))
        law = view.law(architecture, scheme, x, FRONTIER if scheme != BASELINE else "1")
        if law is not None and law.status.has_exponent and law.gamma < min(law.y):
            frontier = view.frontiers[architecture, scheme, x]
            errors = view.errors(architecture, frontier)
            plots = (
                Drawing(f"{name}-law", excess_figure(frontier, x, scheme, law)),
                Drawing(f"{name}-residuals", residual_figure(frontier, x, scheme, law, errors)),
            )
            views.append(View("log (NE − γ)", plots, GROUPS[x]))
    where = architecture_suffix(architecture, bool(suffix))
    title, tab = (f"{words}{where}" for words in (f"{scheme}: {SCHEMES[scheme].words}", SCHEMES[scheme].short))
    return Figure(title, ", ".join(dict.fromkeys(papers)), SCHEMES[scheme].caption.strip(), tuple(views), tab=tab)


def _architectures(view: StudyView) -> Any:
    """The baselines of several architectures."""
    names = sorted({name for record in view.fits.architectures for name in (record.first, record.second)})
    lines = {name: (view.points[name, BASELINE], view.law(name, BASELINE, "data", "1")) for name in names}
    return architectures_figure(lines, view.about.bayes_ne)


def _architecture_figures(view: StudyView) -> list[Figure]:
    """The frontier of every architecture whose dense part was scaled, along each axis."""
    views = []
    for ranking in view.fits.architecture_ranking:
        x, shown = ranking.x, {name: s for name, s in ranking.schemes.items() if s != BASELINE}
        lines = {
            name: (view.frontiers[name, scheme, x], view.law(name, scheme, x, FRONTIER))
            for name, scheme in shown.items()
            if (name, scheme, x) in view.frontiers
        }
        if lines:
            plot = architectures_figure(lines, view.about.bayes_ne, x)
            views.append(one_view(f"figure-architectures-{x}", plot, GROUPS[x]))
    if not views:
        return []
    caption = (
        "The lowest NE of each architecture with at most that much, over all multipliers of its dense part, each by "
        "its own rule. Against parameters: those outside the embedding tables."
    )
    return [Figure("Architectures, each scaled by its own rule", "", caption, tuple(views))]


def _architecture_words(view: StudyView) -> list[str]:
    """Which architecture leads where, and whether exponents differ: a sentence, if any was scaled."""
    if not view.fits.architecture_ranking:
        return []
    leads = "; ".join(f"against {ranking.x}, {ranking.words}" for ranking in view.fits.architecture_ranking)
    verdicts = [
        f"{record.second} against {record.first} along {record.x}: {record.verdict}"
        for record in view.fits.architectures
        if record.line == FRONTIER
    ]
    laws = f" Their laws: {'; '.join(verdicts)}." if verdicts else ""
    return [f"Architectures, each scaled by its own rule: {leads}.{laws}"]


def _pruning_figures(view: StudyView) -> list[Figure]:
    """The ways to choose rows of a longer log side by side, a view for each share."""
    schemes = {str(SCHEMES[scheme].keeps): scheme for scheme in KEEPING}
    views = []
    for ranking in view.fits.prunings:
        label = multiplier_label(ranking.share)
        lines = {}
        for way in dict.fromkeys(name for law in ranking.laws for name in (law.first, law.second)):
            scheme = schemes.get(way, BASELINE)
            line = "1" if scheme == BASELINE else label
            rows = view.points[ranking.architecture, scheme]
            own = rows[(rows["scheme"] == scheme) & (rows["multiplier"].map(multiplier_label) == line)]
            lines[way] = own, view.law(ranking.architecture, scheme, "data", line)
        if lines:
            plot = architectures_figure(lines, view.about.bayes_ne)
            views.append(one_view(f"figure-pruning-{label.replace('/', '_')}", plot, f"{label} kept"))
    if not views:
        return []
    caption = (
        "A share of the rows of a longer log, chosen at random or by how well a scorer predicts them, against the rows "
        "trained on. Rows are weighted, so that NE is comparable; hard rows are predicted badly, easy ones well."
    )
    return [Figure("Data pruning: which rows to train on", "", caption, tuple(views))]


def _pruning_words(view: StudyView) -> list[str]:
    """Which way to choose rows of a longer log leads where, whether exponents differ, and what each changes against the
    baseline: a sentence or two for each share."""
    words = []
    for ranking in view.fits.prunings:
        verdicts = [f"{law.second} against {law.first}: {law.verdict}" for law in ranking.laws]
        laws = f"; their laws: {', '.join(verdicts)}" if verdicts else ""
        where = architecture_suffix(ranking.architecture, len(view.architectures) > 1)
        share = multiplier_label(ranking.share)
        words.append(f"Pruning to {share} of a longer log{where}, at equal examples: {ranking.words}{laws}.")
        own = [
            effect
            for effect in view.fits.effects
            if (effect.architecture, effect.multiplier) == (ranking.architecture, ranking.share)
            and SCHEMES[effect.scheme].keeps is not None
        ]
        if changes := "; ".join(filter(None, map(_change_words, own))):
            words[-1] += f" Against the baseline, at the largest data size of both: {changes}."
    return words


def _change_words(effect: Effect) -> str:
    """Whether a way to choose rows helps or harms, with its interval; empty where the noise is unknown."""
    verdict = {"lower": "help", "higher": "harm", "≈": "change nothing beyond the noise"}.get(effect.outcome)
    if verdict is None:
        return ""
    ends = interval(effect.low, effect.high, signed_end)
    return f"{SCHEMES[effect.scheme].keeps} rows {verdict}, NE {signed(effect.change)} ({ends}) at {effect.examples:,}"


def teacher_words(view: StudyView) -> list[str]:
    """Whether a teacher changes the law, and what it takes beside the training on the same rows: a sentence each."""
    taught = view.chosen[(view.chosen["scheme"] == "T") & (view.chosen["scorer_examples"] > 0)]
    if taught.empty:
        return []
    top = taught.sort_values("examples", kind="stable").iloc[-1]
    rows, flops, examples = (float(top[name]) for name in ("scorer_examples", "scorer_compute", "examples"))
    parameters = view.fits.taught_parameters
    verdicts = "; ".join(
        f"{record.second}: {record.verdict} ("
        + ", ".join(f"{LETTERS[own.parameter]} {own.verdict}" for own in parameters if own.second == record.second)
        + ")"
        for record in view.fits.taught
    )
    cost = (
        f"T's teacher was trained on {rows:,.0f} rows beside the {examples:,.0f} of the largest data size, "
        f"{(rows + examples) / examples:.2f}× the rows; its training and predictions took {human(flops, FLOPS)} FLOPs"
    )
    if top["compute"]:
        cost += f", {1 + flops / float(top['compute']):.2f}× the compute of the largest training without it"
    laws = [f"T against the baseline along data: {verdicts}."] if verdicts else []
    return [
        *laws,
        f"{cost}. Figures and laws leave it out; costs of answers count it. "
        "One teacher serves all seeds, so no interval holds its own luck.",
    ]


def _trials_of_effect(chosen: pd.DataFrame, effect: Effect) -> str:
    same = (
        (chosen["architecture"] == effect.architecture)
        & (chosen["scheme"] == effect.run_scheme)
        & (chosen["multiplier"] == effect.multiplier)
        & (chosen["embedding_dim"] == effect.embedding_dim)
    )
    return "\n".join(sorted(set(chosen.loc[same, "trial_id"])))
