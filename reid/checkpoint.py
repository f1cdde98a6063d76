"""A training's state after its last whole epoch, so that a killed one can go on."""

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from reid.backend import keras
from reid.files import replacing_folder, write_json

logger = logging.getLogger(__name__)

Row = dict[str, float]
"""An epoch in numbers: epoch (from 1), losses, accuracies, learning_rate."""


def best_epoch(history: list[Row]) -> int:
    """Index of the epoch with the highest val_mAP, or, without it, with the lowest val_loss."""
    if "val_mAP" in history[0]:
        return int(np.argmax([row["val_mAP"] for row in history]))
    return int(np.argmin([row["val_loss"] for row in history]))


@dataclass(frozen=True)
class Checkpoint:
    """A training's state after its last whole epoch, in a folder of its own."""

    folder: Path

    def save(self, model: keras.Model, network: keras.Model, history: list[Row]) -> None:
        """Keep weights, optimizer and history; and the best weights, where these are."""
        epoch = len(history)
        with replacing_folder(self.folder / f"{epoch:04}") as part:
            model.save_weights(part / "state.weights.h5")
            if best_epoch(history) == epoch - 1:
                network.save_weights(part / "best.weights.h5")
            else:
                shutil.copyfile(
                    self.folder / f"{epoch - 1:04}" / "best.weights.h5", part / "best.weights.h5"
                )
            write_json(part / "history.json", history)
        for older in self._saved()[:-1]:
            shutil.rmtree(older)

    def _saved(self) -> list[Path]:
        return sorted(p for p in self.folder.glob("[0-9]*") if p.is_dir())

    def resume(self, model: keras.Model) -> list[Row]:
        """Bring a model to the saved state, if there is one; gives the history so far."""
        saved = self._saved()
        if not saved:
            return []
        model.load_weights(saved[-1] / "state.weights.h5")
        history = json.loads((saved[-1] / "history.json").read_text(encoding="utf-8"))
        logger.info("going on after epoch %d, from %s", len(history), saved[-1])
        return history

    def load_best(self, network: keras.Model) -> None:
        """Give a network the weights of its best epoch."""
        network.load_weights(self._saved()[-1] / "best.weights.h5")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other process trains from this folder, as another experiment may."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder.with_suffix(".lock")):
            yield

    def discard(self) -> None:
        """Remove the state of a training that is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)
