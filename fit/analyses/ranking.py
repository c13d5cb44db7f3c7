"""Table 1 of Ardalani et al. 2022: each scheme's law against data, parameters and compute, and which one is ahead."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from tfrs_scaling.common.arrays import Array, Indices, Mask
from tfrs_scaling.common.words import listed
from tfrs_scaling.fit.analyses.lines import LineFit
from tfrs_scaling.fit.analyses.noise.ladders import Ladders, lowest_up_to, own_parameters, simultaneous_intervals
from tfrs_scaling.fit.analyses.outlook import EPSILON, Saturation, Verdict
from tfrs_scaling.fit.analyses.stretches import Stretch, leading_stretches, stretch_words
from tfrs_scaling.fit.labels import FRONTIER
from tfrs_scaling.fit.laws.status import Status
from tfrs_scaling.fit.schemes import BASELINE, SIZES
from tfrs_scaling.fit.serialization import finite_or_none, known_intervals

_PLACES = 5  # that the end of a frontier is read off
_ROUNDING = 1e-9  # two logarithms of one x may differ by as much

Outcome = Literal[">", "<", "≈"]


@dataclass(frozen=True)
class Pair:
    """Two schemes compared.

    Attributes:
        outcome: ``>`` where the first has the lower NE outside the noise, ``<`` where the second has, else ``≈``.
        difference: NE of the first less that of the second; None where they cannot be compared.
        at: The x of the comparison; against parameters, a multiple of the baseline's; None likewise.
        why: Why the outcome is ``≈``, or what it rests on where there is one seed; else empty.
    """

    first: str
    second: str
    outcome: Outcome
    difference: float | None
    low: float | None
    high: float | None
    at: float | None
    why: str


@dataclass(frozen=True)
class SchemeLaw:
    """What Table 1 says of one scheme's frontier.

    Attributes:
        alpha: From the frontier's law, as are beta, gamma and r2; None where there is none.
        interval: Intervals of alpha, beta and gamma, as (low, high), None for an open end; None where there is no law.
        r2: Share of the variance explained.
        saturated: See ``Saturation``, as for epsilon, gain and why.
        epsilon: The threshold of that verdict.
        gain: Gain of the next doubling.
        why: Why there is no verdict on saturation.
    """

    scheme: str
    alpha: float | None
    beta: float | None
    gamma: float | None
    interval: dict[str, tuple[float | None, float | None]] | None
    r2: float | None
    status: Status
    saturated: Verdict
    epsilon: float
    gain: float | None
    why: str


@dataclass(frozen=True)
class Ranking:
    """The schemes ranked along one axis.

    Attributes:
        x: data, parameters or compute.
        text: Such as ``V > H ≈ O``; where some of a group differ, ``V, H and O > M; V > O; no other pair is seen to
            differ``.
        order: Groups of schemes, best first; every scheme of a group is better than every one of the groups after it.
        pairs: Comparisons of every pair of schemes.
        stretches: Which schemes lead where, over the range that all were measured in; none against parameters.
        along: The same in words; empty likewise.
        schemes: The laws of the frontiers.
    """

    architecture: str
    x: str
    text: str
    order: tuple[tuple[str, ...], ...]
    pairs: tuple[Pair, ...]
    stretches: tuple[Stretch, ...]
    along: str
    schemes: tuple[SchemeLaw, ...]


# the gap between two frontiers for each row of Ladders.losses, shape (r,), and where
Gap = tuple[Array, float]


def rank_schemes(
    ladders: Ladders, lines: Iterable[LineFit], saturation: Iterable[Saturation], *, level: float = 0.95
) -> list[Ranking]:
    """Rank V, H, O and M against data, parameters and compute.

    What is compared is the frontier: the lowest NE of a scheme, its share of the baseline included, with at most that
    much. Two schemes are compared at the largest x that both were measured at, where the next unit of resource would
    be spent. To read the end of a data frontier by more than its last point, a line in ln x through the gap between the
    two over the upper half of their common range is taken, at its right end. Frontiers are made of the data sizes in
    the upper half of what both were trained on: those below are far noisier.

    - data: at the largest data size of both.
    - compute: at the largest compute of both. A scheme whose shapes all take the same FLOPs, as V's do, has no such
    curve.
    - parameters: at the largest data size of both, at equal multiples of the baseline's parameters of the scheme's own
      kind (``own_parameters``), the largest multiple of both. Not at equal totals: next to embedding tables that hold
      nearly all parameters, what O and M add is nothing, and no total is common to them and to V or H. The line
      through the gap is in ln(examples). Where one of the two was only scaled down, nothing above the baseline is
      common to both.

    The points of the baseline, which all schemes share, move in all frontiers at once. The intervals of all gaps along
    one x hold together at the level (``simultaneous_intervals``), so where no scheme differs from any other, any ``>``
    or ``<`` is as rare as that.

    Every frontier meets the shared baseline somewhere, and is best elsewhere: ``stretches`` compares the frontiers
    along the range of data or compute that all have in common. Its intervals hold together too; where it ends, the
    pairs decide.

    Args:
        ladders: Ladders of one architecture.
        lines: The lines of that architecture.
        saturation: Saturation of these lines.
        level: Confidence level.

    Returns:
        One record for each x along which a scheme was measured.
    """
    laws = {(line.scheme, line.x): line for line in lines if line.is_frontier}
    saturated = {(record.scheme, record.x): record for record in saturation if record.line == FRONTIER}
    measured = [scheme for scheme in SIZES if ladders.own(scheme).size]
    gaps: dict[str, Callable[[str, str], Gap | str]] = {
        "data": lambda first, second: _along(ladders, first, second, "examples"),
        "parameters": lambda first, second: _per_multiple(ladders, first, second),
        "compute": lambda first, second: _along(ladders, first, second, "compute"),
    }
    records = []
    for x, gap in gaps.items():
        schemes = [s for s in measured if x == "data" or _varies(ladders, s, x)]
        if not schemes:
            continue
        pairs = _compared({pair: gap(*pair) for pair in combinations(schemes, 2)}, ladders, level)
        order = _order(schemes, pairs)
        behind = {pair.second if pair.outcome == ">" else pair.first for pair in pairs if pair.outcome != "≈"}
        stretches = leading_stretches(ladders, schemes, x, behind, level=level)
        records.append(
            Ranking(
                architecture=ladders.noise.architecture,
                x=x,
                text=_text(order, pairs, ladders.noise.is_known),
                order=tuple(tuple(group) for group in order),
                pairs=tuple(pairs),
                stretches=tuple(stretches),
                along=stretch_words(stretches, schemes, x),
                schemes=tuple(_law(s, laws.get((s, x)), saturated.get((s, x))) for s in schemes),
            )
        )
    return records


def _varies(ladders: Ladders, scheme: str, x: str) -> bool:
    """Whether the shapes of a scheme differ in FLOPs, or in their own kind of parameters."""
    column = "flops" if x == "compute" else own_parameters(scheme)
    return bool(ladders.points[column].iloc[ladders.of(scheme)].nunique() > 1)


def _along(ladders: Ladders, first: str, second: str, column: str) -> Gap | str:
    """The gap at the largest data size or compute of both; or why there is none."""
    points, schemes = ladders.points, (first, second)
    if not (points["scheme"] == BASELINE).any():
        small = [s for s in schemes if (points["multiplier"].iloc[ladders.own(s)] < 1).all()]
        if small:
            return f"the baseline is missing, and {' and '.join(small)} was measured below it alone"
    late = _late(ladders, schemes)
    if not all(late[ladders.own(scheme)].any() for scheme in schemes):
        return "they have no range of data sizes in common"
    costs = points[column].to_numpy(dtype=np.float64)
    rows = [ladders.of(scheme)[late[ladders.of(scheme)]] for scheme in schemes]
    own = [ladders.own(scheme)[late[ladders.own(scheme)]] for scheme in schemes]
    # in compute a frontier begins where the baseline's does, in data where the scheme's own does
    ranges = [costs[members] for members in (own if column == "examples" else rows)]
    low, high = max(costs.min() for costs in ranges), min(costs.max() for costs in ranges)
    if low > high:
        return f"they have no range of {'data sizes' if column == 'examples' else column} in common"
    # Along compute a gap has a kink where the shape of the fewest FLOPs runs out of data: no line goes through it.
    places = np.exp(np.linspace(np.log(low), np.log(high), _PLACES)) if column == "examples" else np.array([high])
    places = np.clip(places if low < high else places[-1:], low, high)
    frontiers = [lowest_up_to(ladders.losses[:, members], costs[members], places) for members in rows]
    return _at_the_end(frontiers[0] - frontiers[1], places), float(high)


def _late(ladders: Ladders, schemes: tuple[str, str]) -> Mask:
    """Which points are of the upper half of the data sizes that both schemes were trained on.

    The end of a frontier is made of the larger data sizes; the noise of the smaller ones must not reach it.
    """
    sizes = np.log(ladders.points["examples"].to_numpy(dtype=np.float64))
    own = [sizes[ladders.own(scheme)] for scheme in schemes]
    middle = (max(logs.min() for logs in own) + min(logs.max() for logs in own)) / 2
    return np.asarray(sizes >= middle - _ROUNDING)


def _per_multiple(ladders: Ladders, first: str, second: str) -> Gap | str:
    """The gap at equal multiples of the baseline's parameters, at the largest data size of both; or why not."""
    points = ladders.points
    baseline = points[points["scheme"] == BASELINE]
    common = set.intersection(*(set(points["examples"].iloc[ladders.own(s)]) for s in (first, second)))
    sizes = np.array(sorted(common & set(baseline["examples"])), dtype=np.float64)
    if not sizes.size:
        return "there is no data size at which both and the baseline were measured"
    examples = points["examples"].to_numpy(dtype=np.float64)
    multiples = {s: points[own_parameters(s)].to_numpy() / baseline[own_parameters(s)].iloc[0] for s in (first, second)}

    def reach(scheme: str, size: float) -> tuple[Indices, float]:
        at_size = ladders.of(scheme)[examples[ladders.of(scheme)] == size]
        return at_size, float(multiples[scheme][at_size].max())

    at = min(reach(s, sizes[-1])[1] for s in (first, second))
    if at <= 1:
        return "one of the two was not scaled up, and at the baseline they are one model"
    logs = np.log(sizes)
    upper = sizes[logs >= (logs[0] + logs[-1]) / 2 - _ROUNDING]
    upper = upper[[all(reach(s, size)[1] >= at for s in (first, second)) for size in upper]]
    columns = []
    for size in upper:
        rows = {s: reach(s, size)[0] for s in (first, second)}
        ends = [lowest_up_to(ladders.losses[:, r], multiples[s][r], np.array([at])) for s, r in rows.items()]
        columns.append((ends[0] - ends[1])[:, 0])
    return _at_the_end(np.stack(columns, axis=1), upper), at


