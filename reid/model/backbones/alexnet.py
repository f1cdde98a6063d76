"""AlexNet: Krizhevsky et al., "ImageNet Classification with Deep CNNs", NeurIPS 2012.

The five convolutions in one column (the paper has two columns for its two GPUs), without the dense
layers. Batch normalisation replaces local response normalisation, which gains nothing (Simonyan
and Zisserman, ICLR 2015): it helps a training that starts from random weights, as here.
"""

from reid.model.backbones._limits import Limits
from reid.model.backend import keras

# With fewer than 63 pixels, the map is smaller than the window of the third pooling.
LIMITS = Limits(smallest=63, alphas=(1.0,))


def build(
    height: int, width: int, alpha: float, last_stride: int, weights: str | None
) -> keras.Model:
    """Build AlexNet up to its last pooling: 256 channels, and 6x6 for an input of 224x224."""
    image = keras.Input((height, width, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="to_plus_minus_one")(image)
    # With this border, 224 pixels give the paper's map of 55.
    x = keras.layers.ZeroPadding2D(2, name="conv1_pad")(x)
    x = _convolution(x, "conv1", 96, 11, strides=4, padding="valid")
    x = keras.layers.MaxPooling2D(3, 2, name="pool1")(x)
    x = _convolution(x, "conv2", 256, 5)
    x = keras.layers.MaxPooling2D(3, 2, name="pool2")(x)
    x = _convolution(x, "conv3", 384, 3)
    x = _convolution(x, "conv4", 384, 3)
    x = _convolution(x, "conv5", 256, 3)
    x = keras.layers.MaxPooling2D(
        3, last_stride, padding="same" if last_stride == 1 else "valid", name="pool5"
    )(x)
    return keras.Model(image, x, name="alexnet")


def _convolution(
    x: keras.KerasTensor,
    name: str,
    channels: int,
    size: int,
    strides: int = 1,
    padding: str = "same",
) -> keras.KerasTensor:
    """Apply convolution, normalisation (its shift is the paper's bias) and ReLU."""
    x = keras.layers.Conv2D(
        channels, size, strides=strides, padding=padding, use_bias=False, name=name
    )(x)
    x = keras.layers.BatchNormalization(name=f"{name}_bn")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)
