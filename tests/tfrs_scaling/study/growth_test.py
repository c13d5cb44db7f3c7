import dataclasses
import random
from typing import Any

import tensorflow as tf

from tests.helpers.studies import tiny_content
from tests.tfrs_scaling.study.search_test import LADDER, Study, auto, planted
from tfrs_scaling.common.strict_yaml import validated
from tfrs_scaling.config import Config
from tfrs_scaling.study.growth import changes, with_runs


def config(content: dict[str, Any] | None = None, **sweep: Any) -> Config:
    return validated(Config, {**tiny_content(**sweep), **(content or {})}, "tiny")


def pruned(*shares: str) -> Config:
    return config(P={"keep": shares, "by": ["random"]})


def training(**changed: Any) -> dict[str, Any]:
    return {"training": {**tiny_content()["training"], **changed}}


class GrowthTest(tf.test.TestCase):
    def test_what_adds_and_what_does_not(self) -> None:
        rates, found = training(learning_rates=[0.04, 0.01]), training(learning_rates="auto")
        for before, now, key, adds in (
            (config(), config(V=[4]), "sweep.V", True),
            (config(V=[4, 2]), config(V=["1/4", 2, 4]), "sweep.V", True),
            (config(V=[4, 2]), config(V=[4]), "sweep.V", False),
            (config(V=[4], H=[2]), config(V=[4], H=[2], VH=True), "sweep.VH", True),
            (config(V=[4], H=[2], VH=True), config(V=[4], H=[2]), "sweep.VH", False),
            (config(), config(A=["cross"]), "sweep.A", True),
            (config(), config(A={"cross": ["1/4", 1]}), "sweep.A", True),
            (config(A=["cross"]), config(A=["mlp"]), "sweep.A", False),
            (config(), config(P={"keep": ["1/2"], "by": ["random"]}), "sweep.P.random", True),
            (pruned("1/2"), pruned("1/4", "1/2"), "sweep.P.random", True),
            (pruned("1/2", "1/4"), pruned("1/4"), "sweep.P.random", False),
            (pruned("1/2"), config(), "sweep.P.random", False),
            (config(), config(seeds=[1, 0]), "sweep.seeds", True),
            (config(), config(seeds=[1]), "sweep.seeds", False),
            (config(found), config(found, seeds=[0, 1]), "sweep.seeds", True),
            (config(found), config(found, seeds=[1, 0]), "sweep.seeds", False),
            (config(), config(more_seeds={"D-1": [1]}), "sweep.more_seeds.D-1", True),
            (config(more_seeds={"D-1": [1]}), config(more_seeds={"D-1": [2, 1]}), "sweep.more_seeds.D-1", True),
            (config(more_seeds={"D-1": [1, 2]}), config(more_seeds={"D-1": [1]}), "sweep.more_seeds.D-1", False),
            (config(more_seeds={"D-1": [1]}), config(), "sweep.more_seeds.D-1", False),
            (config(), config(feature_seed=1), "sweep.feature_seed", False),
            (config(), config({"synthetic": None}), "synthetic", False),
            (config(), config(rates), "training.learning_rates", True),
            (config(rates), config(), "training.learning_rates", False),
            (config(), config(found), "training.learning_rates", False),
            (config(), config(examples=[256, 512, 1024, 1280]), "sweep.examples", True),
            (config(), config(examples=[256, 1024]), "sweep.examples", False),
            (config(), config(examples=[128, 256, 512, 1024]), "sweep.examples", False),
            (config(), config(training(batch_size=32)), "training.batch_size", False),
            (config(), config({"study": "other"}), "study", False),
            (config(), config({"scorer": {"examples": 256}}), "scorer", False),
            (config(), config({"synthetic": {**tiny_content()["synthetic"], "rows": 4000}}), "synthetic.rows", False),
        ):  # fmt: skip
            with self.subTest(f"{key}: {before.sweep} {now.sweep}"):
                (change,) = changes(before, now)
                self.assertEqual((change.key, change.adds), (key, adds))
        self.assertEqual(changes(config(V=[4]), config(V=[4])), [])

    def test_shares_and_ways_of_another_configuration_are_added(self) -> None:
        other = config({"scorer": {"examples": 256}}, P={"keep": ["1/4"], "by": ["random", "easy"]})
        both = with_runs(dataclasses.replace(pruned("1/2"), scorer=other.scorer), other).sweep.P
        self.assertEqual(
            {way: [*map(str, own)] for way, own in both.items()}, {"random": ["1/2", "1/4"], "easy": ["1/4"]}
        )
        for first, second in ((dataclasses.replace(config(), scorer=other.scorer), other), (other, config())):
            self.assertEqual(with_runs(first, second).sweep.P, other.sweep.P)

    def test_architectures_named_alone_are_added_to_scaled_ones(self) -> None:
        scaled, named = config(A={"cross": ["1/4"]}), config(A=["mlp", "cross"])
        both = with_runs(scaled, named)
        self.assertEqual(both.to_dict()["sweep"]["A"], {"cross": ["1/4"], "mlp": []})
        self.assertTrue(all(change.adds for change in changes(scaled, both)))

    def test_found_rates_of_a_study_that_grew_are_those_of_one_run_at_once(self) -> None:
        """Whatever was added when: nearer neighbours, seeds, data sizes; and whatever had been run before."""
        whole = auto(V=["1/16", "1/4", "1/2", 4], H=["1/2", 2], VH=True, A=["cross"], seeds=[0, 1])
        for case in range(8):
            rng = random.Random(case)  # noqa: S311 -- a test's
            best: dict[str, float] = {}

            def best_rate(trial: Any, best: dict[str, float] = best, case: int = case) -> float:
                own = random.Random(f"{case} {trial.shape_id}")  # noqa: S311
                return best.setdefault(trial.shape_id, 0.04 * 2 ** own.uniform(-4, 4))

            ne = planted(best_rate, rng.uniform(0.0005, 0.03), rng.uniform(0, 0.5))
            at_once, grown = Study(whole, ne), Study(whole, ne)
            at_once.finish()
            v, h = (rng.sample([str(m) for m in whole.sweep.multipliers(s)], 2) for s in "VH")
            first = auto(examples=list(LADDER[: rng.randint(2, 5)]), V=v[:1])
            second = auto(
                examples=list(LADDER[: rng.randint(len(first.ladder), 6)]), V=v, H=h[:1], VH=rng.random() < 0.5
            )
            for step in (first, second, whole):
                self.assertTrue(all(change.adds for change in changes(grown.config, step)) or step is first)
                grown.config = step
                while todo := grown.to_run():
                    if step is not whole and rng.random() < 0.02:
                        break  # it is killed, and goes on with more
                    grown.run(rng.choice(todo))
            self.assertEqual(grown.table(), at_once.table(), case)

    def test_what_is_done_is_not_run_again(self) -> None:
        study = Study(auto(V=["1/2"]), planted(lambda trial: 0.04))
        study.finish()
        before = dict(study.records)
        study.config = auto(V=["1/2"], O=[2], seeds=[0, 1])
        self.assertEqual(
            {need.trial.trial_id for need in study.to_run()},
            {"D-1-lr0.04-seed1", "V-1_2-lr0.04-seed1", "O-2-lr0.04-seed0"},
        )
        study.finish()
        self.assertEqual({name: study.records[name] for name in before}, before)

    def test_given_rates_of_a_longer_ladder_are_trained_again(self) -> None:
        short, long = config(V=["1/2"]), config(V=["1/2"], examples=[256, 512, 1024, 1280])
        study = Study(short, planted(lambda trial: 0.04))
        study.finish()
        study.config = long
        self.assertLen(study.to_run(), 2)
        study.config = dataclasses.replace(short, study="any")
        self.assertEmpty(study.to_run())


if __name__ == "__main__":
    tf.test.main()
