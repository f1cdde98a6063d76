"""Decoding photos as people have them: turned, transparent, deep, cut off, with broken metadata."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageFile

from reid.data import images
from reid.data.images import (
    BACKGROUND,
    UnreadableImageError,
    decode,
    photo_facts,
)
from reid.data.metadata import PNG_SIGNATURE
from tests.support.photos import jpeg

WIDTH, HEIGHT = 24, 16


def corners() -> Image.Image:
    """A wide picture whose four quarters have different colours, so that every turn shows."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for number, colour in enumerate([(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0)]):
        top, left = divmod(number, 2)
        pixels[top * 8 : top * 8 + 8, left * 12 : left * 12 + 12] = colour
    return Image.fromarray(pixels)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def in_full(content: bytes) -> np.ndarray:
    facts = photo_facts(content)
    return decode(content, facts.height, facts.width)


Entry = tuple[int, int, int, bytes]
"""The tag, type, count and value (or its place) of an EXIF entry."""


def exif(*entries: Entry, order: str = "<") -> bytes:
    block = b"II*\0" if order == "<" else b"MM\0*"
    block += struct.pack(order + "LH", 8, len(entries))
    for tag, kind, count, value in entries:
        block += struct.pack(order + "HHL", tag, kind, count) + value.ljust(4, b"\0")
    return block + bytes(4)


def with_exif(kind: str, block: bytes) -> bytes:
    content = saved(corners(), kind)
    if kind == "JPEG":
        block = b"Exif\0\0" + block
        return content[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + content[2:]
    return content[:33] + chunk(b"eXIf", block) + content[33:]


def chunk(name: bytes, payload: bytes) -> bytes:
    check = zlib.crc32(name + payload)
    return struct.pack(">L", len(payload)) + name + payload + struct.pack(">L", check)


TURNED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_photo_is_turned_as_its_tag_says(turn: int, kind: str, order: str) -> None:
    content = with_exif(kind, exif((0x0112, 3, 1, struct.pack(order + "H", turn)), order=order))
    expected = TURNED[turn](in_full(saved(corners(), kind)))
    np.testing.assert_array_equal(in_full(content), expected)
    facts = photo_facts(content)
    assert (facts.height, facts.width) == expected.shape[:2]


SIX = (0x0112, 3, 1, struct.pack("<H", 6))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    ("block", "turn"),
    [
        (exif(SIX, (0x011A, 2, 2, b"72"), (0x0128, 3, 1, b"\2\0")), 6),  # XResolution is text.
        (exif(SIX, (0x011A, 2, 1, b"7"), (0x0128, 3, 1, b"\2\0")), 6),
        (exif(SIX, (0x011A, 10, 1, b"\x3e\0\0\0")) + struct.pack("<ll", -1, 0), 6),
        (exif(SIX, (0x8825, 2, 3, b"GPS")), 6),
        (exif(SIX, (0x8769, 4, 1, b"\xff\xff\xff\xff")), 6),
        (exif(SIX, (0x0100, 99, 7, b"????")), 6),
        (exif((0x0112, 4, 1, b"\6")), 6),
        (exif((0x0112, 1, 1, b"\6")), 6),
        (exif((0x0112, 6, 1, b"\6")), 6),
        (exif((0x0112, 8, 1, b"\6")), 6),
        (exif((0x0112, 9, 1, b"\6")), 6),
        (exif((0x0112, 9, 1, b"\xff\xff\xff\xff")), 1),
        (exif((0x0112, 2, 2, b"6\0")), 1),
        (exif((0x0112, 5, 1, b"\6")), 1),
        (exif((0x0112, 3, 2, b"\6\0\6\0")), 1),
        (exif((0x0112, 3, 1, b"\x09\0")), 1),
        (exif((0x0112, 3, 1, b"\0\0")), 1),
        (exif(SIX)[:14], 1),
        (b"II*\0\xff\xff\xff\xff", 1),
        (b"II", 1),
        (b"", 1),
        (b"no EXIF at all, but a text", 1),
    ],
)
def test_unusable_metadata_is_no_fault(kind: str, block: bytes, turn: int) -> None:
    expected = TURNED[turn](in_full(saved(corners(), kind)))
    np.testing.assert_array_equal(in_full(with_exif(kind, block)), expected)


