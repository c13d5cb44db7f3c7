"""What Ardalani et al. 2022 found beside what a study found: agrees, differs, or cannot tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from tfrs_scaling.fit.analyses.outlook import WITHOUT_LAW, saturation
from tfrs_scaling.fit.labels import FRONTIER
from tfrs_scaling.fit.laws.normalization import normalized
from tfrs_scaling.fit.laws.power_law import PowerLawFit
from tfrs_scaling.fit.schemes import SIZES

NUMBERS = Path(__file__).with_name("paper_numbers.yaml")
# Of the loss, per doubling. At 1 % the paper's own data curves, which it calls not saturated, would be: the steepest,
# 0.07 x**-0.12 + 0.97, gains 0.2 % where it ends (x = 5120, in millions of examples).
EPSILON = 0.001
AGREES, DIFFERS, CANNOT_TELL = "agrees", "differs", "cannot tell"


@dataclass(frozen=True)
class Claim:
    """A claim of the paper beside the study's finding.

    Attributes:
        claim: What is claimed.
        source: The table or figure.
        paper: What the paper found.
        ours: What the study found.
        verdict: ``agrees``, ``differs`` or ``cannot tell``.
        why: What the verdict rests on.
    """

    claim: str
    source: str
    paper: str
    ours: str
    verdict: str
    why: str


Verdict = tuple[str, str]  # and why; empty where there is nothing to add
Frontiers = dict[str, PowerLawFit]  # of each scheme

_PAPERS = "dot"  # the paper's models have the dot interaction
_NOT_MEASURED = "the study has no frontier of V, H, O or M against it"


def read_paper_numbers() -> dict[str, Any]:
    """The numbers of the paper, as ``paper_numbers.yaml`` holds them."""
    numbers: dict[str, Any] = yaml.safe_load(NUMBERS.read_text(encoding="utf-8"))
    return numbers


def compare_with_paper(fits: Mapping[str, Any], numbers: Mapping[str, Any] | None = None) -> list[dict[str, str]]:
    """Each claim of the paper beside the study's own finding.

    A range of the paper is compared with the interval of each scheme's frontier. They agree where both overlap for
    every scheme that was measured and every such law is sound (status ``ok``), and differ where one of them does not
    overlap; else nobody can tell. Exponents compare as they are. gamma is divided by the smallest NE of the study's
    frontiers, as the paper's is, and the error of that is in its interval. alpha is what the law leaves at x = 1, so
    it depends on the unit of x, which the paper's numbers come without. A ranking differs where a pair of schemes has
    another outcome than the paper's, and where the paper has one better and the study sees no difference, nobody can
    tell.

    Args:
        fits: What ``fit_study`` returns; of its keys ``lines``, ``ranking``, ``dimension`` and
            ``generalisation`` any may be missing. Where there are several architectures, ``dot`` is compared.
        numbers: In place of those of ``paper_numbers.yaml``.

    Returns:
        One record for each claim: claim, source, paper, ours, verdict (``agrees``, ``differs``, ``cannot tell``) and
        why.
    """
    given = read_paper_numbers() if numbers is None else numbers
    architectures = sorted({str(line["architecture"]) for line in fits.get("lines", ())})
    architecture = _PAPERS if _PAPERS in architectures or not architectures else architectures[0]
    of_architecture = {
        name: [record for record in fits.get(name, ()) if record["architecture"] == architecture]
        for name in ("lines", "ranking", "dimension", "generalisation")
    }
    records = []
    for x, claims in given["table_1"].items():
        ranking = next((record for record in of_architecture["ranking"] if record["x"] == x), None)
        lines = [
            line
            for line in of_architecture["lines"]
            if line["x"] == x and line["line"] == FRONTIER and line["scheme"] in SIZES
        ]
        standing = saturation(lines, epsilon=EPSILON)
        records += _table_1(x, claims, _normalized(lines, of_architecture["lines"]), standing, ranking)
    records.append(_knee(given["knee"], of_architecture["dimension"]))
    return records + _exponents(given["exponents"], of_architecture["generalisation"])


def _record(claim: str, source: str, paper: str, ours: str, verdict: Verdict) -> dict[str, str]:
    return {"claim": claim, "source": source, "paper": paper, "ours": ours, "verdict": verdict[0], "why": verdict[1]}


def _normalized(lines: Sequence[Mapping[str, Any]], every: Sequence[Mapping[str, Any]]) -> Frontiers:
    """The law of each line's scheme, in units of the smallest NE of all frontiers."""
    frontiers = (PowerLawFit.from_dict(line["fit"]) for line in every if line["line"] == FRONTIER)
    best = min(frontiers, key=lambda fit: min(fit.y), default=None)
    if best is None:
        return {}
    error = best.noise if best.noise == best.noise else 0.0  # NaN where no law was fitted
    fits = {line["scheme"]: PowerLawFit.from_dict(line["fit"]) for line in lines}
    return {scheme: normalized(fit, min(best.y), error) for scheme, fit in fits.items()}


