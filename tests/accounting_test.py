import fractions
from typing import Any

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2_as_graph

from tests.studies import CONFIGS
from tfrs_scaling.accounting import Count, forward_flops, parameters, training_bytes, training_flops
from tfrs_scaling.config import SCALING_SCHEMES, read_config
from tfrs_scaling.dlrm import DLRM
from tfrs_scaling.embedding import StackedEmbedding
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema
from tfrs_scaling.schemes import Shape, baseline_shape, scale


def schema(dense: int, tables: tuple[int, ...], multi_hot: int = 1) -> Schema:
    features = [CategoricalFeature(f"c{i}", rows) for i, rows in enumerate(tables)]
    if multi_hot > 1:
        features[-1] = CategoricalFeature("multi", tables[-1], max_values=multi_hot, separator="|")
    return Schema("y", tuple(features), tuple(DenseFeature(f"d{i}") for i in range(dense)))


def batch(of: Schema, rows: int) -> dict[str, tf.Tensor]:
    ids = np.zeros((rows, of.slots[-1].stop), np.int32)
    return {"dense": tf.ones((rows, max(1, len(of.dense)))), "ids": tf.constant(ids)}


CASES = {
    "one_hot": (Shape((100, 10), 8, (16,), 12, (32, 16)), schema(3, (100, 10))),
    "multi_hot_no_dense": (Shape((50, 20, 7), 16, (32, 16), 24, (64,)), schema(0, (50, 20, 7), multi_hot=5)),
    "no_interaction_layer": (Shape((9, 9, 9, 9), 16, (), 0, (64, 8)), schema(2, (9, 9, 9, 9))),
}


class AccountingTest(tf.test.TestCase, parameterized.TestCase):
    def test_counts_by_hand(self) -> None:
        # Three vectors (bottom, two tables) have three pairs, so the interaction layer sees 8 + 3 numbers.
        shape, of = CASES["one_hot"]
        self.assertEqual(
            parameters(shape, of),
            Count(
                embedding=110 * 8,
                bottom=(3 * 16 + 16) + (16 * 8 + 8),
                interaction=11 * 12 + 12,
                overarch=(12 * 32 + 32) + (32 * 16 + 16) + (16 + 1),
            ),
        )
        self.assertEqual(
            forward_flops(shape, of),
            Count(
                embedding=0,
                bottom=(2 * 3 * 16 + 16) + (2 * 16 * 8 + 8),
                interaction=2 * 3 * 3 * 8 + (2 * 11 * 12 + 12),
                overarch=(2 * 12 * 32 + 32) + (2 * 32 * 16 + 16) + (2 * 16 + 1),
            ),
        )

    @parameterized.named_parameters(*((name, *case) for name, case in CASES.items()))
    def test_parameters_equal_the_built_model_s_variables(self, shape: Shape, of: Schema) -> None:
        model = DLRM(shape, of, StackedEmbedding(shape, of, 0.1))
        model(batch(of, 2))

        def built(*layers: Any) -> int:
            return sum(int(np.prod(v.shape)) for layer in layers for v in layer.trainable_variables)

        self.assertEqual(
            parameters(shape, of),
            Count(
                built(model.embedding),
                built(model.bottom),
                built(model.interaction),
                built(model.overarch, model.logit),
            ),
        )
        self.assertEqual(parameters(shape, of).total, built(model))

    @parameterized.named_parameters(*((name, *case) for name, case in CASES.items()))
    def test_forward_flops_equal_the_profiler_s(self, shape: Shape, of: Schema) -> None:
        model = DLRM(shape, of, StackedEmbedding(shape, of, 0.1))
        one = batch(of, 1)
        function = tf.function(model).get_concrete_function(one)
        _, graph_def = convert_variables_to_constants_v2_as_graph(function)
        with tf.Graph().as_default() as graph:
            tf.graph_util.import_graph_def(graph_def, name="")
            options = tf.compat.v1.profiler.ProfileOptionBuilder(
                tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
            )
            options = options.with_empty_output().build()
            profiled = tf.compat.v1.profiler.profile(graph, cmd="op", options=options).total_float_ops
        counted = forward_flops(shape, of).total
        self.assertLess(abs(profiled - counted) / profiled, 0.02, f"profiler {profiled}, counted {counted}")

    def test_backward_pass_costs_twice_the_forward_but_for_the_first_layer_s_inputs(self) -> None:
        shape, of = CASES["one_hot"]
        forward, train = forward_flops(shape, of), training_flops(shape, of)
        self.assertEqual(train.overarch, 3 * forward.overarch)
        self.assertEqual(train.bottom, 3 * forward.bottom - 2 * 3 * 16)

    def test_over_the_paper_s_grid(self) -> None:
        config = read_config(CONFIGS / "paper.yaml")
        assert config.synthetic is not None
        of = config.synthetic.schema()
        baseline = baseline_shape(config.model, of)
        shapes = {
            scheme: [scale(baseline, scheme, m) for m in config.sweep.multipliers(scheme)] for scheme in SCALING_SCHEMES
        }
        for shape in shapes["V"]:
            self.assertEqual(training_flops(shape, of), training_flops(baseline, of))
            self.assertNotEqual(parameters(shape, of).embedding, parameters(baseline, of).embedding)
        for shape in (*shapes["O"], *shapes["M"]):
            self.assertEqual(parameters(shape, of).embedding, parameters(baseline, of).embedding)
            self.assertNotEqual(training_flops(shape, of), training_flops(baseline, of))

    def test_memory_is_dominated_by_tables_and_their_accumulators(self) -> None:
        small, large = (Shape((rows,), 16, (8,), 8, (8,)) for rows in (10, 10 + 10**6))
        of = schema(1, (10,))
        self.assertEqual(training_bytes(large, of, 64) - training_bytes(small, of, 64), 2 * 4 * 16 * 10**6)

    def test_multiplier_one_half_of_dimension_halves_the_tables(self) -> None:
        shape, of = CASES["one_hot"]
        half = scale(shape, "H", fractions.Fraction(1, 2))
        self.assertEqual(2 * parameters(half, of).embedding, parameters(shape, of).embedding)


if __name__ == "__main__":
    tf.test.main()
