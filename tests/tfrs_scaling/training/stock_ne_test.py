"""Our DLRM learns what the stock one learns: NE on MovieLens-1M, over seeds."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from scipy import stats

from tests.helpers.peers import stock_batches, stock_logits, stock_model
from tests.helpers.studies import CONFIGS
from tests.input.real_logs_test import REAL_DATA
from tfrs_scaling.config import Training
from tfrs_scaling.input.batches import batches
from tfrs_scaling.input.logs.text import TextLog
from tfrs_scaling.input.prepare.prepare import prepare
from tfrs_scaling.input.prepare.sources import LogSource
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.input.shards import ClickData
from tfrs_scaling.model.dlrm import make_model
from tfrs_scaling.model.shape import Shape
from tfrs_scaling.training.loop import training_loop
from tfrs_scaling.training.metrics import Accumulator

SEEDS = range(3)
STEPS = 256  # of 256 rows: 65,536
TRAINING = Training(256, (0.02,))
LEARNING_RATE = 0.02


class StockNETest(tf.test.TestCase):
    def test_ne_on_movielens_equals_the_stock_model_s_within_seed_noise(self) -> None:
        log = REAL_DATA / "movielens_1m" / "interactions.tsv.xz"
        if not log.exists():
            self.skipTest("the real log movielens_1m is not beside the checkout")
        schema = Schema.read(CONFIGS / "schemas" / "movielens.json")
        folder = Path(self.get_temp_dir()) / "movielens"
        prepare(LogSource(TextLog(schema, (str(log),))), folder, split_by="random")
        data = ClickData.open(folder)
        rows = tuple(feature.cardinality for feature in schema.categorical)
        shape = Shape(rows, 16, (64,), 0, (128, 64))
        train = batches(data, "train", TRAINING.batch_size, rows, train=True).take(STEPS).cache()
        test = batches(data, "test", 16384, rows, train=False).cache()
        stock_train, stock_test = stock_batches(train, schema).cache(), stock_batches(test, schema).cache()
        label, weight = (np.concatenate([batch[name].numpy() for batch in test]) for name in ("label", "weight"))

        def ne(logits: np.ndarray) -> float:
            accumulator = Accumulator()
            accumulator.add(logits, label, weight)
            return accumulator.result().ne

        mine, stock = [], []
        for seed in SEEDS:
            tf.keras.utils.set_random_seed(seed)
            model = make_model(shape, schema, TRAINING, LEARNING_RATE)
            training_loop(tf.distribute.get_strategy(), model)(iter(train), tf.constant(STEPS))
            mine.append(ne(np.concatenate([model(batch).numpy() for batch in test])))
            peer = stock_model(shape, schema, TRAINING, LEARNING_RATE)
            peer.compile(peer.optimizer, steps_per_execution=64)
            peer.fit(stock_train, steps_per_epoch=STEPS, verbose=0)
            stock.append(ne(stock_logits(peer, stock_test)))
        apart = float(stats.ttest_ind(mine, stock, equal_var=False).pvalue)
        print(
            f"\ntest NE at {STEPS * TRAINING.batch_size:,} rows, {len(SEEDS)} seeds: "
            f"ours {np.mean(mine):.5f} ± {np.std(mine, ddof=1):.5f}, stock {np.mean(stock):.5f} ± "
            f"{np.std(stock, ddof=1):.5f} (standard deviations); p of a difference {apart:.2f}"
        )
        self.assertLessEqual(np.mean(mine), 0.845)
        self.assertGreater(apart, 0.001)


if __name__ == "__main__":
    tf.test.main()
