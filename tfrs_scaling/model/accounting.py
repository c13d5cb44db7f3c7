"""Parameters, FLOPs and bytes of a DLRM, counted before it is built."""

import dataclasses
import math
from itertools import pairwise
from typing import NamedTuple

from tfrs_scaling.config import Training
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.model.shape import Shape

FLOAT_BYTES = 4
# What a trial's process holds besides its model and batches: the libraries, the runtime, read-ahead buffers.
PROCESS_BYTES = 530 << 20
# The same of a GPU or TPU, and of the machine beside one: CUDA's context, the libraries' workspaces, programs. Assumed:
# not measured.
DEVICE_BYTES, HOST_BYTES = 1 << 30, 2 << 30


@dataclasses.dataclass(frozen=True)
class Count:
    """One number for each group of layers.

    Attributes:
        embedding: the tables, and the pooling of multi-hot embeddings.
        interaction: projections of tables of other dimensions, dot products, cross network, Wukong's layers or sum,
            and the dense-sparse interaction layer.
    """

    embedding: int
    bottom: int
    interaction: int
    overarch: int

    @property
    def total(self) -> int:
        """The sum of the groups."""
        return self.embedding + self.bottom + self.interaction + self.overarch


def parameters(shape: Shape, schema: Schema) -> Count:
    """Trainable parameters: weights and biases."""

    def dense(widths: tuple[int, ...]) -> int:
        return sum(inputs * outputs + outputs for inputs, outputs in pairwise(widths))

    return Count(
        embedding=sum(rows * dim for rows, dim in zip(shape.table_rows, shape.table_dims, strict=True)),
        bottom=dense(shape.bottom_widths(schema)),
        interaction=_projected(shape)
        + _cross_weights(shape, schema, bias=1)
        + _wukong(shape, schema).weights
        + dense(_interaction_widths(shape, schema)),
        overarch=dense(_overarch_widths(shape, schema)),
    )


def forward_flops(shape: Shape, schema: Schema) -> Count:
    """FLOPs of predicting one example, a multiply-add being two.

    Matrix products, bias additions, a cross layer's products and sums, and sums and normalizations of a Wukong layer
    count; activations, a fraction of a percent, do not. The dot interaction is counted as it is computed: all products
    of the vectors with each other, of which those below the diagonal are used. Looking up embeddings costs no FLOPs;
    pooling them does.
    """
    return Count(
        embedding=2 * _pooled(shape, schema),
        bottom=_dense(shape.bottom_widths(schema), products=1, additions=1),
        interaction=2 * _projected(shape)
        + _interacting(shape, schema)
        + _dense(_interaction_widths(shape, schema), products=1, additions=1),
        overarch=_dense(_overarch_widths(shape, schema), products=1, additions=1),
    )


def training_flops(shape: Shape, schema: Schema) -> Count:
    """FLOPs of one example's forward and backward pass; the optimizer is not counted.

    The backward pass of a matrix product is two such products (for weights and for inputs), so the two passes take
    three; only the first bottom layer needs no gradient of its inputs, and the dot interaction, a product of the
    vectors with themselves, needs one product backward and not two, and a sum none. A bias is added once, and its
    gradient summed once. A normalization takes 7 operations a number forward (mean, difference, square, mean, product,
    scale and shift) and 16 backward, as TensorFlow differentiates it.
    """
    inputs, outputs, *_ = shape.bottom_widths(schema)
    return Count(
        embedding=3 * _pooled(shape, schema),
        bottom=_dense(shape.bottom_widths(schema), products=3, additions=2) - 2 * inputs * outputs,
        interaction=6 * _projected(shape)
        + _interacting_backward_too(shape, schema)
        + _dense(_interaction_widths(shape, schema), products=3, additions=2),
        overarch=_dense(_overarch_widths(shape, schema), products=3, additions=2),
    )


def _dense(widths: tuple[int, ...], *, products: int, additions: int) -> int:
    """FLOPs of a stack of dense layers with so many matrix products, and additions or sums of biases, per layer."""
    return sum(2 * products * inputs * outputs + additions * outputs for inputs, outputs in pairwise(widths))


def _pooled(shape: Shape, schema: Schema) -> int:
    """Numbers that are pooled: an embedding for each slot of a multi-hot feature."""
    return sum(
        feature.max_values * dim
        for feature, dim in zip(schema.categorical, shape.table_dims, strict=True)
        if feature.max_values > 1
    )


def _interaction_widths(shape: Shape, schema: Schema) -> tuple[int, ...]:
    return (shape.interacted_width(schema), shape.interaction) if shape.interaction else ()


def _overarch_widths(shape: Shape, schema: Schema) -> tuple[int, ...]:
    if shape.architecture == "linear":
        return ()
    return (shape.interaction or shape.interacted_width(schema), *shape.overarch, 1)


def _projected(shape: Shape) -> int:
    """Weights of the projections: a matrix for each table whose dimension is not the interaction's."""
    return sum(dim * shape.embedding_dim for dim in shape.table_dims if dim != shape.embedding_dim)


def _cross_weights(shape: Shape, schema: Schema, bias: int) -> int:
    """Weights of the cross network, with its biases or without; 0 if there is none."""
    if shape.architecture != "cross":
        return 0
    width = shape.interacted_width(schema)
    matrix = 2 * width * shape.cross_rank if shape.cross_rank else width**2
    return shape.cross_layers * (matrix + bias * width)


