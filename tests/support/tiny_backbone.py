"""A backbone of one convolution: it trains in seconds, for tests of what surrounds a training."""

from reid.model.backbones._limits import Limits
from reid.model.backend import keras

LIMITS = Limits()


def build(
    height: int, width: int, alpha: float, last_stride: int, weights: str | None
) -> keras.Model:
    """Build a network from images to a map of eight channels."""
    image = keras.Input((height, width, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(image)
    x = keras.layers.Conv2D(8, 3, strides=4, padding="same", use_bias=False, name="conv")(x)
    x = keras.layers.BatchNormalization(name="conv_bn")(x)
    return keras.Model(image, keras.layers.ReLU()(x), name="tiny")
