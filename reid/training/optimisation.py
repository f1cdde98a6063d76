"""The learning rate of every epoch, and how steps are taken."""

import math
from typing import Literal

from pydantic import Field

from reid.common.settings import Settings


class Optimisation(Settings):
    """How the weights are moved; the learning rate itself is the top-level ``lr``."""

    optimizer: Literal["sgd", "adamw"]
    """Stochastic gradient descent with Nesterov momentum, or Adam with decoupled weight decay
    (Loshchilov and Hutter, ICLR 2019), which is Adam where ``weight_decay`` is 0."""
    momentum: float = Field(ge=0, lt=1)
    """Of sgd."""
    weight_decay: float = Field(ge=0)
    """Decoupled, on kernels only: times the learning rate, it is taken off at each step."""
    frozen_epochs: int = Field(ge=0)
    """Epochs at the beginning in which only what stands behind the backbone learns."""
    average: float = Field(ge=0, lt=1)
    """What the moving average of the weights keeps at each step; the average is what is validated
    and saved. 0 switches it off (Polyak and Juditsky, 1992; Izmailov et al., UAI 2018)."""
    warmup_epochs: int = Field(ge=0)
    """Epochs over which the learning rate rises linearly to ``lr``."""
    decay: Literal["cosine", "step", "none"]
    """After the warm-up, ``cosine`` falls to 0 over the epochs that are left; ``step`` is a tenth
    after two thirds of these, and a hundredth after five sixths; ``none`` stays."""


def learning_rate(lr: float, how: Optimisation, epochs: int, epoch: int) -> float:
    """The learning rate of ``epoch`` (from 0) of ``epochs``."""
    if epoch < how.warmup_epochs:
        return lr * (epoch + 1) / (how.warmup_epochs + 1)
    done = (epoch - how.warmup_epochs) / max(1, epochs - how.warmup_epochs)
    if how.decay == "cosine":
        return lr * (1 + math.cos(math.pi * done)) / 2
    if how.decay == "step":
        return lr * (1.0 if done < 2 / 3 else 0.1 if done < 5 / 6 else 0.01)
    return lr