def _table_1(
    x: str,
    claims: Mapping[str, Any],
    frontiers: Frontiers,
    standing: Sequence[Mapping[str, Any]],
    ranking: Mapping[str, Any] | None,
) -> list[dict[str, str]]:
    source = f"Table 1, {x}"
    records = []
    for name in ("alpha", "beta", "gamma"):
        low, high = (float(end) for end in claims[name])
        said = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        ours = ", ".join(f"{scheme} {_estimate(fit, name)}" for scheme, fit in frontiers.items())
        verdict = _overlap(frontiers, name, low, high)
        if name == "alpha" and frontiers:
            verdict = CANNOT_TELL, "alpha depends on the unit of x, which the paper's numbers come without"
        title = f"{name} against {x}" + ("" if name == "beta" else ", NE divided by the smallest")
        records.append(_record(title, source, said, ours or "none", verdict))
    of_r2 = {scheme: fit.r2 for scheme, fit in frontiers.items() if fit.r2 == fit.r2}
    ours = ", ".join(f"{scheme} {value:.4f}" for scheme, value in of_r2.items())
    records.append(_record(f"R² against {x}", source, f"{claims['r2']:g}", ours or "none", _r2(of_r2, claims["r2"])))
    saturated = {record["scheme"]: record["saturated"] for record in standing}
    ours = ", ".join(f"{scheme} {verdict}" for scheme, verdict in saturated.items())
    title = f"saturated in {x}: below {EPSILON:.1%} per doubling"
    verdict = _saturated(saturated, claims["saturated"])
    records.append(_record(title, source, claims["saturated"], ours or "none", verdict))
    text = ranking["text"] if ranking else "none"
    pairs = ranking["pairs"] if ranking else []
    records.append(_record(f"schemes against {x}", source, claims["ranking"], text, _ranked(pairs, claims["ranking"])))
    return records


def _estimate(fit: PowerLawFit, name: str) -> str:
    if fit.status == "too_few_points":
        return "not fitted"
    low, high = (max(end, 0.0) for end in fit.interval[name])  # the error of the unit may reach below it
    return f"{getattr(fit, name):.3g} ({low:.3g} to {high:.3g})"


def _overlap(frontiers: Frontiers, name: str, low: float, high: float) -> Verdict:
    """Whether every scheme's interval meets the paper's range."""
    if not frontiers:
        return CANNOT_TELL, _NOT_MEASURED
    told = {scheme: fit for scheme, fit in frontiers.items() if fit.status in ("ok", "gamma_unidentified")}
    apart = [s for s, fit in told.items() if fit.interval[name][0] > high or fit.interval[name][1] < low]
    if apart:
        return DIFFERS, f"the interval of {', '.join(apart)} does not meet the paper's range"
    unsure = [scheme for scheme, fit in frontiers.items() if fit.status != "ok"]
    if unsure:
        return CANNOT_TELL, f"the law of {', '.join(unsure)} is not sure enough (see its status)"
    return AGREES, ""


def _r2(ours: Mapping[str, float], paper: float) -> Verdict:
    """A lower R² is no evidence against a law: noise lowers it as well, and one seed does not tell the two apart."""
    if not ours:
        return CANNOT_TELL, _NOT_MEASURED
    decimals = len(f"{paper:g}".partition(".")[2])
    below = [scheme for scheme, value in ours.items() if round(value, decimals) < paper]
    if not below:
        return AGREES, ""
    return CANNOT_TELL, f"that of {', '.join(below)} is lower, and noise may be the reason as well as the law"


