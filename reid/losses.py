"""The losses of both models, in operations that every Keras backend has."""

from reid.backend import keras

ops = keras.ops


def pairwise_distances(embeddings: keras.KerasTensor) -> keras.KerasTensor:
    """Euclidean distances among rows of length 1: (n, d) to (n, n)."""
    cosine = ops.einsum("ad,bd->ab", embeddings, embeddings)
    # The gradient of a root is infinite at 0, where every image meets itself.
    return ops.sqrt(ops.maximum(2.0 - 2.0 * cosine, 1e-6))


class BatchHardTriplet(keras.losses.Loss):
    """Hinge over each anchor's farthest positive and nearest negative in the batch.

    ``max(0, d(a, p) + margin - d(a, n))`` of Hermans et al., "In Defense of the Triplet Loss for
    Person Re-Identification", 2017, eq. 5, with Euclidean distances. An anchor without a positive
    or without a negative in the batch has loss 0.
    """

    def __init__(self, margin: float, name: str = "triplet") -> None:
        """``margin``: by how much a negative must be farther than a positive."""
        super().__init__(name=name)
        self.margin = margin

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Labels (n,) or (n, 1) and embeddings (n, d) of length 1 to a loss an anchor, (n,)."""
        labels = ops.reshape(y_true, (-1,))
        same = ops.equal(labels[:, None], labels[None, :])
        others = ops.logical_not(ops.eye(ops.shape(labels)[0], dtype="bool"))
        positive = ops.logical_and(same, others)
        distances = pairwise_distances(y_pred)
        farthest_positive = ops.max(ops.where(positive, distances, -1.0), axis=1)
        # Larger than any distance between two rows of length 1.
        nearest_negative = ops.min(ops.where(same, 3.0, distances), axis=1)
        hinge = ops.maximum(farthest_positive + self.margin - nearest_negative, 0.0)
        usable = ops.logical_and(ops.any(positive, axis=1), ops.any(~same, axis=1))
        return ops.where(usable, hinge, 0.0)
