"""DLRM (Naumov et al. 2019): bottom MLP, embeddings, interaction, dense-sparse interaction layer, over-arch."""

import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfrs_scaling.config import Precision, Training
from tfrs_scaling.input.batches import Batch
from tfrs_scaling.input.schema import Schema
from tfrs_scaling.model.embedding import StackedEmbedding, TFRSEmbedding, features_by_dim
from tfrs_scaling.model.interaction import CrossInteraction, DotInteraction, NoInteraction, Sum
from tfrs_scaling.model.mlp import mlp
from tfrs_scaling.model.optimizers import dense_optimizer, table_optimizer
from tfrs_scaling.model.shape import Shape
from tfrs_scaling.model.wukong import WukongInteraction


class DLRM(tfrs.models.Model):
    """The model that the study scales.

    Its weights are created here and not at the first call, where each replica would draw different ones.

    Whatever the ``precision`` of the dense layers' arithmetic, weights, tables, logits and losses are float32. A linear
    model is one whose embeddings are numbers: their sum with a linear function of the dense features is the logit.
    """

    def __init__(
        self,
        shape: Shape,
        schema: Schema,
        embedding: StackedEmbedding | TFRSEmbedding,
        precision: Precision = "float32",
    ):
        super().__init__()
        policy = tf.keras.mixed_precision.Policy(
            "mixed_bfloat16" if precision == "bfloat16" else tf.keras.backend.floatx()
        )
        self.embedding = embedding
        self.projection = Projection(shape)
        linear = shape.architecture == "linear"
        self.bottom = mlp(shape.bottom_widths(schema), "bottom", policy, last=None if linear else "relu")
        interacted = shape.interacted_width(schema)
        self.interact = _interaction(shape, schema, policy)
        # A separate stack, so that its parameters are not counted with the over-arch's.
        self.interaction = mlp(
            (interacted, shape.interaction) if shape.interaction else (interacted,), "interaction", policy
        )
        self.overarch = mlp((shape.interaction or interacted, *shape.overarch), "overarch", policy)
        self.logit = tf.keras.layers.Activation("linear") if linear else tf.keras.layers.Dense(1, name="logit")
        self.logit.build(self.overarch.output_shape)

    @property
    def dense_variables(self) -> list[tf.Variable]:
        """The trainable variables other than the tables."""
        tables = {variable.ref() for variable in self.embedding.table_variables}
        return [variable for variable in self.trainable_variables if variable.ref() not in tables]

    def call(self, batch: Batch) -> tf.Tensor:
        """Logits of a click, float32 [batch]."""
        vectors = self.projection(self.embedding(batch["ids"]))
        bottom = tf.cast(self.bottom(batch["dense"]), vectors.dtype)
        interacted = self.interact(bottom, vectors)
        top = self.overarch(self.interaction(interacted))
        return self.logit(tf.cast(top, vectors.dtype))[:, 0]

    def compute_loss(self, inputs: Batch, training: bool = False) -> tf.Tensor:
        """This replica's share of the mean log loss over the global batch: the replicas' shares add up to it.

        Where the batch has a ``target``, the gradient is that of the log loss against it; the value stays the log loss
        against the label, as for every other model.
        """
        logits = self(inputs)
        losses = log_losses(logits, inputs["label"])
        if "target" in inputs:
            moved = (inputs["label"] - inputs["target"]) * logits  # what another label adds to the log loss
            losses += moved - tf.stop_gradient(moved)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        # Several workers' batches are divided at run time, and have no static size.
        return tf.reduce_sum(inputs["weight"] * losses) / tf.cast(tf.shape(losses)[0] * replicas, losses.dtype)


def stacks_tables(training: Training, *, on_tpu: bool) -> bool:
    """Whether the model's tables are a ``StackedEmbedding``, as opposed to a ``TFRSEmbedding``."""
    return training.embedding_layer == "stacked" and not on_tpu


