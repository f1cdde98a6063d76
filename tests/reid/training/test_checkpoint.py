"""The folder of a checkpoint: what it holds, and that one process at a time works in it."""

import logging
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from filelock import Timeout

from reid.data.paths import SavedEpoch
from reid.model.backend import keras
from reid.training.checkpoint import Checkpoint
from reid.training.history import Row
from tests.support.holding import held


class Logged(logging.Handler):
    """Collects messages, and ends the input of another process at the first of them."""

    def __init__(self, others_input: IO[str]) -> None:
        super().__init__()
        self.others_input = others_input
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        self.others_input.close()


def test_second_process_at_a_checkpoint_waits_and_logs_it(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoints" / "one")
    logger = logging.getLogger("reid.training.checkpoint")
    logger.setLevel(logging.INFO)
    with held("hold_checkpoint", checkpoint.folder) as other:
        with pytest.raises(Timeout), checkpoint.alone(wait=False):
            pytest.fail("two processes work in one folder")
        logger.addHandler(logged := Logged(other.input))
        try:
            with checkpoint.alone():
                assert other.output.readline() == "left\n"
        finally:
            logger.removeHandler(logged)
    assert len(logged.messages) == 1
    assert "waiting" in logged.messages[0]


def test_absent_checkpoint_can_be_discarded(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "absent").discard()
    assert not list(tmp_path.iterdir())


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
    checkpoint = Checkpoint(tmp_path / "checkpoint")
    history: list[Row] = []
    for epoch, loss in enumerate(losses, 1):
        network.set_weights([np.full(w.shape, epoch) for w in network.get_weights()])
        history.append({"epoch": epoch, "val_loss": loss})
        checkpoint.save(network, network, history)
    assert Checkpoint(tmp_path / "checkpoint").history() == history
    expected: dict[SavedEpoch, int] = {"best": best, "last": len(losses)}
    for saved, epoch in expected.items():
        checkpoint.load(network, saved)
        for weights in network.get_weights():
            np.testing.assert_array_equal(weights, epoch)
