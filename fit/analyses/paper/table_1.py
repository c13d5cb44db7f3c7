"""The paper's Table 1 beside a study's laws and rankings."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from tfrs_scaling.common.words import UNKNOWN
from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.analyses.outlook import Saturation
from tfrs_scaling.fit.analyses.paper.claim import AGREES, CANNOT_TELL, DIFFERS, Claim, Verdict, make_claim
from tfrs_scaling.fit.analyses.paper.numbers import TableRow
from tfrs_scaling.fit.analyses.ranking import Outcome, Pair, Ranking
from tfrs_scaling.fit.analyses.zones import MARGIN
from tfrs_scaling.fit.laws.normalization import normalized
from tfrs_scaling.fit.laws.power_law import PowerLawFit

Frontiers = dict[str, PowerLawFit]  # of each scheme

_NOT_MEASURED = "the study has no frontier of V, H, O or M against it"
_SANE = (1e-4, 1e6)  # a parameter outside says that the fit went astray, not how far


def normalized_laws(lines: Iterable[LineFit], frontiers: Iterable[LineFit]) -> Frontiers:
    """The law of each line's scheme, in units of the smallest NE of all frontiers."""
    lowest = {float(line.means[1].min()): line.fit for line in frontiers}
    if not lowest:
        return {}
    best = lowest[min(lowest)]
    error = best.noise if best.status.is_fitted else 0.0
    return {line.scheme: normalized(line.fit, min(lowest), error) for line in lines}


def compare_table_1(
    x: str,
    claims: TableRow,
    frontiers: Frontiers,
    saturated: Sequence[Saturation],
    ranking: Ranking | None,
    *,
    one_sided: bool = False,
) -> list[Claim]:
    """The claims of Table 1 on one axis.

    Args:
        x: data, parameters or compute.
        claims: What the paper says.
        frontiers: The laws of the study's frontiers, as ``normalized_laws`` returns them.
        saturated: Their phases.
        ranking: The study's ranking along x.
        one_sided: Whether the laws, tested on held-out data sizes, nearly all err to one side.
    """
    source = f"Table 1, {x} (Figure {claims.figure})"
    records = []
    for name in ("alpha", "beta", "gamma"):
        low, high = getattr(claims, name)
        said = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        ours = ", ".join(f"{scheme} {_estimate(fit, name)}" for scheme, fit in frontiers.items())
        verdict = _overlap(frontiers, name, low, high)
        if name == "gamma" and one_sided and frontiers:
            verdict = (
                CANNOT_TELL,
                "nearly all laws, tested on a held-out data size, err to the same side, as does a floor",
            )
        if name == "alpha" and frontiers:
            verdict = CANNOT_TELL, "alpha depends on the unit of x, which the paper's numbers come without"
        title = f"{name} against {x}" + ("" if name == "beta" else ", NE divided by the smallest")
        records.append(make_claim(title, source, said, ours or "none", verdict))
    r2s = {scheme: fit.r2 for scheme, fit in frontiers.items() if fit.r2 == fit.r2}
    ours = ", ".join(f"{scheme} {value:.4f}" for scheme, value in r2s.items())
    records.append(make_claim(f"R² against {x}", source, f"{claims.r2:g}", ours or "none", _r2(r2s, claims.r2)))
    ours = ", ".join(f"{record.scheme} {record.saturated} ({record.compared})" for record in saturated)
    verdict = _saturated(saturated, claims.saturated)
    records.append(make_claim(f"saturated in {x}", source, claims.saturated, ours or "none", verdict))
    text, pairs = (ranking.text, ranking.pairs) if ranking else ("none", ())
    records.append(make_claim(f"schemes against {x}", source, claims.ranking, text, _ranked(pairs, claims.ranking)))
    return records


def _estimate(fit: PowerLawFit, name: str) -> str:
    if not fit.status.has_exponent:
        return f"– ({fit.status.words})"
    low, high = (max(end, 0.0) for end in fit.interval[name])  # the error of the unit may reach below it
    return f"{_sane(getattr(fit, name))} ({_sane(low)} to {_sane(high)})"


