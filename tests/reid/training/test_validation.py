"""Retrieval among held-out people: of one camera, or without a usable embedding."""

from dataclasses import replace

import numpy as np
import pytest

from reid.model.network import embedder
from reid.training.validation import validate_retrieval
from tests.support.small_training import TINY, fold, network


@pytest.mark.parametrize("gamma", [np.nan, 0.0])
def test_retrieval_by_embeddings_that_are_zero_or_nan_is_nan(gamma: float) -> None:
    broken = network(TINY)
    neck = broken.get_layer("neck")
    neck.gamma.assign(np.full(neck.gamma.shape, gamma))
    strangers = fold(4, 1, first_label=100, labelled=False)
    row = validate_retrieval(embedder(broken), strangers, 8)
    assert np.isnan([row["val_rank1"], row["val_mAP"]]).all()


def test_people_of_one_camera_are_validated_by_any_camera() -> None:
    strangers = fold(4, 1, first_label=100, labelled=False)
    one_camera = replace(strangers, camids=np.ones_like(strangers.camids), protocol="any_camera")
    row = validate_retrieval(embedder(network(TINY)), one_camera, 8)
    assert 0 < row["val_mAP"] <= 1
