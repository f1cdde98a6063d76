"""Import OpenVINO without its telemetry; all other files import it from here."""

import sys

# OpenVINO's import reports itself to its makers over the network, unless this package is missing.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino as ov  # noqa: E402
from openvino.properties.hint import (  # noqa: E402
    PerformanceMode,
    inference_precision,
    performance_mode,
)

__all__ = ["PerformanceMode", "inference_precision", "ov", "performance_mode"]
