"""The share of a training step that preparing its batch takes: ``python -m benchmarks.input``.

Measures the drawing and augmenting of a batch and then the network's step on it, one after the
other in one process. In the training loop, the two overlap.
"""

import time
from pathlib import Path
from statistics import median

import numpy as np
import yaml
from rich.console import Console

from reid.data.paths import PARAMS
from reid.model.architecture import Architecture
from reid.model.backend import make_deterministic
from reid.model.network import build_network, for_computing
from reid.training.augmentation import Augmentation
from reid.training.compiling import Plan, augmented_batches, compiled
from reid.training.folds import Fold
from reid.training.objective import Objective
from reid.training.optimisation import Optimisation, OptimisationSettings

CLASSES, STEPS = 80, 12


def main() -> None:
    """Print the median times of preparing a batch and of its step, and the share of the first."""
    params = yaml.safe_load(Path(PARAMS).read_text(encoding="utf-8"))
    make_deterministic(0, params["threads"])
    how, own = Architecture(**params["model"]), params["triplet"]
    batch_size = own["people"] * own["images"]
    count = batch_size * (STEPS + 1)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, count).astype(np.int32)
    images = rng.integers(0, 256, (count, how.height, how.width, 3), dtype=np.uint8)
    fold = Fold(images, labels, labels, np.ones_like(labels))
    plan = Plan(
        epochs=1,
        optimisation=Optimisation(params["lr"], OptimisationSettings(**params["optimisation"])),
        augmentation=Augmentation(**params["augmentation"]),
        objective=Objective(own["label_smoothing"], own["margin"], own["mining"], own["weight"]),
        batches=lambda labels, _: rng.permutation(len(labels)).reshape(-1, batch_size),
        seed=0,
    )
    model = compiled(for_computing(build_network(how, "none", CLASSES)), plan)
    batches = augmented_batches(model, fold, plan, 0)
    # The first step traces the graph.
    model.train_on_batch(*next(batches))
    inputs, steps = [], []
    for _ in range(STEPS):
        began = time.perf_counter()
        batch = next(batches)
        between = time.perf_counter()
        model.train_on_batch(*batch)
        inputs.append(between - began)
        steps.append(time.perf_counter() - between)
    share = median(inputs) / (median(inputs) + median(steps))
    Console().print(
        f"batch of {batch_size} at {how.height}x{how.width}: input {1000 * median(inputs):.0f} ms, "
        f"step {1000 * median(steps):.0f} ms, share of the input {100 * share:.1f} %"
    )


if __name__ == "__main__":
    main()
