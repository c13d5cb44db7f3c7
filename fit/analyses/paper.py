"""What Ardalani et al. 2022 found beside what a study found: agrees, differs, or cannot tell."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

import yaml
from pydantic import TypeAdapter

from tfrs_scaling.fit.analyses.dimension import BestDimension
from tfrs_scaling.fit.analyses.generalisation import Generalisation, SplitLaw
from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.analyses.outlook import EPSILON, Saturation
from tfrs_scaling.fit.analyses.ranking import Outcome, Pair, Ranking
from tfrs_scaling.fit.labels import FRONTIER
from tfrs_scaling.fit.laws.normalization import normalized
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.schemes import BASELINE, SIZES

NUMBERS = Path(__file__).with_name("paper_numbers.yaml")
Agreement = Literal["agrees", "differs", "cannot tell"]
AGREES: Agreement = "agrees"
DIFFERS: Agreement = "differs"
CANNOT_TELL: Agreement = "cannot tell"


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


Verdict = tuple[Agreement, str]  # and why; empty where there is nothing to add
Frontiers = dict[str, PowerLawFit]  # of each scheme

_PAPERS = "dot"  # the paper's models have the dot interaction
_NOT_MEASURED = "the study has no frontier of V, H, O or M against it"


@dataclass(frozen=True)
class TableRow:
    """What Table 1 of the paper says of one axis: ranges over the schemes V, H, O and M."""

    alpha: tuple[float, float]
    beta: tuple[float, float]
    gamma: tuple[float, float]
    r2: float
    saturated: str
    ranking: str


@dataclass(frozen=True)
class Exponents:
    """beta of the loss against data on training and on test data, Figure 10."""

    train: float
    test: float


@dataclass(frozen=True)
class PaperNumbers:
    """The numbers of the paper that a study is compared with."""

    source: str
    table_1: dict[str, TableRow]
    knee: float
    exponents: Exponents


def read_paper_numbers() -> PaperNumbers:
    """The numbers of the paper, as ``paper_numbers.yaml`` holds them."""
    return TypeAdapter(PaperNumbers).validate_python(yaml.safe_load(NUMBERS.read_text(encoding="utf-8")))


def compare_with_paper(
    lines: Sequence[LineFit] = (),
    saturation: Sequence[Saturation] = (),
    ranking: Sequence[Ranking] = (),
    dimension: Sequence[BestDimension] = (),
    generalisation: Sequence[Generalisation] = (),
    *,
    numbers: PaperNumbers | None = None,
) -> list[Claim]:
    """Each claim of the paper beside the study's own finding.

    A range of the paper is compared with the interval of each scheme's frontier. They agree where both overlap for
    every scheme that was measured and every such law is sound (status ``ok``), and differ where one of them does not
    overlap; else nobody can tell. Exponents compare as they are. gamma is divided by the smallest NE of the study's
    frontiers, as the paper's is, and the error of that is in its interval. alpha is what the law leaves at x = 1, so
    it depends on the unit of x, which the paper's numbers come without. A ranking differs where a pair of schemes has
    another outcome than the paper's, and where the paper has one better and the study sees no difference, nobody can
    tell.

    Args:
        lines: Lines of a study. Where there are several architectures, ``dot`` is compared, as the paper's models are.
        saturation: Saturation of these lines.
        ranking: Ranking of the same study.
        dimension: Best dimensions of the same study.
        generalisation: Generalisation records of the same study.
        numbers: Numbers to use in place of those in ``paper_numbers.yaml``.

    Returns:
        One record for each claim.
    """
    given = read_paper_numbers() if numbers is None else numbers
    architectures = sorted({line.architecture for line in lines})
    architecture = _PAPERS if _PAPERS in architectures or not architectures else architectures[0]
    frontiers = [line for line in lines if line.is_frontier and line.architecture == architecture]
    claims = []
    for x, claimed in given.table_1.items():
        along = [line for line in frontiers if line.x == x and line.scheme in SIZES]
        ranked = next((record for record in ranking if (record.architecture, record.x) == (architecture, x)), None)
        measured = {line.scheme for line in along}
        phases = [
            record
            for record in saturation
            if (record.architecture, record.x, record.line) == (architecture, x, FRONTIER) and record.scheme in measured
        ]
        claims += _table_1(x, claimed, _normalized(along, frontiers), phases, ranked)
    claims.append(_knee(given.knee, [record for record in dimension if record.architecture == architecture]))
    curves = (record for record in generalisation if (record.architecture, record.scheme) == (architecture, BASELINE))
    return claims + _exponents(given.exponents, next(curves, None))


def _claim(claim: str, source: str, paper: str, ours: str, verdict: Verdict) -> Claim:
    return Claim(claim=claim, source=source, paper=paper, ours=ours, verdict=verdict[0], why=verdict[1])


def _normalized(lines: Iterable[LineFit], frontiers: Iterable[LineFit]) -> Frontiers:
    """The law of each line's scheme, in units of the smallest NE of all frontiers."""
    lowest = {float(line.means[1].min()): line.fit for line in frontiers}
    if not lowest:
        return {}
    best = lowest[min(lowest)]
    error = best.noise if best.status.is_fitted else 0.0
    return {line.scheme: normalized(line.fit, min(lowest), error) for line in lines}


