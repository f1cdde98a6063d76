"""The generalised mean against its definition."""

import numpy as np
import pytest
import tensorflow as tf

from reid.model.backend import keras
from reid.model.pooling import GeneralisedMeanPooling2D


def test_generalised_mean_has_a_power_between_the_mean_and_the_maximum() -> None:
    maps = np.random.default_rng(0).random((2, 4, 3, 5)).astype(np.float32)
    layer = GeneralisedMeanPooling2D()
    pooled = keras.ops.convert_to_numpy(layer(maps))
    assert pooled == pytest.approx(np.mean(maps**3, axis=(1, 2)) ** (1 / 3), rel=1e-5)
    layer.power.assign(1.0)
    assert keras.ops.convert_to_numpy(layer(maps)) == pytest.approx(maps.mean(axis=(1, 2)))
    assert keras.ops.convert_to_numpy(layer(np.zeros((1, 2, 2, 5)))) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("power", [1.0, 8.0, 60.0])
def test_generalised_mean_of_large_powers_and_of_zeros_has_a_finite_gradient(power: float) -> None:
    maps = 100 * np.random.default_rng(0).random((2, 4, 3, 5)).astype(np.float32)
    maps[:, :, :, 0] = 0
    layer = GeneralisedMeanPooling2D()
    layer.build(maps.shape)
    layer.power.assign(power)
    variable = tf.Variable(maps)
    with tf.GradientTape() as tape:
        pooled = layer(variable)
    gradients = tape.gradient(pooled, [variable, layer.power.value])
    assert all(np.isfinite(gradient.numpy()).all() for gradient in gradients)
    exact = np.mean(maps.astype(np.float64) ** power, axis=(1, 2)) ** (1 / power)
    assert pooled.numpy() == pytest.approx(exact, rel=1e-4, abs=1e-5)
