"""Training one network: the loop that both models share, and what is written of it."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from reid.augmentation import Augmentation, augment
from reid.backend import keras
from reid.checkpoint import Checkpoint, Row, best_epoch
from reid.errors import UserError
from reid.evaluation import rank_queries, summarise
from reid.feature_set import FeatureSet
from reid.features import embed
from reid.files import replacing_folder, write_json
from reid.folds import Fold
from reid.losses import BatchHardTriplet
from reid.network import FEATURE, SOFTMAX, embedder, save_network
from reid.objective import Objective
from reid.optimisation import Optimisation, learning_rate

logger = logging.getLogger(__name__)

TRIPLET = "triplet"


@dataclass(frozen=True)
class Plan:
    """How long and how a network is trained."""

    epochs: int
    lr: float
    optimisation: Optimisation
    augmentation: Augmentation
    objective: Objective
    batches: Callable[[int], np.ndarray]
    """Epoch (from 0) to image numbers, int (batches, batch size)."""
    seed: int


def build_optimizer(how: Optimisation, lr: float) -> keras.optimizers.Optimizer:
    """Stochastic gradient descent with Nesterov momentum; biases and norms don't decay."""
    optimizer = keras.optimizers.SGD(
        lr, momentum=how.momentum, nesterov=how.momentum > 0, weight_decay=how.weight_decay or None
    )
    if how.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


def compiled(network: keras.Model, plan: Plan) -> keras.Model:
    """The network with its losses and optimizer; outputs ``softmax`` and perhaps ``triplet``."""
    outputs = {SOFTMAX: network.output[SOFTMAX]}
    losses: dict[str, keras.losses.Loss] = {
        SOFTMAX: keras.losses.CategoricalCrossentropy(
            label_smoothing=plan.objective.label_smoothing
        )
    }
    weights = {SOFTMAX: 1.0}
    if plan.objective.margin is not None:
        normalise = keras.layers.UnitNormalization(name=TRIPLET)
        outputs[TRIPLET] = normalise(network.output[FEATURE])
        losses[TRIPLET] = BatchHardTriplet(plan.objective.margin)
        weights[TRIPLET] = plan.objective.triplet_weight
    model = keras.Model(network.input, outputs)
    model.compile(
        optimizer=build_optimizer(plan.optimisation, plan.lr),
        loss=losses,
        loss_weights=weights,
        metrics={SOFTMAX: ["accuracy"]},
        jit_compile=False,
    )
    return model


