"""Which law extrapolates a learning curve: AICc and rolling-origin holdout, and an average over what they leave."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tfrs_scaling.common.arrays import Array
from tfrs_scaling.fit.extrapolation.candidates import CANDIDATES, FUNCTIONS, N_PARAMETERS, Curve, Parameters, predict
from tfrs_scaling.fit.laws.validation import positive

LAWS = tuple(N_PARAMETERS)

_FEWEST = 4  # different x
_MOST = 200  # different x; neighbours of a denser curve are averaged, which keeps a fit below half a second
_HELD_OUT = (0.7, 1.0, 1.4, 2.0)  # octaves at the right end that the holdout predicts from the rest
_EXACT = 1e-5  # relative misfit below which fits are equally good
_AICC_POWER = 0.25  # of the weight of evidence inside the data, against 1 for that of the holdout
_AS_GOOD, _NEGLIGIBLE = 1.5, 5e-4  # a holdout error up to 1.5 times the smallest, or 0.05 % above, is as good
_WIDEST = 1e100  # ratio of the largest to the smallest x, or y

_LARGEST_MISS, _LARGEST_SPREAD, _FEWEST_TO_TRUST = 0.1, 0.1, 6
_AHEAD = math.log(4.0)


@dataclass(frozen=True)
class Member:
    """One fitted law of the average.

    Attributes:
        law: One of LAWS.
        recency: The points were weighted by ``x**recency``.
        weight: Its share in the average; the shares of all members sum to 1.
        parameters: Named arguments of the law's function in ``tfrs_scaling.fit.laws.functions`` (constant, power and
            power + constant are all ``power_law``), for x in units of ``Law.x_end``, the loss in units of
            ``Law.y_end``.
    """

    law: str
    recency: float
    weight: float
    parameters: Parameters


@dataclass(frozen=True)
class ChosenLaw:
    """The law selected for one curve, and the average that extrapolates it.

    Attributes:
        name: One of LAWS: the simplest description that holds, see ``choose_law``.
        why: The reasons for the name and for ``extrapolates``, in words with figures.
        extrapolates: Whether predictions beyond the largest x may be trusted.
        holdout_error: Root mean square of ``ln`` predicted minus ``ln`` measured at the held-out largest x, of
            the average; NaN where nothing could be held out.
        aicc: AICc of each law with fewer parameters than there are different x, fitted to all points:
            ``n ln(rms**2)`` of ``ln y`` plus its penalty.
        members: The fitted laws with their weights, the heaviest first.
        x_end: Largest x of the curve; of more than 200 different x, neighbours are averaged first.
        y_end: Loss there (its geometric mean); the unit of the members.
        n: Number of points.
    """

    name: str
    why: str
    extrapolates: bool
    holdout_error: float
    aicc: dict[str, float]
    members: tuple[Member, ...]
    x_end: float
    y_end: float
    n: int

    @np.errstate(under="ignore")
    def predict(self, x: ArrayLike) -> Array:
        """The loss at x, the weighted geometric mean of the members: float64, the shape of x.

        Raises:
            ValueError: an x is not a positive finite number.
        """
        places = positive("x", x)
        u = np.log(places) - math.log(self.x_end)
        logs = np.zeros(places.shape)
        for member in self.members:
            logs = logs + member.weight * _log_loss(member.law, member.parameters, u)
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(logs + math.log(self.y_end)))

    @property
    def shares(self) -> dict[str, float]:
        """The weight of each law in the average, the heaviest first."""
        totals = {law: sum(m.weight for m in self.members if m.law == law) for law in LAWS}
        return dict(sorted(totals.items(), key=lambda item: -item[1]))

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON: numbers at full precision, null for NaN."""
        return {
            "name": self.name,
            "why": self.why,
            "extrapolates": self.extrapolates,
            "holdout_error": self.holdout_error if math.isfinite(self.holdout_error) else None,
            "aicc": dict(self.aicc),
            "members": [
                {"law": m.law, "recency": m.recency, "weight": m.weight, "parameters": dict(m.parameters)}
                for m in self.members
            ],
            "x_end": self.x_end,
            "y_end": self.y_end,
            "n": self.n,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "ChosenLaw":
        """The law that ``to_dict`` wrote; it predicts the same, to the last digit.

        Raises:
            ValueError: a field is missing or of the wrong kind.
        """
        try:
            members = tuple(
                Member(
                    law=str(m["law"]),
                    recency=float(m["recency"]),
                    weight=float(m["weight"]),
                    parameters={str(name): float(value) for name, value in m["parameters"].items()},
                )
                for m in content["members"]
            )
            for member in members:
                FUNCTIONS[member.law](1.0, **member.parameters)
            error = content["holdout_error"]
            return cls(
                name=str(content["name"]),
                why=str(content["why"]),
                extrapolates=bool(content["extrapolates"]),
                holdout_error=math.nan if error is None else float(error),
                aicc={str(law): float(value) for law, value in content["aicc"].items()},
                members=members,
                x_end=float(content["x_end"]),
                y_end=float(content["y_end"]),
                n=int(content["n"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"this is not a law that to_dict wrote ({error!r}); select it again") from error


@np.errstate(under="ignore")
def choose_law(x: ArrayLike, y: ArrayLike) -> ChosenLaw:
    """Select the law of a learning curve, and extrapolate it.

    Six laws are fitted to ``ln y``, each with several weightings that count larger x more (``x**recency``,
    recency 0 to 6), a power law also with an exponent that drifts: 22 candidates, less those that have as many
    parameters as x differ. Two witnesses judge them:

    - rolling-origin holdout: each candidate is fitted anew without the largest x (0.7, 1, 1.4 and 2 octaves)
      and predicts them, S its mean squared error of ``ln y``;
    - AICc (Hurvich and Tsai 1989) of the fit to all points, per point.

    The name is that of the law with the least AICc (all x weighing alike) among those whose holdout error is
    within 1.5 times the smallest. Predictions are not that law's alone but the geometric mean of all
    candidates with weights ``exp(-AICc / (4 n)) / S`` (the drifting power law counts tenfold): where one law
    is right it has nearly all the weight, and where several fit alike none of them is bet on.

    That default was chosen for extrapolation by root mean squared ``ln`` error (RMSLE) over 2, 4 and 8 times the
    largest x, on 290 curves (145 later) of planted laws and of trained models: scikit-learn classifiers, one-pass click
    models, n-gram and neural language models, few-shot errors of networks trained on rendered glyphs. Means over
    kinds of curves, on the half that candidates were compared on, on the other (which was looked at, too), and on
    curves made after the choice:

    ===================================  =====  =====  =====
    .                                    first  other  later
    ===================================  =====  =====  =====
    this average                         0.029  0.037  0.038
    the drifting power law alone         0.029  0.040  0.038
    the heaviest candidate alone         0.028  0.041  0.040
    power law weighted by ``x**4``       0.035  0.041  0.043
    the law of the name alone            0.033  0.051  0.040
    power + constant, all points alike   0.069  0.079  0.104
    power law, all points alike          0.081  0.090  0.120
    ===================================  =====  =====  =====

    tests/selection_benchmark.py measures the same on its planted and scikit-learn curves.

    Args:
        x: Data, parameters or compute: positive and finite, shape (n,), in any order; repeats are averaged.
        y: Losses or errors above 0 in any unit, shape (n,).

    Returns:
        The law. ``extrapolates`` is False, ``why`` saying so, where fewer than six x differ, the loss rises at
        the right end or does not change at all, held-out x were missed by more than 10 %, the exponent broke
        near the largest x, or candidates that fit alike part by more than 10 % at four times the largest x.

    Raises:
        ValueError: NaN or infinite values, an x or y <= 0, unequal lengths, fewer than four different x, or x
            or y that span more than a factor 1e100.
    """
    curve, x_end, y_end, n = _curve(x, y)
    fits = [candidate.fit(curve, curve.weights(candidate.recency)) for candidate in CANDIDATES]
    inside = np.stack([_log_loss(c.law, fit, curve.u) - curve.log_y for c, fit in zip(CANDIDATES, fits, strict=True)])
    criterion = _criteria(curve, inside)
    misses = _holdout(curve)
    errors = np.stack([(miss**2).mean(axis=1) for miss in misses]).mean(axis=0) if misses else np.zeros(len(fits))
    evidence = _AICC_POWER * criterion + np.log(errors + _EXACT**2)
    laws = [law for law in LAWS if N_PARAMETERS[law] < curve.u.size]  # the others go through every point
    prior = np.array([candidate.prior if candidate.law in laws else 0.0 for candidate in CANDIDATES])
    weights = prior * np.exp(evidence[prior > 0].min() - evidence)
    weights = weights / weights.sum()

    aicc = {law: float(curve.u.size * criterion[_of(law)[0]]) for law in laws}  # all points alike come first
    held = {law: math.sqrt(float(errors[_of(law)].min())) for law in laws}
    reach = _AS_GOOD * min(held.values()) + _NEGLIGIBLE
    name = min((law for law in laws if held[law] <= reach), key=lambda law: aicc[law])
    missed = math.sqrt(float(np.mean([np.mean((weights @ miss) ** 2) for miss in misses]))) if misses else math.nan
    doubt = _doubt(curve, name, fits, weights, missed)
    order = np.argsort(-weights, kind="stable")
    members = tuple(
        Member(CANDIDATES[i].law, CANDIDATES[i].recency, float(weights[i]), fits[i])
        for i in order.tolist()
        if prior[i] > 0
    )
    law = ChosenLaw(
        name=name,
        why="",
        extrapolates=not doubt,
        holdout_error=missed,
        aicc=aicc,
        members=members,
        x_end=x_end,
        y_end=y_end,
        n=n,
    )
    return replace(law, why=_why(law, held, doubt, bool(misses)))


def _of(law: str) -> list[int]:
    return [i for i, candidate in enumerate(CANDIDATES) if candidate.law == law]


def _log_loss(law: str, parameters: Parameters, u: Array) -> Array:
    with np.errstate(divide="ignore"):  # a steep law leaves the range of float64 at both ends
        return np.asarray(np.clip(np.log(predict(law, parameters, u)), -700.0, 700.0))


def _criteria(curve: Curve, inside: Array) -> Array:
    """AICc per point of each candidate, weighted as it was fitted, shape (k,).

    The drifting law chooses its own freedom by likelihood and is given the best value.
    """
    n = curve.u.size
    values = []
    for candidate, residuals in zip(CANDIDATES, inside, strict=True):
        mean = float((curve.weights(candidate.recency) * residuals**2).mean())
        k = N_PARAMETERS[candidate.law] + 1  # the variance counts
        second = 2 * k * (k + 1) / (n - k - 1) if n > k + 1 else 50.0
        values.append(math.log(mean + _EXACT**2) + (2 * k + second) / n)
    drifting = [i for i, candidate in enumerate(CANDIDATES) if candidate.prior > 1]
    best = min(value for i, value in enumerate(values) if i not in drifting)
    for i in drifting:
        values[i] = best
    return np.array(values)


def _holdout(curve: Curve) -> list[Array]:
    """Log predicted minus log measured at the largest x, from the others: one (k, m) array per origin."""
    n = curve.u.size
    origins = {int((curve.u <= -octaves * math.log(2.0) + 1e-9).sum()) for octaves in _HELD_OUT}
    origins = {origin for origin in origins if _FEWEST <= origin < n}
    if not origins and n > _FEWEST:
        origins = {max(_FEWEST, 3 * n // 4)}
    misses = []
    for origin in sorted(origins):
        past, future = curve.until(origin), curve.u[origin:]
        fits = [candidate.fit(past, past.weights(candidate.recency)) for candidate in CANDIDATES]
        predicted = [_log_loss(c.law, fit, future) for c, fit in zip(CANDIDATES, fits, strict=True)]
        misses.append(np.stack(predicted) - curve.log_y[origin:])
    return misses


def _doubt(curve: Curve, name: str, fits: list[Parameters], weights: Array, missed: float) -> str:
    """Why predictions beyond the largest x should not be trusted; empty if they may be."""
    if curve.u.size < _FEWEST_TO_TRUST:
        return f"{curve.u.size} different x are too few to see a law fail; {_FEWEST_TO_TRUST} or more are needed"
    rise = _rise(curve)
    if rise > 0:
        return f"the loss rises towards the largest x (by {rise:.1%} per doubling)"
    if name == "constant":
        return "the loss does not change with x, so nothing says whether or where that ends"
    if missed > _LARGEST_MISS:
        return f"the held-out largest x were missed by {missed:.1%}"
    if name == "broken power law":
        broken = _of(name)
        fit = fits[broken[int(np.argmax(weights[broken]))]]
        if curve.u[-4] < math.log(fit["x_break"]) or fit["x_break"] > 0.5:
            return "the exponent changes near the largest x, too late to see what follows"
    ahead = np.array([float(_log_loss(c.law, f, np.array(_AHEAD))) for c, f in zip(CANDIDATES, fits, strict=True)])
    spread = math.sqrt(float(weights @ (ahead - weights @ ahead) ** 2))
    if spread > _LARGEST_SPREAD:
        return f"laws that fit alike differ by {spread:.1%} at four times the largest x"
    return ""


def _rise(curve: Curve) -> float:
    """The rise of ln y per doubling over the last third of ln x, 0 where it is not beyond three errors."""
    last = curve.u >= curve.u[-1] + (curve.u[0] - curve.u[-1]) / 3
    if last.sum() < 4:
        return 0.0
    u, z = curve.u[last], curve.log_y[last]
    centred = u - u.mean()
    spread = float((centred**2).sum())
    slope = float((centred * z).sum()) / spread
    residuals = z - z.mean() - slope * centred
    error = math.sqrt(float((residuals**2).sum()) / (u.size - 2) / spread)
    return slope * math.log(2.0) if slope > max(3 * error, 1e-4) else 0.0


def _why(law: ChosenLaw, held: dict[str, float], doubt: str, tested: bool) -> str:
    if tested:
        least = min(held.values())
        named = f"{law.name}: held-out largest x missed by {held[law.name]:.2%} (least of all laws {least:.2%})"
    else:
        named = f"{law.name}: too few x to hold any out"
    ranked = ", ".join(f"{share:.0%} {name}" for name, share in law.shares.items() if share >= 0.005)
    verdict = f"not to be extrapolated: {doubt}" if doubt else "extrapolates"
    return f"{named}; AICc {law.aicc[law.name]:.1f} is the least among those; predicts by {ranked}; {verdict}"


def _curve(x: ArrayLike, y: ArrayLike) -> tuple[Curve, float, float, int]:
    """The validated points: distinct x in increasing order, loss averaged where an x repeats."""
    xs, ys = positive("x", x), positive("y", y)
    for name, values in (("x", xs), ("y", ys)):
        if values.ndim != 1 or values.size != xs.size:
            raise ValueError(f"{name} has shape {values.shape} and x {xs.shape}; both must be one list of equal length")
    distinct, place = np.unique(xs, return_inverse=True)
    if distinct.size < _FEWEST:
        raise ValueError(f"x has {distinct.size} different values; a law needs {_FEWEST} or more to be selected")
    for name, values in (("x", xs), ("y", ys)):
        if math.log(values.max()) - math.log(values.min()) > math.log(_WIDEST):
            raise ValueError(f"{name} spans {values.min():g} to {values.max():g}, more than a factor {_WIDEST:g}")
    order = np.lexsort((np.log(ys), place))  # sums must not depend on the order of the points
    u, logs = np.log(distinct), np.log(ys)
    weight = np.bincount(place).astype(np.float64)
    log_y = np.bincount(place[order], weights=logs[order]) / weight
    if distinct.size > _MOST:
        part = np.arange(distinct.size) * _MOST // distinct.size
        total = np.bincount(part, weights=weight)
        u, log_y = (np.bincount(part, weights=weight * values) / total for values in (u, log_y))
        weight = np.asarray(total, dtype=np.float64)
    x_end, y_end = math.exp(float(u[-1])), math.exp(float(log_y[-1]))
    return Curve(u - u[-1], log_y - log_y[-1], weight), x_end, y_end, xs.size
