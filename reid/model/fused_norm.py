"""Batch norm in one kernel, for training under TensorFlow.

Keras composes batch norm of nine operations. Each of them reads the whole map once more, in the
forward and in the backward pass. On a CPU, this is half of MobileNetV2's training time.
"""

from typing import Any

from reid.model.backend import keras
from reid.model.portable import over_root

ops = keras.ops
ROWS_RANK, MAP_RANK = 2, 4


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch norm, but TensorFlow trains float32 maps and rows in one kernel.

    What does not train is computed with an exact root. In all other cases Keras's own code runs.
    Weights and configuration are those of Keras's layer.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise (n, height, width, channels) or (n, channels).

        In training, the moving statistics are updated.
        """
        rank = len(inputs.shape)
        if rank not in (ROWS_RANK, MAP_RANK) or self.axis not in (-1, rank - 1):
            return super().call(inputs, training=training, mask=mask)
        if not (training and self.trainable):
            return self._by_moving_statistics(inputs)
        if keras.backend.backend() != "tensorflow" or inputs.dtype != "float32":
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf  # noqa: PLC0415

        maps = inputs if rank == MAP_RANK else inputs[:, None, None, :]
        outputs, mean, unbiased, *_ = tf.raw_ops.FusedBatchNormV3(
            x=maps,
            scale=self.gamma if self.scale else tf.ones_like(self.moving_variance),
            offset=self.beta if self.center else tf.zeros_like(self.moving_mean),
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=self.epsilon,
        )
        # Keras averages the biased variance of the batch; the kernel returns the unbiased one.
        count = tf.cast(tf.size(inputs) / tf.size(mean), "float32")
        variance = unbiased * (count - 1) / count
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return outputs if maps is inputs else outputs[:, 0, 0, :]

    def _by_moving_statistics(self, inputs: Any) -> Any:
        gamma = self.gamma if self.scale else ops.ones_like(self.moving_variance)
        factor = over_root(gamma, self.moving_variance + self.epsilon)
        shift = -self.moving_mean * factor
        if self.center:
            shift = shift + self.beta
        outputs = ops.cast(inputs, "float32") * factor + shift
        return ops.cast(outputs, self.compute_dtype)
