"""Tests of the ranking of schemes on planted laws: which differences are found, and how often there are none."""

import pandas as pd
import tensorflow as tf

from tests.helpers.noise import UNKNOWN, ladders_of, noise
from tests.helpers.paper_grid import NOISE, Grid, compute_study, noisy, outcomes, study
from tests.helpers.planted import LADDER, planted_study
from tfrs_scaling.fit.analyses.outlook import saturation
from tfrs_scaling.fit.analyses.ranking import Ranking, rank_schemes
from tfrs_scaling.fit.runs.screening import usable_runs
from tfrs_scaling.fit.serialization import finite_or_none, known_intervals
from tfrs_scaling.fit.study import fit_study


def ranked(runs: pd.DataFrame, x: str, seed: int = 0) -> Ranking:
    """The record of one x, without laws; the noise is known, as from many seeds."""
    records = rank_schemes(ladders_of(runs, noise(NOISE, 200), seed=seed), [], [])
    return next(record for record in records if record.x == x)


class RankingTest(tf.test.TestCase):
    """Order, pairs and laws."""

    def test_equal_schemes_are_told_apart_as_rarely_as_stated(self) -> None:
        quiet = study(Grid(step=0, top=0), 0, noise=0.0)
        found = {"data": 0, "parameters": 0}
        quiet = quiet[~quiet["scheme"].isin(["O"])]  # the fewer, the faster: three pairs
        for seed in range(40):
            ladders = ladders_of(noisy(quiet, seed), seed=seed)
            for record in rank_schemes(ladders, [], []):
                if record.x in found:
                    found[record.x] += any(outcome != "≈" for outcome in outcomes(record).values())
        for count in found.values():
            self.assertLessEqual(count, 6)  # 5 % of 40, plus three standard errors

    def test_table_1_where_the_noise_allows_it(self) -> None:
        of_data, of_compute = study(Grid(step=3e-3), 0, noise=0.0), compute_study(5e-3)
        for seed in range(5):
            record = ranked(noisy(of_data, seed), "data", seed)
            self.assertEqual(record.text, "V > H > O > M")
            self.assertEqual(record.order, (("V",), ("H",), ("O",), ("M",)))
            record = ranked(noisy(of_compute, seed), "compute", seed)
            self.assertEqual(record.text, "M > O > H")

    def test_what_is_within_the_noise_is_never_turned_round(self) -> None:
        quiet, first_before_last = study(Grid(step=1e-3), 0, noise=0.0), 0
        for seed in range(8):
            found = outcomes(ranked(noisy(quiet, seed), "data", seed))
            self.assertNotIn("<", found.values())
            first_before_last += found["VM"] == ">"
        self.assertEqual(first_before_last, 8)

    def test_differences_are_those_planted(self) -> None:
        record = ranked(study(Grid(step=3e-3), 0, noise=1e-6), "data")
        for pair in record.pairs:
            steps = "VHOM".index(pair.first) - "VHOM".index(pair.second)
            self.assertAllClose(pair.difference, 0.78 * 3e-3 * steps, atol=1e-4)  # NE is 0.78 of the normalized one
            self.assertEqual(pair.at, 5_120_000_000)
            self.assertBetween(pair.difference, pair.low, pair.high)

    def test_parameters_are_compared_at_equal_multiples_of_their_own_kind(self) -> None:
        record = ranked(usable_runs(planted_study()), "parameters")
        at = {pair.first + pair.second: pair.at for pair in record.pairs}
        # 16 times the rows, or dimensions: 25.6 M of 1.6 M, and 33 k that stay; 16 times the over-arch's 20 k of 33 k
        of_all, of_overarch = (16 * 1_600_000 + 33_000) / 1_633_000, (13_000 + 320_000) / 33_000
        self.assertAllClose(at["VH"], of_all, rtol=1e-12)
        self.assertAllClose(at["VO"], of_overarch, rtol=1e-12)
        self.assertAllClose(at["OM"], of_overarch, rtol=1e-12)
        # 0.2 (multiplier**-0.3 - multiplier**-0.1) (128**-0.3) at 16 times
        gap = 0.2 * 128**-0.3 * (16**-0.3 - 16**-0.1)
        self.assertAllClose(next(p.difference for p in record.pairs if p.second == "H"), gap, atol=1.5e-3)

    def test_schemes_carry_the_law_of_their_frontier_and_its_phase(self) -> None:
        fits = fit_study(planted_study(schemes="VH"))
        records = {record.x: record for record in fits.ranking}
        self.assertEqual(set(records), {"data", "parameters", "compute"})
        self.assertEqual([of.scheme for of in records["compute"].schemes], ["H"])  # V takes the same FLOPs
        self.assertEqual((records["compute"].text, records["compute"].pairs), ("H", ()))
        lines = {(r.scheme, r.x): r.fit for r in fits.lines if r.is_frontier}
        standing = {(r.scheme, r.x): r for r in saturation(fits.lines) if r.line == "frontier"}
        for x, record in records.items():
            for of in record.schemes:
                for name in ("alpha", "beta", "gamma", "r2"):
                    self.assertEqual(getattr(of, name), finite_or_none(getattr(lines[of.scheme, x], name)))
                self.assertEqual(of.status, lines[of.scheme, x].status)
                self.assertEqual(of.interval, known_intervals(lines[of.scheme, x]))
                self.assertEqual(of.saturated, standing[of.scheme, x].saturated)
        self.assertEqual([r.architecture for r in fits.ranking], ["dot"] * 3)

    def test_a_difference_within_a_group_is_said(self) -> None:
        quiet = study(Grid(step=1e-3), 0, noise=0.0)
        texts = [ranked(noisy(quiet, seed), "data", seed) for seed in range(6)]
        within = [record for record in texts if len(record.order) == 1]
        self.assertNotEmpty(within)
        for record in within:
            told = {f"{p.first} > {p.second}" for p in record.pairs if p.outcome == ">"}
            *inner, others = record.text.split("; ")
            self.assertEqual(set(inner), told)  # no chain
            self.assertRegex(others, r"^no other pair of [VHOM, ]+ and [VHOM] is seen to differ$")

    def test_one_seed_allows_for_what_a_training_keeps_unseen(self) -> None:
        quiet = study(Grid(step=1e-3), 0, noise=0.0)
        one = rank_schemes(ladders_of(noisy(quiet, 0)), [], [])[0]
        self.assertEqual(one.text, "V ≈ H ≈ O ≈ M")  # with the same noise known, V > M
        self.assertEqual({pair.why[:8] for pair in one.pairs}, {"one seed"})

    def test_what_cannot_be_compared_says_why(self) -> None:
        runs = usable_runs(planted_study())
        [unknown] = [r for r in rank_schemes(ladders_of(runs, UNKNOWN), [], []) if r.x == "data"]
        self.assertIn("several seeds", unknown.pairs[0].why)
        cases = (
            (runs[runs["multiplier"] <= 1], "parameters", "VH", "not scaled up"),
            (runs[runs["scheme"] != "D"], "parameters", "VH", "the baseline were measured"),
            (runs[(runs["scheme"] != "D") & (runs["multiplier"] < 1)], "data", "VH", "the baseline is missing"),
        )
        for rows, x, pair, why in cases:
            found = next(p for p in ranked(rows, x).pairs if p.first + p.second == pair)
            self.assertEqual(found.outcome, "≈")
            self.assertIn(why, found.why)
        early, late = runs["examples"] <= LADDER[1], runs["examples"] > LADDER[1]
        apart = runs[((runs["scheme"] == "H") & early) | ((runs["scheme"] != "H") & late)]
        found = next(p for p in ranked(apart, "data").pairs if p.first + p.second == "VH")
        self.assertEqual((found.outcome, found.at), ("≈", None))
        self.assertIn("no range of data sizes in common", found.why)
        self.assertEqual(rank_schemes(ladders_of(runs[runs["scheme"] == "D"]), [], []), [])


if __name__ == "__main__":
    tf.test.main()
