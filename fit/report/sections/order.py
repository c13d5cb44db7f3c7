"""The sections in the order of the page, after the decision and before the appendix."""

from collections.abc import Sequence

from tfrs_scaling.fit.report.figures.phases import SharedAxis
from tfrs_scaling.fit.report.sections.evidence import evidence
from tfrs_scaling.fit.report.sections.limits import limits
from tfrs_scaling.fit.report.sections.paper import paper
from tfrs_scaling.fit.report.sections.section import Section
from tfrs_scaling.fit.report.sections.trust import trust
from tfrs_scaling.fit.report.sections.zones import zones
from tfrs_scaling.fit.report.view import StudyView


def study_sections(view: StudyView, axes: Sequence[SharedAxis]) -> list[Section]:
    """The sections that the study has something for."""
    return [*evidence(view), *limits(view, axes), *trust(view), *zones(view), *paper(view)]
