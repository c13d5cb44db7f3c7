"""Limits and phases: how far more of each resource would go (the paper's Figure 3), with the sliders."""

from collections.abc import Sequence

from tfrs_scaling.fit.labels import architecture_suffix, has_several_architectures
from tfrs_scaling.fit.report.captions import AXES
from tfrs_scaling.fit.report.figures.phases import SharedAxis
from tfrs_scaling.fit.report.sections.section import Figure, Section, id_suffix, one_view
from tfrs_scaling.fit.report.summary import bayes_words
from tfrs_scaling.fit.report.view import StudyView

_WORDS = (
    "Every frontier has two phases: high return, then saturation. Where the one becomes the other depends on what is "
    "still worth its cost: move the threshold. Move the target to see how much of x each scheme needs for it."
)
_PHASES = (
    "Up to the diamond, each doubling of x still removes more of NE than the threshold: high return. Beyond it the "
    "law is saturated. Circled crosses show where a law meets the target NE (the dashed line). A triangle at the edge "
    "points to a mark outside the figure. Dashed: extrapolation; dotted: extrapolation that the fit does not support. "
    "Points without a line: no law describes them."
)
_RETURNS = (
    "The share of NE that the next doubling of x removes, by each frontier's law. The dashed line is the threshold ε; "
    "where a curve crosses it (the diamond) is its point of diminishing return. A curve that bends down is approaching "
    "its floor."
)


def limits(view: StudyView, axes: Sequence[SharedAxis]) -> list[Section]:
    """One section; none where no frontier has a law."""
    if not axes:
        return []
    architectures = sorted({axis.architecture for axis in axes})
    figures = []
    for what, title, caption in (("ne", "NE and its two phases", _PHASES), ("gain", "Next doubling", _RETURNS)):
        views = tuple(
            one_view(
                f"lever-{what}-{axis.name}{id_suffix(architectures, axis.architecture)}",
                axis.ne if what == "ne" else axis.gain,
                AXES[axis.name] + architecture_suffix(axis.architecture, has_several_architectures(axes)),
            )
            for axis in axes
        )
        figures.append(Figure(title, "Figure 3", caption, views))
    words = (_WORDS, *bayes_words(view))
    return [Section("limits", "Limits", "Limits and phases", words, tuple(figures), controls=True)]