def _table_1(
    x: str,
    claims: TableRow,
    frontiers: Frontiers,
    saturated: Sequence[Saturation],
    ranking: Ranking | None,
) -> list[Claim]:
    source = f"Table 1, {x}"
    records = []
    for name in ("alpha", "beta", "gamma"):
        low, high = getattr(claims, name)
        said = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        ours = ", ".join(f"{scheme} {_estimate(fit, name)}" for scheme, fit in frontiers.items())
        verdict = _overlap(frontiers, name, low, high)
        if name == "alpha" and frontiers:
            verdict = CANNOT_TELL, "alpha depends on the unit of x, which the paper's numbers come without"
        title = f"{name} against {x}" + ("" if name == "beta" else ", NE divided by the smallest")
        records.append(_claim(title, source, said, ours or "none", verdict))
    r2s = {scheme: fit.r2 for scheme, fit in frontiers.items() if fit.r2 == fit.r2}
    ours = ", ".join(f"{scheme} {value:.4f}" for scheme, value in r2s.items())
    records.append(_claim(f"R² against {x}", source, f"{claims.r2:g}", ours or "none", _r2(r2s, claims.r2)))
    ours = f"below {EPSILON:.1%}: " * bool(saturated)
    ours += ", ".join(f"{record.scheme} {record.saturated}" for record in saturated)
    title = f"saturated in {x}: below {EPSILON:.1%} per doubling"
    verdict = _saturated(saturated, claims.saturated)
    records.append(_claim(title, source, claims.saturated, ours or "none", verdict))
    text, pairs = (ranking.text, ranking.pairs) if ranking else ("none", ())
    records.append(_claim(f"schemes against {x}", source, claims.ranking, text, _ranked(pairs, claims.ranking)))
    return records


def _estimate(fit: PowerLawFit, name: str) -> str:
    if not fit.status.is_fitted:
        return "not fitted"
    low, high = (max(end, 0.0) for end in fit.interval[name])  # the error of the unit may reach below it
    return f"{getattr(fit, name):.3g} ({low:.3g} to {high:.3g})"


