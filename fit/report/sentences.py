"""The sentences of the paper's own summary on the page of published studies, each with the claims that decide it."""

from collections.abc import Iterable, Mapping, Sequence

from tfrs_scaling.fit.analyses.paper.claim import AGREES, CANNOT_TELL, DIFFERS, Claim
from tfrs_scaling.fit.analyses.paper.summary import SENTENCES, Sentence
from tfrs_scaling.fit.report.published import Published, table, verdict_words

_HEAD = """### The summary, sentence by sentence

Section 1.1 of the paper in nine sentences. On a log, a sentence **differs** where any claim that decides it does,
**agrees** where all do, and else nobody can tell. The second only says what words mean; the claims beside it use them.
The claims are the numbered rows above, whose verdicts lead to figures, laws and rows."""


def sentences_section(studies: Sequence[Published], numbers: Mapping[tuple[str, str], int]) -> str:
    """The section of the page.

    Args:
        studies: The studies, a column each.
        numbers: The number on the page of each claim, named by its source and its words.
    """
    rows = []
    for sentence in SENTENCES:
        decided_by = [numbers[name] for name in numbers if _decides(sentence, *name)]
        verdicts = [
            "a definition"
            if sentence.is_definition
            else verdict_words(_together(_deciding(sentence, study.fits.paper)))
            for study in studies
        ]
        rows.append((sentence.says, sentence.figures, ", ".join(map(str, decided_by)), *verdicts))
    columns = ("sentence", "paper", "claims", *(study.entry.title for study in studies))
    return f"{_HEAD}\n\n{table(columns, rows)}"


def _decides(sentence: Sentence, source: str, claim: str) -> bool:
    return any(source.startswith(where) and claim.startswith(words) for where, words in sentence.decided_by)


def _deciding(sentence: Sentence, claims: Iterable[Claim]) -> list[Claim]:
    return [claim for claim in claims if _decides(sentence, claim.source, claim.claim)]


def _together(claims: Sequence[Claim]) -> str:
    verdicts = {claim.verdict for claim in claims}
    if DIFFERS in verdicts:
        return DIFFERS
    return AGREES if verdicts == {AGREES} else CANNOT_TELL
