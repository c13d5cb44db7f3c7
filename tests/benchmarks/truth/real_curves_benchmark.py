"""How often predictive intervals hold the last unseen point of real learning curves, and the constants they need.

The curves are not part of the repository: ../shared/data/scaling/learning-curves/curves.csv.gz beside it, 250 of LCDB
1.1 (sources: its data sets) and 93 of ColPret (sources: families of models). Every figure is for sources left out: the
constants of each of eight folds of sources are fitted to the other seven; those of ``samples_to_reach`` alone are the
delivered ones. The prototype is one conformal factor times the spread of ``choose_law``'s members plus its holdout
error. No randomness; about 7 minutes of one core.
"""

import math
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

from tfrs_scaling.fit import choose_law, fit_frontier, fit_learning_curve, fit_power_law, samples_to_reach
from tfrs_scaling.fit.extrapolation.predictive import (
    ALLOWS_WRONG_FORM,
    PUBLIC,
    Calibration,
    Forecast,
    degrees_of_freedom,
    forecast,
    half_widths,
    pooled_misses,
    squared_miss,
)

import tensorflow as tf  # isort: skip -- after tfrs_scaling, which chooses the Keras it comes with

CURVES = Path(__file__).parents[4] / "shared/data/scaling/learning-curves/curves.csv.gz"
FOLDS, LEVEL = 8, 0.95
START = np.array([0.0, 0.3, -4.5, 0.0, 1.4])  # ln factor, growth, ln population, ln origins, ln(degrees - 1.5)


@dataclass(frozen=True)
class Case:
    """A curve, or a part of one: seen points, and unseen ones beyond them."""

    set: str
    source: str
    curve: str
    part: str
    x: np.ndarray
    y: np.ndarray
    ahead_x: np.ndarray
    ahead_y: np.ndarray


def source(collection: str, curve: str) -> str:
    """The data set of an LCDB curve, the family of a ColPret model."""
    if collection == "lcdb":
        return curve.split("|")[0]
    for pattern in ("pythia", "GPT2", "OPT"):
        if curve.startswith(pattern):
            return pattern
    match = re.match(r"([A-Za-z0-9_]+?)(-d=|$|[-.0-9])", curve)
    return match.group(1) if match else curve


def cases(table: pd.DataFrame) -> Iterator[Case]:
    """Every curve whole, up to a quarter of its data, and thinned to a ladder with and without its last rung."""
    for key, rows in table.sort_values("x", kind="stable").groupby(["set", "curve"], sort=True):
        collection, name = str(key[0]), str(key[1])
        x, y = rows["x"].to_numpy(float), rows["loss"].to_numpy(float)
        seen = rows["fitted"].to_numpy() == 1
        end = x[seen].max()
        about = collection, source(collection, name), name
        yield Case(*about, "whole", x[seen], y[seen], x[~seen], y[~seen])
        quarter = seen & (x <= end / 4 * 1.0001)
        if np.unique(x[quarter]).size >= 5 and x[quarter].max() > 4 * x[quarter].min():
            rest = x > x[quarter].max()
            yield Case(*about, "quarter", x[quarter], y[quarter], x[rest], y[rest])
        places = np.unique(x[seen])
        nearest = [
            int(np.argmin(np.abs(np.log(places * 2.0**k / end)))) for k in range(9) if end / 2**k > places[0] / 1.01
        ]
        rungs = places[sorted(set(nearest))]
        if rungs.size >= 4 and rungs[-1] > 3 * rungs[0]:
            means = np.array([y[seen & (x == rung)].mean() for rung in rungs])
            yield Case(*about, "ladder", rungs, means, x[~seen], y[~seen])
            if rungs.size >= 6:
                rest = x > 1.3 * rungs[-2]
                yield Case(*about, "short ladder", rungs[:-1], means[:-1], x[rest], y[rest])


