"""The checkpoint of a training: what a killed training needs to resume."""

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock, Timeout

from reid.common.files import replacing_folder, write_json
from reid.data.paths import SavedEpoch
from reid.training.history import Row, best_epoch

if TYPE_CHECKING:
    from reid.model.backend import keras

logger = logging.getLogger(__name__)

RESUMABLE = "model.npz"
"""The weights as the last step left them, with the optimizer's variables."""


@dataclass(frozen=True)
class Checkpoint:
    """A training as it was after its last complete epoch, saved in a folder of its own."""

    folder: Path

    def save(self, model: "keras.Model", network: "keras.Model", history: list[Row]) -> None:
        """Save an epoch, and delete what was saved after the epoch before it.

        Args:
            model: the network with its optimizer, from which the training can resume.
            network: the network to use; saved with averaged weights if the optimizer averages.
            history: one row per epoch, up to this epoch.
        """
        from reid.training.compiling import averaged  # noqa: PLC0415

        epoch = len(history)
        with replacing_folder(self.folder / f"{epoch:04}") as part:
            _save(part / RESUMABLE, _state(model))
            with averaged(model):
                _save(part / "last.npz", network.variables)
            best = part / "last.npz"
            if best_epoch(history) < epoch - 1:
                best = self.folder / f"{epoch - 1:04}" / "best.npz"
            shutil.copyfile(best, part / "best.npz")
            write_json(part / "history.json", history)
        for older in self._epochs()[:-1]:
            shutil.rmtree(older)

    def _epochs(self) -> list[Path]:
        return sorted(p for p in self.folder.glob("[0-9]*") if p.is_dir())

    def of_refit(self) -> "Checkpoint":
        """Return the checkpoint of the second training, on all images; it goes with this one."""
        return Checkpoint(self.folder / "refit")

    def teacher_file(self) -> Path:
        """Return the file of the teacher's embeddings; it is there once they are computed."""
        return self.folder / "teacher.npy"

    def history(self) -> list[Row]:
        """Return one row per finished epoch; none if nothing is saved."""
        epochs = self._epochs()
        if not epochs:
            return []
        history: list[Row] = json.loads((epochs[-1] / "history.json").read_text(encoding="utf-8"))
        return history

    def resume(self, model: "keras.Model") -> None:
        """Load the last epoch's weights into a model, and its optimizer's variables."""
        _load(self._epochs()[-1] / RESUMABLE, _state(model))

    def load(self, network: "keras.Model", epoch: SavedEpoch) -> None:
        """Load the weights of the best or the last epoch into a network."""
        _load(self._epochs()[-1] / f"{epoch}.npz", network.variables)

    @contextmanager
    def alone(self, wait: bool = True) -> Iterator[None]:
        """Hold the folder's lock inside the block, so that no other process trains from it.

        Another experiment may want the same training.

        Args:
            wait: whether to wait for a process that holds the lock.

        Raises:
            filelock.Timeout: another process holds the lock, and ``wait`` is false.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder.with_suffix(".lock"))
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            if not wait:
                raise
            logger.info("another experiment is running this same training; waiting for its result")
            held = lock.acquire()
        with held:
            yield

    def discard(self) -> None:
        """Delete the checkpoint, if there is one."""
        if not self.folder.exists():
            return
        # Renamed first: the next training must not find a checkpoint that is half deleted.
        discarded = self.folder.with_suffix(".discarded")
        shutil.rmtree(discarded, ignore_errors=True)
        self.folder.rename(discarded)
        shutil.rmtree(discarded)


def _state(model: "keras.Model") -> "list[keras.Variable]":
    return [*model.variables, *model.optimizer.variables]


def _save(path: Path, variables: "list[keras.Variable]") -> None:
    """Save the values of variables in their order. Keras's own files take five times as long."""
    np.savez(path, *(np.asarray(variable) for variable in variables))


def _load(path: Path, variables: "list[keras.Variable]") -> None:
    from reid.training.compiling import assign  # noqa: PLC0415

    with np.load(path) as saved:
        assign(variables, [saved[name] for name in saved.files])
