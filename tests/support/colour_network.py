"""A network without weights: photos whose colours lie in the same places have like embeddings."""

from pathlib import Path

import numpy as np

from reid.inference.openvino_runtime import ov

HEIGHT, WIDTH, CELL = 128, 64, 16


def write_colour_network(folder: Path, sign: int = 1) -> Path:
    """Write a network for OpenVINO into a folder, and return the folder.

    Its embeddings are the mean colours of a grid of cells, less grey, of length 1. Another ``sign``
    (1 or -1) makes another model with the same similarities.
    """
    from openvino import opset13 as ops  # noqa: PLC0415

    photos = ops.parameter([-1, HEIGHT, WIDTH, 3], np.uint8, name="photos")
    channels_first = ops.transpose(ops.convert(photos, "f32"), np.array([0, 3, 1, 2]))
    grid = ops.avg_pool(channels_first, [CELL, CELL], [0, 0], [0, 0], [CELL, CELL], False)
    length = (HEIGHT // CELL) * (WIDTH // CELL) * 3
    flat = ops.reshape(grid, np.array([-1, length]), special_zero=False)
    centred = ops.multiply(ops.subtract(flat, np.float32(120)), np.float32(sign))
    embeddings = ops.normalize_l2(centred, np.array([1]), 1e-12, "add")
    folder.mkdir(parents=True, exist_ok=True)
    ov.save_model(ov.Model([embeddings], [photos]), folder / "network.xml", compress_to_fp16=False)
    return folder
