from pathlib import Path

import tensorflow as tf
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from tests.helpers.studies import tiny_config
from tfrs_scaling.study.export import MEASURED
from tfrs_scaling.study.trials import all_trials
from tfrs_scaling.training.hparams import METRICS, hyperparameters, write_layout


class HParamsTest(tf.test.TestCase):
    def test_layout_names_the_grid_and_comes_once(self) -> None:
        root = Path(self.get_temp_dir())
        config = tiny_config(V=["1/4", 2], H=["1/2"], M=["1/4"], VH=True, E=[3], A=["cross"], seeds=[0, 4])
        write_layout(root, config)
        write_layout(root, config)
        (file,) = root.glob("events.out.tfevents.*")
        values = [value for event in tf.compat.v1.train.summary_iterator(str(file)) for value in event.summary.value]
        (experiment,) = [value for value in values if value.tag == metadata.EXPERIMENT_TAG]
        told = HParamsPluginData.FromString(experiment.metadata.plugin_data.content).experiment
        domains = {info.name: list(info.domain_discrete) for info in told.hparam_infos}
        expected = {
            "scheme": ["D", "E", "H", "M", "V", "VH"], "multiplier": [0.25, 0.5, 1, 2, 3], "embedding_dim": [2, 4],
            "architecture": ["cross", "dot"], "epochs": [1, 3],
        }  # fmt: skip
        self.assertEqual(domains, expected)  # neither the one learning rate nor the seeds
        self.assertEqual(list(domains)[:2], ["scheme", "multiplier"])
        self.assertEqual([info.name.tag for info in told.metric_infos], list(METRICS))
        for trial in all_trials(config):
            self.assertEqual(set(hyperparameters(trial, config)), {*domains, "learning_rate", "seed"})

    def test_every_metric_is_written_by_a_trial(self) -> None:
        self.assertContainsSubset(set(METRICS) - {"shape/parameters", "shape/training_flops"}, set(MEASURED))
        self.assertEqual(list(METRICS)[:3], ["test/ne", "shape/parameters", "shape/training_flops"])


if __name__ == "__main__":
    tf.test.main()
