"""A step of the triplet model's training, and the preparation of its batch.

In the training loop, a thread prepares the next batches during a step.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from benchmarks.figures import Figure, in_turns
from benchmarks.torch_peer import training_step
from reid.common.processor import Processor, use_instructions
from reid.data.paths import PARAMS
from reid.model.architecture import Architecture
from reid.training.augmentation import Augmentation
from reid.training.folds import Fold
from reid.training.objective import Objective
from reid.training.optimisation import Optimisation, OptimisationSettings

HOW = Architecture(
    backbone="mobilenet_v2",
    alpha=1.0,
    last_stride=1,
    weights="none",
    height=128,
    width=64,
    pooling="average",
    neck=True,
)
PEOPLE, IMAGES, MARGIN, WEIGHT, SMOOTHING = 16, 4, 0.3, 10.0, 0.1
THREADS = 2
CLASSES, STEPS, BATCHES = 80, 8, 40
SIDE = 1024
"""The rows and columns of the matrices whose product stands for the step's arithmetic."""
PASSES = 3
"""The passes of a convolution: forward, and backward to its input and to its weights."""


class Prepared(NamedTuple):
    """A network with its batches."""

    what: str
    backbone: Any
    batches: Iterator[Any]
    batch: tuple[np.ndarray, dict[str, np.ndarray]]
    step: Callable[[], object]
    torch_step: Callable[[], object]


def prepared(processor: Processor) -> Prepared:
    """Make the network and random photos. Call this once in a process."""
    use_instructions(processor)
    from reid.model.backend import make_deterministic  # noqa: PLC0415
    from reid.model.network import BACKBONE, build_network, for_computing  # noqa: PLC0415
    from reid.training.compiling import Plan, augmented_batches, compiled  # noqa: PLC0415

    params = yaml.safe_load(Path(PARAMS).read_text(encoding="utf-8"))
    make_deterministic(0, THREADS)
    size = PEOPLE * IMAGES
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES), size * BATCHES // CLASSES).astype(np.int32)
    images = rng.integers(0, 256, (len(labels), HOW.height, HOW.width, 3), dtype=np.uint8)
    plan = Plan(
        epochs=1,
        optimisation=Optimisation(params["lr"], OptimisationSettings(**params["optimisation"])),
        augmentation=Augmentation(**params["augmentation"]),
        objective=Objective(SMOOTHING, MARGIN, "hard", WEIGHT),
        batches=lambda labels, _: np.arange(len(labels)).reshape(-1, size),
        seed=0,
    )
    network = build_network(HOW, "none", CLASSES)
    model = compiled(for_computing(network), plan)
    fold = Fold(images, labels, labels, np.ones_like(labels))
    batches = augmented_batches(model, fold, plan, 0)
    batch = next(batches)
    torch_step = training_step(
        batch[0],
        labels[:size],
        CLASSES,
        HOW.last_stride,
        MARGIN,
        WEIGHT,
        SMOOTHING,
        THREADS,
    )
    return Prepared(
        f"training step, {size} photos of {HOW.height}x{HOW.width}, processor: {processor}",
        network.get_layer(BACKBONE),
        batches,
        batch,
        lambda: [model.train_on_batch(*batch) for _ in range(STEPS)],
        lambda: [torch_step() for _ in range(STEPS)],
    )


def figures() -> Iterator[Figure]:
    """Time a step with all instructions of this processor, and the preparation of a batch."""
    made = prepared("this")
    size = len(made.batch[0])
    products = PASSES * size * _operations(made.backbone) // (2 * SIDE**3)
    square = np.random.default_rng(0).standard_normal((SIDE, SIDE), dtype=np.float32)
    yield in_turns(
        made.what,
        made.step,
        peers={"PyTorch": made.torch_step},
        limits={
            "its arithmetic alone, as matrix products": lambda: [
                square @ square for _ in range(STEPS * products)
            ]
        },
        unit="ms",
        count=STEPS,
    )
    yield in_turns(
        "preparing a batch, alone",
        lambda: [next(made.batches) for _ in range(STEPS)],
        unit="ms",
        count=STEPS,
    )


def _operations(backbone: Any) -> int:
    """Count the multiplications and additions of a network's convolutions for a photo."""
    from keras import layers as kinds_of_layers  # noqa: PLC0415

    kinds = (kinds_of_layers.Conv2D, kinds_of_layers.DepthwiseConv2D)
    layers = [layer for layer in backbone.layers if isinstance(layer, kinds)]
    pixels = [layer.output.shape[1] * layer.output.shape[2] for layer in layers]
    return sum(2 * n * int(np.prod(la.kernel.shape)) for n, la in zip(pixels, layers, strict=True))
