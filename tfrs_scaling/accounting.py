"""Parameters, FLOPs and bytes of a DLRM, counted before it is built."""

import dataclasses
from itertools import pairwise

from tfrs_scaling.input.schema import Schema
from tfrs_scaling.schemes import Shape

FLOAT_BYTES = 4
# What a trial's process holds besides its model and batches: the libraries, the runtime, read-ahead buffers.
PROCESS_BYTES = 700 << 20


@dataclasses.dataclass(frozen=True)
class Count:
    """One number for each group of layers.

    Attributes:
        embedding: the tables, and the averaging of multi-hot embeddings.
        bottom: the bottom MLP.
        interaction: the dot interaction and the dense-sparse interaction layer.
        overarch: the over-arch with the logit.
    """

    embedding: int
    bottom: int
    interaction: int
    overarch: int

    @property
    def total(self) -> int:
        """The sum of the groups."""
        return self.embedding + self.bottom + self.interaction + self.overarch


@dataclasses.dataclass(frozen=True)
class _Widths:
    """Widths, from input to output, of the three dense stacks, and the number of interacting vectors."""

    bottom: tuple[int, ...]
    interaction: tuple[int, ...]
    overarch: tuple[int, ...]
    vectors: int


def _widths(shape: Shape, schema: Schema) -> _Widths:
    vectors = len(schema.categorical) + 1
    interacted = shape.embedding_dim + vectors * (vectors - 1) // 2
    interaction = (interacted, shape.interaction) if shape.interaction else ()
    return _Widths(
        bottom=(max(1, len(schema.dense)), *shape.bottom, shape.embedding_dim),
        interaction=interaction,
        overarch=(shape.interaction or interacted, *shape.overarch, 1),
        vectors=vectors,
    )


def parameters(shape: Shape, schema: Schema) -> Count:
    """Trainable parameters: weights and biases."""

    def dense(widths: tuple[int, ...]) -> int:
        return sum(inputs * outputs + outputs for inputs, outputs in pairwise(widths))

    widths = _widths(shape, schema)
    return Count(
        embedding=sum(shape.table_rows) * shape.embedding_dim,
        bottom=dense(widths.bottom),
        interaction=dense(widths.interaction),
        overarch=dense(widths.overarch),
    )


def forward_flops(shape: Shape, schema: Schema) -> Count:
    """FLOPs of predicting one example, a multiply-add being two.

    Matrix products and bias additions count; activations, a fraction of a percent, do not. The dot interaction is
    counted as it is computed: all products of the vectors with each other, of which those below the diagonal are
    used. Looking up an embedding is no FLOP; averaging a multi-hot feature's is.
    """

    def dense(widths: tuple[int, ...]) -> int:
        return sum(2 * inputs * outputs + outputs for inputs, outputs in pairwise(widths))

    widths = _widths(shape, schema)
    return Count(
        embedding=sum(2 * f.max_values * shape.embedding_dim for f in schema.categorical if f.max_values > 1),
        bottom=dense(widths.bottom),
        interaction=2 * widths.vectors**2 * shape.embedding_dim + dense(widths.interaction),
        overarch=dense(widths.overarch),
    )


def training_flops(shape: Shape, schema: Schema) -> Count:
    """FLOPs of one example's forward and backward pass; the optimizer is not counted.

    The backward pass of a matrix product is two such products (for weights and for inputs), so it costs twice the
    forward pass; only the first bottom layer needs no gradient of its inputs.
    """
    forward = forward_flops(shape, schema)
    inputs, outputs, *_ = _widths(shape, schema).bottom
    return Count(
        embedding=2 * forward.embedding,
        bottom=3 * forward.bottom - 2 * inputs * outputs,
        interaction=3 * forward.interaction,
        overarch=3 * forward.overarch,
    )


def training_bytes(shape: Shape, schema: Schema, batch_size: int) -> int:
    """Bytes that training takes: every parameter with its accumulator (and, for dense layers, its gradient), the
    activations of a batch with their gradients, and the process itself."""
    count = parameters(shape, schema)
    widths = _widths(shape, schema)
    dense = count.total - count.embedding
    activations = (
        sum(sum(stack) for stack in (widths.bottom, widths.interaction, widths.overarch))
        + widths.vectors**2
        + (widths.vectors + schema.slots[-1].stop) * shape.embedding_dim
    )
    return PROCESS_BYTES + FLOAT_BYTES * (2 * count.embedding + 3 * dense + 2 * batch_size * activations)
