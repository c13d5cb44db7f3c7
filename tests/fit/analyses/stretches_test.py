"""Tests of which scheme leads where."""

import tensorflow as tf

from tests.helpers.noise import ladders_of, noise
from tests.helpers.training_noise import Equal, RealNoise
from tfrs_scaling.fit.analyses.ranking import rank_schemes
from tfrs_scaling.fit.analyses.stretches import Stretch, leading_stretches, stretch_words


class StretchesTest(tf.test.TestCase):
    def test_the_cheapest_shapes_lead_until_the_baseline_has_all_the_data(self) -> None:
        # NE depends on examples alone, so M at 1/16 has the NE of the baseline for a fraction of its compute, until
        # it has seen all data; the baseline gets there last of those that every scheme has.
        runs = Equal(RealNoise(sd=1e-4), 3).study(0)
        record = next(r for r in rank_schemes(ladders_of(runs), [], []) if r.x == "compute")
        self.assertEqual((record.stretches[0].best, record.stretches[-1].best), (("M",), ("H", "O", "M")))
        baseline = runs[runs["scheme"] == "D"]["compute"].max()
        ends = [stretch.high for stretch in record.stretches if stretch.best == ("M",)]
        self.assertBetween(max(ends), baseline / 16, baseline)
        self.assertStartsWith(record.along, "M best below ")
        self.assertEndsWith(record.along, "FLOPs, level above")
        edges = [
            (before.high, after.low) for before, after in zip(record.stretches, record.stretches[1:], strict=False)
        ]
        self.assertTrue(all(high == low for high, low in edges))

    def test_equal_schemes_are_level_throughout(self) -> None:
        ladders = ladders_of(Equal(RealNoise(), 3).study(1))
        data = next(r for r in rank_schemes(ladders, [], []) if r.x == "data")
        self.assertEqual(data.along, "level throughout")
        self.assertEqual([stretch.best for stretch in data.stretches], [tuple("VHOM")])

    def test_where_the_range_ends_the_ranking_decides(self) -> None:
        ladders = ladders_of(Equal(RealNoise(), 3).study(1))
        found = leading_stretches(ladders, ("V", "H"), "data", {"H"})
        self.assertEqual([stretch.best for stretch in found], [("V", "H"), ("V",)])

    def test_nothing_to_compare(self) -> None:
        ladders = ladders_of(Equal(RealNoise(), 1).study(0))
        self.assertEqual(leading_stretches(ladders, ("V",), "data", set()), [])
        self.assertEqual(leading_stretches(ladders, ("V", "H"), "parameters", set()), [])
        unknown = ladders_of(Equal(RealNoise(), 1).study(0), noise(0.0, 0, "none"))
        self.assertEqual(leading_stretches(unknown, ("V", "H"), "data", set()), [])
        self.assertEqual(stretch_words([], ("V",), "data"), "")

    def test_words(self) -> None:
        stretches = [Stretch(1e9, 2e10, ("M",)), Stretch(2e10, 5e10, ("O", "M")), Stretch(5e10, 1e12, ("H", "O", "M"))]
        words = "M best below 20G FLOPs, O ≈ M best below 50G FLOPs, level above"
        self.assertEqual(stretch_words(stretches, ("H", "O", "M"), "compute"), words)


if __name__ == "__main__":
    tf.test.main()
