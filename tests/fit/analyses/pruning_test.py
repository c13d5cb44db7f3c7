"""Tests of rows chosen from a longer log: planted laws that cross, and labels that were flipped."""

from itertools import product

import numpy as np
import pandas as pd
import tensorflow as tf
from scipy.special import expit

from tests.helpers.noise import ladders_of
from tests.helpers.planted import LADDER, planted_row
from tfrs_scaling.fit.analyses.effects import Effect
from tfrs_scaling.fit.analyses.pruning import rank_prunings
from tfrs_scaling.fit.report.sections.evidence import evidence
from tfrs_scaling.fit.report.sections.section import drawings_of
from tfrs_scaling.fit.report.tables.study_tables import study_tables
from tfrs_scaling.fit.report.view import study_view
from tfrs_scaling.fit.runs.run_table import COLUMNS
from tfrs_scaling.fit.study import StudyFits, fit_study
from tfrs_scaling.input.pruning import at_random, by_error

BETAS = {"D": 0.3, "P-random": 0.3, "P-hard": 0.4, "P-easy": 0.22}


def planted_runs(schemes: tuple[str, ...], share: float = 0.5) -> pd.DataFrame:
    """Three seeds of each scheme, of which NE = 0.7 + 0.2 (D / D0)**-beta, D0 in the middle of the ladder."""
    rng = np.random.default_rng(5)
    middle = float(np.sqrt(LADDER[0] * LADDER[-1]))
    rows = []
    for scheme, seed, examples in product(schemes, range(3), LADDER):
        ne = 0.7 + 0.2 * (examples / middle) ** -BETAS[scheme] + rng.normal(0, 3e-4)
        row = planted_row(scheme, 1.0 if scheme == "D" else share, seed, 0.04, examples, ne)
        rows.append(row | {"trial_id": f"{scheme}-{seed}"})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


SEEDS = 24


