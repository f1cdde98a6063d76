"""The objective of a training: which losses are minimised."""

from dataclasses import dataclass
from typing import Literal

Mining = Literal["hard", "random"]
"""Which positive and negative an anchor gets: the hardest of the batch, or random ones."""
Margin = float | Literal["soft"]
"""By how much a negative must be farther away than a positive; ``soft`` has no such limit."""


@dataclass(frozen=True)
class Objective:
    """The losses of a training.

    These are the softmax loss; the triplet loss, if there is a margin; and the teacher's loss, if
    it has a weight.
    """

    label_smoothing: float
    """The share of each target that is spread over all classes of the softmax."""
    margin: Margin | None = None
    mining: Mining = "hard"
    triplet_weight: float = 1.0
    """The factor of the triplet loss; that of the softmax loss is 1."""
    teacher_weight: float = 0.0
    """The factor of the teacher's loss; without a teacher, it is 0."""
