"""Embed a file of photos with two workers of Ray: ``embed_on_ray PHOTOS NETWORK FOLDER``.

Each worker leaves a file of its process number in ``FOLDER/workers``. The embeddings are written as
``FOLDER/embeddings.npy``.
"""

import os
import sys
from functools import partial
from pathlib import Path

import numpy as np

from reid.inference.ray_runner import embed_on_ray


def note_worker(workers: Path) -> None:
    """Leave the number of this process."""
    (workers / str(os.getpid())).touch()


def main(photos: Path, network: Path, folder: Path) -> None:
    """Embed the photos."""
    note = partial(note_worker, folder / "workers")
    np.save(folder / "embeddings.npy", embed_on_ray(photos, network, folder, note, workers=2))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
