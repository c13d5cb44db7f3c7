"""What Ardalani et al. 2022 found beside what a study found: agrees, differs, or cannot tell."""

from collections.abc import Sequence

import numpy as np

from tfrs_scaling.fit.analyses.dimension import BestDimension
from tfrs_scaling.fit.analyses.generalisation import Generalisation
from tfrs_scaling.fit.analyses.held_out import HeldOut, one_sided
from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.analyses.outlook import Saturation
from tfrs_scaling.fit.analyses.paper.claim import Claim
from tfrs_scaling.fit.analyses.paper.dimensions import compare_dimensions
from tfrs_scaling.fit.analyses.paper.exponents import compare_exponents
from tfrs_scaling.fit.analyses.paper.maps import compare_maps
from tfrs_scaling.fit.analyses.paper.numbers import PaperNumbers, read_paper_numbers
from tfrs_scaling.fit.analyses.paper.summary import compare_summary
from tfrs_scaling.fit.analyses.paper.table_1 import compare_table_1, normalized_laws
from tfrs_scaling.fit.analyses.ranking import Ranking
from tfrs_scaling.fit.analyses.zones import Zones
from tfrs_scaling.fit.labels import FRONTIER
from tfrs_scaling.fit.schemes import BASELINE, SIZES

_PAPERS = "dot"  # the paper's models have the dot interaction


def compare_with_paper(
    lines: Sequence[LineFit] = (),
    saturation: Sequence[Saturation] = (),
    ranking: Sequence[Ranking] = (),
    dimension: Sequence[BestDimension] = (),
    generalisation: Sequence[Generalisation] = (),
    zones: Sequence[Zones] = (),
    held_out: Sequence[HeldOut] = (),
    *,
    numbers: PaperNumbers | None = None,
) -> list[Claim]:
    """Each claim of the paper beside the study's own finding.

    A range of the paper is compared with the interval of each scheme's frontier. They agree where both overlap for
    every scheme that was measured and every such law is sound (status ``ok``), and differ where one of them does not
    overlap; else nobody can tell. Exponents compare as they are. gamma is divided by the smallest NE of the study's
    frontiers, as the paper's is, and the error of that is in its interval. alpha is what the law leaves at x = 1, so
    it depends on the unit of x, which the paper's numbers come without. A ranking differs where a pair of schemes has
    another outcome than the paper's. A pair without a difference counts where it is known to be that small, as in the
    maps; else nobody can tell.

    Args:
        lines: Lines of a study. Where there are several architectures, ``dot`` is compared, as the paper's models are.
        saturation: Saturation of these lines.
        ranking: Ranking of the same study.
        dimension: Best dimensions of the same study.
        generalisation: Generalisation records of the same study.
        zones: Maps of the same study.
        held_out: Predictions of the largest data size of its lines.
        numbers: Numbers to use in place of those in ``numbers.yaml``.

    Returns:
        One record for each claim.
    """
    given = read_paper_numbers() if numbers is None else numbers
    architectures = sorted({line.architecture for line in lines})
    architecture = _PAPERS if _PAPERS in architectures or not architectures else architectures[0]
    frontiers = [line for line in lines if line.is_frontier and line.architecture == architecture]
    own = [line for line in lines if line.architecture == architecture]
    phases = [record for record in saturation if record.architecture == architecture]
    errors = [each.relative_error for each in held_out if each.architecture == architecture]
    biased = one_sided(np.array(errors, dtype=np.float64))
    claims = compare_summary(own, phases, given.table_1, one_sided=biased)
    for x, claimed in given.table_1.items():
        along = [line for line in frontiers if line.x == x and line.scheme in SIZES]
        ranked = next((record for record in ranking if (record.architecture, record.x) == (architecture, x)), None)
        measured = {line.scheme for line in along}
        ends = [each for each in phases if (each.x, each.line) == (x, FRONTIER) and each.scheme in measured]
        laws = normalized_laws(along, frontiers)
        claims += compare_table_1(x, claimed, laws, ends, ranked, one_sided=biased and x == "data")
    claims += compare_maps(given, [zone for zone in zones if zone.architecture == architecture])
    claims += compare_dimensions(given, [record for record in dimension if record.architecture == architecture])
    curves = (record for record in generalisation if (record.architecture, record.scheme) == (architecture, BASELINE))
    return claims + compare_exponents(given.exponents, next(curves, None))