def _interacting(shape: Shape, schema: Schema) -> int:
    """FLOPs of the dot products, the cross network, Wukong's layers or the sum, one example forward."""
    match shape.architecture:
        case "dot":
            return 2 * (1 + len(schema.categorical)) ** 2 * shape.embedding_dim
        case "mlp":
            return 0
        case "linear":
            return len(schema.categorical)
        case "wukong":
            return _wukong(shape, schema).forward
    # Of each layer's x0 * (W x + b) + x: a product and two sums besides the matrix product.
    return 2 * _cross_weights(shape, schema, bias=0) + 3 * shape.cross_layers * shape.interacted_width(schema)


def _interacting_backward_too(shape: Shape, schema: Schema) -> int:
    """The same, forward and backward."""
    if shape.architecture == "wukong":
        return _wukong(shape, schema).training
    return {"dot": 2, "cross": 3, "mlp": 0, "linear": 1}[shape.architecture] * _interacting(shape, schema)


class _Wukong(NamedTuple):
    """Weights of Wukong's layers, FLOPs of one example forward, and with the backward pass, and numbers kept for it."""

    weights: int
    forward: int
    training: int
    activations: int


def _wukong(shape: Shape, schema: Schema) -> _Wukong:
    """The sums over all layers; 0 if there are none."""
    if shape.architecture != "wukong":
        return _Wukong(0, 0, 0, 0)
    own, dim = shape.wukong, shape.embedding_dim
    outputs = own.n_f + own.n_l
    weights = forward = training = activations = 0
    for inputs in shape.wukong_inputs(schema):
        products = inputs * own.k
        mlp = (products, *own.mlp, own.n_f * dim)
        columns = (
            own.n_l + own.k + outputs * (inputs != outputs)
        )  # of the compression, Y, and the residual's projection
        multiplied = inputs * columns * dim + products * dim  # multiply-adds of X W, X Y, X R and X'(X Y)
        normalized, added = products + outputs * dim, outputs * dim
        weights += inputs * columns + 2 * products + 2 * dim
        weights += sum(before * after + after for before, after in pairwise(mlp))
        forward += 2 * multiplied + 7 * normalized + added + _dense(mlp, products=1, additions=1)
        training += 6 * multiplied + 23 * normalized + added + _dense(mlp, products=3, additions=2)
        activations += columns * dim + 2 * products + sum(mlp[1:]) + 2 * outputs * dim
    return _Wukong(weights, forward, training, activations)


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes that training takes, on each device that holds a replica.

    Attributes:
        slots: what optimizers keep beside parameters.
        dense: the other parameters, with their gradients.
        activations: those of a replica's share of a training batch, with their gradients.
        evaluation: activations of its share of an evaluation batch, for the two adjacent layers that take the most.
        lookups: copies of the rows that an evaluation batch looks up, at most of all.
        process: what a trial's process holds besides its model.
    """

    tables: int
    slots: int
    dense: int
    activations: int
    evaluation: int
    lookups: int
    process: int = PROCESS_BYTES

    @property
    def total(self) -> int:
        """The sum."""
        return sum(dataclasses.astuple(self))


# Numbers that an optimizer keeps for each parameter.
SLOTS = {"sgd": 0, "adagrad": 1, "adam": 2}


def training_memory(
    shape: Shape, schema: Schema, training: Training, replicas: int = 1, shards: int = 1, process: int = PROCESS_BYTES
) -> Memory:
    """What training takes in each replica: all parameters, and its share of the batch.

    On one machine's memory (virtual devices of a CPU) replicas add up; each GPU holds one. ``shards``: devices over
    which the tables are spread. ``process``: as the attribute.
    """
    count = parameters(shape, schema)
    dense = count.total - count.embedding
    slots = SLOTS[training.table_optimizer] * count.embedding / shards + SLOTS[training.dense_optimizer] * dense
    vectors = (1 + len(schema.categorical)) * shape.embedding_dim
    looked_up = sum(len(slots) * dim for slots, dim in zip(schema.slots, shape.table_dims, strict=True))
    interacting = {
        "dot": (1 + len(schema.categorical)) ** 2,
        "cross": 3 * shape.cross_layers * shape.interacted_width(schema),
        "wukong": _wukong(shape, schema).activations,
        "mlp": vectors,
        "linear": 1,
    }[shape.architecture]
    stacks = (shape.bottom_widths(schema), _interaction_widths(shape, schema), _overarch_widths(shape, schema))
    neighbours = max(looked_up + vectors, *(sum(pair) for stack in stacks for pair in pairwise(stack)))
    activations = sum(sum(stack) for stack in stacks) + looked_up + vectors + interacting
    rows, evaluation_rows = (-(-size // replicas) for size in (training.batch_size, training.evaluation_batch_size))
    return Memory(
        tables=math.ceil(FLOAT_BYTES * count.embedding / shards),
        slots=math.ceil(FLOAT_BYTES * slots),
        dense=FLOAT_BYTES * 2 * dense,
        activations=FLOAT_BYTES * 2 * rows * activations,
        evaluation=FLOAT_BYTES * evaluation_rows * neighbours,
        lookups=FLOAT_BYTES * (1 + SLOTS[training.table_optimizer]) * min(count.embedding, evaluation_rows * looked_up),
        process=process,
    )