class Calibrator:
    """The errors of forecasts, prepared for the likelihood of the constants."""

    def __init__(self, members: list[tuple[Case, Forecast]]) -> None:
        parts = pd.Series([f"{case.set} {case.curve}" for case, _ in members])
        sets = pd.Series([case.set for case, _ in members])
        share = 1 / parts.map(parts.value_counts())  # a curve counts once, the two sets alike
        share = share / share.groupby(sets).transform("sum")
        self.share = (share / share.sum()).to_numpy()
        size = np.array([case.ahead_x.size for case, _ in members])
        self.owner, self.last = np.repeat(np.arange(len(members)), size), np.cumsum(size) - 1
        self.points = np.array([ahead.curve.u.size for _, ahead in members])[self.owner]
        backtests = [ahead.backtests for _, ahead in members]
        self.squares = np.array([sum(map(squared_miss, tests)) for tests in backtests])[self.owner]
        self.origins = np.array([len(tests) for tests in backtests])[self.owner]
        self.distance = np.concatenate([np.log(case.ahead_x / ahead.curve.x_end) for case, ahead in members])
        found = [ahead.average.predict(np.log(case.ahead_x / ahead.curve.x_end)) for case, ahead in members]
        middle, self.spread = (np.concatenate(parts) for parts in zip(*found, strict=True))
        truth = np.concatenate([np.log(case.ahead_y / ahead.curve.y_end) for case, ahead in members])
        self.error = middle - truth
        # Half the weight is that of the last points, the other half that of all.
        self.weight = (self.share / size)[self.owner] / 2
        self.weight[self.last] += self.share / 2

    def half_widths(self, calibration: Calibration) -> np.ndarray:
        """Half the width of the interval at every unseen point."""
        missed = pooled_misses(self.squares, self.origins, calibration)
        return half_widths(self.distance, self.spread, missed, self.points, LEVEL, calibration)

    def fitted(self) -> Calibration:
        """Maximum likelihood, with a weak prior; then the conformal factor."""

        def loss(theta: np.ndarray) -> float:
            calibration = constants(theta)
            degrees = degrees_of_freedom(self.points, calibration)
            scale = self.half_widths(calibration) / special.stdtrit(degrees, (1 + LEVEL) / 2)
            log_density = stats.t.logpdf(self.error / scale, degrees) - np.log(scale)
            return float(-self.weight @ log_density + ((theta - START) ** 2).sum() / 4e3)

        bounds = [(-3, 3), (-1, 3), (-7, -2), (-2, 3), (-1, 3)]
        theta = optimize.minimize(loss, START, method="L-BFGS-B", bounds=bounds).x
        calibration = constants(theta)
        ratio = np.abs(self.error[self.last]) / self.half_widths(calibration)[self.last]
        order = np.argsort(ratio)
        place = int(np.searchsorted(np.cumsum(self.share[order]), LEVEL + 0.003))  # (n + 1) / n of n = 343
        return replace(calibration, factor=calibration.factor * float(ratio[order][place]))


def constants(theta: np.ndarray) -> Calibration:
    """The constants of unbounded parameters in the order of START."""
    log_factor, growth, log_population, log_origins, log_degrees = (float(value) for value in theta)
    return Calibration(
        factor=math.exp(log_factor),
        growth=growth,
        population=math.exp(log_population),
        prior_origins=math.exp(log_origins),
        degrees=1.5 + math.exp(log_degrees),
    )


