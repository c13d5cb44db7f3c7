"""How well a chosen law extrapolates, against the usual fits, on planted curves and curves of trained models.

Every curve is cut at 1/2, 1/4 and 1/8 of its largest x; what lies beyond is predicted. Printed: the mean RMSLE
(root mean squared difference of logarithms) over kinds of curves, on two halves of the curves.
"""

import time
from dataclasses import replace

import numpy as np
import tensorflow as tf
from sklearn.datasets import make_classification, make_hastie_10_2
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from tests.fit.extrapolation.choose_test import rmsle
from tfrs_scaling.fit import ChosenLaw, choose_law

Curve = tuple[np.ndarray, np.ndarray]
KINDS = ("floor", "broken", "plateau", "plateau and floor", "bend")
RATIOS = (2, 4, 8)


def planted(kind: str, rng: np.random.Generator) -> Curve:
    """A curve of 12 to 60 points with 0.2 to 2 % noise, log-spaced or evenly spaced in x."""
    n, span = int(rng.integers(12, 60)), rng.uniform(2, 3.5)
    x = 10 ** (4 + np.linspace(0, span, n)) if rng.random() < 0.6 else 1e6 * np.arange(1.0, n + 1)
    u = np.log(x / x[0])
    beta, noise = rng.uniform(0.05, 0.6), rng.choice([0.002, 0.005, 0.01, 0.02])
    if kind == "floor":
        y = np.exp(-beta * u) + rng.uniform(0, 1.5) * np.exp(-beta * u[-1])
    elif kind == "broken":
        place, width = rng.uniform(0.1, 0.8) * u[-1], rng.uniform(0.1, 1)
        change = beta * (rng.uniform(0.3, 2) - 1)
        y = np.exp(-beta * u - change * width * np.logaddexp(0, (u - place) / width))
    elif kind == "bend":
        y = np.exp(-beta * u - rng.uniform(-0.3, 0.3) * beta / u[-1] * u**2)
    else:
        y = np.exp(-beta * np.logaddexp(u, rng.uniform(-0.1, 0.6) * u[-1]))
        if kind == "plateau and floor":
            y = y + rng.uniform(0, 1.5) * y[-1]
    return x, y / y.max() * rng.uniform(0.3, 0.98) * np.exp(noise * rng.standard_normal(n))


def trained() -> dict[str, list[Curve]]:
    """Error and log loss of scikit-learn classifiers on growing samples, measured on 6,000 rows.

    (The bundled digits are too few to resolve a difference: an error of 2 % of 600 rows is 12 rows.)
    """
    models = {
        "logistic": lambda: LogisticRegression(C=0.1, max_iter=60),
        "neighbour": lambda: KNeighborsClassifier(1),
        "neighbours": lambda: KNeighborsClassifier(9),
        "tree": lambda: DecisionTreeClassifier(random_state=0),
        "forest": lambda: RandomForestClassifier(20, random_state=0),
        "bayes": GaussianNB,
    }
    tasks = {"hastie": (*make_hastie_10_2(14000, random_state=0), 8000)}
    for seed in range(4):
        features, labels = make_classification(
            14000, n_features=20 + 10 * seed, n_informative=8 + 2 * seed, n_classes=2 + 3 * seed, random_state=seed
        )
        tasks[f"classes {seed}"] = features, labels, 8000
    curves: dict[str, list[Curve]] = {}
    for task, (x, y, size) in tasks.items():
        kind = task.split()[0]
        for name, make in models.items():
            sizes = np.unique(np.geomspace(60, size, 18).astype(int))
            errors, losses = [], []
            for n in sizes:
                model = make().fit(x[:n], y[:n])
                errors.append(float(np.mean(model.predict(x[size:]) != y[size:])))
                if name in ("logistic", "forest"):
                    losses.append(log_loss(y[size:], model.predict_proba(x[size:]), labels=model.classes_))
            if min(errors) > 0:
                curves.setdefault(kind, []).append((sizes.astype(float), np.array(errors)))
            if losses:
                curves.setdefault(kind, []).append((sizes.astype(float), np.array(losses)))
    return curves


def alone(law: ChosenLaw, name: str, recency: float) -> ChosenLaw:
    """The first member of that law and weighting, without the average."""
    member = next(m for m in law.members if (m.law, m.recency) == (name, recency))
    return replace(law, members=(replace(member, weight=1.0),), average_weight=0.0)


def best_member(law: ChosenLaw, x: np.ndarray) -> np.ndarray:
    """The prediction of the heaviest member."""
    return replace(law, members=(replace(law.members[0], weight=1.0),), average_weight=0.0).predict(x)


class ExtrapolationBenchmark(tf.test.Benchmark):
    """Errors beyond the data, printed."""

    def benchmark_extrapolation(self) -> None:
        curves = {
            kind: [planted(kind, np.random.default_rng((seed, i))) for seed in range(24)]
            for i, kind in enumerate(KINDS)
        }
        curves |= trained()
        for half in (0, 1):
            means: dict[str, dict[str, list[float]]] = {}
            trust: dict[bool, list[float]] = {True: [], False: []}
            count, seconds = 0, 0.0
            for kind, members in curves.items():
                for x, y in members[half::2]:
                    for ratio in RATIOS:
                        seen = x <= x[-1] / ratio * 1.0001
                        if seen.sum() < 5:
                            continue
                        started = time.perf_counter()
                        law = choose_law(x[seen], y[seen])
                        seconds += time.perf_counter() - started
                        count += 1
                        ahead = x[~seen]
                        predicted = {
                            "selected": law.predict(ahead),
                            "heaviest alone": best_member(law, ahead),
                            "power": alone(law, "power", 0).predict(ahead),
                            "power x**4": alone(law, "power", 4).predict(ahead),
                            "power + constant": alone(law, "power + constant", 0).predict(ahead),
                        }
                        for name, values in predicted.items():
                            error = rmsle(np.maximum(values, 1e-9), y[~seen])
                            means.setdefault(name, {}).setdefault(kind, []).append(error)
                        trust[law.extrapolates].append(rmsle(predicted["selected"], y[~seen]))
            extras = {n: round(float(np.mean([np.mean(v) for v in by.values()])), 4) for n, by in means.items()}
            extras |= {f"selected, {kind}": round(float(np.mean(v)), 4) for kind, v in means["selected"].items()}
            extras |= {f"extrapolates {key}": round(float(np.mean(v)), 4) for key, v in trust.items() if v}
            extras |= {"share that extrapolates": round(len(trust[True]) / count, 3)}
            self.report_benchmark(name=f"extrapolation_half_{half}", iters=count, wall_time=seconds, extras=extras)


if __name__ == "__main__":
    tf.test.main()
