"""The sentences of the paper's own summary that its tables and figures do not hold, beside a study's laws."""

from collections.abc import Sequence

from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.analyses.outlook import Saturation
from tfrs_scaling.fit.analyses.paper.claim import AGREES, CANNOT_TELL, DIFFERS, Claim, Verdict, make_claim
from tfrs_scaling.fit.labels import FRONTIER
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.laws.status import Status
from tfrs_scaling.fit.schemes import BASELINE, SIZES

_SOURCE = "Section 1.1"
_LACK_OF_FIT = 0.05  # over all laws: Bonferroni
_STRONGLY = 2  # times the gain of the other
_WIDEST = 2  # times: an interval of an exponent that spans more says nothing of what it is insensitive to


def compare_summary(lines: Sequence[LineFit], saturated: Sequence[Saturation]) -> list[Claim]:
    """Whether losses follow a law with a floor, depend on data more than on parameters, and learn alike at every size.

    Args:
        lines: The lines of one architecture.
        saturated: Their phases.
    """
    return [_form(lines), _data_before_parameters(saturated), _size_insensitive(lines)]


def _form(lines: Sequence[LineFit]) -> Claim:
    """Judged by the laws against data, of which replicates or runs of residuals tell a wrong form."""
    laws = {line.scheme: line.fit for line in lines if line.x == "data" and line.is_frontier and line.scheme in SIZES}
    claim, paper = "the test loss follows a power law plus a constant in data", "alpha x**-beta + gamma"
    wrong = [scheme for scheme, fit in laws.items() if _has_wrong_form(fit, len(laws))]
    unsure = [scheme for scheme, fit in laws.items() if not fit.status.has_floor]
    ours = ", ".join(f"{scheme} {fit.status.words}, R² {fit.r2:.4f}" for scheme, fit in laws.items()) or "none"
    if wrong:
        verdict: Verdict = DIFFERS, f"the points of {', '.join(wrong)} are not scattered around such a law"
    elif unsure or not laws:
        verdict = CANNOT_TELL, f"the floor of {', '.join(unsure)} is not seen" if laws else "the study has no such law"
    else:
        verdict = AGREES, ""
    return make_claim(claim, _SOURCE, paper, ours, verdict)


def _has_wrong_form(fit: PowerLawFit, laws: int) -> bool:
    if not fit.status.is_fitted:
        return False
    unlikely = any(p < _LACK_OF_FIT / (2 * laws) for p in (fit.lack_of_fit, fit.residual_runs_p))  # NaN: not judged
    return unlikely or fit.status in (Status.CORRELATED_RESIDUALS, Status.LAST_STEP_MISSED)


def _data_before_parameters(saturated: Sequence[Saturation]) -> Claim:
    """Judged by what the next doubling gains at the largest measured x."""
    claim, paper = "the loss depends strongly on data and weakly on parameters", "strongly, weakly"
    frontiers = [each for each in saturated if each.line == FRONTIER and each.scheme in SIZES and each.gain is not None]
    gains = {x: {each.scheme: each.gain or 0.0 for each in frontiers if each.x == x} for x in ("data", "parameters")}
    ours = "; ".join(
        f"twice the {x} gains {', '.join(f'{scheme} {gain:.2%}' for scheme, gain in known.items()) or 'unknown'}"
        for x, known in gains.items()
    )
    pairs = {
        scheme: (gains["data"][scheme], gain) for scheme, gain in gains["parameters"].items() if scheme in gains["data"]
    }
    unknown = sorted({each.scheme for each in saturated if each.line == FRONTIER and each.scheme in SIZES} - set(pairs))
    # Where neither gains anything, neither is the stronger.
    strong = [scheme for scheme, (data, parameters) in pairs.items() if data > 0 and data >= _STRONGLY * parameters]
    against = [scheme for scheme, (data, parameters) in pairs.items() if 0 < parameters >= _STRONGLY * data]
    factor = f"{_STRONGLY} times as much at the largest sizes measured, by the laws"
    if against:
        verdict: Verdict = DIFFERS, f"of {', '.join(against)} parameters gain at least {factor}"
    elif unknown:
        verdict = CANNOT_TELL, f"of {', '.join(unknown)} the study has no law of both"
    elif pairs and len(strong) == len(pairs):
        verdict = AGREES, f"data gain at least {factor}"
    else:
        between = [scheme for scheme in pairs if scheme not in strong]
        why = f"of {', '.join(between)} neither gains {factor}" if pairs else "the study has no such laws"
        verdict = CANNOT_TELL, why
    return make_claim(claim, _SOURCE, paper, ours, verdict)


def _size_insensitive(lines: Sequence[LineFit]) -> Claim:
    """Judged by the exponents of the shapes' own lines against data, beside the baseline's."""
    claim, paper = "the exponent against data is insensitive to the model's size", "insensitive"
    laws = {
        f"{line.scheme} {line.line}×": line.fit
        for line in lines
        if line.x == "data" and not line.is_frontier and line.scheme in (BASELINE, *SIZES) and line.fit.status.has_floor
    }
    base = next((fit for name, fit in laws.items() if name.startswith(BASELINE)), None)
    others = {name: fit for name, fit in laws.items() if not name.startswith(BASELINE)}
    if base is None or not others:
        why = "too few of the shapes have a law with an exponent and a floor"
        return make_claim(claim, _SOURCE, paper, "none", (CANNOT_TELL, why))
    low, high = base.interval["beta"]
    betas = [fit.beta for fit in others.values()]
    ours = f"baseline {base.beta:.3g} ({low:.3g} to {high:.3g}), others {min(betas):.3g} to {max(betas):.3g}"
    apart = [name for name, fit in others.items() if fit.interval["beta"][0] > high or fit.interval["beta"][1] < low]
    wide = [name for name, fit in laws.items() if not fit.interval["beta"][1] <= _WIDEST * fit.interval["beta"][0]]
    if apart:
        verdict: Verdict = DIFFERS, f"the interval of {', '.join(apart)} does not meet the baseline's"
    elif wide:
        verdict = CANNOT_TELL, f"the interval of {', '.join(wide)} spans more than a factor of {_WIDEST}"
    else:
        verdict = AGREES, ""
    return make_claim(claim, _SOURCE, paper, ours, verdict)
