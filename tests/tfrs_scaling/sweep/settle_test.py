import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from tests.helpers.levers import LADDER, needed_fits
from tests.helpers.planted import planted_row
from tests.helpers.studies import leading, tiny_config, tiny_data
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import Config
from tfrs_scaling.fit.advice.advice import Advice
from tfrs_scaling.fit.advice.advise import advise
from tfrs_scaling.fit.advice.settle import Settle
from tfrs_scaling.fit.runs.run_table import COLUMNS
from tfrs_scaling.planning.plan import plan_on
from tfrs_scaling.study.attempts import begin, publish
from tfrs_scaling.study.growth import changes
from tfrs_scaling.study.trials import all_trials
from tfrs_scaling.study.workdir import Workdir
from tfrs_scaling.sweep.settle import growth_words, seconds_to_grow, settle

NOISE = 1e-3
SEEDS = Settle("More seeds would settle it.", ("sweep.V=[4]", "sweep.H=[]", "sweep.seeds=[0, 1, 2]"))
SIZES = Settle("More data would settle it.", ("sweep.H=[]", "sweep.examples=[256, 512, 1024, 2048, 4096]"))


def planted_runs(config: Config, gain: float) -> pd.DataFrame:
    """The run table of a study in which V at 4 is better by ``gain`` and nothing else matters."""
    rows = []
    for trial in all_trials(config):
        rng = np.random.default_rng(zlib.crc32(trial.trial_id.encode()))
        offset = rng.normal(0, NOISE)
        for examples in config.sweep.examples:
            ne = 0.78 + 0.2 * (examples / LADDER[0]) ** -0.3 - gain * (trial.shape_id == "V-4")
            ne += offset + rng.normal(0, NOISE / 4)
            rows.append(planted_row(trial.scheme, float(trial.multiplier), trial.seed, 0.04, examples, ne))
            rows[-1]["trial_id"] = trial.trial_id
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


class SettleTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.now = 0.0
        self.said: list[str] = []
        self.ran: list[Config] = []

    def settle(
        self, config: Config, seconds: float, advise: Callable[[str], Advice], budget: str = "params=4x"
    ) -> Config:
        """A second for each trial that is added."""

        def estimate(grown: Config) -> float:
            added = set(all_trials(grown)) - set(all_trials((self.ran or [config])[-1]))
            return 10.0 * (grown.ladder != config.ladder) + len(added)

        def run(grown: Config) -> None:
            self.now += estimate(grown)
            self.ran.append(grown)

        return settle(
            ["params=4x"], seconds, config=config, advise=advise, run=run, estimate=estimate, say=self.said.append,
            clock=lambda: self.now,
        )  # fmt: skip

    def advice(self, *settles: Settle | None) -> Callable[[str], Advice]:
        """One after each run, and then settled."""
        return lambda budget: Advice(budget, 0.95, "", settle=([*settles, None])[len(self.ran)])

    def test_planted_study_is_settled_by_seeds_of_the_shapes_in_question(self) -> None:
        config = tiny_config(examples=LADDER, V=["1/4", 4], H=["1/4", 4], O=[4], seeds=[0, 1])

        def answered(budget: str) -> Advice:
            runs = planted_runs((self.ran or [config])[-1], gain=1.5 * NOISE)
            return advise(runs, needed_fits(runs, extrapolates=False), budget)

        before = answered("params=4x")
        grown = self.settle(config, 100.0, answered)
        after = answered("params=4x")
        self.assertIsNone(before.do)
        assert after.do is not None
        self.assertEqual((after.do.use.scheme, after.do.use.multiplier), ("V", 4.0))
        self.assertEqual({change.key.rpartition(".")[0] for change in changes(config, grown)}, {"sweep.more_seeds"})
        self.assertContainsSubset(("D-1", "V-4"), grown.sweep.more_seeds)
        self.assertNotIn("V-1_4", grown.sweep.more_seeds)
        said = "\n".join(self.said)
        self.assertIn(f"was: {before.answer} Now: ", said)
        self.assertIn(after.answer, said)

    def test_as_many_seeds_as_there_is_time_for(self) -> None:
        config = tiny_config(V=[4], H=[2])
        grown = self.settle(config, 3.0, self.advice(SEEDS, SEEDS))
        self.assertEqual(grown.sweep.more_seeds, {"D-1": (1,), "V-4": (1,)})
        self.assertEqual(self.ran, [grown])
        self.assertIn("would settle it. Part of it takes about 2 s of the 3 s left.", self.said[0])
        self.assertIn("still open. More seeds would settle it. The least of it takes about 2 s", self.said[-1])
        grown = self.settle(grown, 3.0, self.advice(SEEDS, SEEDS))  # the same command again
        self.assertEqual(grown.sweep.more_seeds, {"D-1": (1, 2), "V-4": (1, 2)})
        self.assertStartsWith(self.said[-1], "params=4x: settled. Not enough evidence to say where 4 times the par")

    def test_data_sizes_are_added_for_all_shapes(self) -> None:
        config = tiny_config(V=[4], H=[2])
        grown = self.settle(config, 11.0, self.advice(SIZES))
        self.assertEqual(grown, tiny_config(V=[4], H=[2], examples=[256, 512, 1024, 2048, 4096]))
        self.assertIn("params=4x: More data would settle it. It takes about 10 s of the 11 s left.", self.said)

    def test_what_cannot_be_run_is_said(self) -> None:
        config = tiny_config(V=[4], H=[2])
        self.assertEqual(self.settle(config, 9.0, self.advice(Settle("Collect more rows first."))), config)
        self.assertEqual(self.said, ["params=4x: no further runs. Collect more rows first."])
        self.settle(config, 9.0, self.advice(Settle("Seed 0 of V.", ("sweep.H=[]",))))
        self.assertEndsWith(self.said[-1], "still open. Seed 0 of V. All of it has been run.")
        self.settle(config, 9.0, self.advice(Settle("More rows.", ("synthetic.rows=9", *SIZES.overrides))))
        self.assertEndsWith(self.said[-1], "More rows. They take another study, whose command `advise` prints.")

        def estimate(grown: Config) -> float:
            raise InputError("sweep.examples[3]: 2,048 rows, but the training split has 1,400")

        settle(
            ["data=2x"], 9.0, config=config, advise=self.advice(SIZES), run=self.ran.append, estimate=estimate,
            say=self.said.append, clock=lambda: 0.0,
        )  # fmt: skip
        self.assertIn("It cannot be run: sweep.examples[3]: 2,048 rows", self.said[-1])
        self.assertEmpty(self.ran)

    def test_seconds_to_grow_are_the_plan_s_at_the_pace_of_what_is_done(self) -> None:
        config = tiny_config(V=["1/2"])
        data = tiny_data(config, Path(self.get_temp_dir()) / "data")
        workdir = Workdir(Path(self.get_temp_dir()) / "study")
        planned = {p.trial.trial_id: p.seconds for p in plan_on(config, data.manifest)}
        with leading(workdir):
            workdir.claim(config, data)
            workdir.write_plan(planned)
            for name, seconds in planned.items():
                publish(begin(workdir.running, name), workdir.trials / name, record(3 * seconds))

        def left(**sweep: Any) -> float:
            return seconds_to_grow(workdir, tiny_config(**sweep), "cpu", 1)

        self.assertEqual(left(V=["1/2"]), 0)
        self.assertEndsWith(growth_words(workdir, config, "cpu", 1), "study: lacks 0 trials: about 0 s")
        self.assertAllClose(left(V=["1/2"], more_seeds={"D-1": [1, 2]}), 6 * planned["D-1-lr0.04-seed0"])
        longer = {"V": ["1/2"], "examples": [256, 512, 1024, 1280]}
        again = [p.seconds for p in plan_on(tiny_config(**longer), data.manifest)]
        self.assertAllClose(left(**longer), 3 * sum(again))
        words = growth_words(workdir, tiny_config(**longer, O=[2]), "cpu", 1)
        self.assertIn("lacks 3 trials, 2 of them again, as they have fewer data sizes", words)
        with self.assertRaisesRegex(InputError, r"sweep\.examples\[3\]: 4,096 rows, but the training split has"):
            left(V=["1/2"], examples=[256, 512, 1024, 4096])


def record(seconds: float) -> dict[str, Any]:
    where = {"strategy": "cpu", "libraries": "", "machine": "", "attempt": "x"}
    return {"status": "ok", "reason": "", "rungs": [0.9, 0.8, 0.7], "validation_ne": 0.7, "seconds": seconds, **where}


if __name__ == "__main__":
    tf.test.main()
