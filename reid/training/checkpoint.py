"""A training's state after its last whole epoch, so that a killed one can go on."""

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from filelock import FileLock, Timeout

from reid.common.files import replacing_folder, write_json
from reid.training.history import Row, best_epoch

if TYPE_CHECKING:
    from reid.model.backend import keras

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A training's state after its last whole epoch, in a folder of its own."""

    folder: Path

    def save(self, model: "keras.Model", network: "keras.Model", history: list[Row]) -> None:
        """Keep an epoch: what training goes on from, and the network to judge and to use.

        Args:
            model: the network with its optimizer.
            network: saved with averaged weights, where the optimizer averages them.
            history: up to this epoch.
        """
        from reid.training.compiling import averaged  # noqa: PLC0415

        epoch = len(history)
        with replacing_folder(self.folder / f"{epoch:04}") as part:
            model.save_weights(part / "state.weights.h5")
            with averaged(model):
                network.save_weights(part / "last.weights.h5")
            best = part / "last.weights.h5"
            if best_epoch(history) < epoch - 1:
                best = self.folder / f"{epoch - 1:04}" / "best.weights.h5"
            shutil.copyfile(best, part / "best.weights.h5")
            write_json(part / "history.json", history)
        for older in self._saved()[:-1]:
            shutil.rmtree(older)

    def _saved(self) -> list[Path]:
        return sorted(p for p in self.folder.glob("[0-9]*") if p.is_dir())

    def history(self) -> list[Row]:
        """The epochs so far; empty where there is no state."""
        saved = self._saved()
        if not saved:
            return []
        history: list[Row] = json.loads((saved[-1] / "history.json").read_text(encoding="utf-8"))
        return history

    def resume(self, model: "keras.Model") -> None:
        """Bring a model and its optimizer to the saved state."""
        model.load_weights(self._saved()[-1] / "state.weights.h5")

    def load(self, network: "keras.Model", which: Literal["best", "last"]) -> None:
        """Give a network the weights of its best or its last epoch."""
        network.load_weights(self._saved()[-1] / f"{which}.weights.h5")

    @contextmanager
    def alone(self, wait: bool = True) -> Iterator[None]:
        """Wait until no other process trains from this folder, as another experiment may.

        Raises ``filelock.Timeout`` where one does and ``wait`` is false.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder.with_suffix(".lock"))
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            if not wait:
                raise
            logger.info("another experiment is at this very training; waiting for what it makes")
            held = lock.acquire()
        with held:
            yield

    def discard(self) -> None:
        """Remove the state, if there is one, of a training that is finished."""
        if not self.folder.exists():
            return
        # Renamed first: half a state would stop the next training of this kind.
        finished = self.folder.with_suffix(".finished")
        shutil.rmtree(finished, ignore_errors=True)
        self.folder.rename(finished)
        shutil.rmtree(finished)