@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xe0\0\x05JFI",  # JFIF, cut off
        b"\xff\xe1\0\x08Exif\0\0",
        b"\xff\xe2\0\x0eICC_PROFILE\0",
        b"\xff\xe2\0\x08MPF\0II",  # an index of further pictures
        b"\xff\xed\0\x14Photoshop 3.0\0" + b"8BIM",
        b"\xff\xee\0\x07Adobe",
        b"\xff\xfe\0\x02",
        b"\xff\xff\xff",
        b"junk",
    ],
)
def test_broken_segment_of_a_jpeg_is_no_fault(segment: bytes) -> None:
    content = saved(corners(), "JPEG")
    expected = in_full(content)
    first = 2 + 18  # The first segment is JFIF's.
    np.testing.assert_array_equal(in_full(content[:first] + segment + content[first:]), expected)


@pytest.mark.parametrize(
    "broken",
    [
        chunk(b"iCCP", b"profile\0"),
        chunk(b"iCCP", b"profile\0\7x"),
        chunk(b"gAMA", b"\0"),
        chunk(b"pHYs", b""),
        chunk(b"zTXt", b"key\0\7text"),
        chunk(b"acTL", b"\0\0\0\3\0\0\0\0") + chunk(b"fcTL", b"\0"),
        chunk(b"tEXt", b"wrong sum")[:-1] + b"\0",
    ],
)
def test_broken_chunk_of_a_png_is_no_fault(broken: bytes) -> None:
    content = saved(corners())
    np.testing.assert_array_equal(in_full(content[:33] + broken + content[33:]), corners())


def test_first_picture_of_a_phones_mpo_is_read() -> None:
    content = saved(corners(), "MPO", save_all=True, append_images=[corners().rotate(180)])
    np.testing.assert_array_equal(in_full(content), in_full(saved(corners(), "JPEG")))


def cut_out() -> Image.Image:
    """A picture whose left half is opaque, and whose right half is transparent."""
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    alpha[:, 12:] = 0
    return Image.fromarray(np.concatenate([np.array(corners()), alpha], axis=2))


def on_background() -> np.ndarray:
    expected = np.array(corners())
    expected[:, 12:] = BACKGROUND
    return expected


def with_hidden(colour: int) -> Image.Image:
    pixels = np.array(cut_out())
    pixels[:, 12:, :3] = colour
    return Image.fromarray(pixels)


def with_key_colour() -> Image.Image:
    image = corners()
    image.paste((1, 2, 3), (12, 0, 24, 16))
    return image


def palette(as_bytes: bool) -> bytes:
    image = with_key_colour().quantize(8)
    hidden = image.getpixel((23, 0))
    assert isinstance(hidden, int)
    alpha = [255, 255, 255]
    alpha[hidden] = 0
    return saved(image, transparency=bytes(alpha) if as_bytes else hidden)


@pytest.mark.parametrize(
    "content",
    [
        saved(cut_out()),
        saved(with_hidden(0)),
        saved(with_hidden(255)),
        palette(as_bytes=False),
        palette(as_bytes=True),
        saved(with_key_colour(), transparency=(1, 2, 3)),
    ],
    ids=["RGBA", "black", "white", "palette", "palette-alpha", "colour-key"],
)
def test_transparent_photos_that_look_alike_give_equal_pixels(content: bytes) -> None:
    np.testing.assert_array_equal(in_full(content), on_background())
    assert photo_facts(content).transparent


def grey_png(bits: int) -> bytes:
    """A grey PNG of few bits whose lightest level is transparent: dark left, light right."""
    line = np.repeat(np.array([0, 1], np.uint8), 12 * bits)
    rows = b"".join(b"\0" + np.packbits(line).tobytes() for _ in range(HEIGHT))
    header = struct.pack(">LLBBBBB", WIDTH, HEIGHT, bits, 0, 0, 0, 0)
    parts = [
        chunk(b"IHDR", header),
        chunk(b"tRNS", struct.pack(">H", 2**bits - 1)),
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    ]
    return PNG_SIGNATURE + b"".join(parts)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_photo_with_a_transparent_level(bits: int) -> None:
    expected = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    expected[:, 12:] = BACKGROUND
    np.testing.assert_array_equal(in_full(grey_png(bits)), expected)
    light = saved(Image.fromarray(expected).convert("LA"))
    np.testing.assert_array_equal(in_full(light), expected)


def test_half_transparent_pixels_are_mixed_with_the_background() -> None:
    image = Image.new("RGBA", (2, 2), (228, 28, 128, 127))
    np.testing.assert_allclose(in_full(saved(image))[0, 0], (178, 78, 128), atol=1)


def test_photo_with_an_opaque_alpha_channel_is_not_transparent() -> None:
    content = saved(corners().convert("RGBA"))
    np.testing.assert_array_equal(in_full(content), corners())
    assert not photo_facts(content).transparent