class Clicks:
    """Clicks of users and items, and logistic regressions on an effect of each, by Adagrad in one pass.

    ``NOISE`` of the rows are of a machine that hardly ever clicks, which is soon learned; or, ``flipped``, half of
    their labels are flipped at random, which makes them noise. (Labels flipped in all rows alike are no such case:
    rows are weighted, and hard ones then harm no more than where no label is flipped.)
    """

    RUNGS = (256, 512, 1024, 2048, 4096)
    SHARE, NOISE, USERS, ITEMS, BATCH = 0.125, 0.6, 600, 50, 64

    def __init__(self, *, flipped: bool) -> None:
        rng = np.random.default_rng(7)
        self._flips = 0.5 * flipped
        self._effects = np.concatenate([[-1.0], rng.normal(0, 6, self.USERS + self.ITEMS)])  # the intercept's first
        self._effects[self.USERS] = -12.0  # of the machine
        self._test, _, _, self._bayes = self._rows(40_000, rng)
        features, labels, _, _ = self._rows(8192, rng)
        self._scorer = self._trained(features, labels, np.ones(8192))[-1]

    def _rows(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Features, labels, which of them are flipped, and the probability of a label of 1."""
        users = np.minimum((rng.pareto(1.0, count) * 10).astype(int), self.USERS - 2)
        is_machine = rng.random(count) < self.NOISE
        users = np.where(is_machine, self.USERS - 1, users)
        features = np.stack([np.zeros(count, int), 1 + users, 1 + self.USERS + rng.integers(0, self.ITEMS, count)])
        truth, flips = expit(self._effects[features].sum(axis=0)), np.where(is_machine, self._flips, 0.0)
        flipped = rng.random(count) < flips
        return features, (rng.random(count) < truth) ^ flipped, flipped, flips + (1 - 2 * flips) * truth

    def _trained(self, features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
        """The effects learned at each rung and at the end."""
        effects, squares, found = np.zeros(len(self._effects)), np.full(len(self._effects), 0.01), []
        for at in range(0, len(labels), self.BATCH):
            batch = features[:, at : at + self.BATCH]
            own = slice(at, at + self.BATCH)
            errors = weights[own] * (expit(effects[batch].sum(axis=0)) - labels[own])
            gradient = np.bincount(batch.ravel(), np.tile(errors / 8, 3), minlength=len(effects))
            squares += gradient**2
            effects = effects - 0.3 * gradient / np.sqrt(squares)
            found += [effects] if at + self.BATCH in (*self.RUNGS, len(labels)) else []
        return found

    def measured(self, way: str, seed: int) -> tuple[list[float], float]:
        """NE at each rung of rows chosen in this way, and the share of the rows trained on whose label is flipped."""
        rng, count = np.random.default_rng(100 + seed), self.RUNGS[-1]
        features, labels, flipped, _ = self._rows(round(1.2 * count / self.SHARE), rng)
        errors = np.abs(labels - expit(self._scorer[features].sum(axis=0)))
        pruning = at_random(1.0) if way == "D" else by_error(self.SHARE, errors, largest=way == "P-hard")
        chance = np.minimum(1, pruning.intercept + pruning.slope * errors)
        kept = np.flatnonzero(rng.random(len(labels)) < chance)[:count]
        learned = self._trained(features[:, kept], labels[kept], pruning.share / chance[kept])
        return [self._ne(effects) for effects in learned], flipped[kept].mean()

    def _ne(self, effects: np.ndarray) -> float:
        predicted, base = expit(effects[self._test].sum(axis=0)), self._bayes.mean()
        loss = -np.mean(self._bayes * np.log(predicted) + (1 - self._bayes) * np.log1p(-predicted))
        return float(loss / -(base * np.log(base) + (1 - base) * np.log1p(-base)))


class PruningTest(tf.test.TestCase):
    def test_hard_rows_of_a_steeper_law_overtake_in_the_middle(self) -> None:
        runs = planted_runs(("D", "P-hard", "P-easy", "P-random"))
        fits = fit_study(runs)
        [ranking] = fits.prunings
        self.assertEqual((ranking.architecture, ranking.share), ("dot", 0.5))
        laws = {law.second: law for law in ranking.laws}
        self.assertEqual({(law.first, law.verdict) for law in ranking.laws}, {("random", "other exponent")})
        self.assertAllClose(laws["hard"].beta_difference, 0.3 - 0.4, atol=0.02)
        self.assertAllClose(laws["easy"].beta_difference, 0.3 - 0.22, atol=0.02)
        self.assertEqual([s.best for s in ranking.stretches if len(s.best) == 1], [("easy",), ("hard",)])
        middle = float(np.sqrt(LADDER[0] * LADDER[-1]))
        self.assertBetween(middle, ranking.stretches[0].high / 2, ranking.stretches[-1].low * 2)
        outcomes = {effect.scheme: effect.outcome for effect in fits.effects}
        self.assertEqual(outcomes, {"P-hard": "lower", "P-easy": "higher", "P-random": "≈"})
        path = f"{self.get_temp_dir()}/fits.json"
        fits.write(path)
        self.assertEqual(StudyFits.read(path).prunings, fits.prunings)
        [section] = evidence(study_view(runs, fits))
        [words] = [words for words in section.words if words.startswith("Pruning")]
        self.assertIn("Pruning to 1/2 of a longer log, at equal examples: easy best below", words)
        self.assertIn("hard against random: other exponent", words)
        self.assertIn("hard rows help, NE −0.0208 (−0.0213 to −0.0204) at 1,280,000; easy rows harm, NE +0.0209", words)
        self.assertIn("random rows change nothing beyond the noise", words)
        [legend] = drawings_of([section])["figure-pruning-1_2"].legend
        self.assertEqual([item.label.value for item in legend.items], ["random", "easy", "hard"])
        self.assertLen(study_tables(fits)["prunings"].records, 2)

    def hard_rows(self, *, flipped: bool) -> tuple[Effect, float, str, dict[str, float]]:
        """The effect of hard rows at the top and its standard error, what the page says of pruning, and the share of
        labels flipped among the rows trained on."""
        rows, clicks = [], Clicks(flipped=flipped)
        share = {"P-easy": clicks.measured("P-easy", 0)[1]}
        for scheme, seed in product(("D", "P-hard"), range(SEEDS)):
            measured, share[scheme] = clicks.measured(scheme, seed)
            for examples, ne in zip(clicks.RUNGS, measured, strict=True):
                row = planted_row(scheme, 1.0 if scheme == "D" else clicks.SHARE, seed, 0.04, examples, ne)
                rows.append(row | {"trial_id": f"{scheme}-{seed}"})
        runs = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
        fits = fit_study(runs)
        [hard] = [effect for effect in fits.effects if effect.scheme == "P-hard"]
        top = runs[runs["examples"] == clicks.RUNGS[-1]].groupby("scheme")["test_ne"]
        self.assertAllClose(hard.change, top.mean()["P-hard"] - top.mean()["D"], rtol=1e-6)
        [section] = evidence(study_view(runs, fits))
        [words] = [words for words in section.words if words.startswith("Pruning")]
        return hard, float(np.sqrt((top.var() / SEEDS)[["P-hard", "D"]].sum())), words, share

    def test_page_shows_harm_where_hard_rows_are_those_whose_labels_were_flipped(self) -> None:
        hard, error, words, share = self.hard_rows(flipped=True)
        self.assertBetween(share["D"], 0.28, 0.32)
        self.assertGreater(share["P-hard"], 0.33)
        self.assertLess(share["P-easy"], 0.28)
        assert hard.low is not None and hard.change is not None
        self.assertGreater(hard.change, 3 * error)
        self.assertGreater(hard.low, 0)
        self.assertRegex(words, rf"hard rows harm, NE \+{hard.change:.4f} \(\+0.00\d\d to \+0.0\d+\) at 4,096")

    def test_page_shows_no_harm_of_the_same_study_whose_labels_were_not_flipped(self) -> None:
        hard, error, words, share = self.hard_rows(flipped=False)
        self.assertEqual(set(share.values()), {0.0})
        assert hard.high is not None and hard.change is not None
        self.assertLess(hard.change, -3 * error)
        self.assertLess(hard.high, 0)
        self.assertIn("hard rows help, NE −", words)

    def test_baseline_stands_in_for_rows_at_random(self) -> None:
        runs = planted_runs(("D", "P-hard"), 0.25)
        [ranking] = rank_prunings([ladders_of(runs)], [])
        [law] = ranking.laws
        self.assertEqual((law.first, law.second, law.verdict), ("all rows", "hard", "cannot tell"))
        self.assertTrue(ranking.words.startswith("all rows best below"), ranking.words)
        self.assertEqual(rank_prunings([ladders_of(runs[runs["scheme"] == "D"])], []), [])

    def test_one_way_alone_is_compared_with_nothing(self) -> None:
        [ranking] = rank_prunings([ladders_of(planted_runs(("D", "P-random")))], [])
        self.assertEqual((ranking.laws, ranking.stretches), ((), ()))
        self.assertEqual(ranking.words, "there are not two ways with data sizes in common")


if __name__ == "__main__":
    tf.test.main()
