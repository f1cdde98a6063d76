"""What a model is trained for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Objective:
    """What a network is trained for: always the softmax, the triplets where a margin is given."""

    label_smoothing: float
    margin: float | None = None
    triplet_weight: float = 1.0
