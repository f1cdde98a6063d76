"""Photos for indexes, with embeddings: different bytes that nobody has to decode."""

import hashlib
from collections.abc import Sequence

import numpy as np

from search.index import Index
from search.records import Model, NewPhoto

DIMENSION = 8
FIRST = Model(64 * "a", "models:/reid/1", DIMENSION)
SECOND = Model(64 * "b", "models:/reid/2", DIMENSION)


def unit_vectors(count: int, seed: int = 0, dimension: int = DIMENSION) -> np.ndarray:
    """Return random embeddings, float32 (count, dimension)."""
    vectors = np.random.default_rng(seed).normal(size=(count, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def new_photo(
    number: int,
    person: str | None = "Ada",
    camera: int | None = 1,
    time: float | None = None,
) -> NewPhoto:
    """Make a photo: different bytes for each number, which nobody has to decode."""
    content = np.random.default_rng(number).bytes(300)
    sha256 = hashlib.sha256(content).hexdigest()
    return NewPhoto(content, sha256, f"photo-{number:05}.jpg", person, camera, time, number, 7)


def vectors_of(photos: Sequence[NewPhoto], model: Model = FIRST) -> np.ndarray:
    """Return the embeddings of photos, float32 (n, d): random, but always the same for a photo."""
    seeds = [int(photo.sha256[:8], 16) ^ int(model.sha256[:8], 16) for photo in photos]
    return np.concatenate([unit_vectors(1, seed, model.dimension) for seed in seeds])


def add(index: Index, *photos: NewPhoto) -> int:
    """Add photos with embeddings for all models that answer."""
    return index.add(photos, {m.sha256: vectors_of(photos, m) for m in index.models()})


def add_vectors(
    index: Index,
    vectors: np.ndarray,
    people: Sequence[str | None],
    cameras: Sequence[int] | None = None,
) -> str:
    """Add photos with these embeddings, float32 (n, d), to an empty index.

    Args:
        index: the index.
        vectors: the embeddings.
        people: the person of each photo.
        cameras: the camera of each photo; 1 for all if None.

    Returns:
        The hash of their model.
    """
    model = Model(64 * "c", "models:/reid/3", vectors.shape[1])
    index.begin_model(model)
    photos = [
        new_photo(number, person, cameras[number] if cameras else 1)
        for number, person in enumerate(people)
    ]
    index.add(photos, {model.sha256: vectors})
    return model.sha256
