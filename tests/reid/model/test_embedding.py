"""Embeddings of images and of their mirror images."""

import numpy as np
import pytest

from reid.model.embedding import embed
from reid.model.network import embedder
from tests.support.small_training import TINY, fold, network


def test_flip_embeds_an_image_and_its_mirror_image_alike() -> None:
    model = embedder(network(TINY))
    images = fold(2, 0).images
    mirrored = images[:, :, ::-1]
    both = embed(model, [images], 5, flip=True)
    assert both == pytest.approx(embed(model, [mirrored], 3, flip=True), abs=1e-5)
    assert np.linalg.norm(both, axis=1) == pytest.approx(1, abs=1e-5)
    one = embed(model, [images], 8)
    assert not np.allclose(one, both, atol=1e-4)
    halves = one + embed(model, [mirrored], 8)
    assert both == pytest.approx(halves / np.linalg.norm(halves, axis=1, keepdims=True), abs=1e-5)
