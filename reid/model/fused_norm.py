"""Batch norm in few passes over the map, for training under TensorFlow.

Keras composes batch norm of nine operations. Each of them reads the whole map once more, in the
forward and in the backward pass. On a CPU, this is half of MobileNetV2's training time.

TensorFlow has one kernel for each pass, oneDNN's. With AVX2, the forward one takes three times as
long as the few operations below, because of how it writes the map.
"""

from typing import Any

from reid.common.processor import is_limited_to_avx2
from reid.model.backend import keras
from reid.model.portable import over_root

ops = keras.ops
ROWS_RANK, MAP_RANK = 2, 4


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch norm, but TensorFlow trains float32 maps and rows in few passes.

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
        maps = inputs if rank == MAP_RANK else inputs[:, None, None, :]
        scale = self.gamma if self.scale else ops.ones_like(self.moving_variance)
        offset = self.beta if self.center else ops.zeros_like(self.moving_mean)
        normalised = _in_passes if _is_kernel_slow(maps) else _in_one_kernel
        outputs, mean, variance = normalised(maps, scale, offset, self.epsilon)
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


def _is_kernel_slow(maps: Any) -> bool:
    """Say whether oneDNN's kernel for AVX2 would run, on maps whose size is known."""
    import tensorflow as tf  # noqa: PLC0415

    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    return is_limited_to_avx2() and not has_gpu and None not in maps.shape[1:3]


def _in_one_kernel(maps: Any, scale: Any, offset: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """Return the normalised maps, and mean and biased variance of each channel."""
    import tensorflow as tf  # noqa: PLC0415

    outputs, mean, unbiased, *_ = tf.raw_ops.FusedBatchNormV3(
        x=maps,
        scale=scale,
        offset=offset,
        mean=tf.zeros([0]),
        variance=tf.zeros([0]),
        epsilon=epsilon,
    )
    count = tf.cast(tf.size(maps) / tf.size(mean), "float32")
    return outputs, mean, unbiased * (count - 1) / count


def _in_passes(maps: Any, scale: Any, offset: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """Return the same by a few operations, and let the kernel compute the gradient."""
    import tensorflow as tf  # noqa: PLC0415

    def average(values: Any) -> Any:
        # Pooling adds up the pixels of a photo in the same order on every processor.
        pooled = tf.nn.avg_pool2d(values, values.shape[1:3], 1, "VALID")
        return tf.reduce_mean(pooled, [0, 1, 2])

    @tf.custom_gradient
    def normalised(maps: Any, scale: Any, offset: Any) -> Any:
        mean = average(maps)
        variance = average(tf.math.squared_difference(maps, mean))
        factor = over_root(scale, variance + epsilon)

        def gradient(outputs: Any, *_: Any) -> tuple[Any, Any, Any]:
            """Return the gradients; nothing learns from mean and variance."""
            of_maps, of_scale, of_offset, *_ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=outputs,
                x=maps,
                scale=scale,
                reserve_space_1=mean,
                reserve_space_2=variance,
                reserve_space_3=tf.zeros([0]),
                epsilon=epsilon,
            )
            return of_maps, of_scale, of_offset

        return (maps * factor + (offset - mean * factor), mean, variance), gradient

    # Variables that the function reads itself would need gradients of their own.
    return normalised(*(tf.convert_to_tensor(each) for each in (maps, scale, offset)))
