"""The served model's input, and the libraries that the served code needs."""

import ast
import base64
import io
import sys
import textwrap
from typing import get_args
from unittest.mock import Mock
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
import simplejpeg
from mlflow.exceptions import MlflowException
from PIL import Image

from reid.data.images import decode
from reid.inference.engine import ENGINE_NEEDS, EngineName
from reid.serving.packaging import SERVED_NEEDS, pinned_requirements
from reid.serving.served_model import decode_base64, decode_photos
from tests.support.imports import needed
from tests.support.places import ROOT

HEIGHT, WIDTH = 16, 8
IMPORTED_AS = {"pillow": "PIL", "tensorflow-cpu": "tensorflow"}


def photo(image_format: str) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (20, 10, 3), np.uint8)
    Image.fromarray(noise).save(file, image_format)
    return file.getvalue()


def decoded(*images: object) -> np.ndarray:
    return decode_photos(pd.DataFrame({"image": list(images)}), HEIGHT, WIDTH)


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


class TestInput:
    def test_jpeg_and_png_are_decoded_as_in_the_pipeline(self) -> None:
        jpeg, png = photo("JPEG"), photo("PNG")
        expected = [decode(content, HEIGHT, WIDTH) for content in (jpeg, png)]
        np.testing.assert_array_equal(decoded(text(jpeg), text(png)), expected)

    @pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
    def test_base64_may_have_any_form_that_browsers_and_libraries_write(
        self, image_format: str
    ) -> None:
        content = photo(image_format)
        plain, for_urls = text(content), base64.urlsafe_b64encode(content).decode()
        forms = [
            base64.encodebytes(content).decode(),
            base64.encodebytes(content).decode().replace("\n", "\r\n"),
            f" \n{plain}\t",
            "".join(f"  {line}  \r\n" for line in textwrap.wrap(plain, 60)),
            plain.rstrip("="),
            for_urls,
            for_urls.rstrip("="),
            f"data:image/{image_format.lower()};base64,{plain}",
            f"data:;base64,{for_urls.rstrip('=')}\n",
            f" DATA:image/x;name=a.b;BASE64,{plain}",
            f"data:image/png;base64,{quote(plain, safe='')}",
        ]
        assert {decode_base64(form) for form in forms} == {content}
        photos = decoded(plain, *forms)
        assert (photos == photos[0]).all()

    def test_any_number_of_bytes_comes_through_without_padding(self) -> None:
        for length in range(256):
            content = bytes(range(255, 255 - length, -1))
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                assert decode_base64(encode(content).decode().rstrip("=")) == content

    def test_each_photo_is_decoded_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        png, jpeg = Mock(side_effect=Image.open), Mock(side_effect=simplejpeg.decode_jpeg)
        monkeypatch.setattr(Image, "open", png)
        monkeypatch.setattr(simplejpeg, "decode_jpeg", jpeg)
        decoded(text(photo("PNG")), text(photo("JPEG")))
        assert (png.call_count, jpeg.call_count) == (1, 1)

    def test_request_without_photos_gives_none(self) -> None:
        assert decoded().shape == (0, HEIGHT, WIDTH, 3)

    @pytest.mark.parametrize(
        ("bad", "why"),
        [
            ("me.jpg", "it is not base64"),
            ("photo", "it is not base64"),
            ("pho=to", "it is not base64"),
            ("ümlaut", "it is not base64"),
            (text(photo("PNG")).replace("+", " "), r"it has spaces in place of +"),
            ("data:image/png,iVBO", "its data URL must begin like data:image/jpeg;base64,"),
            ("data:image/svg+xml,%3Csvg%3E", "its data URL must begin like"),
            ("data:image/png;base64,", "the file is empty"),
            ("data:image/png;base64,<img>", "it is not base64"),
            (text(b"no photo"), "not an image in a known format"),
            (text(photo("JPEG")[:-30]), "image file is truncated"),
            ("", "the file is empty"),
            (None, "it is not text"),
            (float("nan"), "it is not text"),
        ],
    )
    def test_unreadable_photo_is_named_with_place_and_reason(self, bad: object, why: str) -> None:
        with pytest.raises(MlflowException) as caught:
            decoded(text(photo("JPEG")), bad)
        assert f"image 2 of 2 can't be read: {why}" in str(caught.value)
        assert caught.value.get_http_status_code() == 400

    def test_all_unreadable_photos_are_named_at_once(self) -> None:
        with pytest.raises(MlflowException) as caught:
            decoded("@", text(photo("PNG")), text(b"no photo"))
        assert str(caught.value).count("can't be read") == 2
        assert "image 1 of 3" in str(caught.value)
        assert "image 3 of 3" in str(caught.value)

    def test_ten_unreadable_photos_are_named_and_the_rest_counted(self) -> None:
        with pytest.raises(MlflowException) as caught:
            decoded(*["@"] * 12)
        assert str(caught.value).count("can't be read") == 10
        assert "and 2 more" in str(caught.value)


class TestRequirements:
    def test_every_library_that_the_served_code_imports_is_pinned(self) -> None:
        libraries = set()
        for file in needed(ROOT, "reid/serving/served_model.py"):
            for node in ast.walk(ast.parse((ROOT / file).read_text())):
                if isinstance(node, ast.Import):
                    libraries |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    libraries.add(node.module.partition(".")[0])
        needs = {*SERVED_NEEDS, *(name for names in ENGINE_NEEDS.values() for name in names)}
        pinned = {IMPORTED_AS.get(name, name) for name in needs}
        assert libraries - set(sys.stdlib_module_names) - {"reid"} == pinned

    @pytest.mark.parametrize("engine", get_args(EngineName))
    def test_each_is_pinned_exactly_once_for_a_platform(self, engine: EngineName) -> None:
        lines = pinned_requirements(ROOT, engine)
        needs = (*SERVED_NEEDS, *ENGINE_NEEDS[engine])
        assert sorted(line.partition("==")[0] for line in lines) == sorted(needs)
        assert all(line.partition("==")[2] for line in lines)