def _at_the_end(gaps: Array, places: Array) -> Array:
    """The value at the last place of the line in ln(place) through gaps of shape (r, p): shape (r,)."""
    if places.size < 2:
        return gaps[:, -1]
    logs = np.log(places)
    centred = logs - logs.mean()
    weights = 1 / places.size + centred[-1] * centred / np.sum(centred**2)
    return np.asarray((gaps * weights).sum(axis=1))


def _compared(gaps: Mapping[tuple[str, str], Gap | str], ladders: Ladders, level: float) -> list[Pair]:
    """The record of each pair."""
    measured = {pair: gap for pair, gap in gaps.items() if not isinstance(gap, str)}
    intervals = _intervals(measured, level) if measured and ladders.noise.is_known else {}
    pairs = []
    for (first, second), gap in gaps.items():
        outcome: Outcome = "≈"
        if isinstance(gap, str):
            pairs.append(Pair(first, second, outcome, None, None, None, None, gap))
            continue
        losses, at = gap
        low, high = intervals.get((first, second), (None, None))
        why = ladders.why_not
        if low is not None and high is not None:
            outcome = ">" if high < 0 else "<" if low > 0 else "≈"
            why = ladders.one_seed or ("" if outcome != "≈" else "the interval of the difference holds 0")
        pairs.append(Pair(first, second, outcome, float(losses[0]), low, high, at, why))
    return pairs


