"""OSNet: Zhou et al., "Omni-Scale Feature Learning for Person Re-Identification", ICCV 2019."""

from reid.model.backbones._limits import Limits
from reid.model.backend import keras

# The widths of the paper. The map has stride 16, like other backbones with a last stride of 1.
LIMITS = Limits(alphas=(0.25, 0.5, 0.75, 1.0), last_strides=(1,))

CHANNELS = (64, 256, 384, 512)
"""The channels of conv1 to conv4 in the paper's Table 1; conv5 has as many as conv4."""

STREAMS = 4
GATE_REDUCTION = 16


def build(
    height: int, width: int, alpha: float, last_stride: int, weights: str | None
) -> keras.Model:
    """Build OSNet up to conv5 of the paper's Table 1: 512 channels times ``alpha``."""
    first, *stages = (int(channels * alpha) for channels in CHANNELS)
    image = keras.Input((height, width, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="to_plus_minus_one")(image)
    x = keras.layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = _convolution(x, "conv1", first, size=7, strides=2)
    x = keras.layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = keras.layers.MaxPooling2D(3, 2, name="pool1")(x)
    for number, channels in enumerate(stages, start=2):
        x = _bottleneck(x, f"conv{number}a", channels)
        x = _bottleneck(x, f"conv{number}b", channels)
        if channels != stages[-1]:
            x = _convolution(x, f"transition{number}", channels)
            x = keras.layers.AveragePooling2D(2, name=f"transition{number}_pool")(x)
    x = _convolution(x, "conv5", stages[-1])
    return keras.Model(image, x, name="osnet")


def _bottleneck(x: keras.KerasTensor, name: str, channels: int) -> keras.KerasTensor:
    """Apply a residual block (figure 4b): stream t sees 2t + 1 pixels, one gate weighs all."""
    inner = channels // 4
    reduced = _convolution(x, f"{name}_reduce", inner)
    squeeze = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")
    hidden = keras.layers.Conv2D(
        inner // GATE_REDUCTION, 1, activation="relu", name=f"{name}_hidden"
    )
    gate = keras.layers.Conv2D(inner, 1, activation="sigmoid", name=f"{name}_gate")
    gated = []
    for stream in range(1, STREAMS + 1):
        scale = reduced
        for depth in range(1, stream + 1):
            scale = _light_convolution(scale, f"{name}_stream{stream}_{depth}", inner)
        weight = gate(hidden(squeeze(scale)))
        gated.append(keras.layers.Multiply(name=f"{name}_gated{stream}")([scale, weight]))
    fused = keras.layers.Add(name=f"{name}_fused")(gated)
    residual = _linear(fused, f"{name}_expand", channels)
    shortcut = x if x.shape[-1] == channels else _linear(x, f"{name}_shortcut", channels)
    added = keras.layers.Add(name=f"{name}_add")([shortcut, residual])
    return keras.layers.ReLU(name=f"{name}_relu")(added)


def _light_convolution(x: keras.KerasTensor, name: str, channels: int) -> keras.KerasTensor:
    """Apply a Lite 3x3 (figure 3b): the pointwise convolution, then directly the depthwise one."""
    x = keras.layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_pointwise")(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(_normalised(x, name))


def _convolution(
    x: keras.KerasTensor, name: str, channels: int, size: int = 1, strides: int = 1
) -> keras.KerasTensor:
    return keras.layers.ReLU(name=f"{name}_relu")(_linear(x, name, channels, size, strides))


def _linear(
    x: keras.KerasTensor, name: str, channels: int, size: int = 1, strides: int = 1
) -> keras.KerasTensor:
    x = keras.layers.Conv2D(channels, size, strides=strides, use_bias=False, name=name)(x)
    return _normalised(x, name)


def _normalised(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    # The epsilon of the authors; the output of a depthwise convolution can be small.
    return keras.layers.BatchNormalization(epsilon=1e-5, name=f"{name}_bn")(x)
