"""The paper's own summary beside a study's laws: what its tables and figures do not hold, and where they do."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from tfrs_scaling.common.words import interval
from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.analyses.outlook import Saturation
from tfrs_scaling.fit.analyses.paper.claim import AGREES, CANNOT_TELL, DIFFERS, Claim, Verdict, make_claim
from tfrs_scaling.fit.analyses.paper.numbers import TableRow
from tfrs_scaling.fit.labels import FRONTIER
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.laws.status import Status
from tfrs_scaling.fit.schemes import BASELINE, SIZES

_SOURCE = "Section 1.1"
_LACK_OF_FIT = 0.05  # over all laws: Bonferroni
_STRONGLY = 2  # times the gain of the other
_WIDEST = 2  # times: an interval of an exponent that spans more says nothing of what it is insensitive to


@dataclass(frozen=True)
class Sentence:
    """A sentence of the summary, and the claims that decide it.

    Attributes:
        says: The sentence, in short.
        figures: Those that the paper shows for it.
        decided_by: How the source and the words of each such claim begin.
        is_definition: Whether it says what words mean, which nothing can contradict; the claims are about them.
    """

    says: str
    figures: str
    decided_by: tuple[tuple[str, str], ...]
    is_definition: bool = False


SENTENCES = (
    Sentence(
        "after one epoch, the test loss is a power law plus a constant of data, model size and compute",
        "Figure 2",
        ((_SOURCE, "the test loss follows"),),
    ),
    Sentence(
        "a law has a phase of high returns and one of slow returns, and in which of them a scheme is matters more than "
        "its exponent",
        "Figure 3",
        (("Table 1", "saturated in"),),
        is_definition=True,
    ),
    Sentence(
        "the loss depends strongly on data and compute, and weakly on parameters",
        "Figures 4 to 6",
        ((_SOURCE, "the loss depends"),),
    ),
    Sentence("whatever grows to infinity, the normalized loss ends at 0.98", "", (("Table 1", "gamma against"),)),
    Sentence(
        "the efficiency of data (exponents of 0.09 to 0.12) is similar across schemes, insensitive to the model's "
        "size, and not saturated",
        "Figure 4",
        (
            (_SOURCE, "the exponent against data"),
            ("Table 1, data", "beta against"),
            ("Table 1, data", "saturated in"),
        ),
    ),
    Sentence(
        "in data, V is better than H, H than O, and O than M", "Figure 4", (("Table 1, data", "schemes against"),)
    ),
    Sentence(
        "the efficiency of compute (exponents of 0.12 to 0.15) is similar across schemes, and not saturated",
        "Figure 5",
        (
            (_SOURCE, "the exponent against compute"),
            ("Table 1, compute", "beta against"),
            ("Table 1, compute", "saturated in"),
        ),
    ),
    Sentence("in compute, M is better than O, and O than H", "Figure 5", (("Table 1, compute", "schemes against"),)),
    Sentence(
        "the efficiency of parameters differs between schemes (exponents of 0.4 to 7.6), but all are saturated, where "
        "they are alike",
        "Figure 6",
        (
            (_SOURCE, "the exponent against parameters"),
            ("Table 1, parameters", "beta against"),
            ("Table 1, parameters", "saturated in"),
            ("Table 1, parameters", "schemes against"),
        ),
    ),
)


def compare_summary(
    lines: Sequence[LineFit],
    saturated: Sequence[Saturation],
    table_1: Mapping[str, TableRow],
    *,
    one_sided: bool = False,
) -> list[Claim]:
    """What the summary says of the law's form, of data and compute against parameters, and of exponents.

    Args:
        lines: The lines of one architecture.
        saturated: Their phases.
        table_1: That of the paper, by axis.
        one_sided: Whether the laws of data, tested on held-out data sizes, nearly all err to one side.
    """
    return [
        *(_form(lines, x, row.r2, one_sided=one_sided and x == "data") for x, row in table_1.items()),
        *(_before_parameters(saturated, x) for x in ("data", "compute")),
        _size_insensitive(lines),
        *(_alike(lines, x) for x in ("data", "compute", "parameters")),
    ]


def _frontiers(lines: Sequence[LineFit], x: str) -> dict[str, PowerLawFit]:
    """The laws of V, H, O and M against x."""
    return {line.scheme: line.fit for line in lines if line.x == x and line.is_frontier and line.scheme in SIZES}


def _form(lines: Sequence[LineFit], x: str, r2: float, *, one_sided: bool) -> Claim:
    """Judged by the laws against x, of which replicates or runs of residuals tell a wrong form, as do predictions.

    The paper has neither, and calls a law what has its R²: a law that is wrong but has no lower R² does not contradict.
    """
    laws = _frontiers(lines, x)
    claim, paper = f"the test loss follows a power law plus a constant in {x}", f"alpha x**-beta + gamma, R² {r2:g}"
    wrong = {scheme: fit for scheme, fit in laws.items() if _has_wrong_form(fit, len(laws))}
    worse = [scheme for scheme, fit in wrong.items() if not fit.r2 >= r2]
    unsure = [scheme for scheme, fit in laws.items() if not fit.status.has_floor]
    ours = ", ".join(f"{scheme} {_fitted_words(fit)}" for scheme, fit in laws.items()) or "none"
    if worse:
        verdict: Verdict = DIFFERS, f"the points of {', '.join(worse)} are not scattered around such a law"
    elif wrong:
        why = f"the points of {', '.join(wrong)} are not scattered around such a law, but R² is as high as the paper's"
        verdict = CANNOT_TELL, why
    elif one_sided:
        verdict = CANNOT_TELL, "nearly all laws, tested on a held-out data size, err to the same side"
    elif unsure or not laws:
        verdict = CANNOT_TELL, f"the floor of {', '.join(unsure)} is not seen" if laws else "the study has no such law"
    else:
        verdict = AGREES, ""
    return make_claim(claim, _SOURCE, paper, ours, verdict)


def _fitted_words(fit: PowerLawFit) -> str:
    return f"{fit.status.words}, R² {fit.r2:.4f}" if fit.status.is_fitted else fit.status.words


def _has_wrong_form(fit: PowerLawFit, laws: int) -> bool:
    if not fit.status.is_fitted:
        return False
    unlikely = any(p < _LACK_OF_FIT / (2 * laws) for p in (fit.lack_of_fit, fit.residual_runs_p))  # NaN: not judged
    return unlikely or fit.status in (Status.CORRELATED_RESIDUALS, Status.LAST_STEP_MISSED)


def _before_parameters(saturated: Sequence[Saturation], strong: str) -> Claim:
    """Judged by what the next doubling gains at the largest measured x: of data or compute, and of parameters."""
    claim, paper = f"the loss depends strongly on {strong} and weakly on parameters", "strongly, weakly"
    frontiers = [each for each in saturated if each.line == FRONTIER and each.scheme in SIZES and each.gain is not None]
    gains = {x: {each.scheme: each.gain or 0.0 for each in frontiers if each.x == x} for x in (strong, "parameters")}
    ours = "; ".join(
        f"twice the {x} gains {', '.join(f'{scheme} {gain:.2%}' for scheme, gain in known.items()) or 'unknown'}"
        for x, known in gains.items()
    )
    pairs = {
        scheme: (gains[strong][scheme], gain) for scheme, gain in gains["parameters"].items() if scheme in gains[strong]
    }
    unknown = sorted({each.scheme for each in saturated if each.line == FRONTIER and each.scheme in SIZES} - set(pairs))
    # Where neither gains anything, neither is the stronger.
    ahead = [scheme for scheme, (gain, other) in pairs.items() if gain > 0 and gain >= _STRONGLY * other]
    against = [scheme for scheme, (gain, other) in pairs.items() if 0 < other >= _STRONGLY * gain]
    factor = f"{_STRONGLY} times as much at the largest sizes measured, by the laws"
    if against:
        verdict: Verdict = DIFFERS, f"of {', '.join(against)} parameters gain at least {factor}"
    elif unknown:
        verdict = CANNOT_TELL, f"of {', '.join(unknown)} the study has no law of both"
    elif pairs and len(ahead) == len(pairs):
        verdict = AGREES, f"{strong} gains at least {factor}"
    else:
        between = [scheme for scheme in pairs if scheme not in ahead]
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


def _alike(lines: Sequence[LineFit], x: str) -> Claim:
    """Judged by the exponents of the schemes' frontiers against x: whether the intervals of all pairs meet."""
    laws = _frontiers(lines, x)
    known = {scheme: fit for scheme, fit in laws.items() if fit.status.has_floor}
    expects_alike = x != "parameters"
    paper = "similar" if expects_alike else "different"
    claim = f"the exponent against {x} is {paper} across schemes"
    ours = ", ".join(f"{scheme} {fit.beta:.3g} ({_ends(fit)})" for scheme, fit in known.items()) or "none"
    apart = [f"{first} and {second}" for first, second in combinations(known, 2) if _apart(known[first], known[second])]
    unknown = [scheme for scheme in laws if scheme not in known]
    wide = [scheme for scheme, fit in known.items() if not fit.interval["beta"][1] <= _WIDEST * fit.interval["beta"][0]]
    if apart:
        verdict: Verdict = DIFFERS if expects_alike else AGREES, f"the intervals of {', '.join(apart)} do not meet"
    elif len(known) < 2:
        verdict = CANNOT_TELL, "fewer than two schemes have a law with an exponent and a floor"
    elif unknown:
        verdict = CANNOT_TELL, f"of {', '.join(unknown)} the study has no law with an exponent and a floor"
    elif wide:
        verdict = CANNOT_TELL, f"the interval of {', '.join(wide)} spans more than a factor of {_WIDEST}"
    else:
        verdict = AGREES if expects_alike else DIFFERS, "the intervals of all pairs meet"
    return make_claim(claim, _SOURCE, paper, ours, verdict)


def _apart(first: PowerLawFit, second: PowerLawFit) -> bool:
    (low, high), (other_low, other_high) = first.interval["beta"], second.interval["beta"]
    return low > other_high or high < other_low


def _ends(fit: PowerLawFit) -> str:
    low, high = (end if math.isfinite(end) else None for end in fit.interval["beta"])
    return interval(low, high, "{:.3g}".format)