def _sane(value: float) -> str:
    if not math.isfinite(value):
        return "open"
    return f"{value:.3g}" if value == 0 or _SANE[0] <= value < _SANE[1] else UNKNOWN


def _overlap(frontiers: Frontiers, name: str, low: float, high: float) -> Verdict:
    """Whether every scheme's interval meets the paper's range."""
    if not frontiers:
        return CANNOT_TELL, _NOT_MEASURED
    known = {scheme: fit for scheme, fit in frontiers.items() if fit.status.has_floor}
    outside = [s for s, fit in known.items() if fit.interval[name][0] > high or fit.interval[name][1] < low]
    if outside:
        return DIFFERS, f"the interval of {', '.join(outside)} does not meet the paper's range"
    unsure = [scheme for scheme, fit in frontiers.items() if not fit.status.has_floor]
    if unsure:
        return CANNOT_TELL, f"the law of {', '.join(unsure)} is not sure enough (see its status)"
    return AGREES, ""


def _r2(ours: Mapping[str, float], paper: float) -> Verdict:
    """A lower R² is no evidence against a law: noise lowers it as well, and one seed does not show which it is."""
    if not ours:
        return CANNOT_TELL, _NOT_MEASURED
    decimals = len(f"{paper:g}".partition(".")[2])
    below = [scheme for scheme, value in ours.items() if round(value, decimals) < paper]
    if not below:
        return AGREES, ""
    return CANNOT_TELL, f"that of {', '.join(below)} is lower, and noise may be the reason as well as the law"


def _saturated(ours: Sequence[Saturation], paper: str) -> Verdict:
    if not ours:
        return CANNOT_TELL, _NOT_MEASURED
    otherwise = [record.scheme for record in ours if record.saturated not in (paper, "cannot tell")]
    if otherwise:
        return DIFFERS, f"{', '.join(otherwise)}: another phase than the paper found"
    unsure = [record.scheme for record in ours if record.saturated == "cannot tell"]
    if unsure:
        return CANNOT_TELL, f"the phase of {', '.join(unsure)} cannot be determined"
    return AGREES, ""


def _ranked(pairs: Sequence[Pair], paper: str) -> Verdict:
    """The paper's ranking, such as ``V > H ≈ O``, against the outcome of every pair of it.

    That two are alike is shown by an interval within the margin of the maps, not by one that holds 0.
    """
    if not pairs:
        return CANNOT_TELL, "the study has no two schemes to compare"
    opposite: dict[Outcome, Outcome] = {">": "<", "<": ">", "≈": "≈"}
    outcomes = {(pair.first, pair.second): pair.outcome for pair in pairs}
    outcomes |= {(pair.second, pair.first): opposite[pair.outcome] for pair in pairs}
    alike = {frozenset((pair.first, pair.second)) for pair in pairs if _is_within_margin(pair)}
    against, unseen = [], []
    groups = [[scheme.strip() for scheme in group.split("≈")] for group in paper.split(">")]
    rank = {scheme: at for at, group in enumerate(groups) for scheme in group}
    for first, second in combinations(rank, 2):
        found = outcomes.get((first, second))
        if found is None or (found == "≈" and frozenset((first, second)) not in alike):
            unseen.append(f"{first} and {second}")
        elif found != ("≈" if rank[first] == rank[second] else ">"):
            against.append(f"{first} {found} {second}")
    if against:
        return DIFFERS, f"here {', '.join(against)}"
    if unseen:
        return CANNOT_TELL, f"neither a difference nor that there is none (±{MARGIN}) is seen: {', '.join(unseen)}"
    return AGREES, ""


def _is_within_margin(pair: Pair) -> bool:
    return pair.low is not None and pair.high is not None and pair.low >= -MARGIN and pair.high <= MARGIN