def _overlap(frontiers: Frontiers, name: str, low: float, high: float) -> Verdict:
    """Whether every scheme's interval meets the paper's range."""
    if not frontiers:
        return CANNOT_TELL, _NOT_MEASURED
    known = {scheme: fit for scheme, fit in frontiers.items() if fit.status.has_exponent}
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
    """The paper's ranking, such as ``V > H ≈ O``, against the outcome of every pair of it."""
    if not pairs:
        return CANNOT_TELL, "the study has no two schemes to compare"
    opposite: dict[Outcome, Outcome] = {">": "<", "<": ">", "≈": "≈"}
    ours = {(pair.first, pair.second): pair.outcome for pair in pairs}
    ours |= {(pair.second, pair.first): opposite[pair.outcome] for pair in pairs}
    against, unseen = [], []
    groups = [[scheme.strip() for scheme in group.split("≈")] for group in paper.split(">")]
    rank = {scheme: at for at, group in enumerate(groups) for scheme in group}
    for first, second in combinations(rank, 2):
        expected = "≈" if rank[first] == rank[second] else ">"
        found = ours.get((first, second))
        if found is None or (found == "≈" and expected == ">"):
            unseen.append(f"{first} and {second}")
        elif found != expected:
            against.append(f"{first} {found} {second}")
    if against:
        return DIFFERS, f"here {', '.join(against)}"
    if unseen:
        return CANNOT_TELL, f"no difference outside the noise is seen between {', '.join(unseen)}"
    return AGREES, ""


def _knee(paper: float, records: Sequence[BestDimension]) -> Claim:
    """The knee of the embedding dimension with the baseline's rows, or with the rows nearest to them."""
    claim, source, said = "knee of the embedding dimension", "Figure 9", f"{paper:g}"
    if not records:
        return _claim(claim, source, said, "none", (CANNOT_TELL, "the study does not say where the knee lies"))
    nearest = min(records, key=lambda record: max(record.multiplier, 1 / record.multiplier))
    low = nearest.knee if nearest.knee_low is None else nearest.knee_low
    high = nearest.knee if nearest.knee_high is None else nearest.knee_high
    ours = f"{nearest.knee:g} ({low:g} to {high:g})"
    if not nearest.is_known:
        return _claim(claim, source, said, ours, (CANNOT_TELL, nearest.why))
    if low <= paper <= high:
        return _claim(claim, source, said, ours, (AGREES, ""))
    dims = nearest.dims
    # The knee is the smallest measured dimension that will do: a finer grid may find it below, down to the next one.
    below = max((dim for dim in dims if dim < low), default=0)
    if below < paper < low or (paper > high == dims[-1]):
        why = f"the dimensions measured, {', '.join(f'{dim:g}' for dim in dims)}, leave that open"
        return _claim(claim, source, said, ours, (CANNOT_TELL, why))
    return _claim(claim, source, said, ours, (DIFFERS, f"dimensions {dims[0]:g} to {dims[-1]:g} were measured"))


def _exponents(paper: Exponents, curves: Generalisation | None) -> list[Claim]:
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
        return [*claims, _claim(claim, source, said, "none", verdict)]
    ours = f"by {curves.difference_beta:.3g} ({curves.low:.3g} to {curves.high:.3g})"
    if curves.low > 0:
        verdict = AGREES, ""
    elif curves.high < 0:
        verdict = DIFFERS, "here the test loss falls faster"
    else:
        verdict = CANNOT_TELL, "the interval of the difference holds 0"
    return [*claims, _claim(claim, source, said, ours, verdict)]


def _exponent(claim: str, source: str, paper: float, law: SplitLaw | None) -> Claim:
    said = f"{paper:.2f}"
    if law is None or law.beta is None or not law.status.has_law:
        why = "the study has no law of the baseline's loss on these data"
        return _claim(claim, source, said, "none", (CANNOT_TELL, why))
    low, high = law.interval["beta"][0] or 0.0, law.interval["beta"][1]
    ours = f"{law.beta:.3g} ({low:.3g} to {'∞' if high is None else f'{high:.3g}'})"
    if paper < low or (high is not None and paper > high):
        return _claim(claim, source, said, ours, (DIFFERS, "the interval does not hold the paper's exponent"))
    if not law.status.has_floor:
        return _claim(claim, source, said, ours, (CANNOT_TELL, "the law is not sure enough (see its status)"))
    return _claim(claim, source, said, ours, (AGREES, ""))
