"""Load an exported network, on the engine that its file is for."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from reid.common.errors import UserError, first_line

EngineName = Literal["openvino", "keras", "onnx", "tflite"]
InferencePrecision = Literal["float32", "bfloat16"]
"""The type in which an engine computes. Only OpenVINO knows more than float32."""

FILES: dict[EngineName, str] = {
    "openvino": "network.xml",
    "keras": "network.keras",
    "onnx": "network.onnx",
    "tflite": "network.tflite",
}
"""The file of the exported network that each engine reads."""

ENGINE_NEEDS: dict[EngineName, tuple[str, ...]] = {
    "openvino": ("openvino",),
    "keras": ("keras", "tensorflow", "tensorflow-cpu"),
    "onnx": ("onnxruntime",),
    "tflite": ("tensorflow", "tensorflow-cpu"),
}
"""The packages that each engine needs, by their names for pip. Of TensorFlow's, one is enough."""


ONNX_WRITERS = ("onnx", "tf2onnx")
"""The packages that write ONNX files; no other engine needs them."""


def require_writers(engine: EngineName) -> None:
    """Raise UserError if a package that writes an engine's file is not installed."""
    absent = [name for name in ONNX_WRITERS if engine == "onnx" and find_spec(name) is None]
    if absent:
        raise UserError(
            f"The format onnx needs packages that are not installed ({', '.join(absent)}). "
            "`pip install -r requirements-onnx.txt` installs them."
        )


class Engine(ABC):
    """A network on an engine: a function from photos to embeddings."""

    height: int
    """The pixels of the photos that the network takes."""
    width: int
    dimension: int
    """The length of an embedding."""
    photos_at_once = 16
    """The photos in a request."""

    @abstractmethod
    def _results(self, requests: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the embeddings of each request, in order."""

    def embed(self, batches: Iterable[np.ndarray]) -> np.ndarray:
        """Embed photos.

        Args:
            batches: arrays of photos, uint8 (n, height, width, 3), with any n.

        Returns:
            float32 (n, d), rows of length 1, in the order of the photos. The same photo gives the
            same bytes, whatever is in its batch, except with Keras.
        """
        size = self.photos_at_once
        requests = (
            photos[start : start + size]
            for photos in batches
            for start in range(0, len(photos), size)
        )
        parts = list(self._results(requests))
        return np.concatenate(parts) if parts else np.empty((0, self.dimension), np.float32)


def load_engine(
    folder: Path, cache: Path | None = None, precision: InferencePrecision = "float32"
) -> Engine:
    """Load the network of a folder that `reid.inference.export.export_network` wrote.

    Args:
        folder: the folder.
        cache: a folder in which OpenVINO keeps the compiled network, to load it sooner next time.
        precision: the type to compute in.

    Raises:
        UserError: there is no network, it is damaged, its engine is not installed, or engine or
            processor lacks the precision.
    """
    found = [engine for engine, name in FILES.items() if (folder / name).exists()]
    if not found:
        raise UserError(f"{folder} holds no network. `dvc repro export` makes it.")
    (engine,) = found
    file = folder / FILES[engine]
    if precision != "float32" and engine != "openvino":
        raise UserError(f"The engine {engine} computes in float32 only. OpenVINO has {precision}.")
    try:
        match engine:
            case "openvino":
                from reid.inference.openvino_engine import OpenVinoEngine  # noqa: PLC0415

                return OpenVinoEngine(file, cache, precision)
            case "onnx":
                from reid.inference.onnx_engine import OnnxEngine  # noqa: PLC0415

                return OnnxEngine(file)
            case "tflite":
                from reid.inference.tflite_engine import TfliteEngine  # noqa: PLC0415

                return TfliteEngine(file)
            case "keras":
                from reid.inference.keras_engine import KerasEngine  # noqa: PLC0415

                return KerasEngine(file)
    except ModuleNotFoundError as e:
        raise UserError(f"{e.name} is not installed, and {file} needs it.") from e
    except UserError:
        raise
    except Exception as e:  # Each engine raises errors of its own.
        raise UserError(
            f"{file} can't be loaded as a network ({first_line(e)}). `dvc repro` makes it again."
        ) from e