def make_model(
    shape: Shape,
    schema: Schema,
    training: Training,
    learning_rate: float,
    tpu_batch_size: int | None = None,
    steps: int | None = None,
) -> DLRM:
    """The model with its optimizers.

    Args:
        shape: sizes of the model.
        schema: the features that it sees.
        training: how it is trained.
        learning_rate: rate of the tables at the first step, and of the dense layers unless ``training`` has another.
        tpu_batch_size: on a TPU, rows of every batch on each replica; elsewhere None.
        steps: steps of the whole training; a schedule other than ``constant`` needs it.
    """
    stacked = stacks_tables(training, on_tpu=tpu_batch_size is not None)
    tables = table_optimizer(training, learning_rate, rows_hold_accumulators=stacked, steps=steps)
    embedding: StackedEmbedding | TFRSEmbedding
    if stacked:
        accumulator = training.accumulator if training.table_optimizer == "adagrad" else None
        embedding = StackedEmbedding(shape, schema, training.embedding_range, accumulator)
    else:
        embedding = TFRSEmbedding(shape, schema, training.embedding_range, tables, tpu_batch_size)
    model = DLRM(shape, schema, embedding, training.precision)

    def table_variables() -> list[tf.Variable]:
        return embedding.table_variables

    def dense_variables() -> list[tf.Variable]:
        return model.dense_variables

    dense = dense_optimizer(training, learning_rate, steps)
    model.compile(
        tfrs.experimental.optimizers.CompositeOptimizer([(tables, table_variables), (dense, dense_variables)])
    )
    if stacked:
        # Created in the first step, the optimizers' variables would cause it to be traced twice.
        for optimizer, variables in ((tables, table_variables()), (dense, dense_variables())):
            optimizer._create_all_weights(variables)
    return model


def initialise_again(model: DLRM, shape: Shape, schema: Schema, training: Training, learning_rate: float) -> None:
    """Make a trained model, and its optimizers, what ``make_model`` makes under the seed that Keras was given last.

    The tables must be a ``StackedEmbedding``, the schedule ``constant``. Functions traced with the model stay valid.
    """
    assert isinstance(model.embedding, StackedEmbedding)
    model.embedding.initialise()
    fresh = DLRM(shape, schema, model.embedding, training.precision)
    for variable, initial in zip(model.dense_variables, fresh.dense_variables, strict=True):
        variable.assign(initial)
    tables, dense = model.optimizer.optimizers
    tables.learning_rate = learning_rate
    dense.learning_rate = training.dense_learning_rate or learning_rate
    for optimizer, kind in ((tables, training.table_optimizer), (dense, training.dense_optimizer)):
        for state in optimizer.weights:  # the number of steps, and slots
            of_slots = training.accumulator if kind == "adagrad" and state is not optimizer.iterations else 0
            state.assign(tf.fill(state.shape, tf.cast(of_slots, state.dtype)))


class Projection(tf.keras.layers.Layer):
    """All features' vectors in the schema's order, those of another dimension than the interaction's projected to it.

    Each such feature has a matrix of its own, without a bias, as in DLRM with mixed dimensions (Ginart et al. 2021).
    """

    def __init__(self, shape: Shape):
        super().__init__(name="projection")
        groups = features_by_dim(shape)
        order = [feature for features in groups.values() for feature in features]
        self._place = [order.index(feature) for feature in range(len(order))]
        self._matrices = {
            str(dim): self.add_weight(
                name=f"from_{dim}", shape=(len(features), dim, shape.embedding_dim), initializer=_mean_square_kept
            )
            for dim, features in groups.items()
            if dim != shape.embedding_dim
        }

    def call(self, by_dim: list[tf.Tensor]) -> tf.Tensor:
        """float32 [batch, features, embedding_dim] of an embedding layer's output."""
        same = []
        for vectors in by_dim:
            matrices = self._matrices.get(str(vectors.shape[2]))
            same.append(
                vectors
                if matrices is None
                else tf.stack([vectors[:, k] @ matrices[k] for k in range(vectors.shape[1])], axis=1)
            )
        together = tf.concat(same, axis=1) if len(same) > 1 else same[0]
        return together if self._place == sorted(self._place) else tf.gather(together, self._place, axis=1)


def log_losses(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """-ln(predicted probability of what happened) for each row, in nats: float32 [batch]."""
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)


def _mean_square_kept(shape: tf.TensorShape, dtype: tf.DType = None, **_: object) -> tf.Tensor:
    """Random matrices [features, dim, embedding_dim] that preserve the mean square of a vector's elements."""
    return tf.keras.initializers.RandomNormal(stddev=shape[1] ** -0.5)(shape, dtype)


def _interaction(shape: Shape, schema: Schema, policy: tf.keras.mixed_precision.Policy) -> tf.keras.layers.Layer:
    match shape.architecture:
        case "dot":
            return DotInteraction()
        case "cross":
            return CrossInteraction(shape.interacted_width(schema), shape.cross_layers, shape.cross_rank)
        case "wukong":
            return WukongInteraction(shape, shape.wukong_inputs(schema), policy)
        case "mlp":
            return NoInteraction()
        case "linear":
            return Sum()
