"""Embed a file of photos with two workers of Ray: ``embed_on_ray PHOTOS NETWORK FOLDER``.

Each worker leaves a file of its process number in ``FOLDER/workers``. The embeddings are written as
``FOLDER/embeddings.npy``.
"""

import os
import sys
from functools import partial
from pathlib import Path

import numpy as np

from reid.inference.engine import Engine, load_engine
from reid.inference.ray_runner import embed_on_ray


def load_and_note(network: Path, workers: Path) -> Engine:
    """Load the network, and leave the number of this process."""
    (workers / str(os.getpid())).touch()
    return load_engine(network)


def main(photos: Path, network: Path, folder: Path) -> None:
    """Embed the photos."""
    load = partial(load_and_note, network, folder / "workers")
    np.save(folder / "embeddings.npy", embed_on_ray(photos, load, folder, workers=2))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
