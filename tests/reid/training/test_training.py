"""Training on a few small images: what it writes, and that it can be interrupted."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from reid.common.errors import UserError
from reid.model.architecture import Architecture, Precision
from reid.model.backend import keras, make_deterministic
from reid.model.embedding import embed
from reid.model.fused_norm import FusedBatchNormalization
from reid.model.network import (
    BACKBONE,
    EMBEDDING,
    FEATURE,
    LOGITS,
    build_network,
    embedder,
    for_training,
    load_network,
    save_network,
)
from reid.model.pooling import GeneralisedMeanPooling2D
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import rank_queries, summarise
from reid.training.batches import people_batches, shuffled_batches
from reid.training.checkpoint import Checkpoint
from reid.training.compiling import Plan, averaged, compiled, targets
from reid.training.folds import Fold
from reid.training.history import Row
from reid.training.loop import train
from reid.training.objective import Objective
from reid.training.optimisation import Optimisation
from reid.training.validation import validate_retrieval
from tests.support.small_training import ADAMW, NETWORK, PEOPLE, SGD, SHALLOW, fold, plan

FILES = ("best.keras", "last.keras", "history.csv", "train.json")


def run(
    folder: Path,
    how: Plan,
    validation: Fold | None = None,
    report: Callable[[Row], None] = lambda row: None,
    network: Architecture = NETWORK,
    precision: Precision = "float32",
) -> dict[str, bytes]:
    """Train from the same start and give the files that were written."""
    keras.backend.clear_session()
    make_deterministic(seed=1, threads=2)
    folds = (fold(6, 0, size=network.height), validation or fold(2, 1, size=network.height))
    start = for_training(build_network(network, "none", PEOPLE), precision)
    train(start, folds, how, folder / "model", Checkpoint(folder / "checkpoint"), report)
    return {name: (folder / "model" / name).read_bytes() for name in FILES}


class KilledError(Exception):
    """Stands for whatever ends a process between two epochs."""


@pytest.mark.parametrize(
    ("network", "optimisation", "precision"),
    [
        (NETWORK, SGD, "float32"),
        (SHALLOW, ADAMW, "float32"),
        (SHALLOW, SGD, "mixed_bfloat16"),
        (SHALLOW, ADAMW, "mixed_float16"),
    ],
    ids=["sgd", "all ingredients", "bfloat16", "float16, all ingredients"],
)
def test_training_killed_after_each_epoch_ends_with_the_same_bytes(
    network: Architecture, optimisation: Optimisation, precision: Precision, tmp_path: Path
) -> None:
    how = plan(3, Objective(label_smoothing=0.1, margin=0.3), 0.003, optimisation)
    undisturbed = run(tmp_path / "a", how, network=network, precision=precision)
    epochs: list[float] = []

    def kill(row: Row) -> None:
        epochs.append(row["epoch"])
        raise KilledError

    for _ in range(3):
        with pytest.raises(KilledError):
            run(tmp_path / "b", how, report=kill, network=network, precision=precision)
        assert not (tmp_path / "b" / "model").exists()
    assert epochs == [1, 2, 3]
    assert run(tmp_path / "b", how, network=network, precision=precision) == undisturbed


def test_frozen_backbone_stays_as_it_is_while_the_rest_learns(tmp_path: Path) -> None:
    frozen = SGD.model_copy(update={"frozen_epochs": 2})
    run(tmp_path, plan(2, Objective(label_smoothing=0.0), optimisation=frozen))
    trained = load_network(tmp_path / "model" / "last.keras")
    keras.backend.clear_session()
    make_deterministic(seed=1, threads=2)
    start = build_network(NETWORK, "none", PEOPLE)
    for before, after in zip(
        start.get_layer(BACKBONE).get_weights(),
        trained.get_layer(BACKBONE).get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(before, after)
    head = [network.get_layer(LOGITS).get_weights()[0] for network in (start, trained)]
    assert not np.allclose(*head)


def test_average_is_that_of_the_weights_after_each_step() -> None:
    keep = 0.8
    how = plan(1, Objective(0.0), optimisation=SGD.model_copy(update={"average": keep}))
    model = compiled(build_network(NETWORK, "none", PEOPLE), how)
    images = fold(6, 0)
    expected: list[np.ndarray] = []
    for step in range(3):
        model.train_on_batch(images.images, targets(model, images.labels))
        weights = [keras.ops.convert_to_numpy(v).copy() for v in model.trainable_variables]
        expected = [
            weight if step == 0 else keep * mean + (1 - keep) * weight
            for weight, mean in zip(weights, expected or weights, strict=True)
        ]
    with averaged(model):
        for mean, variable in zip(expected, model.trainable_variables, strict=True):
            assert keras.ops.convert_to_numpy(variable) == pytest.approx(mean, abs=1e-5)
    for weight, variable in zip(weights, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), weight)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_trains_the_same_network_and_is_saved_in_full(
    precision: Precision, tmp_path: Path
) -> None:
    full = build_network(SHALLOW, "none", PEOPLE)
    half = for_training(full, precision)
    images = fold(2, 0, size=64)
    how = plan(1, Objective(label_smoothing=0.0, margin=0.3), lr=0.001)
    losses = []
    for network in (full, half):
        model = compiled(network, how)
        batch = images.images, targets(model, images.labels)
        steps = [model.train_on_batch(*batch, return_dict=True)["loss"] for _ in range(4)]
        losses.append([float(loss) for loss in steps])
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
    assert losses[1][-1] < losses[1][0]
    save_network(half, tmp_path / "half.keras")
    saved = load_network(tmp_path / "half.keras")
    assert saved.get_layer(BACKBONE).layers[-1].compute_dtype == "float32"
    for here, there in zip(half.get_weights(), saved.get_weights(), strict=True):
        np.testing.assert_array_equal(here, there)
    embeddings = [np.asarray(embedder(n).predict_on_batch(images.images)) for n in (half, saved)]
    assert embeddings[0].dtype == np.float32
    assert np.sum(embeddings[0] * embeddings[1], axis=1).min() > 0.99


def test_fused_batch_norm_is_that_of_keras() -> None:
    rng = np.random.default_rng(5)
    maps, slope = rng.normal(2.0, 3.0, (2, 6, 5, 3, 7)).astype(np.float32)
    results = []
    for kind in (keras.layers.BatchNormalization, FusedBatchNormalization):
        norm = kind(momentum=0.8)
        norm.build(maps.shape)
        norm.gamma.assign(np.linspace(0.5, 2.0, 7))
        norm.beta.assign(np.linspace(-1.0, 1.0, 7))
        with tf.GradientTape() as tape:
            x = tf.Variable(maps)
            outputs = norm(x, training=True)
            total = tf.reduce_sum(outputs * slope)
        sources = [x, norm.gamma.value, norm.beta.value]
        moving = [norm.moving_mean.numpy(), norm.moving_variance.numpy()]
        results.append([outputs, *tape.gradient(total, sources), *moving, norm(x)])
        norm.trainable = False
        results[-1].append(norm(x, training=True))
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5, rtol=2e-5)


def test_steps_that_xla_compiles_normalise_maps_with_a_large_mean() -> None:
    maps = np.random.default_rng(0).normal(3000.0, 1.0, (32, 16, 8, 7)).astype(np.float32)
    image = keras.Input(maps.shape[1:])
    norm = for_training(keras.Model(image, keras.layers.BatchNormalization()(image)), xla=True)
    step = tf.function(lambda x: norm(x, training=True), jit_compile=True, autograph=False)
    assert np.isfinite(step(maps).numpy()).all()


def test_saved_network_needs_nothing_but_keras(tmp_path: Path) -> None:
    network = for_training(build_network(NETWORK, "none", PEOPLE))
    norms = [la for la in network.get_layer(BACKBONE).layers if "_BN" in la.name]
    assert {type(norm) for norm in norms} == {FusedBatchNormalization}
    save_network(network, tmp_path / "model.keras")
    code = f"import keras; keras.saving.load_model('{tmp_path / 'model.keras'}', compile=False)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 0, done.stderr


def test_without_a_neck_the_embedding_is_the_feature_at_length_one() -> None:
    network = build_network(NETWORK.model_copy(update={"neck": False}), "none", PEOPLE)
    outputs = network.predict_on_batch(fold(1, 0).images)
    feature = outputs[FEATURE]
    expected = feature / np.linalg.norm(feature, axis=1, keepdims=True)
    assert outputs[EMBEDDING] == pytest.approx(expected, abs=1e-5)


def test_an_image_and_its_mirror_image_are_embedded_alike_where_both_are() -> None:
    model = embedder(build_network(NETWORK, "none", PEOPLE))
    images = fold(2, 0).images
    mirrored = images[:, :, ::-1]
    both = embed(model, [images], 5, flip=True)
    assert both == pytest.approx(embed(model, [mirrored], 3, flip=True), abs=1e-5)
    assert np.linalg.norm(both, axis=1) == pytest.approx(1, abs=1e-5)
    one = embed(model, [images], 8)
    assert not np.allclose(one, both, atol=1e-4)
    halves = one + embed(model, [mirrored], 8)
    assert both == pytest.approx(halves / np.linalg.norm(halves, axis=1, keepdims=True), abs=1e-5)


def test_generalised_mean_between_the_mean_and_the_maximum() -> None:
    maps = np.random.default_rng(0).random((2, 4, 3, 5)).astype(np.float32)
    layer = GeneralisedMeanPooling2D()
    pooled = keras.ops.convert_to_numpy(layer(maps))
    assert pooled == pytest.approx(np.mean(maps**3, axis=(1, 2)) ** (1 / 3), rel=1e-5)
    layer.power.assign(1.0)
    assert keras.ops.convert_to_numpy(layer(maps)) == pytest.approx(maps.mean(axis=(1, 2)))
    assert keras.ops.convert_to_numpy(layer(np.zeros((1, 2, 2, 5)))) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("power", [1.0, 8.0, 60.0])
def test_generalised_mean_of_large_powers_and_of_nothing_has_a_gradient(power: float) -> None:
    tf = pytest.importorskip("tensorflow")
    maps = 100 * np.random.default_rng(0).random((2, 4, 3, 5)).astype(np.float32)
    maps[:, :, :, 0] = 0
    layer = GeneralisedMeanPooling2D()
    layer.build(maps.shape)
    layer.power.assign(power)
    variable = tf.Variable(maps)
    with tf.GradientTape() as tape:
        pooled = layer(variable)
    gradients = tape.gradient(pooled, [variable, layer.power.value])
    assert all(np.isfinite(gradient.numpy()).all() for gradient in gradients)
    exact = np.mean(maps.astype(np.float64) ** power, axis=(1, 2)) ** (1 / power)
    assert pooled.numpy() == pytest.approx(exact, rel=1e-4, abs=1e-5)


def test_recipe_with_every_ingredient_learns_and_loads(tmp_path: Path) -> None:
    keras.backend.clear_session()
    make_deterministic(seed=1, threads=2)
    how = SHALLOW.model_copy(update={"pooling": "gem", "last_stride": 1})
    network = build_network(how, "none", PEOPLE)
    objective = Objective(label_smoothing=0.1, margin="soft", mining="random")
    train(
        network,
        (fold(6, 0, size=64), fold(2, 1, size=64)),
        plan(4, objective, 0.001, ADAMW),
        tmp_path / "model",
        Checkpoint(tmp_path / "checkpoint"),
        lambda row: None,
    )
    history = pd.read_csv(tmp_path / "model" / "history.csv")
    assert history["loss"].iloc[-1] < 0.9 * history["loss"].iloc[0]
    # The network holds the best epoch, as it was saved.
    loaded = load_network(tmp_path / "model" / "best.keras")
    images = fold(1, 5, size=64).images
    expected = network.predict_on_batch(images)[EMBEDDING]
    assert loaded.predict_on_batch(images)[EMBEDDING] == pytest.approx(expected, abs=1e-6)


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
        "val_rank1",
        "val_mAP",
    ]
    assert history[["val_rank1", "val_mAP"]].isna().all(axis=None)
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
    assert history[["val_loss", "val_accuracy"]].isna().all(axis=None)


def test_saved_model_gives_embeddings_of_length_one_and_a_logit_a_person(tmp_path: Path) -> None:
    run(tmp_path, plan(1, Objective(label_smoothing=0.0)))
    network = load_network(tmp_path / "model" / "best.keras")
    outputs = network.predict_on_batch(fold(1, 5).images)
    assert outputs[LOGITS].shape == (PEOPLE, PEOPLE)
    assert np.linalg.norm(outputs[EMBEDDING], axis=1) == pytest.approx(1, abs=1e-5)
    assert embedder(network).output_shape == (None, 1280)


@pytest.mark.parametrize("lr", [1e30, 30.0], ids=["no number", "huge numbers"])
@pytest.mark.parametrize("are_people_held_out", [False, True])
def test_diverging_training_ends_with_the_parameter_to_lower(
    lr: float, are_people_held_out: bool, tmp_path: Path
) -> None:
    strangers = fold(4, 1, first_label=100, labelled=False, size=64)
    with pytest.raises(UserError, match=r"diverged in epoch 1.*Lower lr"):
        run(
            tmp_path,
            plan(4, Objective(label_smoothing=0.0), lr),
            strangers if are_people_held_out else fold(2, 1, size=64),
            network=SHALLOW,
        )
    assert not (tmp_path / "model").exists()


def test_diverging_in_half_precision_points_at_the_precision(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Lower lr.* Or choose precision: float32"):
        run(
            tmp_path,
            plan(1, Objective(label_smoothing=0.0), 1e30),
            network=SHALLOW,
            precision="mixed_bfloat16",
        )


def test_warm_up_as_long_as_the_training_is_pointed_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slow = SGD.model_copy(update={"warmup_epochs": 3})
    run(tmp_path / "a", plan(2, Objective(label_smoothing=0.0), optimisation=slow))
    assert "only rises to 0.005, not to lr 0.01" in caplog.text
    assert "warmup_epochs is 3 of 2 epochs" in caplog.text
    caplog.clear()
    enough = SGD.model_copy(update={"warmup_epochs": 1})
    run(tmp_path / "b", plan(2, Objective(label_smoothing=0.0), optimisation=enough))
    assert "only rises" not in caplog.text


def test_embeddings_that_are_none_are_no_retrieval_to_judge() -> None:
    network = build_network(NETWORK, "none", PEOPLE)
    strangers = fold(4, 1, first_label=100, labelled=False)
    for broken in (np.nan, 0.0):
        network.get_layer("neck").gamma.assign(np.full(1280, broken))
        figures = validate_retrieval(embedder(network), strangers, 8)
        assert np.isnan([figures["val_rank1"], figures["val_mAP"]]).all()


def test_too_few_images_or_people_for_a_batch_are_explained() -> None:
    with pytest.raises(UserError, match=r"baseline\.batch_size"):
        shuffled_batches(7, 8, seed=0, epoch=0)
    with pytest.raises(UserError, match=r"triplet\.people"):
        people_batches(np.array([0, 0, 1, 1]), people=3, images=2, seed=0, epoch=0)


def test_epoch_that_shows_few_of_the_images_is_pointed_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    how = plan(1, Objective(label_smoothing=0.1, margin=0.3))
    run(tmp_path / "all", how)
    assert "training images" not in caplog.text
    run(tmp_path / "few", replace(how, batches=lambda epoch: np.arange(8).reshape(2, 4)))
    assert "an epoch is 2 batches of 4, which show 8 of 24 training images" in caplog.text
