"""The network on TensorFlow Lite, for phones and small boards."""

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

from reid.inference.engine import slices


class TfliteEngine:
    """See `reid.inference.engine.Engine`."""

    def __init__(self, file: Path) -> None:
        """Load a ``.tflite`` file."""
        with warnings.catch_warnings():
            # TensorFlow announces that the interpreter will move to a package of its own.
            warnings.simplefilter("ignore", UserWarning)
            network = tf.lite.Interpreter(str(file))
        (photos,), (embeddings,) = network.get_input_details(), network.get_output_details()
        _, self.height, self.width, _ = map(int, photos["shape"])
        self.dimension = int(embeddings["shape"][-1])
        self._run = network.get_signature_runner()

    def embed(self, batches: Iterable[np.ndarray]) -> np.ndarray:
        """Embed photos."""
        parts = [part for photos in slices(batches) for part in self._run(photos=photos).values()]
        return np.concatenate(parts) if parts else np.empty((0, self.dimension), np.float32)
