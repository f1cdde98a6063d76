"""The triplet loss and the teacher's loss, in operations that every Keras backend has."""

from reid.model.backend import keras
from reid.model.portable import product
from reid.training.objective import Margin, Mining

ops = keras.ops

FAR = 3.0
"""A distance greater than that between any two rows of length 1."""


def pairwise_cosines(embeddings: keras.KerasTensor) -> keras.KerasTensor:
    """Return the cosines of the angles between rows of length 1: (n, d) to (n, n)."""
    return product(embeddings, ops.transpose(embeddings))


def pairwise_distances(embeddings: keras.KerasTensor) -> keras.KerasTensor:
    """Return Euclidean distances between rows of length 1: (n, d) to (n, n)."""
    # The distance of an image to itself is 0, where the gradient of a root is infinite.
    return ops.sqrt(ops.maximum(2.0 - 2.0 * pairwise_cosines(embeddings), 1e-6))


def _next_in_batch(distances: keras.KerasTensor, among: keras.KerasTensor) -> keras.KerasTensor:
    """Return each row's distance to the next image of the batch that is ``among``, cyclically.

    Distances and ``among`` (n, n) to (n,).
    """
    n = ops.shape(distances)[0]
    numbers = ops.arange(n)
    steps = ops.mod(numbers[None, :] - numbers[:, None], n)
    chosen = ops.argmin(ops.where(among, steps, n), axis=1)
    is_chosen = ops.equal(numbers[None, :], ops.cast(chosen, numbers.dtype)[:, None])
    return ops.sum(ops.where(is_chosen, distances, 0.0), axis=1)


class Triplet(keras.losses.Loss):
    """Triplet loss of each anchor of a batch, with one positive and one negative.

    Hermans et al., "In Defense of the Triplet Loss for Person Re-Identification", 2017. With the
    Euclidean distance d, the hinge is ``max(0, d(a, p) + margin - d(a, n))`` and the soft margin
    is ``log(1 + exp(d(a, p) - d(a, n)))``. An anchor that has no positive or no negative in the
    batch has loss 0.

    Mining ``hard`` takes the farthest positive and the nearest negative (their eq. 5). Mining
    ``random`` takes the next positive and the next negative in the batch: these are random, because
    the order within a training batch is. They are the plain triplets of Schroff et al., "FaceNet",
    2015, eq. 1, where distances are squared. Validation images are sorted by person, so their
    triplets are not random.
    """

    def __init__(self, margin: Margin, mining: Mining = "hard", name: str = "triplet") -> None:
        """Choose the margin, the mining and the name under which Keras logs the loss."""
        super().__init__(name=name)
        self.margin = margin
        self.mining = mining

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Return one loss per anchor, (n,).

        Args:
            y_true: labels, (n,) or (n, 1).
            y_pred: embeddings of length 1, (n, d).
        """
        labels = ops.reshape(y_true, (-1,))
        same = ops.equal(labels[:, None], labels[None, :])
        others = ops.logical_not(ops.eye(ops.shape(labels)[0], dtype="bool"))
        is_positive, is_negative = ops.logical_and(same, others), ops.logical_not(same)
        distances = pairwise_distances(ops.cast(y_pred, "float32"))
        if self.mining == "hard":
            positive = ops.max(ops.where(is_positive, distances, -FAR), axis=1)
            negative = ops.min(ops.where(is_negative, distances, FAR), axis=1)
        else:
            positive = _next_in_batch(distances, is_positive)
            negative = _next_in_batch(distances, is_negative)
        if self.margin == "soft":
            loss = ops.softplus(positive - negative)
        else:
            loss = ops.maximum(positive + self.margin - negative, 0.0)
        usable = ops.logical_and(ops.any(is_positive, axis=1), ops.any(is_negative, axis=1))
        return ops.where(usable, loss, 0.0)


class TeacherLoss(keras.losses.Loss):
    """How far a student's similarities within a batch are from a teacher's.

    It is the mean squared difference of the two matrices of cosines, so the teacher's embeddings
    may have another length than the student's. After Tung and Mori, "Similarity-Preserving
    Knowledge Distillation", ICCV 2019, who normalise the rows of the matrices, too.
    """

    def __init__(self, name: str = "teacher") -> None:
        """Choose the name under which Keras logs the loss."""
        super().__init__(name=name)

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Return one loss per image, (n,).

        Args:
            y_true: the teacher's embeddings of length 1, (n, d).
            y_pred: the student's embeddings of length 1, (n, e).
        """
        difference = pairwise_cosines(y_pred) - pairwise_cosines(y_true)
        return ops.mean(ops.square(difference), axis=1)