def _intervals(gaps: Mapping[tuple[str, str], Gap], level: float) -> dict[tuple[str, str], tuple[float, float]]:
    """Intervals of the gaps that hold together."""
    values = np.stack([losses for losses, _ in gaps.values()], axis=1)  # (2 + resamples, pairs)
    # Not less their mean, how much the lowest of many points is low by chance: correcting for that adds more noise
    # than it takes away.
    lows, highs = simultaneous_intervals(values[0], values[2:] - values[1], level)
    return {pair: (float(low), float(high)) for pair, low, high in zip(gaps, lows, highs, strict=True)}


def _order(schemes: list[str], pairs: Sequence[Pair]) -> list[list[str]]:
    """Groups of schemes, best first: every one of a group beats every one of the groups after it."""
    beats = {(pair.first, pair.second) for pair in pairs if pair.outcome == ">"}
    beats |= {(pair.second, pair.first) for pair in pairs if pair.outcome == "<"}
    ahead = {s: sum((s, t) in beats for t in schemes) - sum((t, s) in beats for t in schemes) for s in schemes}
    ranked = sorted(schemes, key=lambda s: (-ahead[s], schemes.index(s)))
    groups = [[ranked[0]]]
    for at in range(1, len(ranked)):
        if all((better, worse) in beats for better in ranked[:at] for worse in ranked[at:]):
            groups.append([])
        groups[-1].append(ranked[at])
    return groups


