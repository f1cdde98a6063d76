"""What the served model makes of its input, and that it brings along all it imports."""

import ast
import base64
import io
import sys

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from PIL import Image

from reid.serving.packaging import SERVED_NEEDS, pinned_requirements
from reid.serving.served_model import photos_of
from tests.support.imports import needed
from tests.support.places import ROOT

IMPORTED_AS = {"pillow": "PIL", "tensorflow-cpu": "tensorflow"}


def photo(image_format: str) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (20, 10, 3), np.uint8)
    Image.fromarray(noise).save(file, image_format)
    return file.getvalue()


def asked(*images: object) -> list[bytes]:
    return photos_of(pd.DataFrame({"image": list(images)}))


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


class TestInput:
    def test_jpeg_and_png_come_back_as_the_files_they_were(self) -> None:
        jpeg, png = photo("JPEG"), photo("PNG")
        assert asked(text(jpeg), text(png)) == [jpeg, png]

    def test_base64_may_be_broken_into_lines(self) -> None:
        jpeg = photo("JPEG")
        assert asked(base64.encodebytes(jpeg).decode()) == [jpeg]

    @pytest.mark.parametrize(
        ("bad", "why"),
        [
            ("me.jpg", "it is not base64"),
            (text(b"no photo"), "not an image in a known format"),
            (text(photo("JPEG")[:-30]), "image file is truncated"),
            ("", "the file is empty"),
            (None, "it is no text"),
            (float("nan"), "it is no text"),
        ],
    )
    def test_what_is_no_photo_is_named_with_its_place_and_why(self, bad: object, why: str) -> None:
        with pytest.raises(MlflowException) as caught:
            asked(text(photo("JPEG")), bad)
        assert f"image 2 of 2 can't be read: {why}" in str(caught.value)
        assert caught.value.get_http_status_code() == 400

    def test_all_bad_photos_are_named_at_once(self) -> None:
        with pytest.raises(MlflowException) as caught:
            asked("@", text(photo("PNG")), text(b"no photo"))
        assert str(caught.value).count("can't be read") == 2
        assert "image 1 of 3" in str(caught.value)
        assert "image 3 of 3" in str(caught.value)


class TestRequirements:
    def test_every_library_that_the_served_code_imports_is_pinned(self) -> None:
        libraries = set()
        for file in needed(ROOT, "reid/serving/served_model.py"):
            for node in ast.walk(ast.parse((ROOT / file).read_text())):
                if isinstance(node, ast.Import):
                    libraries |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    libraries.add(node.module.partition(".")[0])
        pinned = {IMPORTED_AS.get(name, name) for name in SERVED_NEEDS}
        assert libraries - set(sys.stdlib_module_names) - {"reid"} == pinned

    def test_each_is_pinned_exactly_once_for_a_platform(self) -> None:
        lines = pinned_requirements(ROOT / "requirements.txt")
        assert sorted(line.partition("==")[0] for line in lines) == sorted(SERVED_NEEDS)
        assert all(line.partition("==")[2] for line in lines)
