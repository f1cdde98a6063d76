"""MobileNetV2: Sandler et al., "Inverted Residuals and Linear Bottlenecks", CVPR 2018."""

from reid.backend import keras


def build(height: int, width: int, alpha: float, weights: str | None) -> keras.Model:
    """Keras's own MobileNetV2 without its classifier: 1,280 channels for ``alpha`` up to 1."""
    return keras.applications.MobileNetV2(
        input_shape=(height, width, 3), alpha=alpha, include_top=False, weights=weights
    )
