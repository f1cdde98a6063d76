"""MobileNetV3-Large: Howard et al., "Searching for MobileNetV3", ICCV 2019."""

from reid.model.backbones._limits import Limits
from reid.model.backend import keras
from reid.model.cloning import edited

LIMITS = Limits(imagenet_alphas=(0.75, 1.0))

# For its stride of 2, Keras pads one side more than the other.
STRIDE_ONE = {
    "expanded_conv_12_depthwise_pad": {"padding": 2},
    "expanded_conv_12_depthwise": {"strides": 1},
}


def build(
    height: int, width: int, alpha: float, last_stride: int, weights: str | None
) -> keras.Model:
    """Build Keras's MobileNetV3-Large up to its last convolution before the pooling.

    The network scales images by itself. It has 960 channels for ``alpha`` 1.
    """
    image = keras.Input((height, width, 3), name="image")
    stock = keras.applications.MobileNetV3Large(
        input_tensor=image, alpha=alpha, include_top=False, weights=weights
    )
    model = keras.Model(image, stock.output, name="mobilenet_v3_large")
    return edited(model, STRIDE_ONE) if last_stride == 1 else model
