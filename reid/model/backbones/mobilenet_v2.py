"""MobileNetV2: Sandler et al., "Inverted Residuals and Linear Bottlenecks", CVPR 2018."""

from reid.model.backbones._limits import Limits
from reid.model.backend import keras
from reid.model.cloning import edited

LIMITS = Limits(imagenet_alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4))

# For its stride of 2, Keras pads one side only.
STRIDE_ONE = {"block_13_pad": {"padding": 1}, "block_13_depthwise": {"strides": 1}}


def build(
    height: int, width: int, alpha: float, last_stride: int, weights: str | None
) -> keras.Model:
    """Build Keras's MobileNetV2 without its classifier: 1,280 channels for ``alpha`` up to 1."""
    image = keras.Input((height, width, 3), name="image")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1, name="to_plus_minus_one")(image)
    stock = keras.applications.MobileNetV2(
        input_shape=(height, width, 3),
        input_tensor=scaled,
        alpha=alpha,
        include_top=False,
        weights=weights,
    )
    model = keras.Model(image, stock.output, name="mobilenet_v2")
    return edited(model, STRIDE_ONE) if last_stride == 1 else model
