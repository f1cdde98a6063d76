"""What a model is trained for."""

from dataclasses import dataclass
from typing import Literal

Mining = Literal["hard", "random"]
"""Which positive and negative an anchor gets: the hardest of the batch, or any."""
Margin = float | Literal["soft"]
"""By how much a negative must be farther than a positive; ``soft`` asks for ever more of it."""


@dataclass(frozen=True)
class Objective:
    """What a network is trained for: always the softmax, the triplets where a margin is given."""

    label_smoothing: float
    margin: Margin | None = None
    mining: Mining = "hard"
    triplet_weight: float = 1.0
