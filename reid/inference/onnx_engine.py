"""The network on ONNX Runtime."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime

from reid.inference.engine import Engine


class OnnxEngine(Engine):
    """ONNX Runtime."""

    def __init__(self, file: Path) -> None:
        """Load an ``.onnx`` file."""
        self._session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        (photos,), (embeddings,) = self._session.get_inputs(), self._session.get_outputs()
        _, self.height, self.width, _ = photos.shape
        self.dimension = embeddings.shape[-1]
        self._input = photos.name

    def _results(self, requests: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for photos in requests:
            yield from self._session.run(None, {self._input: photos})
