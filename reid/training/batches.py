"""Which images make up each training batch, drawn anew every epoch from (seed, epoch) alone.

Training that goes on at epoch 7 therefore sees the batches that an undisturbed run sees there.
"""

from collections.abc import Iterator

import numpy as np

from reid.common.errors import UserError


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
    images drawn again. There are as many batches as groups of P people can fill; which groups are
    left over is chance. A person's groups are spread evenly over the epoch, and who meets whom is
    chance, too: to take those first who have most groups left would set the same people against
    each other in every epoch, where a few people have many images.

    Args:
        labels: int (n,), the person of each image.
        people: P.
        images: K.
        seed: of the training.
        epoch: counted from 0.

    Returns:
        Image numbers, int (batches, P * K), in random order within a batch; the number of batches
        is the same in each epoch.

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
    batches = []
    for chosen in _people_of_batches(np.array([len(g) for g in groups]), people, rng):
        batch = np.concatenate([groups[person].pop() for person in chosen])
        # The triplets that are not mined take who comes next.
        batches.append(rng.permutation(batch))
    return np.stack(batches)


def _people_of_batches(
    groups: np.ndarray, people: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """The people of each batch, int (people,), each as often as they have groups at most.

    Who has g groups gets one of them in each g-th part of the epoch, at a random moment of it.
    """
    batches = groups.sum() // people
    while np.minimum(groups, batches).sum() < batches * people:
        batches -= 1
    places = np.repeat(np.arange(len(groups)), np.minimum(groups, batches))
    taken = rng.choice(places, batches * people, replace=False)
    groups = np.bincount(taken, minlength=len(groups))
    done = np.zeros_like(groups)
    due = np.full(len(groups), np.inf)
    np.divide(rng.random(len(groups)), groups, out=due, where=groups > 0)
    for to_go in range(batches, 0, -1):
        # Who has as many groups left as there are batches must be in all of them.
        urgency = np.where(groups - done == to_go, -1.0, due)
        chosen = np.argsort(urgency, kind="stable")[:people]
        done[chosen] += 1
        left = done[chosen] < groups[chosen]
        moments = (done[chosen] + rng.random(people)) / groups[chosen]
        due[chosen] = np.where(left, moments, np.inf)
        yield chosen


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
