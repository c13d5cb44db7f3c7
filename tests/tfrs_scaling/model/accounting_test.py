import fractions
from pathlib import Path
from threading import Event
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2_as_graph

from tests.helpers.peers import few_steps
from tests.helpers.studies import CONFIGS
from tfrs_scaling.config import Training, Wukong, read_config
from tfrs_scaling.fit.schemes import SCALED
from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema
from tfrs_scaling.model.accounting import Count, forward_flops, parameters, training_flops, training_memory
from tfrs_scaling.model.dlrm import DLRM, make_model
from tfrs_scaling.model.shape import Shape, baseline_shape, scale
from tfrs_scaling.training.isolation import run_isolated

TRAINING = Training(64, (0.1,))


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
    "mixed_dimensions": (
        Shape((50, 20, 7), 16, (32,), 24, (64,), table_dims=(16, 4, 8), pooling=("mean", "mean", "sum")),
        schema(2, (50, 20, 7), multi_hot=3),
    ),
    "cross": (Shape((50, 20, 7), 8, (16,), 24, (32,), architecture="cross", cross_layers=3), schema(4, (50, 20, 7))),
    "cross_of_low_rank": (
        Shape((50, 20, 7), 8, (16,), 0, (32,), architecture="cross", cross_layers=2, cross_rank=5),
        schema(4, (50, 20, 7)),
    ),
    "wukong": (
        Shape((50, 20, 7), 8, (16,), 24, (32,), architecture="wukong", wukong=Wukong(3, 6, 5, 4, (20, 12))),
        schema(4, (50, 20, 7)),
    ),
    "wukong_without_projection_of_the_residual": (
        Shape((50, 20, 7), 4, (16,), 0, (32,), architecture="wukong", wukong=Wukong(2, 3, 1, 6, ())),
        schema(4, (50, 20, 7)),
    ),
    "wukong_of_a_study": (
        Shape((90,) * 8, 16, (64,), 64, (128, 64), architecture="wukong", wukong=Wukong()),
        schema(0, (90,) * 8),
    ),
    "mlp": (Shape((50, 20, 7), 8, (16,), 24, (32,), architecture="mlp"), schema(4, (50, 20, 7))),
    "linear": (Shape((50, 20, 7), 1, (), 0, (), architecture="linear"), schema(40, (50, 20, 7), multi_hot=3)),
}

# TensorFlow's profiler takes the rows of a transposed left factor for its columns: Wukong's cases have about as many
# embeddings as numbers in each. Of a linear model nearly all FLOPs are sums, which it counts otherwise, or not.
PROFILED = {name: case for name, case in CASES.items() if name != "linear"}


