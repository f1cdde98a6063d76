"""ResNet-50: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016."""

from reid.model.backbones._limits import Limits
from reid.model.backend import keras
from reid.model.cloning import edited

LIMITS = Limits(alphas=(1.0,), imagenet_alphas=(1.0,))

STRIDE_ONE = {"conv5_block1_0_conv": {"strides": 1}, "conv5_block1_1_conv": {"strides": 1}}

MEAN_BGR = [103.939, 116.779, 123.68]
"""ImageNet's mean blue, green and red, with which Keras's weights were trained."""


def build(
    height: int, width: int, alpha: float, last_stride: int, weights: str | None
) -> keras.Model:
    """Build Keras's ResNet-50 without its classifier: 2,048 channels."""
    image = keras.Input((height, width, 3), name="image")
    bgr = keras.ops.flip(image, axis=-1)
    centred = keras.layers.Rescaling(1, offset=[-mean for mean in MEAN_BGR], name="centred")(bgr)
    stock = keras.applications.ResNet50(input_tensor=centred, include_top=False, weights=weights)
    model = keras.Model(image, stock.output, name="resnet50")
    return edited(model, STRIDE_ONE) if last_stride == 1 else model
