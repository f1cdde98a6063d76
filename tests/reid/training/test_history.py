"""Which epoch is the best, and that its weights are those that are kept as the best."""

from pathlib import Path

import numpy as np
import pytest

from reid.model.backend import keras
from reid.training.checkpoint import Checkpoint
from reid.training.history import Row, best_epoch


@pytest.mark.parametrize(
    ("history", "best"),
    [
        ([{"val_loss": 3.0}, {"val_loss": 1.0}, {"val_loss": 2.0}], 1),
        ([{"val_loss": 1.0, "val_accuracy": 0.5}, {"val_loss": 2.0, "val_accuracy": 0.9}], 0),
        ([{"val_mAP": 0.2}, {"val_mAP": 0.6}, {"val_mAP": 0.4}], 1),
        ([{"val_mAP": 0.6, "val_rank1": 0.5}, {"val_mAP": 0.5, "val_rank1": 0.9}], 0),
        # Of equals the first.
        ([{"val_mAP": 0.2}, {"val_mAP": 0.6}, {"val_mAP": 0.6}], 1),
        ([{"val_loss": 1.0}, {"val_loss": 1.0}], 0),
    ],
)
def test_best_epoch_has_the_highest_map_or_else_the_lowest_loss(
    history: list[Row], best: int
) -> None:
    assert best_epoch(history) == best


@pytest.mark.parametrize(
    ("losses", "best"),
    [([2.0, 1.0, 3.0, 4.0], 2), ([4.0, 3.0, 2.0, 1.0], 4), ([1.0, 2.0, 3.0, 4.0], 1)],
    ids=["in the middle", "the last", "the first"],
)
def test_checkpoint_keeps_the_best_and_the_last_weights(
    losses: list[float], best: int, tmp_path: Path
) -> None:
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    network.compile(optimizer="sgd", loss="mse")
    checkpoint = Checkpoint(tmp_path / "state")
    history: list[Row] = []
    for epoch, loss in enumerate(losses, 1):
        network.set_weights([np.full(w.shape, epoch) for w in network.get_weights()])
        history.append({"epoch": epoch, "val_loss": loss})
        checkpoint.save(network, network, history)
    assert Checkpoint(tmp_path / "state").history() == history
    for which, epoch in (("best", best), ("last", len(losses))):
        checkpoint.load(network, which)
        for weights in network.get_weights():
            np.testing.assert_array_equal(weights, epoch)
