"""Train one network: the loop that both models share, and the files that it writes."""

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
from reid.model.network import LOGITS, compute_type, embedder, for_keeping, save_network
from reid.training.checkpoint import Checkpoint
from reid.training.compiling import (
    Plan,
    augmented_batches,
    averaged,
    compiled,
    make_metrics,
)
from reid.training.devices import rows_of_this_machine, sharing_batches, whole_batches
from reid.training.folds import Fold, Folds
from reid.training.history import (
    Row,
    best_epoch,
    history_table,
    of_refit,
    renamed,
    require_sound,
)
from reid.training.prefetch import made_ahead
from reid.training.validation import validate

logger = logging.getLogger(__name__)

SAVED_EPOCHS: tuple[paths.SavedEpoch, ...] = ("last", "best")
ENOUGH = 0.8
"""The share of the training images that an epoch should show."""


class _EpochEnd(keras.callbacks.Callback):
    """After each epoch: validate the network, save a checkpoint, log and report the numbers."""

    def __init__(
        self,
        network: keras.Model,
        validation: Fold | None,
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
        if self.validation:
            with averaged(self.model), whole_batches():
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
    """Return the parts of the training: whether the backbone is frozen, and the epochs (from 0)."""
    frozen = min(plan.optimisation.settings.frozen_epochs, plan.epochs)
    stretches = [(True, range(frozen)), (False, range(frozen, plan.epochs))]
    return [(is_frozen, epochs) for is_frozen, epochs in stretches if epochs]


def learning_rates(plan: Plan) -> list[float]:
    """Return the learning rate of each epoch. Warn if the warm-up never reaches ``lr``."""
    how = plan.optimisation
    rates = [how.learning_rate(plan.epochs, epoch) for epoch in range(plan.epochs)]
    if max(rates) < how.lr:
        logger.warning(
            "the learning rate only rises to %.3g, not to lr %.3g: "
            "optimisation.warmup_epochs is %d of %d epochs",
            max(rates),
            how.lr,
            how.settings.warmup_epochs,
            plan.epochs,
        )
    return rates


def warn_of_unseen(batches: np.ndarray, images: int) -> None:
    """Warn if the batches of an epoch, int (batches, batch size), leave out many images."""
    seen = len(np.unique(batches))
    if seen < ENOUGH * images:
        logger.warning(
            "an epoch has %d batches of %d images, which show %d of %d training images; smaller "
            "batches (triplet.people, baseline.batch_size) would show more",
            *batches.shape,
            seen,
            images,
        )


def fit(
    network: keras.Model,
    training: Fold,
    validation: Fold | None,
    plan: Plan,
    checkpoint: Checkpoint,
    report: Callable[[Row], None],
) -> list[Row]:
    """Train a network, and return its history.

    Args:
        network: the network to train further. What it holds afterwards is in the checkpoint, too.
        training: the images to learn from.
        validation: images to judge each epoch on; None if all images are learnt from.
        plan: how to train.
        checkpoint: saved after each epoch. If it holds epochs already, the training resumes after
            them, and ends with the same bytes as if it had never stopped. It is not discarded.
        report: called with the numbers of each epoch, after the epoch is saved.

    Raises:
        UserError: the training diverges, the images don't fill a batch, or the devices can't share
            it.
    """
    rates = learning_rates(plan)
    first_epoch = plan.batches(training.labels, 0)
    steps, batch_size = first_epoch.shape
    warn_of_unseen(first_epoch, len(training))
    history = checkpoint.history()
    done = len(history)
    if done:
        logger.info("resuming after epoch %d of %d", done, plan.epochs)
    for is_frozen, epochs in _stretches(plan):
        if done >= epochs.stop:
            continue
        model = compiled(network, plan, is_frozen)
        make_metrics(model, training)
        if done > epochs.start:
            checkpoint.resume(model)
        elif history:
            # The thawed network starts from the averaged weights, if weights are averaged.
            checkpoint.load(network, "last")
        part = rows_of_this_machine(batch_size)
        with sharing_batches(batch_size):
            model.fit(
                made_ahead(augmented_batches(model, training, plan, len(history), part)),
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
    return history


def train(
    network: keras.Model,
    folds: Folds,
    plan: Plan,
    destination: Path,
    checkpoint: Checkpoint,
    report: Callable[[Row], None],
    refit_epochs: int = 0,
) -> None:
    """Train a network and write its files: three networks, ``history.csv`` and ``train.json``.

    The best epoch of a training with held-out images is the one with the highest mAP, if whole
    people are held out, and else the one with the lowest validation loss. The final network is
    that of the best epoch or, after a refit, that of the last epoch of a second training, which
    goes on from the best epoch's network. It learns from all images, and so has nothing to be
    validated on.

    Args:
        network: the network that ``build_network`` makes.
        folds: training and validation images.
        plan: how to train.
        destination: the folder to write; it is replaced as a whole when the training ends.
        checkpoint: as for `fit`; that of the second training is a folder in this one.
        report: called with the numbers of each epoch, those of the second training by the names
            of `of_refit`.
        refit_epochs: the epochs of the second training; 0 for none.

    Raises:
        UserError: the training diverges, or the images don't fill a batch.
    """
    history = fit(network, folds.training, folds.validation, plan, checkpoint, report)
    final, rows = checkpoint, []
    if refit_epochs:
        logger.info("going on from the best epoch, with all %d images", len(folds.all))
        checkpoint.load(network, "best")
        final = checkpoint.of_refit()
        rows = fit(
            network,
            folds.all,
            None,
            plan.for_refit(refit_epochs),
            final,
            lambda row: report(of_refit(row)),
        )
    best = best_epoch(history)
    kept = for_keeping(network)
    with replacing_folder(destination) as part:
        for epoch in SAVED_EPOCHS:
            checkpoint.load(kept, epoch)
            save_network(kept, paths.network_file(part, epoch))
        final.load(kept, "best")
        save_network(kept, paths.network_file(part, "final"))
        table = history_table(history, rows)
        table.to_csv(paths.history_file(part), index=False, float_format="%.8g")
        summary = {
            "images": len(folds.training),
            "validation_images": len(folds.validation),
            "refit_images": len(folds.all) if refit_epochs else 0,
            "people": int(network.output[LOGITS].shape[-1]),
            "parameters": embedder(network).count_params(),
            "epochs": plan.epochs,
            "best_epoch": best + 1,
            **{k: v for k, v in history[best].items() if k.startswith("val_")},
        }
        write_json(part / "train.json", summary)
