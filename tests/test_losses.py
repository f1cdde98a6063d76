import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid.backend import keras, make_deterministic
from reid.losses import BatchHardTriplet, pairwise_distances


@pytest.fixture(autouse=True, scope="module")
def _deterministic() -> None:
    # The number of threads can't change in a process; the training tests take the same.
    make_deterministic(seed=1, threads=2)


def naive_batch_hard(labels: np.ndarray, embeddings: np.ndarray, margin: float) -> float:
    """The definition, anchor by anchor."""
    losses = []
    for a, label in enumerate(labels):
        distance = np.linalg.norm(embeddings - embeddings[a], axis=1)
        positives = [distance[p] for p in range(len(labels)) if p != a and labels[p] == label]
        negatives = [distance[n] for n in range(len(labels)) if labels[n] != label]
        usable = positives and negatives
        losses.append(max(0.0, max(positives) + margin - min(negatives)) if usable else 0.0)
    return float(np.mean(losses))


def unit_rows(n: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, 5)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    margin=st.floats(0.05, 1.0),
    seed=st.integers(0, 999),
)
def test_agrees_with_the_definition(labels: list[int], margin: float, seed: int) -> None:
    embeddings = unit_rows(len(labels), seed)
    loss = BatchHardTriplet(margin)(np.array(labels, np.float32), embeddings)
    expected = naive_batch_hard(np.array(labels), embeddings, margin)
    assert float(loss) == pytest.approx(expected, abs=1e-4)


def test_gradient_is_finite_where_two_images_are_the_same() -> None:
    tf = pytest.importorskip("tensorflow")
    rows = tf.Variable(np.tile(unit_rows(1, 0), (4, 1)))
    with tf.GradientTape() as tape:
        loss = BatchHardTriplet(0.3)(np.array([0, 0, 1, 1], np.float32), rows)
    assert np.isfinite(tape.gradient(loss, rows).numpy()).all()


def test_distances_are_euclidean() -> None:
    rows = unit_rows(6, 3)
    distances = keras.ops.convert_to_numpy(pairwise_distances(rows))
    expected = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    assert distances == pytest.approx(expected, abs=2e-3)
