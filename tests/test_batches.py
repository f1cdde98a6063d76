import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reid.batches import people_batches, shuffled_batches


@given(n=st.integers(4, 60), size=st.integers(2, 4), epoch=st.integers(0, 5))
def test_shuffled_batches_hold_no_image_twice(n: int, size: int, epoch: int) -> None:
    batches = shuffled_batches(n, size, seed=0, epoch=epoch)
    assert batches.shape == (n // size, size)
    assert len(np.unique(batches)) == batches.size


@given(counts=st.lists(st.integers(1, 9), min_size=3, max_size=8), seed=st.integers(0, 99))
def test_people_batches_are_p_people_of_k_images(counts: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    batches = people_batches(labels, people=3, images=4, seed=seed, epoch=0)
    for batch in labels[batches].reshape(-1, 3, 4):
        assert (batch == batch[:, :1]).all()
        assert len(np.unique(batch[:, 0])) == 3
    # A group repeats an image only where its person has fewer than K.
    for group in batches.reshape(-1, 4):
        assert len(np.unique(group)) == min(4, counts[labels[group[0]]])


@given(counts=st.lists(st.integers(1, 9), min_size=3, max_size=8))
def test_every_epoch_has_the_same_number_of_batches(counts: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    sizes = {len(people_batches(labels, 3, 2, seed=1, epoch=epoch)) for epoch in range(6)}
    assert len(sizes) == 1


def test_epochs_differ_and_an_epoch_comes_out_again() -> None:
    labels = np.repeat(np.arange(10), 6)
    first = people_batches(labels, 4, 3, seed=1, epoch=0)
    assert np.array_equal(first, people_batches(labels, 4, 3, seed=1, epoch=0))
    assert not np.array_equal(first, people_batches(labels, 4, 3, seed=1, epoch=1))
    assert not np.array_equal(shuffled_batches(60, 5, 1, 0), shuffled_batches(60, 5, 1, 1))
