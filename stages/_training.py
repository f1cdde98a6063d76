"""What the two training stages share: their common parameters and the training itself."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from reid.common.processor import Processor, use_instructions
from reid.common.settings import Settings
from reid.data import paths
from reid.model.architecture import Architecture, Precision
from reid.model.backend_choice import Backend, choose
from reid.training.augmentation import Augmentation
from reid.training.folds import Folds, read_folds
from reid.training.objective import Objective
from reid.training.optimisation import Optimisation, OptimisationSettings
from runs.checkpoints import checkpoint
from runs.fingerprint import inputs_hash, is_saved, require_unedited
from runs.live_epochs import live_report
from stages._params import Seed, Threads

if TYPE_CHECKING:
    from reid.model.backend import keras
    from reid.training.checkpoint import Checkpoint

logger = logging.getLogger(__name__)

KERAS_WEIGHTS = ("imagenet", "none")


class TrainingParams(Settings):
    """The parameters that both models are trained with."""

    lr: float = Field(gt=0)
    seed: Seed
    backend: Backend
    devices: int = Field(ge=1)
    processor: Processor
    threads: Threads
    precision: Precision
    model: Architecture
    augmentation: Augmentation
    optimisation: OptimisationSettings


def train_model(
    name: str,
    params: TrainingParams,
    objective: Objective,
    epochs: int,
    batches: Callable[[np.ndarray, int], np.ndarray],
    refit_epochs: int,
    start: Path | None = None,
    teacher: Path | None = None,
) -> None:
    """Train a model and write ``models/<name>``.

    Args:
        name: the name of the model.
        params: the parameters that both models share.
        objective: the losses to minimise.
        epochs: the number of epochs.
        batches: as in `Plan`.
        refit_epochs: the epochs in which to learn from all images in the end; 0 for none. Held-out
            people are not among the classes of the softmax: then there are none, and a warning
            says so.
        start: the model to start from; if it is None, the network starts from
            ``params.model.weights``.
        teacher: the file of the teacher's network; None trains without a teacher.

    Raises:
        UserError: the training diverges, its input can't be used, or what the stage declares was
            edited while it ran.
    """
    stage = f"train_{name}"
    before = inputs_hash(stage)
    choose(params.backend)
    use_instructions(params.processor)
    with live_report(name) as live:
        from reid.model.backend import make_deterministic  # noqa: PLC0415

        make_deterministic(params.seed, params.threads)
        from reid.training.compiling import Plan  # noqa: PLC0415
        from reid.training.devices import (  # noqa: PLC0415
            explaining_failures,
            is_first_machine,
            require_same_on_all_machines,
            use_devices,
        )
        from reid.training.loop import train  # noqa: PLC0415
        from reid.training.teacher import teacher_embeddings  # noqa: PLC0415

        use_devices(params.devices)
        plan = Plan(
            epochs=epochs,
            optimisation=Optimisation(params.lr, params.optimisation),
            augmentation=params.augmentation,
            objective=objective,
            batches=batches,
            seed=params.seed,
        )
        how = params.model
        kept = checkpoint(before)
        with kept.alone(), explaining_failures():
            require_same_on_all_machines(_state(stage, before, kept))
            taught = (
                teacher_embeddings(teacher, paths.DATASET, kept.teacher_file()) if teacher else None
            )
            folds = read_folds(paths.DATASET, paths.SPLIT, how.height, how.width, taught)
            if refit_epochs and not can_refit(name, folds):
                refit_epochs = 0
            if is_first_machine():
                live.begin()
            # A finished checkpoint whose model is already in DVC's cache means `--force`: train
            # from scratch.
            ended, last = (kept.of_refit(), refit_epochs) if refit_epochs else (kept, epochs)
            if len(ended.history()) == last and is_saved(stage):
                kept.discard()
            # Only some of the machines may have discarded theirs.
            require_same_on_all_machines(_state(stage, before, kept))
            train(
                _network(params, folds.training.people, start),
                folds,
                plan,
                paths.model_folder(name),
                kept,
                live.epoch,
                refit_epochs,
            )
            # `track` discards the checkpoint: DVC may be killed before it has saved the model.
            require_unedited(stage, before)


def _state(stage: str, inputs: str, kept: "Checkpoint") -> str:
    """Return what machines that train together must agree on, in words."""
    teacher = " and the teacher's embeddings" if kept.teacher_file().exists() else ""
    return (
        f"{stage} {inputs[:16]} with {len(kept.history())} finished epochs, "
        f"{len(kept.of_refit().history())} of the refit{teacher}"
    )


def can_refit(name: str, folds: Folds) -> bool:
    """Say whether a model can learn from all images, and warn if it can't.

    Held-out people are not among the classes of its softmax.
    """
    if not folds.validation.is_labelled:
        logger.warning(
            "%s.refit_epochs has no effect while split.holdout is people: the network learns only "
            "from the people who are not held out",
            name,
        )
    return folds.validation.is_labelled


def _network(params: TrainingParams, people: int, start: Path | None) -> "keras.Model":
    """Make the network to train, with the weights that it starts from."""
    from reid.model.backend import keras  # noqa: PLC0415
    from reid.model.network import build_network, for_computing, load_network  # noqa: PLC0415

    keras.utils.set_random_seed(params.seed)
    how = params.model
    if start is None:
        # `dvc.yaml` declares only the files in pretrained/, so only these can be read.
        is_file = how.weights not in KERAS_WEIGHTS
        weights = str(paths.PRETRAINED / how.weights) if is_file else how.weights
        network = build_network(how, weights, people)
    else:
        network = load_network(start)
    return for_computing(network, params.precision)
