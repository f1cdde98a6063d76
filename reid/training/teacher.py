"""A teacher: a trained network, whose embeddings of the training images a student learns from."""

import logging
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from tqdm import tqdm

from reid.common.errors import UserError
from reid.common.files import replacing_file, sha256
from reid.data import paths
from reid.data.dataset import decoded_batches
from reid.model.backend import keras
from reid.model.network import load_network, retrieval_network

logger = logging.getLogger(__name__)

BATCH_SIZE = 64


def teacher_embeddings(file: Path, dataset: Path, cache: Path) -> np.ndarray:
    """Embed the training subset with a teacher, and keep the result for the next training.

    Args:
        file: the teacher, a network of `save_network`. It sees the images at its own input size.
        dataset: the folder that ``ingest`` wrote.
        cache: a folder. The embeddings of the same teacher and the same images are taken from it.

    Returns:
        The mean embeddings of images and mirror images, float32 (n, d), rows of length 1, in the
        order of the subset.

    Raises:
        UserError: the file is absent, or is no network with embeddings.
    """
    if not file.exists():
        raise UserError(
            f"triplet.teacher: {file} is not there. Copy the final.keras of a trained model to it, "
            f"and record it by `dvc add {paths.PRETRAINED}`."
        )
    images = paths.subset_file(dataset, "train")
    made_of = (sha256(file)[:16], sha256(images)[:16], keras.backend.backend())
    kept = cache / f"{'-'.join(made_of)}.npy"
    if not kept.exists():
        embeddings = _embedded(file, images)
        with replacing_file(kept) as part, part.open("wb") as written:
            np.save(written, embeddings)
    known: np.ndarray = np.load(kept)
    return known


def _embedded(file: Path, images: Path) -> np.ndarray:
    try:
        network = load_network(file)
        model = retrieval_network(network, flip=True)
    except (UserError, KeyError, ValueError) as e:
        raise UserError(
            f"triplet.teacher: {file} is not a network that this project has trained."
        ) from e
    height, width = model.input_shape[1:3]
    count = pq.read_metadata(images).num_rows
    logger.info("%s embeds %d training images at %dx%d", file, count, height, width)
    parts = []
    with tqdm(total=count, desc="teacher", leave=False, disable=None) as bar:
        for batch in decoded_batches(images, BATCH_SIZE, height, width):
            parts.append(np.asarray(model.predict_on_batch(batch)))
            bar.update(len(batch))
    return np.concatenate(parts)
