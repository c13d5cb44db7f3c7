"""Every operation of the step has a kernel for GPUs: without one, each step copies tensors to the CPU and back.

The installed TensorFlow is built with CUDA, so that it lists its GPU kernels also where there is no GPU. Steps that are
compiled as a whole, as on a GPU, are compiled here for the CPU.
"""

import dataclasses
import re
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from tensorflow.core.framework import kernel_def_pb2
from tensorflow.python.framework import kernels, op_def_registry

from tests.helpers.small_models import BATCH, MODELS, batch_of, traced
from tfrs_scaling.config import Precision, Training
from tfrs_scaling.model.compiled import compiled_step, compiles_step
from tfrs_scaling.model.dlrm import make_model
from tfrs_scaling.training.loop import training_loop


class GPUKernelsTest(parameterized.TestCase, tf.test.TestCase):
    """The step as it is traced where there is a GPU."""

    @parameterized.product(model=tuple(MODELS), precision=("float32", "bfloat16"))
    def test_no_operation_lacks_one(self, model: str, precision: Precision) -> None:
        """Whatever the features, the interaction and the precision."""
        if not tf.test.is_built_with_cuda():
            self.skipTest("this TensorFlow is built without CUDA and lists no GPU kernels")
        schema, shape = MODELS[model]
        dlrm = make_model(shape, schema, Training(BATCH, (0.1,), precision=precision), 0.1, steps=100)
        rows = iter(tf.data.Dataset.from_tensors(batch_of(schema)).repeat())
        with mock.patch.object(tf.config, "list_logical_devices", lambda kind=None: ["a GPU"]):
            graph = traced(training_loop(tf.distribute.get_strategy(), dlrm), rows, tf.constant(2)).graph
        nodes = [node for function in graph.as_graph_def().library.function for node in function.node_def]
        operations = [node for node in nodes if op_def_registry.get(node.op)]  # the others call functions
        self.assertGreater(len(operations), 100)
        self.assertEqual({node.op for node in operations if not _has_gpu_kernel(node)}, set())

    @parameterized.parameters(*MODELS)
    def test_compiled_as_a_whole_it_trains_the_same(self, model: str) -> None:
        schema, shape = MODELS[model]
        # Each layer and its optimizer take compilation.
        shape = dataclasses.replace(shape, bottom=(), interaction=0, overarch=(8,))
        training = Training(BATCH, (0.1,), dense_optimizer="sgd")
        trained = []
        for compiled in (False, True):
            tf.keras.utils.set_random_seed(3)
            dlrm = make_model(shape, schema, training, 0.1)
            before = dlrm.get_weights()
            rows = iter(tf.data.Dataset.from_tensors(batch_of(schema)).repeat())
            loop = training_loop(tf.distribute.get_strategy(), dlrm, compiled=compiled)
            with mock.patch.object(tf.config, "list_logical_devices", lambda kind=None, gpu=compiled: ["a GPU"] * gpu):
                sums = loop(rows, tf.constant(5))
            trained.append([*(float(each) for each in sums), *dlrm.get_weights()])
        for whole, usual in zip(*trained, strict=True):
            self.assertAllClose(whole, usual, rtol=0, atol=2.3e-5)
        moved = max(np.abs(after - start).max() for after, start in zip(dlrm.get_weights(), before, strict=True))
        self.assertGreater(moved, 0.1)

    @parameterized.parameters("adagrad", "sgd")
    def test_compiled_as_a_whole_it_has_no_loop_and_no_size_that_varies(self, table_optimizer: Any) -> None:
        """Where XLA has a loop, such as that of its ``tf.unique``, a GPU launches kernels for each of its turns."""
        schema, shape = MODELS["multi_hot"]
        training = Training(BATCH, (0.1,), table_optimizer=table_optimizer)
        dlrm = make_model(shape, schema, training, 0.1, steps=100)
        batch = {name: tf.constant(values) for name, values in batch_of(schema).items()}
        step: Any = compiled_step(lambda rows: dlrm.train_step(rows)["loss"])
        with mock.patch.object(tf.config, "list_logical_devices", lambda kind=None: ["a GPU"]):
            hlo = step.experimental_get_compiler_ir(batch)(stage="hlo")
        self.assertEqual(set(re.findall(r" (sort|while)\(|\[(<=)", hlo)), {("sort", "")})
        graph = step.get_concrete_function(batch).graph.as_graph_def()
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        operations = {node.op for node in nodes if op_def_registry.get(node.op)} - {"NoOp", "Placeholder"}
        self.assertEqual({op for op in operations if not _has_xla_kernel(op)}, set())

    def test_steps_are_compiled_on_one_gpu_where_xla_can(self) -> None:
        one, two = (mock.Mock(num_replicas_in_sync=replicas) for replicas in (1, 2))
        self.assertFalse(compiles_step(one))  # there is no GPU
        with mock.patch.object(tf.config, "list_logical_devices", lambda kind=None: ["a GPU"]):
            self.assertTrue(compiles_step(one))
            with self.assertLogs(tf.get_logger(), "WARNING") as log:
                self.assertFalse(compiles_step(two))
                failing = tf.errors.InternalError(None, None, "libdevice not found")
                with mock.patch.object(tf.math, "log1p", side_effect=failing):
                    self.assertFalse(compiles_step(one))
        self.assertRegex(log.output[0], "as there are several replicas")
        self.assertRegex(log.output[1], "XLA cannot compile for this GPU: libdevice not found")

    def test_operation_without_one_is_found(self) -> None:
        """Strings, for example, are for CPUs."""
        node = tf.compat.v1.NodeDef(op="StringUpper")
        self.assertFalse(_has_gpu_kernel(node))
        # MatMul has one for floats, and none for integers of 16 bits.
        for dtype, there in ((tf.float32, True), (tf.uint16, False)):
            node = tf.compat.v1.NodeDef(op="MatMul")
            node.attr["T"].type = dtype.as_datatype_enum
            self.assertEqual(_has_gpu_kernel(node), there)


def _has_gpu_kernel(node: tf.compat.v1.NodeDef) -> bool:
    found = kernels.get_registered_kernels_for_op(node.op).kernel
    return any(kernel.device_type in ("GPU", "DEFAULT") and _takes(kernel, node) for kernel in found)


def _has_xla_kernel(operation: str) -> bool:
    found = kernels.get_registered_kernels_for_op(operation).kernel
    return any(kernel.device_type == "XLA_GPU_JIT" for kernel in found)


def _takes(kernel: kernel_def_pb2.KernelDef, node: tf.compat.v1.NodeDef) -> bool:
    """Whether a kernel is for the node's types."""
    for constraint in kernel.constraint:
        attribute, allowed = node.attr[constraint.name], constraint.allowed_values.list.type
        types = [attribute.type] if attribute.type else attribute.list.type
        if allowed and any(each not in allowed for each in types):
            return False
    return True


if __name__ == "__main__":
    tf.test.main()
