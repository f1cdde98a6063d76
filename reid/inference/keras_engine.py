"""The network in Keras, as it was trained: the reference for the other engines, and for GPUs."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from reid.inference.engine import Engine
from reid.model.network import for_computing, load_network


class KerasEngine(Engine):
    """Keras. Other photos in the request may round a photo's embedding differently."""

    # A GPU needs many to be busy.
    photos_at_once = 64

    def __init__(self, file: Path) -> None:
        """Load a ``.keras`` file."""
        self._network = for_computing(load_network(file))
        _, self.height, self.width, _ = self._network.input_shape
        self.dimension = self._network.output_shape[-1]

    def _results(self, requests: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for photos in requests:
            yield np.asarray(self._network.predict_on_batch(photos), np.float32)
