"""The network on OpenVINO, the fastest engine on x86 processors."""

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from reid.common.errors import UserError
from reid.inference.engine import Engine, InferencePrecision
from reid.inference.openvino_runtime import (
    PerformanceMode,
    cache_dir,
    capabilities,
    inference_precision,
    optimal_number_of_infer_requests,
    ov,
    performance_mode,
)

TYPES: dict[InferencePrecision, ov.Type] = {"float32": ov.Type.f32, "bfloat16": ov.Type.bf16}


def has_bfloat16(core: ov.Core | None = None) -> bool:
    """Say whether this processor has instructions for bfloat16."""
    return "BF16" in (core or ov.Core()).get_property("CPU", capabilities)


class OpenVinoEngine(Engine):
    """OpenVINO."""

    def __init__(
        self, file: Path, cache: Path | None = None, precision: InferencePrecision = "float32"
    ) -> None:
        """Load a ``.xml`` file and the ``.bin`` file next to it.

        Args:
            file: the ``.xml`` file.
            cache: a folder for the compiled network.
            precision: the type to compute in.

        Raises:
            UserError: the processor lacks the precision.
        """
        core = ov.Core()
        if precision == "bfloat16" and not has_bfloat16(core):
            raise UserError(
                "This processor has no instructions for bfloat16: choose extract.precision: "
                "float32."
            )
        if cache:
            core.set_property({cache_dir: str(cache)})
        # Without the type, a processor that has bfloat16 computes with it, and differs by 0.006.
        self._network = core.compile_model(
            file,
            "CPU",
            {performance_mode: PerformanceMode.THROUGHPUT, inference_precision: TYPES[precision]},
        )
        # In bfloat16, lengths differ from 1 by some thousandths.
        self._is_rounded = precision == "bfloat16"
        self._requests = self._network.get_property(optimal_number_of_infer_requests)
        _, height, width, _ = self._network.input().partial_shape
        self.height, self.width = height.get_length(), width.get_length()
        self.dimension = self._network.output().partial_shape[-1].get_length()

    def _results(self, requests: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the embeddings of each request; meanwhile, the next ones are being decoded."""
        free: list[ov.InferRequest] = []
        running: deque[ov.InferRequest] = deque()

        def finish_the_oldest() -> np.ndarray:
            request = running.popleft()
            request.wait()
            free.append(request)
            embeddings = request.get_output_tensor().data
            if self._is_rounded:
                return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
            return embeddings.copy()

        for photos in requests:
            if len(running) == self._requests:
                yield finish_the_oldest()
            request = free.pop() if free else self._network.create_infer_request()
            request.start_async({0: photos})
            running.append(request)
        while running:
            yield finish_the_oldest()
