"""Zones: which scheme in which budget (the paper's Figures 7 and 8), and the embedding dimension (Figure 9)."""

from typing import Literal

import pandas as pd

from tfrs_scaling.fit.analyses.dimension import MARGIN, BestDimension
from tfrs_scaling.fit.labels import architecture_suffix, has_several_architectures
from tfrs_scaling.fit.report.captions import ZONES
from tfrs_scaling.fit.report.figures.curves import dimension_figure
from tfrs_scaling.fit.report.figures.zones import zone_figure
from tfrs_scaling.fit.report.sections.section import Figure, Section, id_suffix, one_view
from tfrs_scaling.fit.report.view import StudyView
from tfrs_scaling.fit.schemes import SCHEMES


def zones(view: StudyView) -> list[Section]:
    """One section; none where no two schemes share a budget and no dimension was varied."""
    maps = _zones(view)
    figures = (*maps, *_dimension(view, "" if len(maps) % 2 else "wide"))
    return [Section("zones", "Zones", "Which scheme in which budget", (), figures)] if figures else []


def _zones(view: StudyView) -> list[Figure]:
    shown = [zone for zone in view.fits.zones if zone.cells]
    several = has_several_architectures(shown)
    architectures = sorted({zone.architecture for zone in shown})
    figures = []
    for zone in shown:
        first, second = zone.first, zone.second
        caption = (
            f"{first}: {SCHEMES[first].words}; {second}: {SCHEMES[second].words}. Each cell compares both with that "
            "many parameters, trained on that many examples. Between a scheme's measured sizes NE is interpolated by a "
            "monotone cubic along its parameters; beyond them nothing is compared. A letter names the scheme whose NE "
            f"is lower by more than the margin ({zone.margin:g}) and the noise; ≈ means that neither is."
        )
        title = f"{first} against {second}{architecture_suffix(zone.architecture, several)}"
        element = f"figure-zone-{first}-{second}{id_suffix(architectures, zone.architecture)}"
        views = (one_view(element, zone_figure(zone)),)
        figures.append(Figure(title, ZONES.get((first, second), ""), caption, views))
    return figures


def _dimension(view: StudyView, layout: Literal["", "wide"]) -> list[Figure]:
    figures = []
    architectures = sorted({record.architecture for record in view.fits.dimension})
    for architecture in architectures:
        records = [record for record in view.fits.dimension if record.architecture == architecture]
        keys = [[_trials_of(view.chosen, record, dim) for dim in record.dims] for record in records]
        errors = [[view.error(architecture, record.examples, len(key.split("\n"))) for key in keys[rank]]
                  for rank, record in enumerate(records)]  # fmt: skip
        suffix = id_suffix(architectures, architecture)
        caption = (
            "One line per number of rows, at the largest data size that all its dimensions reached; thin bars are the "
            "intervals of NE. A star marks the dimension of the lowest NE, a ring the knee: the smallest dimension "
            f"whose NE is within {MARGIN:.1%} of it. Thick bars are the intervals of these: where that of the knee "
            "spans more than a factor of four, it is not known where it lies."
        )
        title = "NE against embedding dimension" + architecture_suffix(architecture, bool(suffix))
        views = (one_view(f"figure-dimension{suffix}", dimension_figure(records, keys, errors)),)
        figures.append(Figure(title, "Figure 9", caption, views, layout=layout))
    return figures


def _trials_of(chosen: pd.DataFrame, record: BestDimension, dim: int) -> str:
    rows = chosen[(chosen["architecture"] == record.architecture) & (chosen["embedding_dim"] == dim)]
    multiplier = rows["multiplier"].where(rows["scheme"].isin(["V", "VH"]), 1.0)
    on_line = rows["scheme"].isin(["D", "V", "H", "VH"]) & (multiplier == record.multiplier)
    return "\n".join(sorted(set(rows.loc[on_line, "trial_id"])))
