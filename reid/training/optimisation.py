"""The learning rate of every epoch, and how steps are taken."""

import math
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from reid.common.settings import Settings


class OptimisationSettings(Settings):
    """The parameters of the group ``optimisation``."""

    optimizer: Literal["sgd", "adamw"]
    """Stochastic gradient descent with Nesterov momentum, or Adam with decoupled weight decay
    (Loshchilov and Hutter, ICLR 2019), which is plain Adam if ``weight_decay`` is 0."""
    momentum: float = Field(ge=0, lt=1)
    """The momentum of sgd; adamw ignores it."""
    weight_decay: float = Field(ge=0)
    """The decoupled decay: at each step, kernels lose this share of themselves times the learning
    rate. Only kernels decay."""
    frozen_epochs: int = Field(ge=0)
    """The number of epochs at the beginning in which the backbone doesn't learn."""
    average: float = Field(ge=0, lt=1)
    """The share that the moving average of the weights keeps at each step. The average is what is
    validated and saved. 0 switches it off (Polyak and Juditsky, 1992; Izmailov et al., UAI
    2018)."""
    warmup_epochs: int = Field(ge=0)
    """The number of epochs over which the learning rate rises linearly to ``lr``."""
    decay: Literal["cosine", "step", "none"]
    """The learning rate after the warm-up. ``cosine`` falls to 0 over the remaining epochs;
    ``step`` is a tenth after two thirds of them, and a hundredth after five sixths; ``none``
    stays."""


@dataclass(frozen=True)
class Optimisation:
    """How the weights are moved."""

    lr: float
    """The highest learning rate, the top-level parameter ``lr``."""
    settings: OptimisationSettings

    def learning_rate(self, epochs: int, epoch: int) -> float:
        """Return the learning rate of ``epoch`` (from 0) of ``epochs``."""
        warmup_epochs = self.settings.warmup_epochs
        if epoch < warmup_epochs:
            return self.lr * (epoch + 1) / (warmup_epochs + 1)
        done = (epoch - warmup_epochs) / max(1, epochs - warmup_epochs)
        if self.settings.decay == "cosine":
            return self.lr * (1 + math.cos(math.pi * done)) / 2
        if self.settings.decay == "step":
            return self.lr * (1.0 if done < 2 / 3 else 0.1 if done < 5 / 6 else 0.01)
        return self.lr
