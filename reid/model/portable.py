"""Operations that round alike on every x86-64 processor with AVX2, given the same instructions.

Two things differ between such processors: how large matrix products are cut into blocks, which
depends on the caches, and the approximate reciprocal root (``rsqrt``), into which TensorFlow also
turns ``1 / sqrt``. Here, products are convolutions, and roots are exact.
"""

from typing import Any

from reid.model.backend import keras

ops = keras.ops

SMALLEST_ROOT = 1e-6
"""Smaller roots are raised to this one before something is divided by them."""


def product(rows: keras.KerasTensor, columns: keras.KerasTensor) -> keras.KerasTensor:
    """Return the matrix product of (n, d) and (d, m), (n, m)."""
    images = ops.expand_dims(rows, (1, 2))
    return ops.conv(images, ops.expand_dims(columns, (0, 1)))[:, 0, 0, :]


def over_root(numbers: keras.KerasTensor, squared: keras.KerasTensor) -> keras.KerasTensor:
    """Return ``numbers / sqrt(squared)``; both have the same shape, or shapes that broadcast."""
    # TensorFlow turns a plain division by a root into rsqrt.
    return numbers / ops.maximum(ops.sqrt(squared), SMALLEST_ROOT)


ROWS_RANK = 2


class PortableDense(keras.layers.Dense):
    """Keras's dense layer; for rows (n, d), its product is portable."""

    def call(self, inputs: keras.KerasTensor, training: bool | None = None) -> Any:
        """Return (..., units)."""
        if len(inputs.shape) != ROWS_RANK:
            return super().call(inputs, training=training)
        outputs = product(inputs, self.kernel)
        if self.bias is not None:
            outputs = outputs + self.bias
        return outputs if self.activation is None else self.activation(outputs)


class PortableUnitNormalization(keras.layers.UnitNormalization):
    """Keras's layer that gives vectors the length 1."""

    def call(self, inputs: keras.KerasTensor) -> Any:
        """Return vectors of length 1; one of zeros stays."""
        return over_root(inputs, ops.sum(ops.square(inputs), axis=self.axis, keepdims=True))