def _text(order: list[list[str]], pairs: Sequence[Pair], known: bool) -> str:
    if not known:
        return f"{', '.join(scheme for group in order for scheme in group)} (cannot tell: the noise is unknown)"
    group_of = {scheme: at for at, group in enumerate(order) for scheme in group}
    within = [
        f"{pair.first} > {pair.second}" if pair.outcome == ">" else f"{pair.second} > {pair.first}"
        for pair in pairs
        if pair.outcome != "≈" and group_of[pair.first] == group_of[pair.second]
    ]
    if not within:
        return " > ".join(" ≈ ".join(group) for group in order)
    # Within a group some pairs differ: it is no chain.
    chain = " > ".join(listed(group) if len(group) > 2 else " ≈ ".join(group) for group in order)
    if len(order) == 1:
        return f"{'; '.join(within)}; no other pair of {chain} is seen to differ"
    return f"{chain}; {'; '.join(within)}; no other pair is seen to differ"


def _law(scheme: str, line: LineFit | None, saturation: Saturation | None) -> SchemeLaw:
    """What Table 1 says of one scheme's frontier."""
    if line is None or saturation is None:
        return SchemeLaw(
            scheme=scheme,
            alpha=None,
            beta=None,
            gamma=None,
            interval=None,
            r2=None,
            status=Status.TOO_FEW_POINTS,
            saturated="cannot tell",
            epsilon=EPSILON,
            gain=None,
            why="its frontier has fewer than two points that a law could be fitted to",
        )
    fit = line.fit
    return SchemeLaw(
        scheme=scheme,
        alpha=finite_or_none(fit.alpha),
        beta=finite_or_none(fit.beta),
        gamma=finite_or_none(fit.gamma),
        interval=known_intervals(fit),
        r2=finite_or_none(fit.r2),
        status=fit.status,
        saturated=saturation.saturated,
        epsilon=saturation.epsilon,
        gain=saturation.gain,
        why=saturation.why,
    )