def interval_score(low: np.ndarray, high: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Gneiting and Raftery (2007), equation 43."""
    outside = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    return np.asarray(high - low + 2 / (1 - LEVEL) * outside)


def intervals(case: Case, ahead: Forecast, calibration: Calibration) -> dict[str, tuple[float, float]]:
    """The interval at the last unseen point by each function, and those that assume the form."""
    x = case.ahead_x[-1:]
    low, high = (float(end[0]) for end in ahead.interval(x, LEVEL, calibration))
    own = float(choose_law(case.x, case.y).predict(x)[0])
    found = {"choose_law": (min(low, own), max(high, own))}
    for fit_law in (fit_power_law, fit_learning_curve, fit_frontier):
        try:
            fit = fit_law(case.x, case.y)
        except ValueError:  # a frontier of one point
            continue
        if not fit.status.is_fitted:
            continue
        name, own = fit_law.__name__, float(fit.predict(x)[0])
        own_low, own_high = (float(end[0]) for end in fit.predict_interval(x, "new"))
        found[f"{name} (assumes the form)"] = own_low, own_high
        if fit.status.has_floor:
            found[f"{name} (assumes the form, status ok)"] = own_low, own_high
        about = ahead if len(fit.x) == case.x.size else forecast(fit.x, fit.y)  # its points may be fewer
        low, high = (float(end[0]) for end in about.interval(x, LEVEL, calibration))
        found[name] = min(low, own), max(high, own)
    return found


def reach(case: Case) -> dict[str, float] | None:
    """Whether the x at which an unseen loss is first measured lies in its interval; None if it was measured before."""
    fit, loss = fit_power_law(case.x, case.y), float(case.ahead_y[-1])
    if loss >= case.y.min() or not fit.status.is_fitted:
        return None
    found = samples_to_reach(fit, loss)
    truth = float(case.ahead_x[case.ahead_y <= loss].min())
    low, high = found.interval
    return {
        "inside": low <= truth <= high,
        "bounded": math.isfinite(high),
        "low / truth": low / truth,
        "beyond the data": found.kind == ALLOWS_WRONG_FORM,
    }


def prototype(members: list[Case], folds: list[int]) -> pd.DataFrame:
    """The prototype's intervals of the last unseen points: the factor of a fold is conformal on the others."""
    rows = []
    for case, fold in zip(members, folds, strict=True):
        law, x = choose_law(case.x, case.y), case.ahead_x[-1:]
        middle = math.log(float(law.predict(x)[0]))
        alone = [replace(law, members=(replace(m, weight=1.0),), average_weight=0.0) for m in law.members]
        logs = np.array([math.log(max(float(one.predict(x)[0]), 1e-300)) for one in alone])
        average, spread = (float(v[0]) for v in law.average.predict(np.log(x / law.x_end)))
        laws = np.append(logs, average + math.log(law.y_end))
        weights = np.append([m.weight for m in law.members], law.average_weight)
        scale = math.sqrt(weights @ (laws - middle) ** 2 + law.average_weight * spread**2)
        scale += 0.02 if math.isnan(law.holdout_error) else law.holdout_error
        y = float(case.ahead_y[-1])
        rows.append({"fold": fold, "set": case.set, "middle": middle, "scale": scale, "y": y})
    table = pd.DataFrame(rows)
    ratio = (table["middle"] - np.log(table["y"])).abs() / table["scale"]
    factor = table["fold"].map({k: ratio[table["fold"] != k].quantile(LEVEL + 0.005) for k in set(folds)})
    half = factor * table["scale"]
    return table.assign(low=np.exp(table["middle"] - half), high=np.exp(table["middle"] + half))


def scored(low: float, high: float, y: float) -> dict[str, float]:
    """Whether an interval holds y, its scores and its width."""
    logs = math.log(max(low, 1e-6)), math.log(high), math.log(y)
    return {
        "inside": low <= y <= high,
        "score": float(interval_score(np.array(low), np.array(high), np.array(y))),
        "log_score": float(interval_score(*map(np.array, logs))),
        "width": logs[1] - logs[0],
    }


class RealCurvesBenchmark(tf.test.Benchmark):
    """Coverage and interval scores on public curves, printed."""

    def benchmark_coverage(self) -> None:
        if not CURVES.exists():
            print(f"skipped: {CURVES} does not exist; the curves are kept beside the repository, not in it")
            return
        started = time.perf_counter()
        members = [(case, forecast(case.x, case.y)) for case in cases(pd.read_csv(CURVES)) if case.ahead_x.size]
        print(f"{len(members)} parts of curves, forecast in {time.perf_counter() - started:.0f} s")
        print("constants fitted to all:", Calibrator(members).fitted(), "\ndelivered:             ", PUBLIC)
        sources = sorted({(case.set, case.source) for case, _ in members})
        fold = {key: place % FOLDS for place, key in enumerate(sources)}
        rows = []
        for left_out in range(FOLDS):
            others = [member for member in members if fold[member[0].set, member[0].source] != left_out]
            calibration = Calibrator(others).fitted()
            for case, ahead in members:
                if fold[case.set, case.source] != left_out:
                    continue
                x, y = case.ahead_x[-1:], float(case.ahead_y[-1])
                low, high = (float(end[0]) for end in ahead.interval(x, LEVEL, calibration))
                found = {"forecast": (low, high)}
                if case.part == "whole":
                    found |= intervals(case, ahead, calibration)
                size = ahead.curve.u.size
                about = {
                    "set": case.set,
                    "source": case.source,
                    "part": case.part,
                    "points": "4-5" if size < 6 else "6-9" if size < 10 else "10+",
                }
                rows += [{**about, "function": name, **scored(*ends, y)} for name, ends in found.items()]
        wholes = [case for case, _ in members if case.part == "whole"]
        rivals = prototype(wholes, [fold[case.set, case.source] for case in wholes])
        rows += [
            {"set": case.set, "part": "whole", "function": "prototype", **scored(*ends)}
            for case, ends in zip(wholes, rivals[["low", "high", "y"]].to_numpy().tolist(), strict=True)
        ]
        table = pd.DataFrame(rows)
        whole = table[table["part"] == "whole"]
        self._report("by function", whole.groupby("function"), started)
        self._report("by function and set", whole.groupby(["function", "set"]), started)
        forecasts = table[table["function"] == "forecast"]
        self._report("by part", forecasts.groupby(["part", "set"]), started)
        self._report("by points", forecasts.groupby("points"), started)
        for name in ("choose_law", "fit_power_law", "fit_learning_curve", "fit_frontier"):
            by_source = whole[whole["function"] == name].groupby(["set", "source"])
            self._report(f"by source, {name}", by_source, started, least=4)
        reaches = pd.DataFrame([{"set": case.set, **reached} for case in wholes if (reached := reach(case))])
        for collection, rows_of_set in reaches.groupby("set"):
            share, n = float(rows_of_set["inside"].mean()), len(rows_of_set)
            error = math.sqrt(max(share * (1 - share), 0.01) / n)
            print(
                f"samples_to_reach       {collection:45s} {share:.3f} +- {error:.3f} of {n}; "
                f"{rows_of_set['bounded'].mean():.0%} have an upper end, "
                f"median low / truth {rows_of_set['low / truth'].median():.2f}"
            )

    def _report(self, name: str, groups: Iterable[tuple[Any, pd.DataFrame]], started: float, least: int = 1) -> None:
        extras = {}
        for key, rows in groups:
            if len(rows) < least:
                continue
            share = rows["inside"].mean()
            error = math.sqrt(max(share * (1 - share), 0.01) / len(rows))
            label = key if isinstance(key, str) else " ".join(key)
            extras[label] = (
                f"{share:.3f} +- {error:.3f} of {len(rows)}, interval score {rows['score'].mean():.3f}, of ln y "
                f"{rows['log_score'].mean():.3f}, median width {rows['width'].median():.3f}"
            )
            print(f"{name:22s} {label:45s} {extras[label]}", flush=True)
        self.report_benchmark(name=name, iters=1, wall_time=time.perf_counter() - started, extras=extras)


if __name__ == "__main__":
    tf.test.main()
