import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid.common.errors import UserError
from reid.training.batches import people_batches, shuffled_batches


@given(n=st.integers(4, 60), size=st.integers(2, 4), epoch=st.integers(0, 5))
def test_shuffled_batches_hold_no_image_twice(n: int, size: int, epoch: int) -> None:
    batches = shuffled_batches(n, size, seed=0, epoch=epoch)
    assert batches.shape == (n // size, size)
    assert len(np.unique(batches)) == batches.size


@given(counts=st.lists(st.integers(1, 9), min_size=3, max_size=8), seed=st.integers(0, 99))
def test_people_batches_are_p_people_of_k_images(counts: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    batches = people_batches(labels, people=3, images=4, seed=seed, epoch=0)
    for batch in batches:
        people, images = np.unique(labels[batch], return_counts=True)
        assert len(people) == 3
        assert (images == 4).all()
        # A group repeats an image only if its person has fewer than K.
        for person in people:
            assert len(np.unique(batch[labels[batch] == person])) == min(4, counts[person])


def most_batches(groups: list[int], people: int) -> int:
    """Count batches of the people with the most groups left, which leaves the fewest over."""
    left = sorted(groups)
    batches = 0
    while left[-people] > 0:
        left = sorted(left[:-people] + [g - 1 for g in left[-people:]])
        batches += 1
    return batches


@given(groups=st.lists(st.integers(1, 30), min_size=3, max_size=12), people=st.integers(2, 3))
def test_there_are_as_many_batches_as_possible(groups: list[int], people: int) -> None:
    labels = np.repeat(np.arange(len(groups)), 2 * np.array(groups))
    batches = people_batches(labels, people, images=2, seed=5, epoch=0)
    assert len(batches) == most_batches(groups, people)
    assert len(np.unique(batches)) == batches.size


def test_people_with_many_images_are_spread_over_the_epoch_and_meet_by_chance() -> None:
    # As in Market-1501, few people have many images, and many people have few.
    groups = np.array([20] * 10 + [2] * 100)
    labels = np.repeat(np.arange(110), 2 * groups)
    epochs = [people_batches(labels, people=4, images=2, seed=3, epoch=e) for e in range(40)]
    assert {len(batches) for batches in epochs} == {100}
    first = np.array([np.isin(labels[batches[0]], range(10)).mean() for batches in epochs])
    # The people with many images have half of all groups, so they are half of a first batch.
    assert abs(first.mean() - 0.5) < 0.1
    present = np.array([[[p in labels[b] for p in (0, 1)] for b in batches] for batches in epochs])
    # Each is in 20 of 100 batches, so two independent people meet in 4 of them.
    assert abs(present.all(axis=2).sum(axis=1).mean() - 4) < 1.5
    # A person with two groups has one in each half of the epoch, with few exceptions.
    seen = [len(np.unique(labels[half])) for b in epochs for half in (b[:50], b[50:])]
    assert np.mean(seen) > 10 + 90


def test_order_within_a_batch_is_random() -> None:
    labels = np.repeat(np.arange(8), 4)
    (batch,) = people_batches(labels, people=8, images=4, seed=0, epoch=0)
    following = np.roll(labels[batch], -1)
    assert len(set(zip(labels[batch], following, strict=True))) > 16


@given(counts=st.lists(st.integers(1, 9), min_size=3, max_size=8))
def test_every_epoch_has_the_same_number_of_batches(counts: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    sizes = {len(people_batches(labels, 3, 2, seed=1, epoch=epoch)) for epoch in range(6)}
    assert len(sizes) == 1


def test_epochs_differ_and_each_is_reproducible() -> None:
    labels = np.repeat(np.arange(10), 6)
    first = people_batches(labels, 4, 3, seed=1, epoch=0)
    assert np.array_equal(first, people_batches(labels, 4, 3, seed=1, epoch=0))
    assert not np.array_equal(first, people_batches(labels, 4, 3, seed=1, epoch=1))
    assert not np.array_equal(shuffled_batches(60, 5, 1, 0), shuffled_batches(60, 5, 1, 1))


def test_too_few_images_or_people_for_a_batch_are_explained() -> None:
    with pytest.raises(UserError, match=r"baseline\.batch_size"):
        shuffled_batches(7, 8, seed=0, epoch=0)
    with pytest.raises(UserError, match=r"triplet\.people"):
        people_batches(np.array([0, 0, 1, 1]), people=3, images=2, seed=0, epoch=0)
