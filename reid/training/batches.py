"""Draw the images of each training batch.

The draw depends on (seed, epoch) alone. A training that resumes at epoch 7 therefore sees the same
batches as one that was not interrupted.
"""

from collections.abc import Iterator

import numpy as np

from reid.common.errors import UserError


def shuffled_batches(n: int, size: int, seed: int, epoch: int) -> np.ndarray:
    """Draw batches of all images in random order: image numbers, int (n // size, size).

    Images that don't fill the last batch are left out.

    Raises:
        UserError: there are fewer images than one batch needs.
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
    """Draw batches of P people x K images (Hermans et al., "In Defense of the Triplet Loss", 2017).

    The images of each person are shuffled and dealt out in groups of K. The last group is filled
    up with images that are drawn a second time. Each batch takes one group of each of P people.
    There are as many batches as the groups can fill; chance decides which groups are left over.

    The groups of a person are spread evenly over the epoch, and chance decides which people share a
    batch. Taking the people with the most groups left first would be simpler. But if a few people
    have many images, these people would then share batches in every epoch.

    Args:
        labels: int (n,), the person of each image.
        people: P.
        images: K.
        seed: the seed of the training.
        epoch: counted from 0.

    Returns:
        Image numbers, int (batches, P * K), in random order within a batch. The number of batches
        is the same in every epoch.

    Raises:
        UserError: there are fewer than P people.
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
        # Random mining takes the next image of the batch, so the order must be random.
        batches.append(rng.permutation(batch))
    return np.stack(batches)


def _people_of_batches(
    groups: np.ndarray, people: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield the people of each batch, int (people,).

    A person appears at most as often as the person has groups. A person with g groups gets one of
    them in each g-th part of the epoch, at a random moment of that part.

    Args:
        groups: the number of groups of each person.
        people: P.
        rng: source of randomness.
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
        # A person with as many groups left as there are batches left must be in all of these.
        urgency = np.where(groups - done == to_go, -1.0, due)
        chosen = np.argsort(urgency, kind="stable")[:people]
        done[chosen] += 1
        left = done[chosen] < groups[chosen]
        moments = (done[chosen] + rng.random(people)) / groups[chosen]
        due[chosen] = np.where(left, moments, np.inf)
        yield chosen


def _groups(rows: np.ndarray, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the rows in groups of ``size``, the last one filled up with rows drawn again."""
    missing = -len(rows) % size
    # The last group is filled from the other groups: it repeats an image of its own only if there
    # is no other group.
    others = rows[: len(rows) // size * size]
    filling = (
        rng.choice(others, missing, replace=False)
        if len(others)
        else rng.choice(rows, missing, replace=True)
    )
    yield from np.concatenate([rows, filling]).reshape(-1, size)