def targets(model: keras.Model, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Labels (n,) in the form that each loss takes: one-hot (n, classes), or as they are."""
    classes = model.output[SOFTMAX].shape[-1]
    forms = {SOFTMAX: np.eye(classes, dtype=np.float32)[labels], TRIPLET: labels}
    return {name: forms[name] for name in model.output}


def augmented_batches(
    model: keras.Model, fold: Fold, plan: Plan, first_epoch: int
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Batches without end from ``first_epoch`` on: images uint8 and targets."""
    for epoch in count(first_epoch):
        rng = np.random.default_rng([plan.seed, epoch, 1])
        for rows in plan.batches(epoch):
            images = augment(fold.images[rows], plan.augmentation, rng)
            yield images, targets(model, fold.labels[rows])


def validate_retrieval(model: keras.Model, fold: Fold, batch_size: int) -> Row:
    """rank-1 and mAP among held-out people: a query for each person and camera, the rest gallery.

    ``model`` gives embeddings, as ``embedder`` makes it; the people must not be those that it was
    trained on.
    """
    embeddings = embed(model, [fold.images], batch_size)
    key = pd.DataFrame({"pid": fold.pids, "camid": fold.camids})
    is_query = ~key.duplicated().to_numpy()
    query, gallery = (
        FeatureSet(embeddings[part], fold.pids[part], fold.camids[part])
        for part in (is_query, ~is_query)
    )
    metrics = summarise(rank_queries(query, gallery), gallery.pids)
    return {"val_rank1": metrics.rank1, "val_mAP": metrics.mAP}


def _row(epoch: int, logs: dict[str, Any]) -> Row:
    """Keras's log of an epoch under this project's names, in an order that doesn't change."""
    names = {
        "learning_rate": "learning_rate",
        "loss": "loss",
        "softmax_loss": "softmax_loss",
        "triplet_loss": "triplet_loss",
        "softmax_accuracy": "accuracy",
        "val_loss": "val_loss",
        "val_softmax_loss": "val_softmax_loss",
        "val_triplet_loss": "val_triplet_loss",
        "val_softmax_accuracy": "val_accuracy",
    }
    # Keras calls the only metric of a model with one output by its bare name.
    logs |= {
        f"{half}softmax_accuracy": logs[f"{half}accuracy"]
        for half in ("", "val_")
        if f"{half}accuracy" in logs
    }
    return {"epoch": epoch + 1} | {name: float(logs[k]) for k, name in names.items() if k in logs}


class _EpochEnd(keras.callbacks.Callback):
    """After each epoch: judge it, keep the best weights, make it safe, tell about it."""

    def __init__(
        self,
        network: keras.Model,
        checkpoint: Checkpoint,
        history: list[Row],
        epochs: int,
        judge: Callable[[], Row],
        report: Callable[[Row], None],
    ) -> None:
        super().__init__()
        self.network = network
        self.checkpoint = checkpoint
        self.history = history
        self.epochs = epochs
        self.judge = judge
        self.report = report
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
        row = _row(epoch, logs or {})
        wrong = [name for name, value in row.items() if not math.isfinite(value)]
        if wrong:
            raise UserError(
                f"Training diverged in epoch {epoch + 1}: {wrong[0]} is {row[wrong[0]]}. "
                f"Lower lr (it stood at {row['learning_rate']:.3g}) or add "
                "optimisation.warmup_epochs."
            )
        row |= self.judge()
        self.history.append(row)
        self.checkpoint.save(self.model, self.network, self.history)
        self.seen += 1
        per_epoch = (time.monotonic() - self.began) / self.seen
        left = per_epoch * (self.epochs - epoch - 1)
        numbers = "  ".join(f"{k} {v:.3g}" for k, v in row.items() if k != "epoch")
        logger.info(
            "epoch %d/%d  %s  %s left", epoch + 1, self.epochs, numbers, tqdm.format_interval(left)
        )
        self.report(row)


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
            from there and ends as if it had never stopped.
        report: called after each epoch with its numbers.

    Raises:
        UserError: the loss is no number any more, or the images don't fill a batch.
    """
    training, validation = folds
    model = compiled(network, plan)
    model.optimizer.build(model.trainable_variables)
    history = checkpoint.resume(model)
    steps, batch_size = plan.batches(0).shape
    embedding = embedder(network)

    def judge() -> Row:
        if validation.is_labelled:
            return {}
        return validate_retrieval(embedding, validation, batch_size)

    if len(history) < plan.epochs:
        model.fit(
            augmented_batches(model, training, plan, len(history)),
            steps_per_epoch=steps,
            epochs=plan.epochs,
            initial_epoch=len(history),
            validation_data=(validation.images, targets(model, validation.labels))
            if validation.is_labelled
            else None,
            validation_batch_size=batch_size,
            shuffle=False,
            verbose=0,
            callbacks=[
                keras.callbacks.LearningRateScheduler(
                    lambda epoch: learning_rate(plan.lr, plan.optimisation, plan.epochs, epoch)
                ),
                _EpochEnd(network, checkpoint, history, plan.epochs, judge, report),
            ],
        )
    best = best_epoch(history)
    with replacing_folder(destination) as part:
        save_network(network, part / "last.keras")
        checkpoint.load_best(network)
        save_network(network, part / "best.keras")
        table = pd.DataFrame(history)
        table.to_csv(part / "history.csv", index=False, float_format="%.8g")
        summary = {
            "images": len(training),
            "validation_images": len(validation),
            "people": int(network.output[SOFTMAX].shape[-1]),
            "parameters": embedder(network).count_params(),
            "epochs": plan.epochs,
            "best_epoch": best + 1,
            **{k: v for k, v in history[best].items() if k.startswith("val_")},
        }
        write_json(part / "train.json", summary)
    checkpoint.discard()
