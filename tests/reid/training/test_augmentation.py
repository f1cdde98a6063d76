import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid.common.errors import UserError
from reid.common.settings import checked
from reid.training.augmentation import Augmentation, augment, erase_rectangles, shift_and_flip


def photos(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 256, (n, 16, 8, 3), dtype=np.uint8)


def test_augmentation_that_is_switched_off_changes_nothing() -> None:
    images = photos(5)
    how = Augmentation(flip=False, pad=0, colour=0.0, erase=0.0)
    assert np.array_equal(augment(images, how, np.random.default_rng(0)), images)


def test_flip_mirrors_about_half_of_the_images() -> None:
    images = photos(400)
    flipped = shift_and_flip(images, 0, True, np.random.default_rng(0))
    same = (flipped == images).all(axis=(1, 2, 3))
    mirrored = (flipped == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 0.4 < mirrored.mean() < 0.6


@given(pad=st.integers(1, 4), seed=st.integers(0, 1000))
def test_crop_is_a_window_of_the_padded_image(pad: int, seed: int) -> None:
    (image,) = photos(1, seed)
    (crop,) = shift_and_flip(image[None], pad, False, np.random.default_rng(seed))
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    windows = [
        padded[top : top + 16, left : left + 8]
        for top in range(2 * pad + 1)
        for left in range(2 * pad + 1)
    ]
    assert any(np.array_equal(crop, window) for window in windows)


def test_crop_reaches_every_place() -> None:
    image = np.arange(1, 16 * 8 * 3 + 1).reshape(1, 16, 8, 3).astype(np.uint8)
    crops = shift_and_flip(np.repeat(image, 500, 0), 1, False, np.random.default_rng(0))
    assert len(np.unique(crops, axis=0)) == 9


def test_colour_scales_all_pixels_of_a_channel_alike() -> None:
    images = np.full((50, 4, 4, 3), 100, np.uint8)
    how = Augmentation(flip=False, pad=0, colour=0.2, erase=0.0)
    changed = augment(images, how, np.random.default_rng(0))
    assert (changed == changed[:, :1, :1]).all()
    assert len(np.unique(changed[:, 0, 0], axis=0)) > 40
    assert changed.min() >= 100 * 0.8 * 0.9 - 1
    assert changed.max() <= 100 * 1.2 * 1.1 + 1


def test_erasing_fills_one_rectangle_of_some_images() -> None:
    images = np.zeros((2000, 16, 8, 3), np.uint8)
    noise = erase_rectangles(images, 0.5, np.random.default_rng(0))
    # A pixel of noise is hardly ever black in all three channels.
    erased = np.asarray(noise.any(axis=3))
    touched = np.asarray(erased.any(axis=(1, 2)))
    assert 0.4 < touched.mean() < 0.6
    for mask in erased[touched]:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        assert mask.sum() == area
    # Rectangles reach all places, also the borders, and no two images get the same noise.
    assert erased.any(axis=0).all()
    assert len(np.unique(noise[touched], axis=0)) == touched.sum()
    assert not images.any()


def test_equal_generators_give_equal_images() -> None:
    how = Augmentation(flip=True, pad=3, colour=0.2, erase=0.5)
    first, second = (augment(photos(9), how, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("bad", [{"pad": -1}, {"erase": 1.5}, {"flip": "yes"}, {"erase": None}])
def test_impossible_parameter_is_refused_by_name(bad: dict[str, object]) -> None:
    values = {"flip": True, "pad": 0, "colour": 0.0, "erase": 0.0} | bad
    with pytest.raises(UserError, match=f"params.yaml: correct.*\n  {next(iter(bad))}: "):
        checked(Augmentation, values, "params.yaml")
