"""How often the comparisons of schemes are right: Table 1 and Table 2 of Ardalani et al. 2022 from planted studies.

The grid is the paper's (V, H, O and M, 37 shapes, 11 data sizes, one seed), the noise 5e-4 of NE, the laws those of
Table 1: ``tests/helpers/paper_grid.py``. Printed: the share of studies in which each pair came out as planted, and how
often a difference was claimed where there is none.
"""

import os
import time
from collections import Counter

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.fit.analyses.zones_test import OUTCOME, table_of
from tests.helpers.noise import ladders_of
from tests.helpers.paper_grid import DATA, SMALLEST, Grid, compute_study, draw_signs, noisy, outcomes, study, zone_study
from tests.helpers.training_noise import NOISES, Equal, any_verdicts
from tfrs_scaling.fit.analyses.ranking import rank_schemes
from tfrs_scaling.fit.analyses.zones import scheme_zones
from tfrs_scaling.fit.study import fit_study

SEEDS = int(os.environ.get("SEEDS", "100"))


class RankingBenchmark(tf.test.Benchmark):
    """Shares of right outcomes."""

    def benchmark_table_1_data(self) -> None:
        for step in (1e-3, 2e-3, 3e-3):
            self._rank(f"data, neighbours {step:g} apart", study(Grid(step=step), 0, noise=0.0), "data")

    def benchmark_table_1_compute(self) -> None:
        for step in (1e-3, 3e-3):
            self._rank(f"compute, neighbours {step:g} apart", compute_study(step), "compute")

    def benchmark_no_difference(self) -> None:
        quiet = study(Grid(step=0, top=0), 0, noise=0.0)
        for x in ("data", "parameters"):
            self._rank(f"{x}, no difference", quiet, x)
        self._rank("data, no difference, three seeds", study(Grid(step=0, top=0), 0, noise=0.0, seeds=3), "data")

    def benchmark_real_noise(self) -> None:
        """Any verdict of a study in which schemes are equal, and how often four standard errors are found."""
        axes: dict[str, tuple[str, ...]] = {
            "examples": ("data", "parameters", "along data", "effects", "zones", "dimension"),
            "compute": ("compute", "along compute"),
        }
        for name, noise in NOISES.items():
            for seeds in (1, 3):
                for per, analyses in axes.items():
                    started = time.perf_counter()
                    found, _ = any_verdicts(Equal(noise, seeds, per=per), SEEDS)
                    figures = {analysis: found[analysis] / SEEDS for analysis in analyses}
                    self._report(f"{name}, {seeds} seed(s), equal {per}", started, figures)
                started = time.perf_counter()
                _, said = any_verdicts(Equal(noise, seeds, {"V": 4.0}), SEEDS)
                figures = {
                    f"V > {other}, {x}": said[f"{x}: V{other} >"] / SEEDS
                    for x in ("data", "parameters")
                    for other in "HOM"
                }
                figures["effect"] = said["effects: V 4 lower"] / SEEDS
                self._report(f"{name}, {seeds} seed(s), V by 4 errors", started, figures)

    def benchmark_table_2(self) -> None:
        quiet = study(Grid(), 0, noise=0.0)
        for difference in (2e-3, 3e-3, 6e-3):
            started, quarters, tables = time.perf_counter(), 0, 0
            for seed in range(SEEDS):
                signs = draw_signs(np.random.default_rng(seed))
                runs = noisy(zone_study(quiet, signs, difference), seed)
                found = table_of(scheme_zones(ladders_of(runs, seed=seed)))
                right = sum(found[quarter] == OUTCOME[sign] for quarter, sign in signs.items())
                quarters, tables = quarters + right, tables + (right == len(signs))
            figures = {"quarters right": quarters / SEEDS / 8, "whole tables right": tables / SEEDS}
            self._report(f"Table 2, differences of {difference:g}", started, figures)
        flat = quiet.assign(test_ne=SMALLEST + 0.05 * (quiet["examples"] / DATA[0]) ** -0.1)
        for margin in (0.0, 1e-3):
            started, told = time.perf_counter(), Counter[str]()
            for seed in range(SEEDS):
                for record in scheme_zones(ladders_of(noisy(flat, seed), seed=seed), margin=margin):
                    for name in ("cells", "table"):
                        told[name] += any(part.outcome != "≈" for part in getattr(record, name))
            figures = {f"pairs with a difference in {name}": told[name] / SEEDS / 2 for name in ("cells", "table")}
            self._report(f"zones, no difference, margin {margin:g}", started, figures)

    def benchmark_the_papers_claims(self) -> None:
        seeds, started, verdicts = 5, time.perf_counter(), Counter[str]()
        for seed in range(seeds):
            for record in fit_study(study(Grid(step=3e-3), seed)).paper:
                if record.source.startswith("Table 1, data"):
                    verdicts[f"{record.claim}: {record.verdict}"] += 1
        self._report("the paper's claims", started, {name: count / seeds for name, count in sorted(verdicts.items())})

    def _rank(self, name: str, quiet: pd.DataFrame, x: str) -> None:
        started, found = time.perf_counter(), Counter[str]()
        for seed in range(SEEDS):
            records = rank_schemes(ladders_of(noisy(quiet, seed), seed=seed), [], [])
            of_x = outcomes(next(record for record in records if record.x == x))
            found.update(pair + outcome for pair, outcome in of_x.items() if outcome != "≈")
            found["any"] += any(outcome != "≈" for outcome in of_x.values())
        self._report(name, started, {pair: count / SEEDS for pair, count in sorted(found.items())})

    def _report(self, name: str, started: float, figures: dict[str, float]) -> None:
        rounded = {key: round(value, 4) for key, value in figures.items()}
        self.report_benchmark(name=name, iters=SEEDS, wall_time=time.perf_counter() - started, extras=rounded)


if __name__ == "__main__":
    tf.test.main()