def _saturated(ours: Mapping[str, str], paper: str) -> Verdict:
    if not ours:
        return CANNOT_TELL, _NOT_MEASURED
    apart = [scheme for scheme, verdict in ours.items() if verdict not in (paper, CANNOT_TELL)]
    if apart:
        return DIFFERS, f"{', '.join(apart)}: another phase than the paper found"
    unsure = [scheme for scheme, verdict in ours.items() if verdict == CANNOT_TELL]
    if unsure:
        return CANNOT_TELL, f"the phase of {', '.join(unsure)} cannot be told"
    return AGREES, ""


def _ranked(pairs: Sequence[Mapping[str, Any]], paper: str) -> Verdict:
    """The paper's ranking, such as ``V > H ≈ O``, against the outcome of every pair of it."""
    if not pairs:
        return CANNOT_TELL, "the study has no two schemes to compare"
    ours = {(pair["first"], pair["second"]): pair["outcome"] for pair in pairs}
    ours |= {(second, first): {">": "<", "<": ">"}.get(outcome, outcome) for (first, second), outcome in ours.items()}
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


def _knee(paper: float, records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The knee of the embedding dimension with the baseline's rows, or with the rows nearest to them."""
    claim, source, said = "knee of the embedding dimension", "Figure 9", f"{paper:g}"
    told = [record for record in records if record.get("knee") is not None]
    if not told:
        why = "the study does not say where the knee lies"
        why = next((record["why"] for record in records if record.get("why")), why)
        return _record(claim, source, said, "none", (CANNOT_TELL, why))
    record = min(told, key=lambda one: max(one["multiplier"], 1 / one["multiplier"]))
    low, high = (record["knee"] if record.get(end) is None else record[end] for end in ("knee_low", "knee_high"))
    ours = f"{record['knee']:g} ({low:g} to {high:g})"
    if low <= paper <= high:
        return _record(claim, source, said, ours, (AGREES, ""))
    dims = sorted(record["dims"])
    # The knee is the smallest measured dimension that will do: a finer grid may find it below, down to the next one.
    below = max((dim for dim in dims if dim < low), default=0)
    if below < paper < low or (paper > high == dims[-1]):
        why = f"the dimensions measured, {', '.join(f'{dim:g}' for dim in dims)}, leave that open"
        return _record(claim, source, said, ours, (CANNOT_TELL, why))
    return _record(claim, source, said, ours, (DIFFERS, f"dimensions {dims[0]:g} to {dims[-1]:g} were measured"))


def _exponents(paper: Mapping[str, float], records: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The exponents on training and test data, of the baseline's data line."""
    found = next((record for record in records if record["scheme"] == "D"), None)
    source, claims = "Figure 10", []
    for name in ("train", "test"):
        claim, said = f"beta of the {name} loss against data", f"{paper[name]:.2f}"
        law = found[name] if found else None
        if law is None or law.get("beta") is None or law["status"] in WITHOUT_LAW:
            verdict = CANNOT_TELL, "the study has no law of the baseline's loss on these data"
            claims.append(_record(claim, source, said, "none", verdict))
            continue
        low, high = law["interval"]["beta"]
        ours = f"{law['beta']:.3g} ({low:.3g} to {'∞' if high is None else f'{high:.3g}'})"
        if paper[name] < low or (high is not None and paper[name] > high):
            verdict = DIFFERS, "the interval does not hold the paper's exponent"
        elif law["status"] != "ok":
            verdict = CANNOT_TELL, "the law is not sure enough (see its status)"
        else:
            verdict = AGREES, ""
        claims.append(_record(claim, source, said, ours, verdict))
    claim, said = "the train loss falls faster than the test loss", f"by {paper['train'] - paper['test']:.2f} in beta"
    if found is None or any(found.get(name) is None for name in ("difference_beta", "low", "high")):
        verdict = CANNOT_TELL, "the study has no interval of the difference"
        return [*claims, _record(claim, source, said, "none", verdict)]
    ours = f"by {found['difference_beta']:.3g} ({found['low']:.3g} to {found['high']:.3g})"
    if found["low"] > 0:
        verdict = AGREES, ""
    elif found["high"] < 0:
        verdict = DIFFERS, "here the test loss falls faster"
    else:
        verdict = CANNOT_TELL, "the interval of the difference holds 0"
    return [*claims, _record(claim, source, said, ours, verdict)]
