"""Rows chosen by how hard they are, on planted clicks whose labels were flipped at random, or were not: the ways that
the page says lead must be those that theory and the planted noise say. A benchmark fails where they are not."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tests.helpers.studies import stored
from tfrs_scaling.fit.study import fit_study
from tfrs_scaling.input.manifest import SplitName
from tfrs_scaling.input.schema import CategoricalFeature, Schema
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.sweep.run import run_study

USERS, ITEMS = 3000, 800
ROWS: dict[SplitName, int] = {"train": 345_000, "validation": 20_000, "test": 60_000}
WAYS = ["hard", "easy", "random"]
CONFIG: dict[str, Any] = {
    "study": "pruning",
    "model": {"embedding_dim": 8, "bottom": [8], "interaction": 16, "overarch": [32, 16]},
    "training": {"batch_size": 128, "learning_rates": [0.04]},
    "sweep": {
        "examples": [4096, 8192, 16384, 32768, 65536],
        "P": {"keep": ["1/4"], "by": WAYS},
        "seeds": [0, 1, 2, 3, 4, 5],
    },
    "scorer": {"examples": 65536},
}


def flipped_clicks(folder: Path, flipped: float, seed: int) -> ClickData:
    """Clicks of users and items with effects of their own, and that share of the labels of all splits flipped."""
    rng = np.random.default_rng(seed)
    users, items = rng.normal(0, 1.6, USERS), rng.normal(0, 1.6, ITEMS)

    def rows(count: int) -> dict[str, np.ndarray]:
        user = np.minimum((rng.pareto(1.0, count) * 30).astype(int), USERS - 1)
        item = rng.integers(0, ITEMS, count)
        clicked = rng.random(count) < 1 / (1 + np.exp(1 - users[user] - items[item]))
        label = clicked ^ (rng.random(count) < flipped)
        return {"ids": np.stack([user, item], axis=1).astype(np.int32), "label": label[:, None].astype(np.uint8)}

    schema = Schema("click", (CategoricalFeature("user", USERS, "id"), CategoricalFeature("item", ITEMS, "id")))
    return stored(folder, schema, {name: rows(count) for name, count in ROWS.items()})


class PruningBenchmark(tf.test.Benchmark):
    """A minute each on two cores."""

    def benchmark_clean_labels(self) -> None:
        """Hard rows lead where there are many, and not where there are few (Sorscher et al. 2022)."""
        leaders = self._leaders("clean_labels", 0.0)
        assert "hard" in leaders[-1] and "easy" not in leaders[-1], leaders
        assert "hard" not in leaders[0], leaders

    def benchmark_flipped_labels(self) -> None:
        """Where labels are flipped, hard rows are those, and never lead."""
        leaders = self._leaders("flipped_labels", 0.2)
        assert not any("hard" in best for best in leaders if len(best) < len(WAYS)), leaders

    def _leaders(self, name: str, flipped: float) -> list[tuple[str, ...]]:
        """The ways that lead, from few rows to many; all of them where they are level."""
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            data = flipped_clicks(Path(folder) / "data", flipped, seed=7)
            runs = run_study(CONFIG, data=data.folder, workdir=Path(folder) / "study", say=None)
        [ranking] = fit_study(runs).prunings
        print(f"\n{flipped:.0%} of the labels flipped, {runs['seed'].nunique()} seeds: {ranking.words}")
        extras: dict[str, float | str] = {"words": ranking.words}
        for (scheme, examples), own in runs.groupby(["scheme", "examples"]):
            error = own["test_ne"].std() / len(own) ** 0.5
            print(
                f"  {scheme} {examples}: NE {own['test_ne'].mean():.4f} +- {error:.4f}, "
                f"calibration {own['test_calibration'].mean():.2f}"
            )
            extras[f"{scheme} {examples}"] = float(own["test_ne"].mean())
        self.report_benchmark(iters=1, wall_time=time.perf_counter() - started, name=name, extras=extras)
        return [stretch.best for stretch in ranking.stretches]


if __name__ == "__main__":
    tf.test.main()