def profiled(function: Any, *arguments: Any) -> int:
    """FLOPs of a function, as TensorFlow's profiler counts them."""
    concrete = tf.function(function).get_concrete_function(*arguments)
    frozen, graph_def = convert_variables_to_constants_v2_as_graph(concrete)
    # Without gradients that nobody asked for, which TensorFlow does not compute.
    outputs = [output.op.name for output in frozen.outputs]
    graph_def = tf.compat.v1.graph_util.extract_sub_graph(graph_def, outputs)
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
        options = tf.compat.v1.profiler.ProfileOptionBuilder(
            tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
        )
        flops: int = tf.compat.v1.profiler.profile(
            graph, cmd="op", options=options.with_empty_output().build()
        ).total_float_ops
        return flops


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

    def test_published_dlrm_on_criteo(self) -> None:
        # BARS (Zhu et al. 2022), log DLRM_criteo_x1_001_4d897285: dimension 10, bottom and top of 400-400-400,
        # 21,664,241 parameters, of which batch normalisation, which is not DLRM's, has two for each of 2 x 3 x 400
        # units. The rows of all 26 tables follow from the log of logistic regression on the same data,
        # LR_criteo_x1_008_9581f586: 2,086,317 parameters, one for each row, each of 13 numbers, and the bias.
        rows = (2_086_317 - 13 - 1 - 25, *(1,) * 25)
        count = parameters(Shape(rows, 10, (400, 400, 400), 0, (400, 400, 400)), schema(13, rows))
        # 27 vectors have 351 pairs, which the top MLP sees behind the bottom vector.
        self.assertEqual(count.bottom, (13 * 400 + 400) + 2 * (400 * 400 + 400) + (400 * 10 + 10))
        self.assertEqual(count.overarch, (361 * 400 + 400) + 2 * (400 * 400 + 400) + (400 + 1))
        self.assertEqual(count.total + 2 * 2 * 3 * 400, 21_664_241)

    def test_cross_network_by_hand(self) -> None:
        # Four vectors of 8 side by side are 32 numbers; W of any rank has 32 x 32, of rank 5 has 2 x 32 x 5.
        shape, of = CASES["cross"]
        self.assertEqual(parameters(shape, of).interaction, 3 * (32 * 32 + 32) + (32 * 24 + 24))
        flops = 3 * (2 * 32 * 32 + 3 * 32) + (2 * 32 * 24 + 24)
        self.assertEqual(forward_flops(shape, of).interaction, flops)
        self.assertEqual(training_flops(shape, of).interaction, 3 * flops - 24)  # the dense layer's bias counts twice
        shape, of = CASES["cross_of_low_rank"]
        self.assertEqual(parameters(shape, of).interaction, 2 * (2 * 32 * 5 + 32))

    def test_wukong_by_hand(self) -> None:
        # Four vectors of 4 enter two layers of 4: 1 compressed, 3 made of 4 x 6 normalized products.
        shape, of = CASES["wukong_without_projection_of_the_residual"]
        layer = 4 * 1 + 4 * 6 + 2 * 24 + (24 * 12 + 12) + 2 * 4
        self.assertEqual(parameters(shape, of).interaction, 2 * layer)
        self.assertEqual(parameters(shape, of).overarch, (16 * 32 + 32) + (32 + 1))
        products = 2 * (4 * 1 * 4 + 4 * 6 * 4 + 4 * 6 * 4)
        flops = products + 7 * (24 + 16) + 16 + (2 * 24 * 12 + 12)
        self.assertEqual(forward_flops(shape, of).interaction, 2 * flops)
        trained = 3 * products + 23 * (24 + 16) + 16 + (6 * 24 * 12 + 2 * 12)
        self.assertEqual(training_flops(shape, of).interaction, 2 * trained)
        # Of three layers of 11 embeddings, the first is entered by 4, and its residual projected.
        shape, of = CASES["wukong"]
        mlps = [(inputs * 4 * 20 + 20) + (20 * 12 + 12) + (12 * 48 + 48) for inputs in (4, 11, 11)]
        others = [4 * (5 + 4 + 11) + 2 * 16 + 2 * 8, *[11 * (5 + 4) + 2 * 44 + 2 * 8] * 2]
        self.assertEqual(parameters(shape, of).interaction, sum(mlps + others) + (88 * 24 + 24))

    def test_linear_model_by_hand(self) -> None:
        # A weight for each row and dense feature, and a bias; each of three vectors, one of them pooled of 3, is added.
        shape, of = CASES["linear"]
        self.assertEqual(parameters(shape, of), Count(embedding=77, bottom=41, interaction=0, overarch=0))
        self.assertEqual(forward_flops(shape, of), Count(embedding=6, bottom=2 * 40 + 1, interaction=3, overarch=0))
        self.assertEqual(training_flops(shape, of), Count(embedding=9, bottom=4 * 40 + 2, interaction=3, overarch=0))

    def test_projections_by_hand(self) -> None:
        shape, of = CASES["mixed_dimensions"]
        count = parameters(shape, of)
        self.assertEqual(count.embedding, 50 * 16 + 20 * 4 + 7 * 8)
        self.assertEqual(count.interaction, (4 * 16 + 8 * 16) + ((16 + 6) * 24 + 24))

    @parameterized.named_parameters(*((name, *case) for name, case in CASES.items()))
    def test_parameters_equal_the_built_model_s_variables(self, shape: Shape, of: Schema) -> None:
        model = make_model(shape, of, TRAINING, 0.1)

        def built(*layers: Any) -> int:
            return sum(int(np.prod(v.shape)) for layer in layers for v in layer.trainable_variables)

        tables = sum(int(np.prod(table.shape)) for table in model.embedding.embeddings())
        self.assertEqual(
            parameters(shape, of),
            Count(
                tables,
                built(model.bottom),
                built(model.projection, model.interact, model.interaction),
                built(model.overarch, model.logit),
            ),
        )
        self.assertEqual(
            parameters(shape, of).total - tables, sum(int(np.prod(v.shape)) for v in model.dense_variables)
        )

    @parameterized.named_parameters(*((name, *case) for name, case in PROFILED.items()))
    def test_forward_flops_equal_the_profiler_s(self, shape: Shape, of: Schema) -> None:
        counted, found = forward_flops(shape, of).total, self.profiled_forward(shape, of)
        self.assertLess(abs(found - counted) / found, 0.02, f"profiler {found}, counted {counted}")

    @parameterized.named_parameters(*((name, *case) for name, case in PROFILED.items()))
    def test_training_flops_equal_the_profiler_s_matrix_products(self, shape: Shape, of: Schema) -> None:
        rows = 64
        counted = rows * training_flops(shape, of).total
        found = self.profiled_training(shape, of, rows)
        self.assertLess(abs(found - counted) / found, 0.02, f"profiler {found}, counted {counted}")

    def model(self, shape: Shape, of: Schema) -> DLRM:
        # Uncompiled, so that the profiler sees into every function.
        self.enter_context(mock.patch("tfrs_scaling.model.compiled.compiled_here", return_value=False))
        return make_model(shape, of, TRAINING, 0.1)

    def profiled_forward(self, shape: Shape, of: Schema) -> int:
        return profiled(self.model(shape, of), batch(of, 1))

    def profiled_training(self, shape: Shape, of: Schema, rows: int) -> int:
        model = self.model(shape, of)

        def gradients(inputs: dict[str, tf.Tensor]) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                logits = model(inputs)
            found = tape.gradient(logits, model.trainable_variables)
            return [g.values if isinstance(g, tf.IndexedSlices) else g for g in found]

        return profiled(gradients, batch(of, rows))

    def test_backward_pass_costs_two_products_but_for_the_first_layer_s_inputs_and_the_dots(self) -> None:
        shape, of = CASES["one_hot"]
        self.assertEqual(
            training_flops(shape, of),
            Count(
                embedding=0,
                bottom=(4 * 3 * 16 + 2 * 16) + (6 * 16 * 8 + 2 * 8),
                interaction=2 * (2 * 3 * 3 * 8) + (6 * 11 * 12 + 2 * 12),
                overarch=(6 * 12 * 32 + 2 * 32) + (6 * 32 * 16 + 2 * 16) + (6 * 16 + 2),
            ),
        )

    def test_over_the_paper_s_grid(self) -> None:
        config = read_config(CONFIGS / "paper.yaml")
        assert config.synthetic is not None
        of = config.synthetic.schema()
        baseline = baseline_shape(config.model, of)
        shapes = {scheme: [scale(baseline, scheme, m) for m in config.sweep.multipliers(scheme)] for scheme in SCALED}
        for shape in shapes["V"]:
            self.assertEqual(training_flops(shape, of), training_flops(baseline, of))
            self.assertNotEqual(parameters(shape, of).embedding, parameters(baseline, of).embedding)
        for shape in (*shapes["O"], *shapes["M"]):
            self.assertEqual(parameters(shape, of).embedding, parameters(baseline, of).embedding)
            self.assertNotEqual(training_flops(shape, of), training_flops(baseline, of))

    def test_memory_is_dominated_by_tables_and_their_accumulators(self) -> None:
        small, large = (Shape((rows,), 16, (8,), 8, (8,)) for rows in (10, 10 + 10**6))
        of = schema(1, (10,))
        sizes = [training_memory(shape, of, TRAINING) for shape in (small, large)]
        at_most = 4 * 2 * 16 * TRAINING.evaluation_batch_size  # rows looked up
        self.assertEqual(sizes[1].lookups, at_most)
        self.assertEqual(sizes[0].lookups, 4 * 2 * 16 * 10)  # the table has no more
        more = 2 * 4 * 16 * 10**6 + sizes[1].lookups - sizes[0].lookups
        self.assertEqual(sizes[1].total - sizes[0].total, more)
        self.assertEqual(sizes[1].tables, 4 * 16 * (10 + 10**6))
        self.assertEqual(sizes[1].slots - sizes[0].slots, 4 * 16 * 10**6)

    def test_slots_are_the_optimizers_variables(self) -> None:
        shape, of = CASES["mixed_dimensions"]
        for tables, dense in (("adagrad", "adagrad"), ("sgd", "adam"), ("adagrad", "sgd")):
            training = Training(8, (0.1,), table_optimizer=tables, dense_optimizer=dense, dense_learning_rate=0.1)  # type: ignore[arg-type]
            model = make_model(shape, of, training, 0.1)
            model.train_step({**batch(of, 8), "label": tf.ones(8), "weight": tf.ones(8)})
            slots = sum(int(np.prod(v.shape)) for v in model.optimizer.weights if v.shape.rank > 0)
            slots += (
                sum(int(np.prod(v.shape)) for v in model.embedding.table_variables) - parameters(shape, of).embedding
            )
            self.assertEqual(training_memory(shape, of, training).slots, 4 * slots, (tables, dense))

    def test_each_replica_holds_the_parameters_and_its_share_of_a_batch(self) -> None:
        shape, of = CASES["one_hot"]
        one, four = (training_memory(shape, of, TRAINING, replicas) for replicas in (1, 4))
        self.assertEqual((one.tables, one.slots, one.dense), (four.tables, four.slots, four.dense))
        self.assertEqual(one.activations, 4 * four.activations)
        self.assertEqual(one.evaluation, 4 * four.evaluation)

    def test_what_larger_tables_take_more_is_what_was_planned(self) -> None:
        of, training, folder = schema(3, (10, 10)), Training(2048, (0.1,)), Path(self.get_temp_dir())
        peaks, planned = [], []
        for rows in (1000, 4_000_000):
            shape = Shape((rows, 1000), 32, (64,), 64, (64,))
            peaks.append(
                run_isolated(few_steps, ("ours", training, shape, of), folder / "log.txt", lambda _: None, Event())
            )
            memory = training_memory(shape, of, training)
            planned.append(memory.total - memory.evaluation - memory.lookups)
        self.assertNear((peaks[1] - peaks[0]) / (planned[1] - planned[0]), 1, 0.1)

    def test_multiplier_one_half_of_dimension_halves_the_tables(self) -> None:
        shape, of = CASES["one_hot"]
        half = scale(shape, "H", fractions.Fraction(1, 2))
        self.assertEqual(2 * parameters(half, of).embedding, parameters(shape, of).embedding)


if __name__ == "__main__":
    tf.test.main()
