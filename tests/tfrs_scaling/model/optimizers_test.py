from typing import Any

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tfrs_scaling.config import Training
from tfrs_scaling.model.optimizers import RowAdagrad, dense_optimizer, table_optimizer


def slices(values: list[list[float]], rows: list[int], height: int) -> tf.IndexedSlices:
    """A gradient of a table that has nothing behind its embeddings, or zeros of its accumulators."""
    return tf.IndexedSlices(tf.constant(values), tf.constant(rows), tf.constant([height, len(values[0])]))


class OptimizersTest(tf.test.TestCase, parameterized.TestCase):
    def test_row_adagrad_by_hand(self) -> None:
        # Rows of an embedding of 1 and its accumulator. 9 + 4^2 = 25: the step is 0.1 * 4 / 5.
        table = tf.Variable([[1.0, 9.0], [2.0, 0.5]])
        RowAdagrad(0.1).apply_gradients([(slices([[4.0, 0.0]], [0], 2), table)])
        self.assertAllClose(table, [[1 - 0.08, 25.0], [2.0, 0.5]], rtol=1e-6)

    @parameterized.parameters("constant", "cosine")
    def test_row_adagrad_is_keras_adagrad(self, schedule: Any) -> None:
        training = Training(1, (0.05,), schedule)
        rng = np.random.default_rng(0)
        start = rng.normal(size=(50, 3)).astype(np.float32)
        stock, rows = tf.Variable(start), tf.Variable(np.concatenate([start, np.full((50, 3), 1e-8, np.float32)], 1))
        rate = 0.05 if schedule == "constant" else tf.keras.optimizers.schedules.CosineDecay(0.05, 30)
        keras = tf.keras.optimizers.legacy.Adagrad(rate, initial_accumulator_value=1e-8)
        mine = table_optimizer(training, 0.05, rows_hold_accumulators=True, steps=30)
        for _ in range(30):
            visited = rng.permutation(50)[:12]
            gradient = rng.normal(size=(12, 3)).astype(np.float32)
            keras.apply_gradients([(slices(gradient.tolist(), visited.tolist(), 50), stock)])
            with_zeros = np.concatenate([gradient, np.zeros_like(gradient)], axis=1)
            mine.apply_gradients([(slices(with_zeros.tolist(), visited.tolist(), 50), rows)])
        self.assertAllClose(rows[:, :3], stock, rtol=1e-6, atol=0)

    def test_schedules_are_their_formulas(self) -> None:
        part = np.arange(5) / 5  # of the way
        for name, factors in (("linear", 1 - part), ("cosine", (1 + np.cos(np.pi * part)) / 2)):
            training = Training(1, (0.5,), name, table_optimizer="sgd", dense_optimizer="sgd")  # type: ignore[arg-type]
            for optimizer in (
                dense_optimizer(training, 0.5, 5),
                table_optimizer(training, 0.5, rows_hold_accumulators=True, steps=5),
            ):
                variable, taken = tf.Variable(0.0), []
                for _ in range(5):
                    before = float(variable.numpy())
                    optimizer.apply_gradients([(tf.constant(-1.0), variable)])
                    taken.append(float(variable.numpy()) - before)
                self.assertAllClose(taken, 0.5 * factors, atol=1e-6, msg=name)
                self.assertGreater(taken[-1], 0)

    def test_schedule_without_a_number_of_steps_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "training.schedule cosine needs the number of steps"):
            dense_optimizer(Training(1, (0.5,), "cosine"), 0.5)

    @parameterized.parameters("adagrad", "sgd")
    def test_unvisited_rows_are_untouched(self, name: Any) -> None:
        optimizer = table_optimizer(Training(1, (0.1,), table_optimizer=name), 0.1, rows_hold_accumulators=True)
        start = np.random.default_rng(1).random((6, 4)).astype(np.float32)
        table = tf.Variable(start)
        optimizer.apply_gradients([(slices([[0.5] * 4, [-0.5] * 4], [4, 1], 6), table)])
        changed = np.flatnonzero((table.numpy() != start).any(axis=1))
        self.assertAllEqual(changed, [1, 4])

    def test_row_with_gradient_zero_stays_even_from_an_accumulator_of_zero(self) -> None:
        table = tf.Variable([[1.0, 0.0]])
        RowAdagrad(0.1).apply_gradients([(slices([[0.0, 0.0]], [0], 1), table)])
        self.assertAllEqual(table, [[1.0, 0.0]])

    def test_first_step_is_the_learning_rate(self) -> None:
        # Adagrad from an accumulator a: lr * g / sqrt(a + g^2), which is lr for any g >> sqrt(a); Adam's is lr as well.
        for name, expected in (("adagrad", [0.9, 1.1]), ("adam", [0.9, 1.1]), ("sgd", [1 - 1e-3, 1.3])):
            training = Training(1, (0.5,), dense_optimizer=name, dense_learning_rate=0.1)  # type: ignore[arg-type]
            variable = tf.Variable([1.0, 1.0])
            dense_optimizer(training, 0.5).apply_gradients([(tf.constant([1e-2, -3.0]), variable)])
            self.assertAllClose(variable, expected, atol=1e-4, msg=name)

    def test_dense_layers_share_the_trial_s_learning_rate_unless_they_have_their_own(self) -> None:
        self.assertAllClose(dense_optimizer(Training(1, (0.5,)), 0.5).learning_rate, 0.5)
        self.assertAllClose(dense_optimizer(Training(1, (0.5,), dense_learning_rate=0.2), 0.5).learning_rate, 0.2)


if __name__ == "__main__":
    tf.test.main()
