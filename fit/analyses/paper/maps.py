"""The paper's Table 2 and the zones of its Figures 7 and 8 beside a study's maps."""

from collections import Counter
from collections.abc import Sequence

from tfrs_scaling.common.words import signed
from tfrs_scaling.fit.analyses.paper.claim import AGREES, CANNOT_TELL, DIFFERS, Claim, Verdict, make_claim
from tfrs_scaling.fit.analyses.paper.numbers import Half, PaperNumbers, PaperZone, Where
from tfrs_scaling.fit.analyses.ranking import Outcome
from tfrs_scaling.fit.analyses.zones import Cell, Quarter, Zones

# Along each axis of a map places run from 0, the least, to 1, the most. The paper's text names its zones, and draws
# their borders in pictures alone: so much apart is "for the data", so far from an end is "few" or "many".
_APART = 0.5
_FEW, _MANY = 1 / 3, 2 / 3
_BORDERS = "the paper draws its zones' borders in a picture: thirds of the map are compared"
_TURNED: dict[str, Outcome] = {">": "<", "<": ">", "≈": "≈"}


def compare_maps(numbers: PaperNumbers, zones: Sequence[Zones]) -> list[Claim]:
    """Each entry of Table 2 and each zone beside the study's.

    Args:
        numbers: Those of the paper.
        zones: Maps of one architecture.
    """
    claims = []
    for entry in numbers.table_2:
        for said in entry.outcomes:
            name = f"{_pair_name(said)}, {entry.parameters} parameters, {entry.data} data"
            zone, expected = _find(said, zones)
            quarters = zone.table if zone else ()
            own = [q for q in quarters if (q.parameters, q.data) == (entry.parameters, entry.data)]
            if zone is None or not own:
                claims.append(make_claim(name, "Table 2", said, "none", (CANNOT_TELL, "the study has no such budget")))
                continue
            ours = f"{_outcome_words(zone, own[0].outcome)} ({_difference(own[0])})"
            claims.append(make_claim(name, "Table 2", said, ours, _of_quarter(own[0], expected, zone.margin)))
    for each in numbers.zones:
        zone, expected = _find(each.outcome, zones)
        cells = [] if zone is None else _cells_in(zone, each)
        name, source = f"{_pair_name(each.outcome)}, {each.where}", f"Figure {each.figure}, zone {each.zone}"
        ours = "none" if zone is None or not cells else _counted(zone, cells)
        verdict = _of_cells(cells, expected, 0.0 if zone is None else zone.margin)
        claims.append(make_claim(name, source, each.outcome, ours, verdict))
    return claims


def _pair_name(said: str) -> str:
    first, _, second = said.split()
    return f"{first} against {second}" if (first, second) in (("V", "H"), ("O", "M")) else f"{second} against {first}"


def _find(said: str, zones: Sequence[Zones]) -> tuple[Zones | None, Outcome]:
    """The map of a pair such as ``M > O``, and the outcome in the order of the map."""
    first, symbol, second = said.split()
    outcome: Outcome = _TURNED[_TURNED[symbol]]
    for zone in zones:
        if (zone.first, zone.second) == (first, second):
            return zone, outcome
        if (zone.first, zone.second) == (second, first):
            return zone, _TURNED[symbol]
    return None, outcome


def _outcome_words(zone: Zones, outcome: str) -> str:
    return f"{zone.first} {outcome} {zone.second}"


def _difference(quarter: Quarter) -> str:
    if quarter.low is None or quarter.high is None:
        return signed(quarter.difference)
    return f"{signed(quarter.difference)}, {signed(quarter.low)} to {signed(quarter.high)}"


def _of_quarter(quarter: Quarter, expected: Outcome, margin: float) -> Verdict:
    if quarter.outcome == "≈" and not _is_within(quarter, margin):
        return CANNOT_TELL, quarter.why
    return (AGREES, "") if quarter.outcome == expected else (DIFFERS, quarter.why)


def _is_within(record: Quarter | Cell, margin: float) -> bool:
    """Whether a difference is known to lie within the margin."""
    return record.low is not None and record.high is not None and -margin <= record.low and record.high <= margin


def _cells_in(zone: Zones, wanted: PaperZone) -> list[Cell]:
    """The cells of a zone; none where the map lies on the other side of the baseline, as Table 2 divides it."""
    half: Half = "low" if wanted.where.startswith("few") else "high"
    if not any(quarter.parameters == half for quarter in zone.table):
        return []
    budgets = sorted({cell.parameters for cell in zone.cells})
    sizes = sorted({cell.examples for cell in zone.cells})

    def place(values: Sequence[float], value: float) -> float:
        return values.index(value) / max(len(values) - 1, 1)

    return [
        cell
        for cell in zone.cells
        if _is_in(wanted.where, place(budgets, cell.parameters), place(sizes, cell.examples))
    ]


def _is_in(where: Where, parameters: float, data: float) -> bool:
    match where:
        case "few parameters for the data":
            return data - parameters >= _APART
        case "many parameters for the data":
            return parameters - data >= _APART
        case "many of both":
            return min(parameters, data) >= _MANY
        case "few parameters":
            return parameters <= _FEW
        case "the most parameters":
            return parameters == 1


def _counted(zone: Zones, cells: Sequence[Cell]) -> str:
    counts = Counter(cell.outcome for cell in cells)
    outcomes: tuple[Outcome, ...] = (">", "<", "≈")
    return ", ".join(f"{_outcome_words(zone, each)} in {counts[each]}" for each in outcomes if counts[each])


def _of_cells(cells: Sequence[Cell], expected: Outcome, margin: float) -> Verdict:
    """What most cells of a zone say; a cell without a difference counts only where it is known to be that small."""
    if not cells:
        return CANNOT_TELL, "the study has no such budgets"
    counts = Counter(cell.outcome for cell in cells if cell.outcome != "≈" or _is_within(cell, margin))
    most = next((outcome for outcome, count in counts.items() if 2 * count > len(cells)), None)
    if most is None:
        return CANNOT_TELL, f"most cells do not say the same, or are not known to within the margin; {_BORDERS}"
    return (AGREES, _BORDERS) if most == expected else (DIFFERS, _BORDERS)
