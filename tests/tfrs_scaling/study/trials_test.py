import dataclasses
import fractions
import re

import tensorflow as tf

from tests.helpers.studies import tiny_config
from tfrs_scaling.config import Wukong
from tfrs_scaling.study.search import neighbour
from tfrs_scaling.study.trials import Trial, all_trials, shapes, why_from_scratch


class TrialsTest(tf.test.TestCase):
    def test_union_of_the_schemes_grids_with_one_baseline(self) -> None:
        trials = all_trials(tiny_config(V=["1/4", 2], O=["1/2"], seeds=[0, 5]))
        self.assertEqual(
            [(t.scheme, str(t.multiplier), t.seed) for t in trials],
            [
                *(("D", "1", seed) for seed in (0, 5)),
                *(("V", "1/4", seed) for seed in (0, 5)),
                *(("V", "2", seed) for seed in (0, 5)),
                *(("O", "1/2", seed) for seed in (0, 5)),
            ],
        )

    def test_ids_are_unique_names_of_folders(self) -> None:
        ids = [t.trial_id for t in all_trials(tiny_config(V=["1/4", "1/3"], H=["1/4"], seeds=[0, 1]))]
        self.assertEqual(len(set(ids)), len(ids))
        for trial_id in ids:
            self.assertTrue(re.fullmatch(r"[A-Za-z0-9._-]+", trial_id), trial_id)
        self.assertEqual(Trial("V", fractions.Fraction(1, 64), 0.02, 3).trial_id, "V-1_64-lr0.02-seed3")

    def test_all_axes_in_order(self) -> None:
        config = tiny_config(V=["1/4"], H=[2, "1/2"], VH=True, N=["1/2"], E=[2, 4], A=["cross"])
        self.assertEqual(
            [trial.trial_id.removesuffix("-lr0.04-seed0") for trial in all_trials(config)],
            [
                "D-1", "D-1-cross", "V-1_4", "H-2", "H-1_2", "N-1_2", "E-2", "E-4", "VH-1_4x2", "VH-1_4x1_2",
            ],
        )  # fmt: skip

    def test_shapes_of_crossed_multipliers_and_of_another_architecture(self) -> None:
        config = tiny_config(V=["1/4"], H=[2, "1/2"], VH=True, A=["cross"])
        assert config.synthetic is not None
        data = config.synthetic.schema()  # tables of 50 and 20 rows, dimension 4
        of = {trial.trial_id.removesuffix("-lr0.04-seed0"): trial for trial in all_trials(config)}
        shapes = {name: trial.shape(config, data) for name, trial in of.items()}
        for name, rows, dim in (
            ("D-1", (50, 20), 4), ("V-1_4", (13, 5), 4), ("H-2", (50, 20), 8), ("VH-1_4x2", (13, 5), 8),
            ("VH-1_4x1_2", (13, 5), 2), ("D-1-cross", (50, 20), 4),
        ):  # fmt: skip
            self.assertEqual((shapes[name].table_rows, shapes[name].embedding_dim), (rows, dim), name)
            self.assertEqual(of[name].embedding_dim(config), dim, name)
            self.assertEqual(shapes[name].table_dims, (dim, dim), name)
        self.assertEqual(shapes["D-1-cross"], dataclasses.replace(shapes["D-1"], architecture="cross"))
        self.assertEqual(of["D-1-cross"].architecture_in(config), "cross")
        self.assertEqual(of["VH-1_4x2"].architecture_in(config), "dot")

    def test_architectures_scaled_by_their_own_rule(self) -> None:
        config = tiny_config(A={"wukong": ["1/4", 1, 4], "mlp": [1], "dot": [2]})
        trials = all_trials(config)
        self.assertEqual(
            [trial.shape_id for trial in trials], ["D-1", "D-1-wukong", "D-1-mlp", "A-1_4-wukong", "A-4-wukong", "A-2"]
        )
        assert config.synthetic is not None
        data = config.synthetic.schema()
        baseline, *_, small, large, wide = (trial.shape(config, data) for trial in trials)
        self.assertEqual(small.wukong, Wukong(1, 2, 2, 2, (16,)))
        self.assertEqual(large.wukong, Wukong(4, 32, 32, 32, (256,)))
        self.assertEqual((large.overarch, large.bottom), (baseline.overarch, baseline.bottom))
        self.assertEqual((wide.overarch, wide.architecture), ((32, 16), "dot"))

    def test_work_by_hand(self) -> None:
        # Batches of 64; data sizes of 4, 8 and 16 steps.
        constant = tiny_config(V=["1/2"], E=[3])
        decaying = dataclasses.replace(constant, training=dataclasses.replace(constant.training, schedule="linear"))
        for config, expected in (
            (constant, {"D": (16,), "V": (16,), "E": (12, 24, 48)}),
            (decaying, {"D": (4, 8, 16), "V": (4, 8, 16), "E": (12, 24, 48)}),
        ):
            for trial in all_trials(config):
                self.assertEqual(trial.trainings(config), expected[trial.scheme])
                self.assertEqual(trial.training_rows(config), 64 * sum(expected[trial.scheme]))
        self.assertEqual([trial.epochs for trial in all_trials(constant)], [1, 1, 3])

    def test_reasons_to_train_from_scratch_give_the_rows(self) -> None:
        config = tiny_config(V=["1/2"], E=[3])
        self.assertEqual(why_from_scratch(tiny_config(V=["1/2"])), "")
        self.assertIn("5,376 rows at 3", why_from_scratch(config))
        self.assertNotIn("schedule", why_from_scratch(config))
        decaying = dataclasses.replace(config, training=dataclasses.replace(config.training, schedule="linear"))
        self.assertIn("1,792 rows in all instead of 1,024", why_from_scratch(decaying))

    def test_features_are_left_out_under_f_alone_and_negatives_under_n_alone(self) -> None:
        config = tiny_config(V=["1/2"], F=["1/2"], N=["1/4"])
        assert config.synthetic is not None
        data = config.synthetic.schema()  # two dense features, and tables of 50 and 20 rows
        baseline, vertical, fewer, sampled = all_trials(config)
        for trial in (baseline, vertical, sampled):
            self.assertEqual(trial.schema(config, data), data)
        kept = fewer.schema(config, data)
        self.assertEqual(len(kept.dense) + len(kept.categorical), 2)
        self.assertEqual(fewer.shape(config, data).table_rows, tuple(f.cardinality for f in kept.categorical))
        self.assertEqual(sampled.shape(config, data), baseline.shape(config, data))
        self.assertEqual([t.negative_rate for t in (baseline, vertical, fewer, sampled)], [1.0, 1.0, 1.0, 0.25])

    def test_shares_are_kept_under_p_alone_and_search_starts_from_the_next_larger_share(self) -> None:
        config = tiny_config(P={"keep": ["1/4", "1/2"], "by": ["random"]}, N=["1/4"])
        every = shapes(config)
        self.assertEqual([shape.shape_id for shape in every], ["D-1", "N-1_4", "P-random-1_4", "P-random-1_2"])
        self.assertEqual([shape.kept_share for shape in every], [1.0, 1.0, 0.25, 0.5])
        self.assertEqual([neighbour(shape, every) for shape in every[2:]], [every[3], every[0]])

    def test_another_seed_keeps_other_features(self) -> None:
        kept = set()
        for seed in range(20):
            config = tiny_config(F=["1/2"], feature_seed=seed)
            assert config.synthetic is not None
            kept.add(all_trials(config)[1].schema(config, config.synthetic.schema()))
        self.assertGreater(len(kept), 2)


if __name__ == "__main__":
    tf.test.main()
