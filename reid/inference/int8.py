"""Post-training quantisation: convolutions of an OpenVINO network that compute in 8 bits."""

import logging
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from reid.common.errors import UserError
from reid.data.dataset import read_columns
from reid.inference.openvino_runtime import ov

CONVOLUTIONS = ("Convolution", "GroupConvolution")
CALIBRATION = 300
"""The most photos that set the ranges of the integers: the number that NNCF takes by default."""


def require_quantiser() -> None:
    """Raise UserError if the package that quantises is not installed."""
    if find_spec("nncf") is None:
        raise UserError(
            "--int8 needs a package that is not installed (nncf). "
            "`pip install -r requirements-int8.txt` installs it."
        )


def calibration_photos(dataset: Path) -> list[bytes]:
    """Return image files of the training subset, spread over its people: ``CALIBRATION`` at most.

    Raises:
        UserError: the data set was not ingested.
    """
    # Sorted by name, the images of a person are neighbours.
    photos: list[bytes] = read_columns(dataset, "train", ("image",))["image"]
    return photos[:: -(-len(photos) // CALIBRATION)]


def quantise(file: Path, photos: np.ndarray) -> None:
    """Quantise a network of OpenVINO in place.

    Weights and inputs of all convolutions become 8-bit integers. What follows the last convolution
    stays in float32: with pooling, neck and the length 1 in integers, the embeddings of a
    MobileNetV2 had a mean cosine of 0.66 to those before, and 0.99 without.

    Args:
        file: the ``.xml`` file; the ``.bin`` file lies next to it.
        photos: uint8 (n, height, width, 3), photos of training people. They set the ranges.
    """
    # Without this package, NNCF reports nothing to its makers.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import nncf  # noqa: PLC0415
    from nncf.quantization.advanced_parameters import (  # noqa: PLC0415
        AdvancedQuantizationParameters,
        OverflowFix,
    )

    # Not `nncf.set_log_level`: it sets the level of all handlers, those of others, too.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    network = ov.Core().read_model(file)
    operations = network.get_ordered_ops()
    kinds = [operation.get_type_name() for operation in operations]
    # The convolutions that compute the length of an embedding have one channel.
    last = max(
        place
        for place, (operation, kind) in enumerate(zip(operations, kinds, strict=True))
        if kind in CONVOLUTIONS and operation.output(0).partial_shape[1].get_length() > 1
    )
    tail = [
        operation.get_friendly_name()
        for operation, kind in zip(operations[last + 1 :], kinds[last + 1 :], strict=True)
        if kind not in ("Constant", "Result")
    ]
    quantised = nncf.quantize(
        network,
        nncf.Dataset([photo[None] for photo in photos]),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(photos),
        ignored_scope=nncf.IgnoredScope(names=tail, validate=False),
        # Processors without VNNI add 8-bit products in 16 bits, and these overflow.
        advanced_parameters=AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
    )
    # The weights are still mapped from their file, which may be replaced but not rewritten.
    with TemporaryDirectory(dir=file.parent) as folder:
        saved = Path(folder, file.name)
        ov.save_model(quantised, saved, compress_to_fp16=False)
        for suffix in (".xml", ".bin"):
            saved.with_suffix(suffix).replace(file.with_suffix(suffix))
