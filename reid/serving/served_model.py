"""The registered model as MLflow serves it: photos as base64 text in, embeddings out.

MLflow copies this file into the model and runs the copy (its "models from code"). The package
`reid` lies next to the copy, so the model needs no checkout of the project.
"""

import base64
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from reid.common.errors import listed
from reid.data.images import UnreadableImageError, decode
from reid.inference.engine import load_engine

LOST_PLUS = re.compile(r"[\w+/-] +[\w+/-]")
"""A space between two letters: a form or a URL gives the letter + as a space."""
URL_LETTERS = str.maketrans("-_", "+/")
"""The two letters of base64 for URLs, and those of plain base64."""


def decode_base64(text: str) -> bytes:
    """Decode base64 in the forms in which browsers and libraries write it.

    The text may be a data URL (RFC 2397), may use the letters for URLs (RFC 4648, section 5), may
    lack its padding and may have line breaks, and spaces around the lines.

    Raises:
        UnreadableImageError: the text is not base64.
    """
    is_url = text.lstrip()[:5].lower() == "data:"
    head, _, data = text.partition(",") if is_url else ("", "", text)
    if is_url and not head.rstrip().lower().endswith(";base64"):
        raise UnreadableImageError("its data URL must begin like data:image/jpeg;base64,")
    lines = (unquote(data) if is_url else data).strip()
    if LOST_PLUS.search(lines):
        raise UnreadableImageError("it has spaces in place of +; write + as %2B in forms and URLs")
    letters = "".join(lines.split())
    letters = letters.translate(URL_LETTERS).rstrip("=")
    padding = "=" * (-len(letters) % 4)
    try:
        return base64.b64decode(letters + padding, validate=True)
    except ValueError as e:
        raise UnreadableImageError(f"it is not base64 ({e})") from e


def decode_photo(text: object, height: int, width: int) -> np.ndarray:
    """Decode an image file in base64 to uint8 (height, width, 3).

    Raises:
        UnreadableImageError: the text is not base64, or its bytes are not an image that can be
            decoded.
    """
    if not isinstance(text, str):
        raise UnreadableImageError("it is not text; give the file's bytes in base64")
    return decode(decode_base64(text), height, width)


def decode_photos(table: pd.DataFrame, height: int, width: int) -> np.ndarray:
    """Decode the column ``image`` on all processors: uint8 (n, height, width, 3), in row order.

    Raises:
        MlflowException: some photos can't be read. The message gives the place and the reason of
            each, up to ten. A server answers with status 400.
    """
    photos = np.empty((len(table), height, width, 3), np.uint8)

    def fault(row: int) -> str | None:
        try:
            photos[row] = decode_photo(table["image"].iloc[row], height, width)
        except UnreadableImageError as e:
            return f"image {row + 1} of {len(table)} can't be read: {e}"
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = [text for text in pool.map(fault, range(len(table))) if text]
    if faults:
        raise MlflowException.invalid_parameter_value(listed(faults, separator="\n"))
    return photos


class PhotoEmbedder(PythonModel):
    """The network, with the pipeline's preparation of photos and treatment of embeddings."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the network."""
        self.engine = load_engine(Path(context.artifacts["network"]))

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> np.ndarray:
        """Embed photos.

        Args:
            context: not used.
            model_input: a column ``image``: a JPEG or PNG file per row, in base64 or as a data URL.
            params: not used.

        Returns:
            float32 (n, d), rows of length 1. The dot product of two rows is their similarity.

        Raises:
            MlflowException: photos that can't be read.
        """
        return self.engine.embed(
            [decode_photos(model_input, self.engine.height, self.engine.width)]
        )


set_model(PhotoEmbedder())
