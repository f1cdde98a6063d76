"""The moving average of the weights."""

import numpy as np
import pytest

from reid.model.backend import keras
from reid.training.compiling import averaged, compiled, targets
from reid.training.objective import Objective
from tests.support.small_training import SGD, TINY, fold, network, plan


def test_average_is_that_of_the_weights_after_each_step() -> None:
    keep = 0.8
    how = plan(1, Objective(0.0), settings=SGD.model_copy(update={"average": keep}))
    model = compiled(network(TINY), how)
    images = fold(6, 0)
    expected: list[np.ndarray] = []
    for step in range(3):
        model.train_on_batch(images.images, targets(model, images))
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
