"""The network in Keras, as it was trained: the reference for the other engines, and for GPUs."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from reid.inference.engine import slices
from reid.model.network import load_network

PHOTOS_AT_ONCE = 64
"""The photos that are embedded at once. A GPU needs many to be busy."""


class KerasEngine:
    """See `reid.inference.engine.Engine`.

    Other photos in the batch may round a photo's embedding differently.
    """

    def __init__(self, file: Path) -> None:
        """Load a ``.keras`` file."""
        self._network = load_network(file)
        _, self.height, self.width, _ = self._network.input_shape
        self.dimension = self._network.output_shape[-1]

    def embed(self, batches: Iterable[np.ndarray]) -> np.ndarray:
        """Embed photos."""
        parts = [
            np.asarray(self._network.predict_on_batch(photos), np.float32)
            for photos in slices(batches, PHOTOS_AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.empty((0, self.dimension), np.float32)
