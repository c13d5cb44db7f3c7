"""How good the learning rates are that the search finds, and what they cost, against every rate trained at every rung.

``RATES_WORKDIR=FOLDER`` makes it look at a finished study there whose ``training.learning_rates`` are a list, and not
train the default study's shapes, up to a quarter of its largest data size, at ``RATES``, which takes minutes.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tests.helpers.sweeps import STUDY, made, swept
from tfrs_scaling.config import Config, read_config
from tfrs_scaling.planning.plan import jobs_at_once, plan_on
from tfrs_scaling.study.export import export
from tfrs_scaling.study.search import Need, needs_of
from tfrs_scaling.study.workdir import Workdir

RATES = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
# The record of a rate that the study does not have: the search takes it for the last on this side.
NOT_TRAINED = {"status": "failed", "reason": "not among the study's rates"}


class SearchBenchmark(tf.test.Benchmark):
    """Replays the search on recorded trials: nothing is trained for it."""

    def benchmark_rates_found(self) -> None:
        """By seed: shapes whose rate is within a factor of 2 of the best, NE lost, and cost relative to three rates."""
        workdir = every_rate()
        config, manifest = workdir.reopened()
        runs = export(config, manifest, workdir)
        top = runs[(runs["examples"] == config.ladder[-1]) & (runs["status"] == "ok")]
        top = top.assign(shape=top["trial_id"].str.replace(r"-lr.*", "", regex=True))
        flops = top.groupby("shape")["compute"].first()  # of one training
        print(f"\n{config.study}: {len(flops)} shapes at {', '.join(map(str, config.training.learning_rates))}")
        for seed in config.sweep.seeds:
            needs = needs_found(config, workdir, seed)
            found = {need.trial.shape_id: need.trial.learning_rate for need in needs}
            of_seed = top[top["seed"] == seed]
            for split in ("validation_ne", "test_ne"):
                ne = of_seed.pivot_table(index="shape", columns="learning_rate", values=split)
                best = ne.idxmin(axis=1)
                off = np.abs(np.log2([found[shape] / best[shape] for shape in ne.index])).round()
                lost = np.array([ne[found[shape]][shape] - ne.loc[shape].min() for shape in ne.index])
                print(
                    f"  seed {seed}, {split}: the best rate {np.mean(off == 0):.0%}, within a factor of 2 "
                    f"{np.mean(off <= 1):.0%}; lost {lost.mean():.4f}, at most {lost.max():.4f}: "
                    f"{ne.index[int(lost.argmax())]}"
                )
            trained = {need: rows_trained(need, workdir, config) for need in needs if need.trial.seed == seed}
            cost = sum(rows / config.ladder[-1] * flops[need.trial.shape_id] for need, rows in trained.items())
            share = float(cost / (3 * flops.sum()))
            print(f"  seed {seed}: {len(trained)} trials, {share:.1%} of what three rates of every shape take")
            extras = {"within_2": float(np.mean(off <= 1)), "lost": float(lost.mean()), "cost": share}
            self.report_benchmark(iters=len(flops), name=f"rates_found_seed_{seed}", extras=extras)


def every_rate() -> Workdir:
    """A finished study of all rates: that of ``RATES_WORKDIR``, else one run here."""
    if folder := os.environ.get("RATES_WORKDIR"):
        return Workdir(Path(folder))
    config = read_config(STUDY)
    small = [f"sweep.examples={list(config.ladder[:-2])}", f"training.learning_rates={list(RATES)}"]
    config = read_config(STUDY, [*small, "sweep.seeds=[0]"])
    data = made(config)
    return swept(config, data, jobs_at_once(plan_on(config, data.manifest), "cpu")).workdir


def needs_found(config: Config, workdir: Workdir, seed: int) -> tuple[Need, ...]:
    """What the search needs with this seed, and last of each shape, one that was not trained at the rate found."""
    auto = dataclasses.replace(
        config,
        training=dataclasses.replace(config.training, learning_rates="auto"),
        sweep=dataclasses.replace(config.sweep, seeds=(seed, max(config.sweep.seeds) + 1)),
    )
    found = needs_of(auto, lambda trial_id: record_of(trial_id, workdir))
    assert not found.searching
    return found.needs


def record_of(trial_id: str, workdir: Workdir) -> dict[str, Any]:
    """The record of a trial of the study, or that of one that failed."""
    return workdir.record(trial_id) or NOT_TRAINED


def rows_trained(need: Need, workdir: Workdir, config: Config) -> int:
    """After how many rows the search stops a trial; 0 if it is not one of the study's."""
    outcome = need.settled(record_of(need.trial.trial_id, workdir), config.ladder)
    assert outcome is not None
    return config.ladder[len(outcome["rungs"]) - 1] if "rungs" in outcome else 0


if __name__ == "__main__":
    tf.test.main()
