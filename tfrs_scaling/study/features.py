"""The features that a trial's model sees, out of the data's."""

import dataclasses
import fractions
import hashlib

from tfrs_scaling.input.schema import CategoricalFeature, DenseFeature, Schema, scaled_size


def keep_features(schema: Schema, share: fractions.Fraction, seed: int) -> Schema:
    """The schema with a share of its features, dense and categorical counted together, in their old order.

    Features are taken from the front of an order that depends on their names and the seed alone, so a smaller set
    lies within every larger one. A DLRM needs an embedding, so the order's first categorical feature
    is moved to its front.

    Args:
        schema: all features.
        share: above 0, at most 1; the number of features is rounded to the nearest integer, halves up, and is at
            least 1.
        seed: seed of the order.
    """

    def draw(feature: DenseFeature | CategoricalFeature) -> bytes:
        return hashlib.sha256(f"{seed} {feature.name}".encode()).digest()

    first = min(schema.categorical, key=draw)
    features: list[DenseFeature | CategoricalFeature] = [*schema.dense, *schema.categorical]
    order = [first.name, *(f.name for f in sorted(features, key=draw) if f.name != first.name)]
    kept = order[: scaled_size(len(order), share)]
    return dataclasses.replace(
        schema,
        dense=tuple(f for f in schema.dense if f.name in kept),
        categorical=tuple(f for f in schema.categorical if f.name in kept),
    )
