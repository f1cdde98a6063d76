"""Batch norm in one kernel, for training under TensorFlow.

Keras composes batch norm of nine operations. Each of them reads the whole map once more, in the
forward and in the backward pass. On a CPU, this is half of MobileNetV2's training time.
"""

from typing import Any

from reid.model.backend import keras
from reid.model.portable import over_root

ops = keras.ops
MAP_RANK = 4


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch norm, but TensorFlow trains float32 maps and rows in one kernel.

    In all other cases, it computes what Keras's layer computes, with an exact root. Weights and
    configuration are those of Keras's layer.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise (n, height, width, channels) or (n, channels).

        In training, the moving statistics are updated.
        """
        if not (training and self.trainable):
            return self._by_moving_statistics(inputs)
        fuses = keras.backend.backend() == "tensorflow" and inputs.dtype == "float32"
        if not fuses:
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf  # noqa: PLC0415

        maps = inputs if len(inputs.shape) == MAP_RANK else inputs[:, None, None, :]
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
        scale = ops.cast(self.gamma, "float32") if self.scale else 1.0
        factor = over_root(scale, ops.cast(self.moving_variance, "float32") + self.epsilon)
        shift = -ops.cast(self.moving_mean, "float32") * factor
        if self.center:
            shift = shift + ops.cast(self.beta, "float32")
        outputs = ops.cast(inputs, "float32") * factor + shift
        return ops.cast(outputs, self.compute_dtype)
