"""Embed a gallery: from the parquet file to the ``.npy`` file, as the stage ``extract`` does.

The gallery of the sample is repeated. Peers and limits get photos that are decoded already.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.figures import Figure, in_turns
from benchmarks.torch_peer import embedder
from reid.data import paths
from reid.data.dataset import decoded_batches, read_columns
from reid.inference.engine import Engine, EngineName, load_engine
from reid.inference.export import export_network
from reid.model.backend import make_deterministic
from reid.model.network import load_network, retrieval_network
from reid.preparation.ingest import ROWS_PER_GROUP
from stages.extract import DECODED_AT_ONCE

COUNT = 2048
LAST_STRIDE = 1
PEERS: tuple[EngineName, ...] = ("onnx", "keras", "tflite")


def write_gallery(file: Path) -> None:
    """Write ``COUNT`` images in row groups as ``ingest`` does."""
    images = read_columns(paths.DATASET, "gallery", ("image",))["image"]
    repeated = [images[row % len(images)] for row in range(COUNT)]
    table = pa.table({"image": pa.array(repeated, pa.binary())})
    pq.write_table(
        table, file, row_group_size=ROWS_PER_GROUP, compression="none", use_dictionary=False
    )


def exhaust(batches: Iterable[np.ndarray]) -> None:
    """Decode all batches."""
    for _ in batches:
        pass


def figures() -> Iterator[Figure]:
    """Time OpenVINO without and with mirror images."""
    make_deterministic(0, os.cpu_count() or 1)
    network = load_network(paths.network_file(paths.model_folder(paths.TRIPLET), "final"))
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        gallery = folder / "gallery.parquet"
        write_gallery(gallery)

        def exported(name: EngineName, flip: bool) -> Engine:
            place = folder / f"{name} {flip}"
            place.mkdir()
            export_network(retrieval_network(network, flip), name, place)
            return load_engine(place)

        plain = exported("openvino", flip=False)

        def batches() -> Iterator[np.ndarray]:
            return decoded_batches(gallery, DECODED_AT_ONCE, plain.height, plain.width)

        ready = list(batches())

        def extract(engine: Engine) -> Callable[[], object]:
            return lambda: np.save(folder / "gallery.npy", engine.embed(batches()))

        def embed(engine: Engine) -> Callable[[], object]:
            return lambda: engine.embed(ready)

        torch = embedder(LAST_STRIDE)
        peers = {name: embed(exported(name, flip=False)) for name in PEERS}
        yield in_turns(
            f"extracting {COUNT:,} photos",
            extract(plain),
            peers={
                **{f"{name}, photos decoded before": peer for name, peer in peers.items()},
                "PyTorch, photos decoded before": lambda: [torch(photos) for photos in ready],
            },
            limits={
                "OpenVINO, photos decoded before": embed(plain),
                "decoding alone": lambda: exhaust(batches()),
            },
        )
        both = exported("openvino", flip=True)
        yield in_turns(
            f"extracting {COUNT:,} photos, mirrored too",
            extract(both),
            limits={"OpenVINO, photos decoded before": embed(both)},
        )
