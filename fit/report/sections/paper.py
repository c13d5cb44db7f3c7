"""Beside the paper: how many of its claims this study confirms, and the table of them."""

from collections import Counter

from tfrs_scaling.common.words import plural
from tfrs_scaling.fit.report.sections.section import Section
from tfrs_scaling.fit.report.view import StudyView


def paper(view: StudyView) -> list[Section]:
    """One section; none where nothing was compared."""
    claims = view.fits.paper
    if not claims:
        return []
    count = Counter(claim.verdict for claim in claims)
    differ = [claim.claim for claim in claims if claim.verdict == "differs"]
    words = [
        f"Of {plural(len(claims), 'claim')} of Ardalani et al. (2022), this study agrees with {count['agrees']} and "
        f"differs in {count['differs']}; of {count['cannot tell']} it cannot tell."
    ]
    if differ:
        words.append(f"It differs in: {'; '.join(differ)}.")
    return [Section("paper", "The paper", "Beside the paper", tuple(words), (), (view.tables["paper"],))]
