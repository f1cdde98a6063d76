"""Import OpenVINO without its telemetry and its converter; all other files import it from here."""

import sys

# The import of the converter reports to OpenVINO's makers over the network, and takes a tenth of a
# second. OpenVINO does without it if it is missing.
sys.modules["openvino.tools.ovc"] = None  # type: ignore[assignment]

import openvino as ov  # noqa: E402
from openvino.properties import cache_dir, optimal_number_of_infer_requests  # noqa: E402
from openvino.properties.device import capabilities  # noqa: E402
from openvino.properties.hint import (  # noqa: E402
    PerformanceMode,
    inference_precision,
    performance_mode,
)

__all__ = [
    "PerformanceMode",
    "cache_dir",
    "capabilities",
    "inference_precision",
    "optimal_number_of_infer_requests",
    "ov",
    "performance_mode",
]
