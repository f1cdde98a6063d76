"""Training on a few small images: what it writes, and that it can be interrupted."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reid.augmentation import Augmentation
from reid.backend import keras, make_deterministic
from reid.batches import people_batches, shuffled_batches
from reid.checkpoint import Checkpoint, Row
from reid.errors import UserError
from reid.evaluation import rank_queries, summarise
from reid.feature_set import FeatureSet
from reid.folds import Fold
from reid.network import EMBEDDING, SOFTMAX, build_network, embedder, load_network
from reid.objective import Objective
from reid.optimisation import Optimisation
from reid.training import Plan, train

PEOPLE, HEIGHT, WIDTH = 4, 32, 32
SGD = Optimisation(momentum=0.9, weight_decay=0.0005, warmup_epochs=0, decay="cosine")
FILES = ("best.keras", "last.keras", "history.csv", "train.json")


def fold(images: int, seed: int, first_label: int = 0, labelled: bool = True) -> Fold:
    """Noise around one colour a person, alternating between two cameras."""
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(PEOPLE), images).astype(np.int32)
    colours = np.random.default_rng(7).integers(30, 220, (PEOPLE, 1, 1, 3))
    noise = rng.integers(-30, 30, (len(people), HEIGHT, WIDTH, 3))
    labels = people if labelled else np.full_like(people, -1)
    cameras = np.tile([1, 2], len(people) // 2).astype(np.int32)
    return Fold((colours[people] + noise).astype(np.uint8), labels, people + first_label, cameras)


def plan(epochs: int, objective: Objective, lr: float = 0.01) -> Plan:
    labels = fold(6, 0).labels
    batches: Callable[[int], np.ndarray] = partial(shuffled_batches, len(labels), 8, 1)
    if objective.margin:
        batches = lambda epoch: people_batches(labels, 4, 2, 1, epoch)  # noqa: E731
    augmentation = Augmentation(flip=True, pad=2, colour=0.1, erase=0.3)
    return Plan(epochs, lr, SGD, augmentation, objective, batches, seed=1)


def run(
    folder: Path,
    how: Plan,
    validation: Fold | None = None,
    report: Callable[[Row], None] = lambda row: None,
) -> dict[str, bytes]:
    """Train from the same start and give the files that were written."""
    keras.backend.clear_session()
    make_deterministic(seed=1, threads=2)
    network = build_network("mobilenet_v2", HEIGHT, WIDTH, 0.35, "none", PEOPLE)
    folds = (fold(6, 0), validation or fold(2, 1))
    train(network, folds, how, folder / "model", Checkpoint(folder / "checkpoint"), report)
    return {name: (folder / "model" / name).read_bytes() for name in FILES}


class KilledError(Exception):
    """Stands for whatever ends a process between two epochs."""


def test_killed_training_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    how = plan(3, Objective(label_smoothing=0.1, margin=0.3))
    undisturbed = run(tmp_path / "a", how)

    def kill_after_two(row: Row) -> None:
        if row["epoch"] == 2:
            raise KilledError

    with pytest.raises(KilledError):
        run(tmp_path / "b", how, report=kill_after_two)
    assert not (tmp_path / "b" / "model").exists()
    epochs: list[float] = []
    resumed = run(tmp_path / "b", how, report=lambda row: epochs.append(row["epoch"]))
    assert epochs == [3]
    assert resumed == undisturbed
    assert not (tmp_path / "b" / "checkpoint").exists()


def test_baseline_learns_and_history_has_what_is_promised(tmp_path: Path) -> None:
    run(tmp_path, plan(4, Objective(label_smoothing=0.0)))
    history = pd.read_csv(tmp_path / "model" / "history.csv")
    assert history.columns.tolist() == [
        "epoch",
        "learning_rate",
        "loss",
        "accuracy",
        "val_loss",
        "val_accuracy",
    ]
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert history["learning_rate"].is_monotonic_decreasing
    assert history["accuracy"].iloc[-1] > 1.5 / PEOPLE


def test_triplet_history_has_both_losses_apart(tmp_path: Path) -> None:
    run(tmp_path, plan(1, Objective(label_smoothing=0.1, margin=0.3, triplet_weight=0.5)))
    (row,) = pd.read_csv(tmp_path / "model" / "history.csv").to_dict("records")
    assert row["loss"] == pytest.approx(row["softmax_loss"] + 0.5 * row["triplet_loss"], rel=1e-3)
    assert row["val_triplet_loss"] >= 0


def test_held_out_people_are_validated_by_retrieval(tmp_path: Path) -> None:
    strangers = fold(4, 1, first_label=100, labelled=False)
    run(tmp_path, plan(2, Objective(label_smoothing=0.0)), strangers)
    history = pd.read_csv(tmp_path / "model" / "history.csv")
    network = load_network(tmp_path / "model" / "last.keras")
    embeddings = embedder(network).predict_on_batch(strangers.images)
    # The first image of each person and camera asks, and the others answer.
    pairs = list(zip(strangers.pids, strangers.camids, strict=True))
    asks = np.array([pairs.index(pair) == row for row, pair in enumerate(pairs)])
    query, gallery = (
        FeatureSet(embeddings[part], strangers.pids[part], strangers.camids[part])
        for part in (asks, ~asks)
    )
    expected = summarise(rank_queries(query, gallery), gallery.pids)
    last = history.iloc[-1]
    assert last["val_rank1"] == pytest.approx(expected.rank1, abs=1e-3)
    assert last["val_mAP"] == pytest.approx(expected.mAP, abs=1e-3)
    assert "val_loss" not in history


def test_saved_model_gives_embeddings_of_length_one_and_probabilities(tmp_path: Path) -> None:
    run(tmp_path, plan(1, Objective(label_smoothing=0.0)))
    network = load_network(tmp_path / "model" / "best.keras")
    outputs = network.predict_on_batch(fold(1, 5).images)
    assert outputs[SOFTMAX].sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(outputs[EMBEDDING], axis=1) == pytest.approx(1, abs=1e-5)
    assert embedder(network).output_shape == (None, 1280)


def test_diverging_training_ends_with_the_parameter_to_lower(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"diverged in epoch 1.*Lower lr"):
        run(tmp_path, plan(2, Objective(label_smoothing=0.0), lr=1e30))
    assert not (tmp_path / "model").exists()


def test_too_few_images_or_people_for_a_batch_are_explained() -> None:
    with pytest.raises(UserError, match=r"baseline\.batch_size"):
        shuffled_batches(7, 8, seed=0, epoch=0)
    with pytest.raises(UserError, match=r"triplet\.people"):
        people_batches(np.array([0, 0, 1, 1]), people=3, images=2, seed=0, epoch=0)
