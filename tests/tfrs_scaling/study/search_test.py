import dataclasses
import itertools
import math
import random
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tests.helpers.studies import tiny_config
from tfrs_scaling.common.errors import InputError
from tfrs_scaling.config import Config, read_config
from tfrs_scaling.study.search import MARGIN, RATES, Need, Needs, needs_of, neighbour, waiting_for
from tfrs_scaling.study.trials import Trial, all_trials, shapes

LADDER = (256, 512, 1024, 2048, 4096, 8192)
Ne = Callable[[Trial, int], float]  # at a rung


def auto(**sweep: Any) -> Config:
    config = tiny_config(**{"examples": list(LADDER)} | sweep)
    return dataclasses.replace(config, training=dataclasses.replace(config.training, learning_rates="auto"))


def planted(best: Callable[[Trial], float], cost: float = 0.02, drift: float = 0.0) -> Ne:
    """NE that rises from its minimum at the best rate by ``cost`` times the square of the powers of two between.

    At smaller rungs the best rate is larger, by ``drift`` powers of two for each.
    """

    def ne(trial: Trial, rung: int) -> float:
        off = math.log2(trial.learning_rate / best(trial)) - drift * (len(LADDER) - 1 - rung)
        return 0.8 + 0.01 * (len(LADDER) - 1 - rung) + cost * off**2

    return ne


def of_shape(best: dict[str, float]) -> Callable[[Trial], float]:
    return lambda trial: best[trial.shape_id]


def constant(best: float) -> Callable[[Trial], float]:
    return lambda trial: best


def worse_above_the_start(by: float) -> Ne:
    return lambda trial, rung: 0.8 + by * (trial.learning_rate > 0.05)


def worse_off(trial: Trial) -> float:
    """NE that rises as the rate departs from the start."""
    return 0.8 + 0.02 * abs(math.log2(trial.learning_rate / 0.04))


class Study:
    """A study whose trials run as a test says."""

    def __init__(self, config: Config, ne: Ne):
        self.config, self.ne = config, ne
        self.records: dict[str, dict[str, Any]] = {}

    def needs(self) -> Needs:
        return needs_of(self.config, self.records.get)

    def to_run(self) -> list[Need]:
        return [
            need
            for need in self.needs().needs
            if need.settled(self.records.get(need.trial.trial_id), self.config.ladder) is None
        ]

    def run(self, need: Need) -> None:
        rungs: list[float] = []
        why = ""
        for rung in range(len(self.config.ladder)):
            rungs.append(self.ne(need.trial, rung))
            if why := need.why_stop(rungs, self.config.ladder):
                break
        status = "stopped" if why else "ok"
        self.records[need.trial.trial_id] = {"status": status, "reason": why, "rungs": rungs, "diverged": False}

    def fail(self, need: Need, status: str = "failed") -> None:
        self.records[need.trial.trial_id] = {"status": status, "reason": "killed"}

    def finish(self, choose: Callable[[list[Need]], Need] = lambda needs: needs[0]) -> None:
        while todo := self.to_run():
            self.run(choose(todo))

    def table(self) -> dict[str, Any]:
        """What would be exported: status and rungs by trial."""
        found = self.needs()
        assert not found.searching
        settled = {n.trial.trial_id: n.settled(self.records[n.trial.trial_id], self.config.ladder) for n in found.needs}
        return {name: (r["status"], r["reason"], r.get("rungs")) for name, r in settled.items() if r is not None}

    def rates(self, shape_id: str, status: str = "") -> list[float]:
        trials = [need.trial for need in self.needs().needs if need.trial.shape_id == shape_id]
        return [t.learning_rate for t in trials if not status or self.records[t.trial_id]["status"] == status]


