"""A claim of the paper beside a study's finding."""

from dataclasses import dataclass
from typing import Literal

Agreement = Literal["agrees", "differs", "cannot tell"]
AGREES: Agreement = "agrees"
DIFFERS: Agreement = "differs"
CANNOT_TELL: Agreement = "cannot tell"
Verdict = tuple[Agreement, str]  # and why; empty where there is nothing to add


@dataclass(frozen=True)
class Claim:
    """A claim of the paper beside the study's finding.

    Attributes:
        paper: What the paper found.
        ours: What the study found.
        verdict: ``agrees``, ``differs`` or ``cannot tell``.
        why: What the verdict rests on.
    """

    claim: str
    source: str
    paper: str
    ours: str
    verdict: Agreement
    why: str


def make_claim(claim: str, source: str, paper: str, ours: str, verdict: Verdict) -> Claim:
    """A claim with its verdict."""
    return Claim(claim=claim, source=source, paper=paper, ours=ours, verdict=verdict[0], why=verdict[1])
