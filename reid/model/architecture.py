"""The parts that a network is built from."""

from typing import Literal

from pydantic import Field

from reid.common.settings import Settings

Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
"""The number type that a network computes in; weights, outputs and losses are always float32."""


class Architecture(Settings):
    """The input size, backbone, pooling and neck of a network."""

    backbone: str
    """The name of a file in ``reid/model/backbones``, without ``.py``."""
    alpha: float = Field(gt=0)
    """The factor of the backbone's numbers of channels."""
    last_stride: Literal[1, 2]
    """The stride of the backbone's last stage; 1 leaves a map twice as high and wide as 2."""
    weights: str = Field(pattern=r"^[^/\\]+$")
    """The name of a ``.weights.h5`` file, ``imagenet`` for Keras's download, or ``none``."""
    height: int = Field(ge=32)
    """The height of the input, pixels."""
    width: int = Field(ge=32)
    """The width of the input, pixels."""
    pooling: Literal["average", "gem"]
    """How the feature is made of the map: as its mean, or as its generalised mean."""
    neck: bool
    """Whether there is a batch norm between the feature, which the triplet loss sees, and the
    embedding, which softmax and retrieval see."""
