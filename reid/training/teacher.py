"""A teacher: a trained network, whose embeddings of the training images a student learns from."""

import logging
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from tqdm import tqdm

from reid.common.errors import UserError, first_line
from reid.common.files import replacing_file
from reid.data import paths
from reid.data.dataset import decoded_batches
from reid.model.backend import keras
from reid.model.network import for_computing, load_network, retrieval_network

logger = logging.getLogger(__name__)

BATCH_SIZE = 64


def teacher_embeddings(file: Path, dataset: Path, kept: Path) -> np.ndarray:
    """Embed the training subset with a teacher.

    Args:
        file: the teacher, a network of `save_network`. It sees the images at its own input size.
        dataset: the folder that ``ingest`` wrote.
        kept: a ``.npy`` file of the training's checkpoint. If it is there, it is what an
            interrupted training has computed, and is returned; else it is written.

    Returns:
        The mean embeddings of images and mirror images, float32 (n, d), rows of length 1, in the
        order of the subset.

    Raises:
        UserError: the file is no network with embeddings.
    """
    if kept.exists():
        earlier: np.ndarray = np.load(kept)
        return earlier
    embeddings = _embedded(_loaded(file), paths.subset_file(dataset, "train"))
    with replacing_file(kept) as part, part.open("wb") as written:
        np.save(written, embeddings)
    return embeddings


def _loaded(file: Path) -> keras.Model:
    try:
        return for_computing(retrieval_network(load_network(file), flip=True))
    except (UserError, KeyError, TypeError, ValueError) as e:
        raise UserError(
            f"triplet.teacher: {file} is not a network that this project has trained "
            f"({first_line(e)})."
        ) from e


def _embedded(model: keras.Model, images: Path) -> np.ndarray:
    _, height, width, _ = model.input_shape
    count = pq.read_metadata(images).num_rows
    logger.info("the teacher embeds %d training images at %dx%d", count, height, width)
    parts = []
    with tqdm(total=count, desc="teacher", leave=False, disable=None) as bar:
        for batch in decoded_batches(images, BATCH_SIZE, height, width):
            parts.append(np.asarray(model.predict_on_batch(batch)))
            bar.update(len(batch))
    return np.concatenate(parts)
