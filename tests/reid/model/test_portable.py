"""Operations for ``processor: any`` compute what Keras's own compute, with the same gradients."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from reid.model.backend import keras
from reid.model.fused_norm import FusedBatchNormalization
from reid.model.portable import PortableDense, PortableUnitNormalization, product

ROWS, WIDTH, UNITS = 6, 37, 5


def rows(seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(ROWS, WIDTH)).astype(np.float32)


def result_and_gradients(layer: keras.Layer) -> list[np.ndarray]:
    """What a layer makes of the rows, and the gradients to the rows and to its weights."""
    slope = rows(seed=4)[:, :UNITS] if layer.name == "dense" else rows(seed=4)
    layer.build((None, WIDTH))
    random = np.random.default_rng(5)
    layer.set_weights([random.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    with tf.GradientTape() as tape:
        x = tf.Variable(rows())
        outputs = layer(x, training=True)
        total = tf.reduce_sum(outputs * slope)
    trained = [variable.value for variable in layer.trainable_variables]
    gradients = tape.gradient(total, [x, *trained])
    statistics = [variable.numpy() for variable in layer.non_trainable_variables]
    return [outputs.numpy(), *(gradient.numpy() for gradient in gradients), *statistics]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            lambda: PortableDense(UNITS, use_bias=False, name="dense"),
            lambda: keras.layers.Dense(UNITS, use_bias=False, name="dense"),
        ),
        (PortableUnitNormalization, keras.layers.UnitNormalization),
        (
            lambda: FusedBatchNormalization(center=False),
            lambda: keras.layers.BatchNormalization(center=False),
        ),
    ],
    ids=["logits", "unit length", "neck"],
)
def test_layer_computes_what_keras_computes(
    ours: Callable[[], keras.Layer], theirs: Callable[[], keras.Layer]
) -> None:
    for own, expected in zip(
        result_and_gradients(ours()), result_and_gradients(theirs()), strict=True
    ):
        np.testing.assert_allclose(own, expected, atol=1e-4, rtol=1e-4)


def test_product_is_the_matrix_product() -> None:
    columns = np.random.default_rng(6).normal(size=(WIDTH, UNITS)).astype(np.float32)
    np.testing.assert_allclose(product(rows(), columns), rows() @ columns, atol=1e-4)


def test_row_of_zeros_stays_zero() -> None:
    zeros = np.zeros((1, WIDTH), np.float32)
    np.testing.assert_array_equal(PortableUnitNormalization()(zeros), zeros)
