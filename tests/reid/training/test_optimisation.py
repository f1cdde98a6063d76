"""The learning rate of each epoch, and what one step does to the weights."""

import numpy as np
import pytest

from reid.model.backend import keras
from reid.training.compiling import build_optimizer
from reid.training.optimisation import Optimisation, OptimisationSettings
from tests.support.small_training import SGD


def rates(epochs: int, **changes: object) -> list[float]:
    how = Optimisation(0.6, SGD.model_copy(update=changes))
    return [how.learning_rate(epochs, epoch) for epoch in range(epochs)]


def test_warm_up_rises_to_lr_in_equal_steps() -> None:
    assert rates(5, warmup_epochs=2, decay="none") == pytest.approx([0.2, 0.4, 0.6, 0.6, 0.6])


def test_cosine_falls_from_lr_by_half_a_wave() -> None:
    half = np.sqrt(0.5)
    expected = [0.6, 0.3 * (1 + half), 0.3, 0.3 * (1 - half)]
    assert rates(4, decay="cosine") == pytest.approx(expected)
    assert rates(5, decay="cosine", warmup_epochs=1)[1:] == pytest.approx(expected)


def test_steps_are_tenths_after_two_thirds_and_five_sixths() -> None:
    expected = [0.6] * 8 + [0.06] * 2 + [0.006] * 2
    assert rates(12, decay="step") == pytest.approx(expected)
    # These shares, like the cosine, are of the epochs after the warm-up.
    assert rates(15, decay="step", warmup_epochs=3)[3:] == pytest.approx(expected)


def after_one_step(settings: OptimisationSettings, lr: float, gradient: float) -> dict[str, float]:
    """Take one step from weights of 1, and return the weights by their names."""
    names = ("kernel", "gamma", "beta", "bias", "power")
    weights = [keras.Variable(1.0, name=name) for name in names]
    optimizer = build_optimizer(Optimisation(lr, settings))
    optimizer.build(weights)
    optimizer.apply([keras.ops.convert_to_tensor(gradient)] * len(weights))
    return {name: float(weight) for name, weight in zip(names, weights, strict=True)}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_only_kernels_decay_by_lr_times_the_decay(optimizer: str) -> None:
    settings = SGD.model_copy(update={"optimizer": optimizer, "weight_decay": 0.3})
    weights = after_one_step(settings, lr=0.1, gradient=0.0)
    assert weights.pop("kernel") == pytest.approx(1 - 0.1 * 0.3)
    assert set(weights.values()) == {1.0}


def test_step_of_sgd_has_nesterov_momentum() -> None:
    settings = SGD.model_copy(update={"momentum": 0.9, "weight_decay": 0.0})
    # The velocity after the first step is the gradient, and Nesterov looks one step ahead.
    weights = after_one_step(settings, lr=0.1, gradient=2.0)
    assert weights["kernel"] == pytest.approx(1 - 0.1 * 2.0 * 1.9)
