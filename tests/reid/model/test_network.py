"""The network: its outputs, its precision, its batch norm, and what is saved of it."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from reid.model import fused_norm
from reid.model.architecture import Precision
from reid.model.backend import keras
from reid.model.fused_norm import FusedBatchNormalization
from reid.model.network import (
    BACKBONE,
    EMBEDDING,
    FEATURE,
    LOGITS,
    embedder,
    for_computing,
    for_keeping,
    load_network,
    save_network,
)
from reid.training.compiling import compiled, targets
from reid.training.objective import Objective
from tests.support.places import ROOT
from tests.support.small_training import NETWORK, PEOPLE, TINY, fold, network, plan
from tests.support.warm import warm_environment


def test_network_gives_embeddings_of_length_one_and_one_logit_per_person() -> None:
    model = network(NETWORK)
    outputs = model.predict_on_batch(fold(1, 5).images)
    assert outputs[LOGITS].shape == (PEOPLE, PEOPLE)
    assert np.linalg.norm(outputs[EMBEDDING], axis=1) == pytest.approx(1, abs=1e-5)
    assert embedder(model).output_shape == (None, 1280)


def test_embedding_of_a_network_without_neck_is_the_feature_at_length_one() -> None:
    model = network(TINY.model_copy(update={"neck": False}))
    outputs = model.predict_on_batch(fold(1, 0).images)
    feature = outputs[FEATURE]
    expected = feature / np.linalg.norm(feature, axis=1, keepdims=True)
    assert outputs[EMBEDDING] == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_trains_the_same_network_and_is_saved_in_full(
    precision: Precision, tmp_path: Path
) -> None:
    full = network(TINY)
    half = for_computing(full, precision)
    images = fold(2, 0, size=TINY.height)
    how = plan(1, Objective(label_smoothing=0.0, margin=0.3), lr=0.001)
    losses = []
    for trained in (full, half):
        model = compiled(trained, how)
        batch = images.images, targets(model, images)
        steps = [model.train_on_batch(*batch, return_dict=True)["loss"] for _ in range(4)]
        losses.append([float(loss) for loss in steps])
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
    assert losses[1][-1] < losses[1][0]
    save_network(for_keeping(half), tmp_path / "half.keras")
    saved = load_network(tmp_path / "half.keras")
    assert saved.get_layer(BACKBONE).layers[-1].compute_dtype == "float32"
    for here, there in zip(half.get_weights(), saved.get_weights(), strict=True):
        np.testing.assert_array_equal(here, there)
    embeddings = [np.asarray(embedder(n).predict_on_batch(images.images)) for n in (half, saved)]
    assert embeddings[0].dtype == np.float32
    assert np.sum(embeddings[0] * embeddings[1], axis=1).min() > 0.99


@pytest.mark.parametrize("limited", [False, True])
def test_fused_batch_norm_computes_what_keras_computes(
    limited: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused_norm, "is_limited_to_avx2", lambda: limited)
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


@pytest.mark.slow
def test_saved_network_can_be_loaded_with_keras_alone(tmp_path: Path) -> None:
    model = for_computing(network(NETWORK))
    norms = [layer for layer in model.get_layer(BACKBONE).layers if "_BN" in layer.name]
    assert {type(norm) for norm in norms} == {FusedBatchNormalization}
    save_network(for_keeping(model), tmp_path / "model.keras")
    done = subprocess.run(
        ["python", "-m", "load_with_keras", str(tmp_path / "model.keras")],
        check=False,
        env=os.environ | warm_environment(),
        capture_output=True,
        text=True,
        cwd=ROOT / "tests" / "support",
    )
    assert done.returncode == 0, done.stderr
