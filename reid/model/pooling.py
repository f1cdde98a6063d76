"""Generalised-mean pooling (GeM), in operations that every Keras backend has."""

from typing import Any

from reid.model.backend import keras

ops = keras.ops


@keras.saving.register_keras_serializable(package="reid")
class GeneralisedMeanPooling2D(keras.layers.Layer):
    """``mean(x ** p) ** (1 / p)`` over rows and columns, with a learnt p (GeM).

    Radenovic et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2018,
    eq. 2, with one p for all channels, which starts at 3 as in the paper. With p = 1 this is the
    average; for large p it approaches the maximum. Maps (n, rows, columns, channels) become
    (n, channels).
    """

    SMALLEST = 1e-6
    """Lower values of a map are raised to this one, because a root of 0 has no gradient."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weight p."""
        three = keras.initializers.Constant(3.0)
        self.power = self.add_weight(shape=(), initializer=three, name="power", autocast=False)

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Pool (n, rows, columns, channels) to (n, channels)."""
        positive = ops.maximum(inputs, self.SMALLEST)
        # Powers are taken of shares of the largest value: its own power could overflow.
        largest = ops.stop_gradient(ops.max(positive, axis=(1, 2), keepdims=True))
        mean = ops.mean(ops.power(positive / largest, self.power), axis=(1, 2))
        return largest[:, 0, 0, :] * ops.power(mean, 1.0 / self.power)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        """Return the shape without rows and columns."""
        return (input_shape[0], input_shape[3])
