"""Which images make up each training batch, drawn anew every epoch from (seed, epoch) alone.

Training that goes on at epoch 7 therefore sees the batches that an undisturbed run sees there.
"""

from collections.abc import Iterator

import numpy as np

from reid.errors import UserError


def shuffled_batches(n: int, size: int, seed: int, epoch: int) -> np.ndarray:
    """All images in random order, a short last batch left out: int (n // size, size).

    Raises:
        UserError: fewer images than one batch.
    """
    if n < size:
        raise UserError(
            f"{n} training images don't fill one batch of {size}. Lower baseline.batch_size."
        )
    order = np.random.default_rng([seed, epoch]).permutation(n)
    return order[: n // size * size].reshape(-1, size)


def people_batches(
    labels: np.ndarray, people: int, images: int, seed: int, epoch: int
) -> np.ndarray:
    """Batches of P people x K images (Hermans et al., "In Defense of the Triplet Loss", 2017).

    Each person's images are shuffled and dealt out in groups of K, the last group filled up with
    images drawn again. A batch takes one group each of P people, those with most groups left
    first, so that few groups are left over at the end.

    Args:
        labels: int (n,), the person of each image.
        people: P.
        images: K.
        seed: of the training.
        epoch: counted from 0.

    Returns:
        Image numbers, int (batches, P * K), the K images of a person side by side.

    Raises:
        UserError: fewer than P people.
    """
    rng = np.random.default_rng([seed, epoch])
    rows_of = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    if len(rows_of) < people:
        raise UserError(
            f"{len(rows_of)} people to train on don't fill one batch of {people}. "
            "Lower triplet.people."
        )
    groups = [list(_groups(rng.permutation(rows), images, rng)) for rows in rows_of]
    left = np.array([len(g) for g in groups])
    batches = []
    while np.count_nonzero(left) >= people:
        # Random among equals: sort by groups left, ties broken by a draw.
        chosen = np.lexsort((rng.random(len(left)), -left))[:people]
        rng.shuffle(chosen)
        batches.append(np.concatenate([groups[person].pop() for person in chosen]))
        left[chosen] -= 1
    return np.stack(batches)


def _groups(rows: np.ndarray, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    missing = -len(rows) % size
    # The last group is filled from the others, so that it repeats an image only if it must.
    others = rows[: len(rows) // size * size]
    filling = (
        rng.choice(others, missing, replace=False)
        if len(others)
        else rng.choice(rows, missing, replace=True)
    )
    yield from np.concatenate([rows, filling]).reshape(-1, size)
