"""Trainings on a few small images: the files that they write, and that they can be interrupted."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reid.common.errors import UserError
from reid.model.architecture import Architecture, Precision
from reid.model.backend import keras, make_deterministic
from reid.model.network import BACKBONE, EMBEDDING, LOGITS, embedder, for_computing, load_network
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import rank_queries, summarise
from reid.training.checkpoint import Checkpoint
from reid.training.compiling import Plan
from reid.training.folds import Fold
from reid.training.history import Row
from reid.training.loop import learning_rates, train, warn_of_unseen
from reid.training.objective import Objective
from tests.support.small_training import ADAMW, PEOPLE, SGD, TINY, fold, folds, network, plan

pytestmark = pytest.mark.slow

FILES = ("best.keras", "last.keras", "final.keras", "history.csv", "train.json")


def initial(how: Architecture) -> keras.Model:
    """Build a network whose weights are the same at each call."""
    keras.backend.clear_session()
    make_deterministic(seed=1, threads=2)
    return network(how)


def run(
    folder: Path,
    how: Plan,
    validation: Fold | None = None,
    report: Callable[[Row], None] = lambda row: None,
    precision: Precision = "float32",
    refit_epochs: int = 0,
    training: Fold | None = None,
) -> dict[str, bytes]:
    """Train from the same initial weights, and return the files that were written."""
    train(
        for_computing(initial(TINY), precision),
        folds(training or fold(6, 0), validation or fold(2, 1)),
        how,
        folder / "model",
        Checkpoint(folder / "checkpoint"),
        report,
        refit_epochs,
    )
    return {name: (folder / "model" / name).read_bytes() for name in FILES}


class KilledError(Exception):
    """Stands for whatever ends a training between two epochs."""


def test_killed_training_ends_with_the_same_bytes(tmp_path: Path) -> None:
    # All that the checkpoints of both trainings have to hold: the backbone is frozen first, weights
    # are averaged, the optimizer has moments, and float16 has a state of its own, the factor of the
    # loss.
    precision: Precision = "mixed_float16"
    how = plan(3, Objective(label_smoothing=0.1, margin=0.3), 0.003, ADAMW)
    undisturbed = run(tmp_path / "a", how, precision=precision, refit_epochs=2)
    # Between two epochs, between the two trainings, and between the frozen epoch and the next.
    to_kill_after = [(False, 2), (False, 3), (True, 1)]
    seen: list[tuple[bool, float]] = []

    def kill(row: Row) -> None:
        seen.append(("refit_loss" in row, row["epoch"]))
        if seen[-1] in to_kill_after:
            raise KilledError

    for _ in to_kill_after:
        with pytest.raises(KilledError):
            run(tmp_path / "b", how, report=kill, precision=precision, refit_epochs=2)
        assert not (tmp_path / "b" / "model").exists()
    assert seen == [(False, 1), *to_kill_after]
    assert run(tmp_path / "b", how, precision=precision, refit_epochs=2) == undisturbed


def test_frozen_backbone_stays_as_it_is_while_the_rest_learns(tmp_path: Path) -> None:
    frozen = SGD.model_copy(update={"frozen_epochs": 2})
    run(tmp_path, plan(2, Objective(label_smoothing=0.0), settings=frozen))
    trained = load_network(tmp_path / "model" / "last.keras")
    start = initial(TINY)
    for before, after in zip(
        start.get_layer(BACKBONE).get_weights(),
        trained.get_layer(BACKBONE).get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(before, after)
    head = [model.get_layer(LOGITS).get_weights()[0] for model in (start, trained)]
    assert not np.allclose(*head)


def test_recipe_with_every_ingredient_learns_and_loads(tmp_path: Path) -> None:
    how = TINY.model_copy(update={"pooling": "gem", "last_stride": 1})
    trained = initial(how)
    objective = Objective(label_smoothing=0.1, margin="soft", mining="random")
    train(
        trained,
        folds(fold(6, 0), fold(2, 1)),
        plan(4, objective, 0.01, ADAMW),
        tmp_path / "model",
        Checkpoint(tmp_path / "checkpoint"),
        lambda row: None,
    )
    history = pd.read_csv(tmp_path / "model" / "history.csv")
    assert history["loss"].iloc[-1] < 0.9 * history["loss"].iloc[0]
    Checkpoint(tmp_path / "checkpoint").load(trained, "best")
    loaded = load_network(tmp_path / "model" / "best.keras")
    images = fold(1, 5).images
    expected = trained.predict_on_batch(images)[EMBEDDING]
    assert loaded.predict_on_batch(images)[EMBEDDING] == pytest.approx(expected, abs=1e-6)


def test_baseline_learns_and_its_history_has_the_documented_columns(tmp_path: Path) -> None:
    run(tmp_path, plan(4, Objective(label_smoothing=0.0)))
    history = pd.read_csv(tmp_path / "model" / "history.csv")
    assert history.columns.tolist() == [
        "epoch",
        "learning_rate",
        "loss",
        "accuracy",
        "val_loss",
        "val_accuracy",
        "val_rank1",
        "val_mAP",
        "refit_learning_rate",
        "refit_loss",
        "refit_accuracy",
    ]
    unmeasured = ["val_rank1", "val_mAP", "refit_learning_rate", "refit_loss", "refit_accuracy"]
    assert history[unmeasured].isna().all(axis=None)
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert history["learning_rate"].is_monotonic_decreasing
    assert history["accuracy"].iloc[-1] > 1.5 / PEOPLE


def test_refit_goes_on_from_the_best_epoch_with_all_images(tmp_path: Path) -> None:
    objective = Objective(label_smoothing=0.1, margin=0.3)
    refitted = run(tmp_path / "a", plan(1, objective), refit_epochs=2)
    plain = run(tmp_path / "b", plan(1, objective))
    everything = folds(fold(6, 0), fold(2, 1)).all
    train(
        for_computing(load_network(tmp_path / "b" / "model" / "best.keras")),
        folds(everything, fold(2, 1)),
        plan(2, objective),
        tmp_path / "c",
        Checkpoint(tmp_path / "checkpoint"),
        lambda row: None,
    )
    assert refitted["final.keras"] == (tmp_path / "c" / "last.keras").read_bytes()
    for held_out in ("best.keras", "last.keras"):
        assert refitted[held_out] == plain[held_out]
    assert plain["final.keras"] == plain["best.keras"]

    refit, alone = (pd.read_csv(tmp_path / f / "history.csv") for f in ("a/model", "c"))
    assert refit["epoch"].tolist() == [1, 2]
    assert refit["val_loss"].notna().tolist() == [True, False]
    for column in ("learning_rate", "loss", "triplet_loss", "accuracy"):
        assert refit[f"refit_{column}"].tolist() == alone[column].tolist()


def test_nothing_is_frozen_in_a_refit(tmp_path: Path) -> None:
    settings = SGD.model_copy(update={"frozen_epochs": 1})
    run(tmp_path, plan(1, Objective(label_smoothing=0.0), settings=settings), refit_epochs=1)
    best, final = (load_network(tmp_path / "model" / f"{name}.keras") for name in ("best", "final"))
    kernels = [network.get_layer(BACKBONE).get_weights()[0] for network in (best, final)]
    assert not np.allclose(*kernels)


def test_triplet_history_has_both_losses(tmp_path: Path) -> None:
    run(tmp_path, plan(1, Objective(label_smoothing=0.1, margin=0.3, triplet_weight=0.5)))
    (row,) = pd.read_csv(tmp_path / "model" / "history.csv").to_dict("records")
    assert row["loss"] == pytest.approx(row["softmax_loss"] + 0.5 * row["triplet_loss"], rel=1e-3)
    assert row["val_triplet_loss"] >= 0


def test_held_out_people_are_validated_by_retrieval(tmp_path: Path) -> None:
    strangers = fold(4, 1, first_label=100, labelled=False)
    run(tmp_path, plan(2, Objective(label_smoothing=0.0)), strangers)
    history = pd.read_csv(tmp_path / "model" / "history.csv")
    trained = load_network(tmp_path / "model" / "last.keras")
    embeddings = embedder(trained).predict_on_batch(strangers.images)
    # The first image of each person and camera is a query, the others are the gallery.
    pairs = list(zip(strangers.pids, strangers.camids, strict=True))
    is_query = np.array([pairs.index(pair) == row for row, pair in enumerate(pairs)])
    query, gallery = (
        FeatureSet(embeddings[part], strangers.pids[part], strangers.camids[part])
        for part in (is_query, ~is_query)
    )
    expected = summarise(rank_queries(query, gallery), gallery.pids)
    last = history.iloc[-1]
    assert last["val_rank1"] == pytest.approx(expected.rank1, abs=1e-3)
    assert last["val_mAP"] == pytest.approx(expected.mAP, abs=1e-3)
    assert history[["val_loss", "val_accuracy"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("lr", "are_people_held_out"), [(1e30, False), (1000.0, True)], ids=["NaN", "huge loss"]
)
def test_diverging_training_names_the_parameter_to_lower(
    lr: float, are_people_held_out: bool, tmp_path: Path
) -> None:
    strangers = fold(4, 1, first_label=100, labelled=False)
    with pytest.raises(UserError, match=r"diverged in epoch 1.*Lower lr"):
        run(
            tmp_path,
            plan(4, Objective(label_smoothing=0.0), lr),
            strangers if are_people_held_out else None,
        )
    assert not (tmp_path / "model").exists()


def test_training_that_diverges_in_half_precision_names_the_precision(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Lower lr.* Or choose precision: float32"):
        run(
            tmp_path,
            plan(1, Objective(label_smoothing=0.0), 1e30),
            precision="mixed_bfloat16",
        )


def test_warm_up_as_long_as_the_training_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    objective = Objective(label_smoothing=0.0)
    slow = SGD.model_copy(update={"warmup_epochs": 3})
    assert learning_rates(plan(1, objective, settings=slow)) == [pytest.approx(0.0025)]
    assert "only rises to 0.0025, not to lr 0.01" in caplog.text
    assert "warmup_epochs is 3 of 1 epochs" in caplog.text
    caplog.clear()
    enough = SGD.model_copy(update={"warmup_epochs": 1})
    assert max(learning_rates(plan(2, objective, settings=enough))) == pytest.approx(0.01)
    assert not caplog.text


def test_epoch_that_shows_few_of_the_images_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_unseen(np.arange(20).reshape(5, 4), 24)
    assert not caplog.text
    warn_of_unseen(np.arange(8).reshape(2, 4), 24)
    assert "2 batches of 4 images, which show 8 of 24 training images" in caplog.text


def test_student_comes_nearer_to_the_similarities_of_its_teacher(tmp_path: Path) -> None:
    # The teacher sees people 0 and 1 as one, and people 2 and 3 as one.
    directions = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]

    def taught(part: Fold) -> Fold:
        return replace(part, teacher=directions[part.labels])

    distances = {}
    for weight in (0.001, 100.0):
        objective = Objective(0.1, 0.3, teacher_weight=weight)
        folder = tmp_path / str(weight)
        run(folder, plan(6, objective), taught(fold(2, 1)), training=taught(fold(6, 0)))
        rows = pd.read_csv(folder / "model" / "history.csv")
        distances[weight] = rows["val_teacher_loss"].iloc[-1]
        losses = rows[["softmax_loss", "triplet_loss", "teacher_loss"]].to_numpy()
        assert rows["loss"].to_numpy() == pytest.approx(losses @ [1, 1, weight], rel=1e-3)
    assert distances[100.0] < 0.5 * distances[0.001]
