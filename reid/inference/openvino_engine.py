"""The network on OpenVINO, the fastest engine on x86 processors."""

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from reid.inference.engine import Engine
from reid.inference.openvino_runtime import (
    PerformanceMode,
    cache_dir,
    inference_precision,
    optimal_number_of_infer_requests,
    ov,
    performance_mode,
)


class OpenVinoEngine(Engine):
    """OpenVINO."""

    def __init__(self, file: Path, cache: Path | None = None) -> None:
        """Load a ``.xml`` file and the ``.bin`` file next to it.

        Args:
            file: the ``.xml`` file.
            cache: a folder for the compiled network.
        """
        core = ov.Core()
        if cache:
            core.set_property({cache_dir: str(cache)})
        # Without the type, a processor that has bfloat16 computes with it, and differs by 0.006.
        self._network = core.compile_model(
            file,
            "CPU",
            {performance_mode: PerformanceMode.THROUGHPUT, inference_precision: ov.Type.f32},
        )
        self._requests = self._network.get_property(optimal_number_of_infer_requests)
        _, height, width, _ = self._network.input().partial_shape
        self.height, self.width = height.get_length(), width.get_length()
        self.dimension = self._network.output().partial_shape[-1].get_length()

    def _results(self, requests: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the embeddings of each request; meanwhile, the next ones are being decoded."""
        free = [self._network.create_infer_request() for _ in range(self._requests)]
        running: deque[ov.InferRequest] = deque()

        def finish_the_oldest() -> np.ndarray:
            request = running.popleft()
            request.wait()
            free.append(request)
            return request.get_output_tensor().data.copy()

        for photos in requests:
            if not free:
                yield finish_the_oldest()
            request = free.pop()
            request.start_async({0: photos})
            running.append(request)
        while running:
            yield finish_the_oldest()
