"""The network on TensorFlow Lite, for phones and small boards."""

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from reid.inference.engine import Engine


class TfliteEngine(Engine):
    """TensorFlow Lite."""

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

    def _results(self, requests: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for photos in requests:
            yield from self._run(photos=photos).values()
