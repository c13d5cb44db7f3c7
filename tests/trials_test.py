import fractions
import re

import tensorflow as tf

from tests.studies import tiny_config
from tfrs_scaling.trials import Trial, all_trials


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

    def test_another_seed_keeps_other_features(self) -> None:
        kept = set()
        for seed in range(20):
            config = tiny_config(F=["1/2"], feature_seed=seed)
            assert config.synthetic is not None
            kept.add(all_trials(config)[1].schema(config, config.synthetic.schema()))
        self.assertGreater(len(kept), 2)


if __name__ == "__main__":
    tf.test.main()
