"""Training one network: the loop that both models share, and what is written of it."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from reid.common.files import replacing_folder, write_json
from reid.data import paths
from reid.model.backend import keras
from reid.model.network import LOGITS, compute_type, embedder, save_network
from reid.training.checkpoint import Checkpoint
from reid.training.compiling import Plan, augmented_batches, averaged, compiled
from reid.training.folds import Fold
from reid.training.history import Row, best_epoch, history_table, renamed, require_sound
from reid.training.optimisation import learning_rate
from reid.training.prefetch import made_ahead
from reid.training.validation import validate

logger = logging.getLogger(__name__)

CHECKPOINTS: tuple[paths.Checkpoint, ...] = ("last", "best")
FEW = 0.8
"""Share of the training images that an epoch should show."""


class _EpochEnd(keras.callbacks.Callback):
    """After each epoch: judge it, keep the best weights, make it safe, tell about it."""

    def __init__(
        self,
        network: keras.Model,
        validation: Fold,
        plan: Plan,
        batch_size: int,
        checkpoint: Checkpoint,
        history: list[Row],
        report: Callable[[Row], None],
    ) -> None:
        super().__init__()
        self.network = network
        self.embedding = embedder(network)
        self.validation = validation
        self.plan = plan
        self.checkpoint = checkpoint
        self.history = history
        self.report = report
        self.batch_size = batch_size
        self.people = int(network.output[LOGITS].shape[-1])
        self.computes_in = compute_type(network)
        self.began = time.monotonic()
        self.seen = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.bar = tqdm(
            total=self.params["steps"], desc=f"epoch {epoch + 1}", leave=False, disable=None
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.bar.close()
        row = {"epoch": epoch + 1} | renamed(logs or {})
        require_sound(row, self.people, self.computes_in)
        with averaged(self.model):
            row |= validate(self.model, self.embedding, self.validation, self.batch_size)
        require_sound(row, self.people, self.computes_in)
        self.history.append(row)
        self.checkpoint.save(self.model, self.network, self.history)
        self.seen += 1
        per_epoch = (time.monotonic() - self.began) / self.seen
        left = per_epoch * (self.plan.epochs - epoch - 1)
        numbers = "  ".join(f"{k} {v:.3g}" for k, v in row.items() if k != "epoch")
        logger.info(
            "epoch %d/%d  %s  %s left",
            epoch + 1,
            self.plan.epochs,
            numbers,
            tqdm.format_interval(left),
        )
        self.report(row)


def _stretches(plan: Plan) -> list[tuple[bool, range]]:
    """Whether the backbone is frozen, and the epochs (from 0) for which it is so."""
    frozen = min(plan.optimisation.frozen_epochs, plan.epochs)
    stretches = [(True, range(frozen)), (False, range(frozen, plan.epochs))]
    return [(is_frozen, epochs) for is_frozen, epochs in stretches if epochs]


def _learning_rates(plan: Plan) -> list[float]:
    """Of each epoch. Warns where the warm-up leaves no epoch at ``plan.lr``."""
    how = plan.optimisation
    rates = [learning_rate(plan.lr, how, plan.epochs, epoch) for epoch in range(plan.epochs)]
    if max(rates) < plan.lr:
        logger.warning(
            "the learning rate only rises to %.3g, not to lr %.3g: "
            "optimisation.warmup_epochs is %d of %d epochs",
            max(rates),
            plan.lr,
            how.warmup_epochs,
            plan.epochs,
        )
    return rates


def _warn_of_unseen(batches: np.ndarray, images: int) -> None:
    """Warn where the batches of an epoch leave out many of the training images."""
    seen = len(np.unique(batches))
    if seen < FEW * images:
        logger.warning(
            "an epoch is %d batches of %d, which show %d of %d training images: smaller ones "
            "(triplet.people, baseline.batch_size) show more",
            *batches.shape,
            seen,
            images,
        )


def train(
    network: keras.Model,
    folds: tuple[Fold, Fold],
    plan: Plan,
    destination: Path,
    checkpoint: Checkpoint,
    report: Callable[[Row], None],
) -> None:
    """Train a network and write ``best.keras``, ``last.keras``, ``history.csv``, ``train.json``.

    The best epoch is that of the highest mAP among held-out people, where whole people are held
    out, and of the lowest validation loss otherwise.

    Args:
        network: as ``build_network`` makes it.
        folds: training and validation images.
        plan: how to train.
        destination: folder to write, replaced as a whole when the training is done.
        checkpoint: where the state after each epoch is kept; a training that finds one goes on
            from there and ends as if it had never stopped. It stays, for the caller to discard.
        report: called after each epoch with its numbers.

    Raises:
        UserError: the loss is no number any more, or the images don't fill a batch.
    """
    training, validation = folds
    first_epoch = plan.batches(0)
    steps, batch_size = first_epoch.shape
    _warn_of_unseen(first_epoch, len(training))
    rates = _learning_rates(plan)
    history = checkpoint.history()
    done = len(history)
    if done:
        logger.info("going on after epoch %d of %d", done, plan.epochs)
    for is_frozen, epochs in _stretches(plan):
        if done >= epochs.stop:
            continue
        model = compiled(network, plan, is_frozen)
        if done > epochs.start:
            checkpoint.resume(model)
        elif history:
            # Where weights are averaged, it is the average that the thawed network starts from.
            checkpoint.load(network, "last")
        model.fit(
            made_ahead(augmented_batches(model, training, plan, len(history))),
            steps_per_epoch=steps,
            epochs=epochs.stop,
            initial_epoch=len(history),
            shuffle=False,
            verbose=0,
            callbacks=[
                keras.callbacks.LearningRateScheduler(rates.__getitem__),
                _EpochEnd(network, validation, plan, batch_size, checkpoint, history, report),
            ],
        )
    best = best_epoch(history)
    with replacing_folder(destination) as part:
        for which in CHECKPOINTS:
            checkpoint.load(network, which)
            save_network(network, paths.network_file(part, which))
        history_table(history).to_csv(paths.history_file(part), index=False, float_format="%.8g")
        summary = {
            "images": len(training),
            "validation_images": len(validation),
            "people": int(network.output[LOGITS].shape[-1]),
            "parameters": embedder(network).count_params(),
            "epochs": plan.epochs,
            "best_epoch": best + 1,
            **{k: v for k, v in history[best].items() if k.startswith("val_")},
        }
        write_json(part / "train.json", summary)
