"""The registered model as MLflow serves it: photos as base64 text in, embeddings out.

MLflow copies this file into the model and runs it there (its "models from code"), with the package
`reid` that lies beside it, so it needs no checkout of the project.
"""

import base64
import binascii
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from reid.data.images import UnreadableImageError, decode_all, image_size

BATCH = 64
"""Photos that are embedded at once, so that a long request doesn't take the more memory."""


def photo_bytes(text: object) -> bytes:
    """Decode base64 text to the bytes of an image file; line breaks in the text don't matter.

    Raises:
        UnreadableImageError: it is no base64, or no image that can be decoded.
    """
    if not isinstance(text, str):
        raise UnreadableImageError("it is no text; give the file's bytes in base64")
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as e:
        raise UnreadableImageError(f"it is not base64 ({e})") from e
    image_size(content)
    return content


def photos_of(table: pd.DataFrame) -> list[bytes]:
    """The image files of the column ``image``, in row order.

    Raises:
        MlflowException: some can't be read, with each one's place and reason. A server answers
            with status 400 then.
    """
    contents, faults = [], []
    for number, text in enumerate(table["image"], 1):
        try:
            contents.append(photo_bytes(text))
        except UnreadableImageError as e:
            faults.append(f"image {number} of {len(table)} can't be read: {e}")
    if faults:
        raise MlflowException.invalid_parameter_value("\n".join(faults))
    return contents


class PhotoEmbedder(PythonModel):
    """The network, and what the pipeline does to a photo before it and to an embedding after."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the network."""
        from reid.model.network import embedder, load_network  # noqa: PLC0415

        self.network = embedder(load_network(Path(context.artifacts["network"])))
        self.flip = bool(context.model_config["flip"])

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> np.ndarray:
        """Embed photos.

        Args:
            context: not used.
            model_input: a column ``image``, each a JPEG or PNG file in base64.
            params: none are known.

        Returns:
            float32 (n, d), rows of length 1. The dot product of two is their similarity.

        Raises:
            MlflowException: photos that can't be read.
        """
        from reid.model.embedding import embed  # noqa: PLC0415

        _, height, width, _ = self.network.input_shape
        photos = photos_of(model_input)
        batches = (
            decode_all(photos[start : start + BATCH], height, width)
            for start in range(0, len(photos), BATCH)
        )
        return embed(self.network, batches, BATCH, self.flip)


set_model(PhotoEmbedder())
