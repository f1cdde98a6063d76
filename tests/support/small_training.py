"""A network, images and a plan so small that a training takes seconds."""

from collections.abc import Callable
from functools import partial

import numpy as np

from reid.model.architecture import Architecture
from reid.training.augmentation import Augmentation
from reid.training.batches import people_batches, shuffled_batches
from reid.training.compiling import Plan
from reid.training.folds import Fold
from reid.training.objective import Objective
from reid.training.optimisation import Optimisation

PEOPLE, HEIGHT, WIDTH = 4, 32, 32
NETWORK = Architecture(
    backbone="mobilenet_v2",
    alpha=0.35,
    last_stride=2,
    weights="none",
    height=HEIGHT,
    width=WIDTH,
    pooling="average",
    neck=True,
)
# Deep networks with random weights magnify differences in rounding a hundredfold a step.
SHALLOW = NETWORK.model_copy(
    update={"backbone": "alexnet", "alpha": 1.0, "height": 64, "width": 64}
)
SGD = Optimisation(
    optimizer="sgd",
    momentum=0.9,
    weight_decay=0.0005,
    warmup_epochs=0,
    decay="cosine",
    frozen_epochs=0,
    average=0.0,
)
ADAMW = SGD.model_copy(update={"optimizer": "adamw", "frozen_epochs": 1, "average": 0.9})


def fold(
    images: int, seed: int, first_label: int = 0, labelled: bool = True, size: int = HEIGHT
) -> Fold:
    """Noise around one colour a person, alternating between two cameras."""
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(PEOPLE), images).astype(np.int32)
    colours = np.random.default_rng(7).integers(30, 220, (PEOPLE, 1, 1, 3))
    noise = rng.integers(-30, 30, (len(people), size, size, 3))
    labels = people if labelled else np.full_like(people, -1)
    cameras = np.tile([1, 2], len(people) // 2).astype(np.int32)
    return Fold((colours[people] + noise).astype(np.uint8), labels, people + first_label, cameras)


def plan(
    epochs: int, objective: Objective, lr: float = 0.01, optimisation: Optimisation = SGD
) -> Plan:
    labels = fold(6, 0).labels
    batches: Callable[[int], np.ndarray] = partial(shuffled_batches, len(labels), 8, 1)
    if objective.margin:
        batches = lambda epoch: people_batches(labels, 4, 2, 1, epoch)  # noqa: E731
    augmentation = Augmentation(flip=True, pad=2, colour=0.1, erase=0.3)
    return Plan(epochs, lr, optimisation, augmentation, objective, batches, seed=1)
