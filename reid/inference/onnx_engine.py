"""The network on ONNX Runtime."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnxruntime

from reid.inference.engine import slices


class OnnxEngine:
    """See `reid.inference.engine.Engine`."""

    def __init__(self, file: Path) -> None:
        """Load an ``.onnx`` file."""
        self._session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        (photos,), (embeddings,) = self._session.get_inputs(), self._session.get_outputs()
        _, self.height, self.width, _ = photos.shape
        self.dimension = embeddings.shape[-1]
        self._input = photos.name

    def embed(self, batches: Iterable[np.ndarray]) -> np.ndarray:
        """Embed photos."""
        parts = [self._session.run(None, {self._input: photos})[0] for photos in slices(batches)]
        return np.concatenate(parts) if parts else np.empty((0, self.dimension), np.float32)
