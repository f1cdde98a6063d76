"""What devices can't share. tests/reid/model/test_backends.py trains on several."""

from collections.abc import Iterator

import pytest

from reid.common.errors import UserError
from reid.model.backend import keras
from reid.training.devices import sharing_batches, use_devices


def test_devices_of_tensorflow_do_not_share_batches() -> None:
    with pytest.raises(
        UserError, match="devices is 2, but devices train together with backend: jax only"
    ):
        use_devices(2)


@pytest.fixture
def three_devices(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let Keras find three devices under JAX, and let no training use them afterwards."""
    names = ["cpu:0", "cpu:1", "cpu:2"]
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: names)
    yield names
    keras.distribution.set_distribution(None)


def test_missing_devices_are_counted(three_devices: list[str]) -> None:
    with pytest.raises(UserError, match="devices: 4, but there are 3: cpu:0, cpu:1, cpu:2"):
        use_devices(len(three_devices) + 1)


def test_batch_that_cannot_be_divided_evenly_is_named(three_devices: list[str]) -> None:
    use_devices(len(three_devices))
    with sharing_batches(9):
        pass
    with pytest.raises(UserError, match="3 devices can't share a batch of 8 images evenly"):
        sharing_batches(8)
