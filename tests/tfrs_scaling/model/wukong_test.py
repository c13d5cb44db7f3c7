"""Tests of Wukong's layers: against the paper's equations in NumPy, and what they learn that dot products do not."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfrs_scaling.config import Training, Wukong
from tfrs_scaling.input.schema import CategoricalFeature, Schema
from tfrs_scaling.model.dlrm import DLRM, make_model
from tfrs_scaling.model.shape import Shape
from tfrs_scaling.model.wukong import EPSILON, WukongInteraction

FLOAT32 = tf.keras.mixed_precision.Policy("float32")


def layer_norm(x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Layer normalization of the last axis."""
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON) * scale + shift


def reference(interaction: WukongInteraction, x: np.ndarray, own: Wukong) -> np.ndarray:
    """Sections 3.3 to 3.6 of Zhang et al. (2024) for one example: X of shape [n, d], whose rows are embeddings."""
    for layer in interaction.stack:
        w_l, y, *projection = np.split(layer.recombination.numpy(), np.cumsum([own.n_l, own.k]), axis=1)
        norm = layer.norm_of_products
        hidden = layer_norm(((x @ x.T) @ y).ravel(), norm.scale.numpy(), norm.shift.numpy())
        *inner, last = layer.mlp.layers
        for dense in inner:
            hidden = np.maximum(hidden @ dense.kernel.numpy() + dense.bias.numpy(), 0)
        made = (hidden @ last.kernel.numpy() + last.bias.numpy()).reshape(x.shape[1], own.n_f).T
        residual = projection[0].T @ x if projection[0].size else x
        together = np.concatenate([made, w_l.T @ x]) + residual
        x = layer_norm(together, layer.norm.scale.numpy(), layer.norm.shift.numpy())
    return x


class WukongTest(tf.test.TestCase):
    def test_equals_the_paper_s_equations(self) -> None:
        rng = np.random.default_rng(0)
        for own, tables in ((Wukong(3, 4, 3, 2, (6, 5)), 4), (Wukong(2, 3, 2, 4, ()), 4)):
            shape = Shape((5,) * tables, 6, (), 0, (), architecture="wukong", wukong=own)
            schema = Schema("y", tuple(CategoricalFeature(f"c{k}", 5) for k in range(tables)))
            tf.keras.utils.set_random_seed(1)
            interaction = WukongInteraction(shape, shape.wukong_inputs(schema), FLOAT32)
            for weight in interaction.weights:
                weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
            vectors = rng.normal(size=(7, 1 + tables, 6)).astype(np.float32)
            found = interaction(tf.constant(vectors[:, 0]), tf.constant(vectors[:, 1:]))
            self.assertEqual(found.shape, (7, shape.interacted_width(schema)))
            expected = np.stack([reference(interaction, x, own).T.ravel() for x in vectors])
            self.assertAllClose(found, expected, rtol=1e-4, atol=1e-4)

    def test_learns_an_interaction_of_four_features_that_dot_products_cannot_express(self) -> None:
        # A click depends on the product of four signs: no function of the pairs, whose products average to 0, tells it.
        rng = np.random.default_rng(0)
        ids = rng.integers(0, 2, (12_000, 4)).astype(np.int32)
        signs = np.where(ids % 2 == 0, 1, -1).prod(axis=1)
        label = (rng.random(len(ids)) < 1 / (1 + np.exp(-3.0 * signs))).astype(np.float32)
        bayes = np.log1p(np.exp(-3)) + 3 / (1 + np.exp(3))
        schema = Schema("y", tuple(CategoricalFeature(f"c{k}", 2) for k in range(4)))
        dot = Shape((2,) * 4, 8, (), 0, ())
        wukong = dataclasses.replace(dot, architecture="wukong", wukong=Wukong(2, 4, 4, 4, (32,)))
        losses = {}
        for shape in (dot, wukong):
            tf.keras.utils.set_random_seed(2)
            model = make_model(shape, schema, Training(64, (0.05,), embedding_range=0.5), 0.05)
            losses[shape.architecture] = self.loss_after_training(model, ids, label)
        self.assertGreater(losses["dot"], 0.68)  # ln 2 = 0.693 is what is known without the features
        self.assertLess(losses["wukong"], bayes + 0.05)

    def loss_after_training(self, model: DLRM, ids: np.ndarray, label: np.ndarray) -> float:
        """The mean loss on the last tenth of the rows, after one pass over the others."""
        batches = {"ids": ids, "label": label, "dense": np.ones((len(ids), 1), np.float32)}
        batches["weight"] = np.ones(len(ids), np.float32)
        cut = len(ids) * 9 // 10
        rows = tf.data.Dataset.from_tensor_slices({name: values[:cut] for name, values in batches.items()})
        model.fit(rows.batch(64, drop_remainder=True), verbose=0)
        held_out = {name: tf.constant(values[cut:]) for name, values in batches.items()}
        return float(model.compute_loss(held_out))


if __name__ == "__main__":
    tf.test.main()
