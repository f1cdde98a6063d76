"""Embed images with a trained network."""

from collections.abc import Iterable

import numpy as np

from reid.model.backend import keras


def embed(
    model: keras.Model, batches: Iterable[np.ndarray], batch_size: int, flip: bool = False
) -> np.ndarray:
    """Embed images.

    Args:
        model: images (n, height, width, 3) to embeddings (n, d) of length 1.
        batches: arrays of images, uint8 or float (n, height, width, 3), with any n.
        batch_size: images to embed at once.
        flip: whether to embed the mirror image of each image too, and to return the mean of both,
            brought to length 1.

    Returns:
        float32 (n, d), in the order of the images.
    """
    parts = [
        _embed_batch(model, images[start : start + batch_size], flip)
        for images in batches
        for start in range(0, len(images), batch_size)
    ]
    return np.concatenate(parts) if parts else np.empty((0, model.output_shape[-1]), np.float32)


def _embed_batch(model: keras.Model, images: np.ndarray, flip: bool) -> np.ndarray:
    embeddings = np.asarray(model.predict_on_batch(images), np.float32)
    if not flip:
        return embeddings
    both = embeddings + np.asarray(model.predict_on_batch(images[:, :, ::-1]), np.float32)
    return both / np.linalg.norm(both, axis=1, keepdims=True)
