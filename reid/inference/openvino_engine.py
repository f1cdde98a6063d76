"""The network on OpenVINO, the fastest engine on x86 processors."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from reid.inference.engine import slices
from reid.inference.openvino_runtime import (
    PerformanceMode,
    inference_precision,
    ov,
    performance_mode,
)


class OpenVinoEngine:
    """See `reid.inference.engine.Engine`."""

    def __init__(self, file: Path) -> None:
        """Load a ``.xml`` file and the ``.bin`` file next to it."""
        core = ov.Core()
        network = core.read_model(file)
        _, self.height, self.width, _ = (
            d.get_length() if d.is_static else 0 for d in network.input().partial_shape
        )
        self.dimension = network.output().partial_shape[-1].get_length()
        # Without the type, a processor that has bfloat16 computes with it, and differs by 0.006.
        self._network = core.compile_model(
            network,
            "CPU",
            {performance_mode: PerformanceMode.THROUGHPUT, inference_precision: ov.Type.f32},
        )

    def embed(self, batches: Iterable[np.ndarray]) -> np.ndarray:
        """Embed photos while the next ones are being decoded."""
        parts: list[np.ndarray] = []

        def keep(request: ov.InferRequest, place: int) -> None:
            parts[place] = request.get_output_tensor().data.copy()

        requests = ov.AsyncInferQueue(self._network)
        requests.set_callback(keep)
        for place, photos in enumerate(slices(batches)):
            parts.append(np.empty(0))
            requests.start_async({0: photos}, place)
        requests.wait_all()
        return np.concatenate(parts) if parts else np.empty((0, self.dimension), np.float32)
