"""Networks, images and a plan so small that a training takes seconds."""

from unittest.mock import patch

import numpy as np

from reid.model import backbones
from reid.model.architecture import Architecture
from reid.model.backend import keras
from reid.model.network import build_network
from reid.training.augmentation import Augmentation
from reid.training.batches import people_batches, shuffled_batches
from reid.training.compiling import Plan
from reid.training.folds import Fold, Folds
from reid.training.objective import Objective
from reid.training.optimisation import Optimisation, OptimisationSettings

PEOPLE, HEIGHT, WIDTH = 4, 32, 32
COLUMNS = ("images", "labels", "pids", "camids")
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
TINY = NETWORK.model_copy(update={"backbone": "tiny"})
"""Two convolutions, for tests of what holds for any backbone."""
SGD = OptimisationSettings(
    optimizer="sgd",
    momentum=0.9,
    weight_decay=0.0005,
    warmup_epochs=0,
    decay="cosine",
    frozen_epochs=0,
    average=0.0,
)
ADAMW = SGD.model_copy(update={"optimizer": "adamw", "frozen_epochs": 1, "average": 0.9})


def network(how: Architecture) -> keras.Model:
    """Build a network for ``PEOPLE``, with random weights."""
    if how.backbone != TINY.backbone:
        return build_network(how, "none", PEOPLE)
    with patch.object(backbones, "build", _tiny_backbone):
        return build_network(how, "none", PEOPLE)


def _tiny_backbone(
    name: str, height: int, width: int, alpha: float, last_stride: int, weights: str
) -> keras.Model:
    image = keras.Input((height, width, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(image)
    for channels, stride in ((8, 4), (16, last_stride)):
        x = keras.layers.Conv2D(channels, 3, strides=stride, use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=backbones.NORM_MOMENTUM)(x)
        x = keras.layers.ReLU()(x)
    return keras.Model(image, x)


def fold(
    images: int, seed: int, first_label: int = 0, labelled: bool = True, size: int = HEIGHT
) -> Fold:
    """Draw images of noise around one colour per person, alternating between two cameras."""
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(PEOPLE), images).astype(np.int32)
    colours = np.random.default_rng(7).integers(30, 220, (PEOPLE, 1, 1, 3))
    noise = rng.integers(-30, 30, (len(people), size, size, 3))
    labels = people if labelled else np.full_like(people, -1)
    cameras = np.tile([1, 2], len(people) // 2).astype(np.int32)
    return Fold((colours[people] + noise).astype(np.uint8), labels, people + first_label, cameras)


def folds(training: Fold, validation: Fold) -> Folds:
    """Put two folds together, as ``read_folds`` does."""
    images, labels, pids, camids = (
        np.concatenate([getattr(part, column) for part in (training, validation)])
        for column in COLUMNS
    )
    return Folds(training, validation, Fold(images, labels, pids, camids))


def plan(
    epochs: int, objective: Objective, lr: float = 0.01, settings: OptimisationSettings = SGD
) -> Plan:
    """Plan a training in batches of 8 images."""

    def batches(labels: np.ndarray, epoch: int) -> np.ndarray:
        if objective.margin:
            return people_batches(labels, 4, 2, 1, epoch)
        return shuffled_batches(len(labels), 8, 1, epoch)

    augmentation = Augmentation(flip=True, pad=2, colour=0.1, erase=0.3)
    optimisation = Optimisation(lr, settings)
    return Plan(epochs, optimisation, augmentation, objective, batches, seed=1)