def deep_png(colour_type: int, channels: int) -> bytes:
    rows = (b"\0" + b"\x12\x34" * channels * WIDTH) * HEIGHT
    header = struct.pack(">LLBBBBB", WIDTH, HEIGHT, 16, colour_type, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(chunk(*part) for part in parts)


def deep_jpeg() -> bytes:
    content = bytearray(saved(corners(), "JPEG"))
    content[content.index(b"\xff\xc0") + 4] = 12
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [*(deep_png(*kind) for kind in ((0, 1), (2, 3), (4, 2), (6, 4))), deep_jpeg()],
    ids=["grey", "colour", "grey-alpha", "colour-alpha", "jpeg-12"],
)
def test_more_than_8_bits_are_refused_in_every_form(content: bytes) -> None:
    with pytest.raises(UnreadableImageError, match="more than 8 bits per channel; save it with 8"):
        decode(content, HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (saved(corners(), "WEBP"), "a WebP image"),
        (saved(corners(), "BMP"), "a BMP image"),
        (saved(corners(), "GIF"), "a GIF image"),
        (saved(corners(), "TIFF"), "a TIFF image"),
        (saved(corners(), "EPS"), "a PostScript picture"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC image"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a Git LFS pointer"),
        (b"<TITLE>Sign in</TITLE>", "an HTML page"),
        (b'<?xml version="1.0"?>\n<svg>', "an SVG drawing"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\xef\xbb\xbf\n<!doctype HTML>\n<title>404</title>", "an HTML page"),
    ],
)
def test_other_formats_and_placeholders_are_named(content: bytes, words: str) -> None:
    with pytest.raises(UnreadableImageError, match=f"^{words} instead of a JPEG or PNG; "):
        decode(content, HEIGHT, WIDTH)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_photo_that_is_cut_off_anywhere_is_unreadable_or_whole(kind: str) -> None:
    content = saved(corners(), kind)
    whole = in_full(content)
    for length in range(len(content)):
        try:
            pixels = in_full(content[:length])
        except UnreadableImageError:
            continue
        np.testing.assert_array_equal(pixels, whole)
        assert length > len(content) - 24  # Only what comes after the pixels may be missing.


def outcome(content: bytes) -> bytes | str:
    """The pixels, or the reason why there are none."""
    try:
        return in_full(content).tobytes()
    except UnreadableImageError as e:
        return str(e)


@pytest.mark.parametrize("colours", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpeg_has_the_pixels_or_the_complaint_of_pillow(
    colours: str, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (9, 7, 3), np.uint8)).resize((37, 53))
    whole = saved(noise.convert(colours), "JPEG", **options)
    files = [whole]
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[rng.integers(2, len(whole))] = rng.integers(0, 256)
        files.append(bytes(damaged))
    # The subsampling 4:4:1: simplejpeg has no name for it.
    unusual = bytearray(whole)
    unusual[whole.index(b"\xff\xc2" if "progressive" in options else b"\xff\xc0") + 11] = 0x14
    files.append(bytes(unusual))
    ours = [outcome(content) for content in files]
    monkeypatch.setattr(images, "USUAL_JPEG", ())
    assert ours == [outcome(content) for content in files]
    with Image.open(io.BytesIO(whole)) as image:
        assert ours[0] == image.convert("RGB").tobytes()


@pytest.mark.parametrize("quality", [50, 75, 95])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_lower_part_that_a_decoder_filled_is_seen(
    monkeypatch: pytest.MonkeyPatch, quality: int, share: float
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 128, 3), np.uint8)
    assert photo_facts(saved(Image.fromarray(noise), "JPEG")).flat_bottom == 0
    content = saved(Image.fromarray(noise), "JPEG", quality=quality)
    ended = content[: int(len(content) * share)] + b"\xff\xd9"
    assert photo_facts(ended).flat_bottom == pytest.approx(1 - share, abs=0.1)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with Image.open(io.BytesIO(content[: int(len(content) * share)])) as image:
        again = saved(image.convert("RGB"), "JPEG", quality=85)
    assert photo_facts(again).flat_bottom == pytest.approx(1 - share, abs=0.1)


def test_flat_bottom_is_that_of_the_stored_pixels() -> None:
    pixels = np.array(corners())
    pixels[8:] = 128
    content = saved(Image.fromarray(pixels), exif=b"Exif\0\0" + exif(SIX))
    assert photo_facts(content) == (HEIGHT, WIDTH, False, 0.5)
    assert photo_facts(jpeg(1)).flat_bottom == 0
