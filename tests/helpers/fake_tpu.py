"""A TPUStrategy whose TPU is absent: all that Python does for a TPU, up to the graph that the TPU would compile."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, Literal
from unittest import mock

import tensorflow as tf
from tensorflow.core.protobuf.tpu import topology_pb2
from tensorflow.python.tpu import tpu_embedding_v2, tpu_system_metadata

EmbeddingFeature = Literal["V1", "V2", "UNSUPPORTED"]  # TPUEmbedding (v2, v3), SparseCore (v5p, v6e), neither (v5e)

_TASK = "/job:localhost/replica:0/task:0/device:"


@dataclasses.dataclass(frozen=True)
class _Device:
    name: str
    device_type: str


class _Resolver:
    """A cluster resolver that says there is one host with so many cores."""

    def __init__(self, cores: int, feature: EmbeddingFeature):
        self._cores = cores
        self.tpu_hardware_feature = topology_pb2.TPUHardwareFeature(
            embedding_feature=topology_pb2.TPUHardwareFeature.EmbeddingFeature.Value(feature),
            num_embedding_devices_per_chip=4 if feature == "V2" else 0,
        )

    def get_tpu_system_metadata(self) -> tpu_system_metadata.TPUSystemMetadata:
        """Of the TPU that is absent."""
        tpus = [_Device(f"{_TASK}TPU:{core}", "TPU") for core in range(self._cores)]
        return tpu_system_metadata.TPUSystemMetadata(
            num_cores=self._cores,
            num_hosts=1,
            num_of_cores_per_host=self._cores,
            topology=None,
            devices=[_Device(f"{_TASK}CPU:0", "CPU"), *tpus],
        )

    def cluster_spec(self) -> tf.train.ClusterSpec:
        """None: the TPU is this machine's."""
        return tf.train.ClusterSpec({})


@contextlib.contextmanager
def fake_tpu(feature: EmbeddingFeature, cores: int = 2) -> Iterator[Any]:
    """The strategy; within, what TensorFlow would ask of the TPU's own memory is left out."""
    with contextlib.ExitStack() as stack:
        for owner, name, result in (
            (tpu_embedding_v2.tpu_ops, "is_tpu_embedding_initialized", False),
            (tpu_embedding_v2.tpu, "initialize_system_for_tpu_embedding", None),
            (tpu_embedding_v2, "_load_variables_impl", None),
        ):
            stack.enter_context(mock.patch.object(owner, name, return_value=result))
        yield tf.distribute.TPUStrategy(_Resolver(cores, feature))
