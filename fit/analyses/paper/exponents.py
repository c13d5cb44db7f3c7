"""The paper's exponents on training and on test data (Figure 10) beside a study's."""

from tfrs_scaling.fit.analyses.generalisation import Generalisation, SplitLaw
from tfrs_scaling.fit.analyses.paper.claim import AGREES, CANNOT_TELL, DIFFERS, Claim, Verdict, make_claim
from tfrs_scaling.fit.analyses.paper.numbers import Exponents


def compare_exponents(paper: Exponents, curves: Generalisation | None) -> list[Claim]:
    """The exponents on training and test data, of the baseline's data line."""
    source = "Figure 10"
    train, test = (None, None) if curves is None else (curves.train, curves.test)
    claims = [
        _exponent("beta of the train loss against data", source, paper.train, train),
        _exponent("beta of the test loss against data", source, paper.test, test),
    ]
    claim, said = "the train loss falls faster than the test loss", f"by {paper.train - paper.test:.2f} in beta"
    if curves is None or curves.difference_beta is None or curves.low is None or curves.high is None:
        verdict: Verdict = CANNOT_TELL, "the study has no interval of the difference"
        return [*claims, make_claim(claim, source, said, "none", verdict)]
    ours = f"by {curves.difference_beta:.3g} ({curves.low:.3g} to {curves.high:.3g})"
    if curves.low > 0:
        verdict = AGREES, ""
    elif curves.high < 0:
        verdict = DIFFERS, "here the test loss falls faster"
    else:
        verdict = CANNOT_TELL, "the interval of the difference holds 0"
    return [*claims, make_claim(claim, source, said, ours, verdict)]


def _exponent(claim: str, source: str, paper: float, law: SplitLaw | None) -> Claim:
    said = f"{paper:.2f}"
    if law is None or law.beta is None or not law.status.has_exponent:
        why = "the study has no exponent of the baseline's loss on these data"
        return make_claim(claim, source, said, "none", (CANNOT_TELL, why))
    low, high = law.interval["beta"][0] or 0.0, law.interval["beta"][1]
    ours = f"{law.beta:.3g} ({low:.3g} to {'∞' if high is None else f'{high:.3g}'})"
    if paper < low or (high is not None and paper > high):
        return make_claim(claim, source, said, ours, (DIFFERS, "the interval does not hold the paper's exponent"))
    if not law.status.has_floor:
        return make_claim(claim, source, said, ours, (CANNOT_TELL, "the law is not sure enough (see its status)"))
    return make_claim(claim, source, said, ours, (AGREES, ""))
