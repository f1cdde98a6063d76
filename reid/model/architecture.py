"""What a network is built from."""

from typing import Literal

from pydantic import Field

from reid.common.settings import Settings

Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
"""Of the inside of a network; weights, outputs and losses are always float32."""


class Architecture(Settings):
    """Input, backbone, pooling and neck."""

    backbone: str
    """A file in ``reid/model/backbones``."""
    alpha: float = Field(gt=0)
    """Width multiplier of the backbone's channels."""
    last_stride: Literal[1, 2]
    """Of the backbone's last stage; 1 keeps a map twice as high and wide."""
    weights: str = Field(pattern=r"^[^/\\]+$")
    """The name of a ``.weights.h5`` file, ``imagenet`` for Keras's download, or ``none``."""
    height: int = Field(ge=32)
    """Of the input, pixels."""
    width: int = Field(ge=32)
    """Of the input, pixels."""
    pooling: Literal["average", "gem"]
    """How the map becomes the feature: its mean, or its generalised mean."""
    neck: bool
    """Whether a batch norm stands between the feature, which the triplets see, and the embedding,
    which softmax and retrieval see."""
