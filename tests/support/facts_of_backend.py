"""What a backend makes of a network and of a loss: ``facts_of_backend NETWORK FOLDER DEVICES``.

Runs in a process of its own, because Keras takes its backend from the environment when it is
imported, and JAX counts its devices then. Trains a saved network, and writes the rows to
``facts.json`` in the folder. With one device, it also resumes that training from the checkpoint of
its middle, and writes the rows of that, and the softmax loss of logits that are sure of the wrong
person. With several, it says what machines hear whose inputs differ, and how a batch is shared.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from reid.common.errors import UserError
from reid.common.files import write_json
from reid.model.backend import keras, make_deterministic
from reid.model.network import load_network
from reid.training.checkpoint import Checkpoint
from reid.training.compiling import compiled
from reid.training.devices import (
    require_same_on_all_machines,
    rows_of_this_machine,
    sharing_batches,
    use_devices,
)
from reid.training.folds import Fold
from reid.training.history import Row
from reid.training.loop import train
from reid.training.objective import Objective
from tests.support.small_training import PEOPLE, SGD, fold, folds, plan

RESUMED_AFTER = 2
"""The epoch from which a training is resumed: in the one before it, the backbone is frozen."""
SURENESS = 40.0
"""By how much the logit of the wrong person exceeds all others."""


def trained(start: Path, folder: Path) -> list[Row]:
    """Train for three epochs with averaged weights, the first with a frozen backbone.

    Args:
        start: the network to start from.
        folder: the folder with the checkpoint, if there is one; the model is written there, and
            what the checkpoint was after ``RESUMED_AFTER`` epochs, as ``resumed/checkpoint``.

    Returns:
        The rows that the training reported.
    """
    rows: list[Row] = []
    # Adam's first steps go by the sign of gradients that are nearly 0: any rounding shows.
    settings = SGD.model_copy(update={"frozen_epochs": 1, "average": 0.9})
    how = plan(3, Objective(label_smoothing=0.1, margin=0.3), 0.003, settings)
    network = load_network(start)
    size = network.input_shape[1]
    images = folds(fold(6, 0, size=size), without_the_last(fold(2, 1, size=size)))

    def report(row: Row) -> None:
        rows.append(row)
        if row["epoch"] == RESUMED_AFTER:
            shutil.copytree(folder / "checkpoint", folder / "resumed" / "checkpoint")

    train(network, images, how, folder / "model", Checkpoint(folder / "checkpoint"), report)
    return rows


def without_the_last(images: Fold) -> Fold:
    """Return an odd number of images: two devices can't share the last batch evenly."""
    return Fold(images.images[:-1], images.labels[:-1], images.pids[:-1], images.camids[:-1])


def loss_of_a_sure_mistake(start: Path) -> float:
    """Return the loss that a compiled network has."""
    model = compiled(load_network(start), plan(1, Objective(label_smoothing=0.0)))
    logits = keras.ops.convert_to_tensor([[0.0] * (PEOPLE - 1) + [SURENESS]])
    return float(model.loss["softmax"](keras.ops.eye(PEOPLE)[:1], logits))


def rows_of_each_device(size: int) -> list[int]:
    """Return how many rows of a batch each device of this machine gets."""
    import jax  # noqa: PLC0415

    rows = np.zeros((size, 1))[rows_of_this_machine(size)]
    with sharing_batches(size):
        layout = keras.distribution.distribution().get_data_layout(rows.shape).backend_layout
    shared = jax.make_array_from_process_local_data(layout, rows)
    return [len(shard.data) for shard in shared.addressable_shards]


def said_of_a_difference(own: str) -> str:
    """Return the message for machines that have different facts."""
    try:
        require_same_on_all_machines(own)
    except UserError as e:
        return str(e)
    return ""


def main(start: Path, folder: Path, devices: int) -> None:
    """Write all facts."""
    make_deterministic(1, 2)
    use_devices(devices)
    facts: dict[str, Any] = {"uninterrupted": trained(start, folder)}
    if devices == 1:
        facts["resumed"] = trained(start, folder / "resumed")
        facts["loss_of_a_sure_mistake"] = loss_of_a_sure_mistake(start)
    else:
        require_same_on_all_machines("the same")
        facts["said_of_a_difference"] = said_of_a_difference(str(folder))
        facts["rows_of_each_device"] = rows_of_each_device(8)
    write_json(folder / "facts.json", facts)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
