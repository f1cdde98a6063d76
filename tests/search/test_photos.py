import io

import numpy as np
import pytest
from PIL import Image

from reid.data.images import UnreadableImageError, decode
from search.photos import KEPT_BYTES, KEPT_HEIGHT, KEPT_WIDTH, kept_form, limit_pixels


def jpeg(width: int, height: int, **options: object) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((width, height)).save(file, "JPEG", **options)
    return file.getvalue()


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010F] = "a maker whose name must not be kept"
    tags.get_ifd(0x8825)[1] = "N"
    return tags.tobytes()


def test_small_photo_keeps_its_pixels_and_loses_its_metadata() -> None:
    photo = jpeg(64, 128, exif=exif(orientation=1), comment=b"a comment")
    kept = kept_form(photo)
    assert (decode(kept, 128, 64) == decode(photo, 128, 64)).all()
    assert b"maker" not in kept
    assert b"comment" not in kept


def test_small_png_stays_lossless() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (96, 48, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    assert (decode(kept_form(file.getvalue()), 96, 48) == pixels).all()


def test_turned_photo_is_kept_upright() -> None:
    photo = jpeg(128, 64, exif=exif(orientation=6))
    kept = kept_form(photo)
    with Image.open(io.BytesIO(kept)) as image:
        assert image.size == (64, 128)
        assert not image.getexif()
    expected = decode(photo, 128, 64).astype(int)
    assert np.abs(decode(kept, 128, 64).astype(int) - expected).mean() < 3


@pytest.mark.parametrize(("width", "height"), [(1500, 3000), (3000, 1500), (400, 400)])
def test_large_photo_is_kept_small_in_its_own_proportions(width: int, height: int) -> None:
    kept = kept_form(jpeg(width, height, quality=98))
    assert len(kept) <= KEPT_BYTES
    with Image.open(io.BytesIO(kept)) as image:
        assert image.width <= KEPT_WIDTH
        assert image.height <= KEPT_HEIGHT
        assert image.width / image.height == pytest.approx(width / height, rel=0.01)


def test_noise_that_does_not_compress_is_kept_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (384, 384, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    assert len(kept_form(file.getvalue())) <= KEPT_BYTES


def test_file_that_is_too_large_is_refused() -> None:
    with pytest.raises(UnreadableImageError, match="more than 10 MB"):
        kept_form(jpeg(64, 128) + bytes(10 * 2**20))


def test_photo_of_too_many_pixels_is_refused_before_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    limit_pixels()
    file = io.BytesIO()
    Image.new("L", (8001, 5000)).save(file, "PNG")
    with pytest.raises(UnreadableImageError, match="more than 40,000,000 pixels"):
        kept_form(file.getvalue())
