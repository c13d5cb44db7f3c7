"""Training and predicting on every kind of TPU, traced up to the graph that the TPU would compile.

Where tpu-constraints.txt is installed, ``TPU_LOAD_LIBRARY=0 python -m tests.tpu_trace_test`` asks for the kernels that
its XLA has for TPUs, also without a TPU; other packages of TensorFlow have those for CPUs alone.
"""

import contextlib
import dataclasses
from pathlib import Path
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized
from tensorflow.python.framework import kernels

from tests.helpers.fake_tpu import EmbeddingFeature, fake_tpu
from tests.helpers.small_models import BATCH, DENSE, MODELS, ONE_HOT, batch_of, traced
from tfrs_scaling.config import Training
from tfrs_scaling.input.schema import CategoricalFeature, Schema
from tfrs_scaling.model import compiled
from tfrs_scaling.model.dlrm import make_model
from tfrs_scaling.model.embedding import ids_by_feature
from tfrs_scaling.training.evaluation import predictor
from tfrs_scaling.training.loop import training_loop

TPU_ALONE = {  # have kernels in TensorFlow's build for TPUs alone, some of them under names that it puts in their place
    "CrossReplicaSum",
    "RecvTPUEmbeddingActivations",
    "SendTPUEmbeddingGradients",
    "TPUReplicateMetadata",  # nothing is computed
    "XlaSparseDenseMatmulGradWithAdagradAndStaticBufferSize",
    "XlaSparseDenseMatmulWithStaticBufferSize",
}


class TPUTraceTest(parameterized.TestCase, tf.test.TestCase):
    """TensorFlow registers XLA's kernels at the first compilation."""

    @classmethod
    def setUpClass(cls) -> None:
        """Have XLA's kernels registered."""
        super().setUpClass()
        with contextlib.suppress(tf.errors.NotFoundError):  # the build for TPUs cannot compile for CPUs
            tf.function(lambda x: x + 1, jit_compile=True)(tf.constant(1.0))

    @parameterized.product(feature=("V1", "V2", "UNSUPPORTED"), model=tuple(MODELS))
    def test_trains_and_predicts(self, feature: EmbeddingFeature, model: str) -> None:
        """With TPUEmbedding, SparseCore and neither, whatever the features and the interaction."""
        schema, shape = MODELS[model]
        with fake_tpu(feature) as strategy:
            with strategy.scope():
                dlrm = make_model(shape, schema, Training(BATCH, (0.1,)), 0.1, BATCH // 2, steps=100)
            rows = tf.data.Dataset.from_tensors(batch_of(schema)).map(lambda batch: ids_by_feature(batch, schema))
            options = tf.distribute.InputOptions(experimental_fetch_to_device=False)
            iterator = iter(strategy.experimental_distribute_dataset(rows.repeat(), options))
            trained = traced(training_loop(strategy, dlrm), iterator, tf.constant(2))
            predicted = traced(predictor(strategy, dlrm), next(iterator))
        self.assertEqual([output.shape.as_list() for output in trained.structured_outputs], [[], [], []])
        self.assertEqual([output.shape.as_list()[1:] for output in predicted.structured_outputs], [[], [], []])
        for function in trained, predicted:
            nodes = _on_tpu(function.graph.as_graph_def())
            self.assertGreater(len(nodes), 50)
            self.assertEqual({node.op for node in nodes} & {"Unique", "UniqueV2", "Where"}, set())  # sizes that vary
            self.assertNotIn("float64", {_dtype(attribute) for node in nodes for attribute in node.attr.values()})
            self.assertEqual({node.op for node in nodes if not _has_xla_kernel(node.op)} - TPU_ALONE, set())

    def test_sparse_cores_have_room_for_all_ids_of_a_batch(self) -> None:
        """Also if all of them lie in the same one."""
        sets = CategoricalFeature("m", 40, max_values=100, separator="|")
        schema = Schema("y", (*ONE_HOT, sets), DENSE)
        shape = dataclasses.replace(MODELS["multi_hot"][1], table_dims=(8,) * 4)
        with fake_tpu("V2") as strategy:
            with strategy.scope():
                dlrm = make_model(shape, schema, Training(BATCH, (0.1,)), 0.1, BATCH // 2, steps=100)
            rows = tf.data.Dataset.from_tensors(batch_of(schema)).map(lambda batch: ids_by_feature(batch, schema))
            options = tf.distribute.InputOptions(experimental_fetch_to_device=False)
            iterator = iter(strategy.experimental_distribute_dataset(rows.repeat(), options))
            graph = traced(predictor(strategy, dlrm), next(iterator)).graph.as_graph_def()
        by_op = {
            node.op: node.attr
            for node in (*graph.node, *(node for function in graph.library.function for node in function.node_def))
        }
        sort, wrap = by_op["SortListOfSparseCoreCooTensors"], by_op["ConvertToSparseCoreCsrWrappedCooTensor"]
        # Of a replica's 32 rows, each of its 4 SparseCores has 8, with 3 + 100 ids.
        self.assertEqual(sort["max_ids_per_sparse_core"].i, 8 * 103)
        self.assertEqual(sort["max_unique_ids_per_sparse_core"].i, 8 * 103)
        self.assertEqual(wrap["max_ids_per_chip_per_sample"].i, 200)
        self.assertFalse(wrap["allow_id_dropping"].b)

    def test_host_s_operations_are_compiled_unless_tensorflow_is_built_for_tpus(self) -> None:
        """tensorflow-tpu 2.20 has no XLA for CPUs: NotFoundError, no transfer manager for platform Host."""
        failing = tf.errors.NotFoundError(None, None, "could not find registered transfer manager for platform Host")
        works = _xla_device() == "XLA_CPU_JIT"
        for there, error, expected in ((False, failing, True), (True, None, works), (True, failing, False)):
            compiled.compiles_for_cpu.cache_clear()
            self.addCleanup(compiled.compiles_for_cpu.cache_clear)
            with (
                mock.patch.object(compiled, "libtpu", return_value=Path(__file__ if there else "/nowhere")),
                mock.patch.object(tf.math, "log1p", side_effect=error, return_value=tf.zeros(())),
            ):
                self.assertEqual(compiled.compiled_here(), expected)


def _on_tpu(graph: tf.compat.v1.GraphDef) -> list[tf.compat.v1.NodeDef]:
    """The nodes that the TPU would run."""
    every = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return [n for n in every if "_tpu_replicate" in n.attr and "_xla_outside_compilation" not in n.attr]


def _dtype(attribute: tf.compat.v1.AttrValue) -> str:
    return tf.dtypes.as_dtype(attribute.type).name if attribute.type else ""


def _xla_device() -> str:
    """XLA's device whose kernels count: its TPU, if this TensorFlow is built for it."""
    return "XLA_TPU_JIT" if "XLA_TPU_JIT" in _devices("MatMul") else "XLA_CPU_JIT"


def _devices(name: str) -> set[str]:
    """Those for which an operation has kernels."""
    return {kernel.device_type for kernel in kernels.get_registered_kernels_for_op(name).kernel}


def _has_xla_kernel(name: str) -> bool:
    return name == "NoOp" or _xla_device() in _devices(name)


if __name__ == "__main__":
    tf.test.main()
