"""Every operation of the step has a kernel for GPUs: without one, each step copies tensors to the CPU and back.

The installed TensorFlow is built with CUDA, so that it lists its GPU kernels also where there is no GPU.
"""

from unittest import mock

import tensorflow as tf
from absl.testing import parameterized
from tensorflow.core.framework import kernel_def_pb2
from tensorflow.python.framework import kernels, op_def_registry

from tests.helpers.small_models import BATCH, MODELS, batch_of, traced
from tfrs_scaling.config import Precision, Training
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