class SearchTest(tf.test.TestCase):
    def test_given_rates_are_all_needed_at_once_and_never_stopped(self) -> None:
        config = tiny_config(V=["1/2"], seeds=[0, 1])
        found = needs_of(config, lambda trial_id: None)
        self.assertEqual([need.trial for need in found.needs], all_trials(config))
        self.assertEqual({need.limits for need in found.needs}, {()})
        self.assertFalse(found.searching)

    def test_optimum_at_the_start_takes_three_rates_two_stopped(self) -> None:
        study = Study(auto(seeds=[0, 5]), planted(lambda _: 0.04))
        self.assertEqual([need.trial.learning_rate for need in study.to_run()], [0.04])
        study.finish()
        self.assertEqual(study.rates("D-1"), [0.04, 0.02, 0.08, 0.04])
        self.assertEqual(study.rates("D-1", "ok"), [0.04, 0.04])
        self.assertEqual([n.trial.seed for n in study.needs().needs], [0, 0, 0, 5])
        # Both are judged from the middle on: of six rungs the smaller one at the last but two.
        rungs = {t: len(study.records[f"D-1-lr{t}-seed0"]["rungs"]) for t in ("0.02", "0.04", "0.08")}
        self.assertEqual(rungs, {"0.02": 4, "0.04": 6, "0.08": 4})
        self.assertEqual(
            study.records["D-1-lr0.08-seed0"]["reason"],
            "its learning rate is worse than another: validation NE 0.8400 after 2,048 rows, more than 0.8210",
        )

    def test_found_rate_is_the_best_of_an_exhaustive_grid_wherever_it_lies(self) -> None:
        rng = random.Random(1)  # noqa: S311 -- a test's
        config, top = auto(V=["1/4", "1/2", 2]), len(LADDER) - 1
        for case in range(60):
            best = {shape.shape_id: 0.04 * 2 ** rng.uniform(-6, 6) for shape in shapes(config)}
            study = Study(config, planted(of_shape(best), rng.uniform(0.001, 0.05), rng.uniform(0, 0.05)))
            study.finish()
            for shape in shapes(config):
                ne = {rate: study.ne(dataclasses.replace(shape, learning_rate=rate), top) for rate in RATES}
                found = min(study.rates(shape.shape_id, "ok"), key=ne.__getitem__)
                self.assertLessEqual(ne[found], min(ne.values()) + MARGIN, f"{case} {shape.shape_id}")

    def test_smaller_rate_that_catches_up_late_is_not_stopped(self) -> None:
        # At the last rung but two .02 is worse than .04 by .002, which would stop a larger rate; at the top it is best.
        study = Study(auto(), planted(lambda _: 0.02, cost=0.01, drift=0.3))
        study.finish()
        self.assertIn(0.02, study.rates("D-1", "ok"))
        self.assertEqual(study.rates("D-1")[-1], 0.01)

    def test_search_starts_where_the_neighbour_s_ended(self) -> None:
        config = auto(V=["1/16", "1/4", 4], H=[2], VH=True, A=["cross"], E=[2, 4])
        config = read_config(config, ("sweep.T=[1, 1/4, 1/2]", "teacher={examples: 256}"))
        every = shapes(config)
        near = {s.shape_id: None if (n := neighbour(s, every)) is None else n.shape_id for s in every}
        self.assertEqual(
            near,
            {
                "D-1": None, "D-1-cross": "D-1", "V-1_16": "V-1_4", "V-1_4": "D-1", "V-4": "D-1", "H-2": "D-1",
                "E-2": "D-1", "E-4": "E-2", "T-1_4": "D-1", "T-1_2": "T-1_4", "T-1": "T-1_2",
                "VH-1_16x2": "V-1_16", "VH-1_4x2": "V-1_4", "VH-4x2": "V-4",
            },
        )  # fmt: skip
        scaled = shapes(auto(A={"wukong": ["1/4", "1/16", 4], "dot": [2]}))
        near = {s.shape_id: None if (n := neighbour(s, scaled)) is None else n.shape_id for s in scaled}
        self.assertEqual(
            near,
            {
                "D-1": None, "D-1-wukong": "D-1", "A-1_4-wukong": "D-1-wukong", "A-1_16-wukong": "A-1_4-wukong",
                "A-4-wukong": "D-1-wukong", "A-2": "D-1",
            },
        )  # fmt: skip
        followers = {"D-1": 13, "V-1_4": 3, "V-1_16": 1, "V-4": 1, "E-2": 1, "T-1_4": 2, "T-1_2": 1}
        self.assertEqual(waiting_for(config), followers)
        study = Study(config, planted(lambda t: {"V-1_4": 0.16, "V-1_16": 0.32}.get(t.shape_id, 0.04)))
        study.finish()
        self.assertEqual(study.rates("V-1_4")[0], 0.04)
        self.assertEqual(study.rates("V-1_16")[0], 0.16)
        self.assertEqual(study.rates("VH-1_16x2")[0], 0.32)

    def test_edge_of_the_rates_ends_the_search(self) -> None:
        for best, edge in ((1e-6, RATES[0]), (1e3, RATES[-1])):
            study = Study(auto(), planted(constant(best), cost=0.0005))  # NE below 1
            study.finish()
            self.assertIn(edge, study.rates("D-1", "ok"))
            self.assertLen(study.rates("D-1"), 8)  # the start, one on the wrong side, six on the way

    def test_divergence_leads_down_and_the_worst_case_ends(self) -> None:
        study = Study(auto(seeds=[0, 1]), planted(lambda _: 0.01))
        run = study.run

        def diverge(need: Need) -> None:
            if need.trial.learning_rate > 0.015:
                stopped = {"status": "stopped", "reason": "NaN", "rungs": [], "diverged": True}
                study.records[need.trial.trial_id] = stopped
            else:
                run(need)

        study.run = diverge  # type: ignore[method-assign]
        study.finish()
        self.assertEqual(study.rates("D-1"), [0.04, 0.02, 0.01, 0.005, 0.01])
        study = Study(auto(seeds=[0, 1]), planted(lambda _: 0.01))
        while todo := study.to_run():
            study.fail(todo[0])
        self.assertEqual(study.rates("D-1"), [0.04, 0.02, 0.08])

    def test_shape_too_large_is_one_row_and_its_neighbours_go_on(self) -> None:
        study = Study(auto(V=[2, 4], seeds=[0, 1]), planted(lambda _: 0.08))
        while todo := study.to_run():
            if todo[0].trial.shape_id == "V-2":
                study.fail(todo[0], "skipped")
            else:
                study.run(todo[0])
        self.assertEqual(study.rates("V-2"), [0.08])
        self.assertEqual(study.rates("V-4", "ok"), [0.08, 0.08])

    def test_order_of_completion_does_not_matter(self) -> None:
        config = auto(V=["1/4", "1/2", 2], H=["1/2", 2], seeds=[0, 1])
        tables = []
        for seed in range(20):
            rng = random.Random(seed)  # noqa: S311 -- a test's
            study = Study(config, planted(lambda t: 0.04 * 2.0 ** len(t.shape_id) / 32, 0.004, 0.1))
            study.finish(rng.choice)
            tables.append(study.table())
        self.assertEqual(tables, tables[:1] * 20)

    def test_failures_run_again_lead_to_the_same_table(self) -> None:
        """Trials that were killed, at any place: others are tried for them, and they themselves when run again."""
        config = auto(V=["1/4", "1/2", 2], seeds=[0, 1])
        ne = planted(lambda t: {"D-1": 0.16, "V-1_4": 0.01}.get(t.shape_id, 0.08), 0.004, 0.1)
        whole = Study(config, ne)
        whole.finish()
        for seed in range(100):
            rng = random.Random(seed)  # noqa: S311 -- a test's
            study = Study(config, ne)
            for _ in itertools.count():
                while todo := study.to_run():
                    need = rng.choice(todo)
                    study.fail(need) if rng.random() < 0.2 else study.run(need)
                failed = [name for name, record in study.records.items() if record["status"] == "failed"]
                if not failed:
                    break
                for name in failed:
                    del study.records[name]
            self.assertEqual(study.table(), whole.table(), seed)

    def test_rates_that_hardly_matter_are_not_followed(self) -> None:
        for cost, tried in ((1e-4, 3), (2e-3, 6)):
            study = Study(auto(), planted(lambda _: 0.005, cost=cost))
            study.finish()
            self.assertLen(study.rates("D-1"), tried)

    def test_record_that_does_not_fit_the_ladder_is_refused(self) -> None:
        study = Study(auto(), planted(lambda _: 0.04))
        study.records["D-1-lr0.04-seed0"] = {"status": "ok", "reason": "", "rungs": [0.5] * (len(LADDER) + 1)}
        with self.assertRaisesRegex(InputError, r"seed0/trial.json: rungs: 7 values.* 6 data"):
            study.needs()

    def test_rate_that_has_not_learned_anything_yet_is_not_stopped_in_the_middle(self) -> None:
        # NE as of a Wukong at 4x on the votes of Congress, where .02 and .08 were stopped at the fourth rung; here .02
        # learns after it, as .04 does a little earlier, and ends better.
        curves = {
            0.04: (1.0081, 1.0014, 0.9994, 0.9898, 0.4904, 0.2195),
            0.02: (1.0074, 1.0017, 1.0002, 1.0000, 0.4700, 0.2005),
            0.08: (1.0002, 1.0002, 1.0000, 1.0000, 1.0000, 1.0000),
        }
        study = Study(auto(seeds=[0, 1]), lambda trial, rung: curves.get(trial.learning_rate, [0.9] * 6)[rung])
        study.finish()
        self.assertEqual(study.rates("D-1"), [0.04, 0.02, 0.08, 0.01, 0.02])  # the last with the other seed
        rungs = {rate: len(study.records[f"D-1-lr{rate}-seed0"]["rungs"]) for rate in (0.02, 0.04, 0.08, 0.01)}
        self.assertEqual(
            rungs, {0.02: 6, 0.04: 6, 0.08: 5, 0.01: 5}
        )  # what never learns is stopped one rung before the top
        tables = [study.table()]
        for seed in range(5):
            study = Study(study.config, study.ne)
            study.finish(random.Random(seed).choice)  # noqa: S311 -- a test's
            tables.append(study.table())
        self.assertEqual(tables, tables[:1] * 6)

    def test_trial_that_has_learned_nothing_judges_none(self) -> None:
        def ne(trial: Trial, rung: int) -> float:  # the start is dead, the next smaller rate is noisy before it learns
            return 1.0 if trial.learning_rate > 0.03 else (1.0, 0.999, 1.003, 1.005, 0.95, 0.9)[rung]

        study = Study(auto(), ne)
        study.finish()
        self.assertEqual(study.records["D-1-lr0.02-seed0"]["status"], "ok")
        self.assertEqual(study.rates("D-1"), [0.04, 0.02, 0.08, 0.01])

    def test_search_looks_below_smaller_rates_that_learned_nothing(self) -> None:
        dead = (0.02, 0.01)

        def ne(trial: Trial, rung: int) -> float:
            best = planted(constant(0.005), cost=0.01)
            return 1.0 if trial.learning_rate in dead else best(trial, rung)

        study = Study(auto(), ne)
        study.finish()
        self.assertEqual(study.rates("D-1"), [0.04, 0.02, 0.08, 0.01, 0.005, 0.0025])
        self.assertEqual(study.needs().needs[4].trial.learning_rate, 0.005)
        self.assertEqual(study.records["D-1-lr0.005-seed0"]["status"], "ok")
        larger = Study(auto(), lambda trial, rung: 1.0 if trial.learning_rate > 0.05 else worse_off(trial))
        larger.finish()
        self.assertEqual(larger.rates("D-1"), [0.04, 0.02, 0.08])  # of larger ones that is no luck

    def test_margin_is_what_a_rate_may_be_worse_by(self) -> None:
        for above, stopped in ((0.9 * MARGIN, False), (1.1 * MARGIN, True)):
            study = Study(auto(), worse_above_the_start(above))
            study.finish()
            self.assertEqual(study.records["D-1-lr0.08-seed0"]["status"] == "stopped", stopped)


if __name__ == "__main__":
    tf.test.main()
