import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.model.backend import keras, make_deterministic
from reid.training.losses import TeacherLoss, Triplet, pairwise_distances
from reid.training.objective import Margin, Mining


@pytest.fixture(autouse=True, scope="module")
def _deterministic() -> None:
    # The number of threads can't change in a process: all tests use the same.
    make_deterministic(seed=1, threads=2)


def naive_triplet(
    labels: np.ndarray, embeddings: np.ndarray, margin: Margin, mining: Mining
) -> float:
    """Compute the loss by its definition, anchor by anchor."""
    n = len(labels)
    losses = []
    for a, label in enumerate(labels):
        distance = np.linalg.norm(embeddings - embeddings[a], axis=1)
        after = [(a + step) % n for step in range(1, n)]
        positives = [distance[i] for i in after if labels[i] == label]
        negatives = [distance[i] for i in after if labels[i] != label]
        if not positives or not negatives:
            losses.append(0.0)
            continue
        if mining == "hard":
            difference = max(positives) - min(negatives)
        else:
            difference = positives[0] - negatives[0]
        is_soft = margin == "soft"
        losses.append(np.log1p(np.exp(difference)) if is_soft else max(0.0, difference + margin))
    return float(np.mean(losses))


def unit_rows(n: int, seed: int, length: int = 5) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, length)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@settings(deadline=None)
@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    margin=st.one_of(st.floats(0.05, 1.0), st.just("soft")),
    mining=st.sampled_from(["hard", "random"]),
    seed=st.integers(0, 999),
)
def test_triplet_loss_agrees_with_its_definition(
    labels: list[int], margin: Margin, mining: Mining, seed: int
) -> None:
    embeddings = unit_rows(len(labels), seed)
    loss = Triplet(margin, mining)(np.array(labels, np.float32), embeddings)
    expected = naive_triplet(np.array(labels), embeddings, margin, mining)
    assert float(loss) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("mining", ["hard", "random"])
def test_gradient_is_finite_if_two_images_are_equal(mining: Mining) -> None:
    tf = pytest.importorskip("tensorflow")
    rows = tf.Variable(np.tile(unit_rows(1, 0), (4, 1)))
    with tf.GradientTape() as tape:
        loss = Triplet(0.3, mining)(np.array([0, 0, 1, 1], np.float32), rows)
    assert np.isfinite(tape.gradient(loss, rows).numpy()).all()


def test_distances_are_euclidean() -> None:
    rows = unit_rows(6, 3)
    distances = keras.ops.convert_to_numpy(pairwise_distances(rows))
    expected = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    assert distances == pytest.approx(expected, abs=2e-3)


def test_teachers_loss_is_the_mean_squared_difference_of_cosines() -> None:
    student, known = unit_rows(6, 1), unit_rows(6, 2, length=3)
    differences = [
        np.dot(student[i], student[j]) - np.dot(known[i], known[j])
        for i in range(6)
        for j in range(6)
    ]
    expected = np.mean(np.square(differences))
    assert float(TeacherLoss()(known, student)) == pytest.approx(expected, abs=1e-5)


def test_student_with_the_teachers_similarities_has_no_loss() -> None:
    known = unit_rows(6, 1)
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))
    assert float(TeacherLoss()(known, (known @ rotation).astype(np.float32))) < 1e-6
