"""Indexes of random embeddings, for tests of what is done with similarities."""

from collections.abc import Sequence

import numpy as np

from search.index import Index
from search.records import Model, NewPhoto

DIMENSION = 16
MODEL = Model("0" * 64, "a model for tests", DIMENSION)


def unit_vectors(count: int, seed: int = 0) -> np.ndarray:
    """Return random rows of length 1, float32 (count, DIMENSION)."""
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def add_vectors(
    index: Index,
    vectors: np.ndarray,
    people: Sequence[str | None],
    cameras: Sequence[int] | None = None,
) -> str:
    """Add photos with these embeddings and people. Return the hash of their model."""
    index.begin_model(MODEL)
    photos = [
        NewPhoto(
            content=f"content {number}".encode(),
            sha256=f"{number:064x}",
            file=f"{number}.jpg",
            person=person,
            camera=cameras[number] if cameras else 1,
            frame=number,
        )
        for number, person in enumerate(people)
    ]
    index.add(photos, {MODEL.sha256: vectors})
    return MODEL.sha256
