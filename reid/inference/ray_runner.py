"""Embed a file of photos on the machines of a Ray cluster: Ray Data hands out its shards.

A shard is a row group of the parquet file. A worker reads it, embeds its photos and writes their
embeddings into a file of their own. If a worker is killed, Ray starts another one, which embeds the
shard that the first had begun, and no other again. At the end, the shards are joined.

All machines need this project's environment, and see its folder under the same path.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from reid.common.arrays import FloatArray, IntArray
from reid.common.errors import UserError, first_line
from reid.common.files import replacing_file
from reid.data.images import decode_all
from reid.inference.engine import Engine

DECODED_AT_ONCE = 256
"""The photos that a worker decodes while those before them are embedded."""
STORE_BYTES = 2**27
"""The memory for what workers hand over if Ray is started here: the numbers of shards."""


def embed_on_ray(
    parquet: Path,
    load: Callable[[], Engine],
    folder: Path,
    workers: int | None = None,
) -> FloatArray:
    """Embed the photos of a parquet file.

    Ray runs on the cluster that the environment variable ``RAY_ADDRESS`` names, or else is started
    on this machine.

    Args:
        parquet: the file, with a column ``image``.
        load: the function that loads the network, called in each worker.
        folder: the folder in which the shards lie until they are joined.
        workers: the number of workers; if None, one for each machine of the cluster.

    Returns:
        float32 (n, d), rows of length 1, in the order of the rows. The bytes are those of
        `Engine.embed`, unless the engine is Keras, or a machine has another CPU type and the engine
        is ONNX Runtime or the instructions are not those of any processor.

    Raises:
        UserError: Ray is not installed, its cluster can't be reached, or a worker can't load the
            network or read a photo.
    """
    count = pq.ParquetFile(parquet).num_row_groups
    with _connected() as ray, TemporaryDirectory(prefix="shards-", dir=folder) as temporary:
        shards = Path(temporary).resolve()
        machines = [node for node in ray.nodes() if node["Alive"] and "CPU" in node["Resources"]]
        numbers = ray.data.from_items(
            [{"shard": number} for number in range(count)], override_num_blocks=count
        )
        embedded = numbers.map_batches(
            _Worker,
            fn_constructor_args=(parquet.resolve(), load, shards),
            batch_size=1,
            concurrency=min(workers or len(machines), count),
            num_cpus=1,
            scheduling_strategy="SPREAD",
        )
        try:
            embedded.materialize()
        except ray.exceptions.RayError as e:
            raise UserError(f"{parquet} can't be embedded on Ray: {_reason(e)}") from e
        return _joined([_shard_file(shards, number) for number in range(count)])


class _Worker:
    """A process that embeds shards; Ray keeps it while there are any."""

    def __init__(self, parquet: Path, load: Callable[[], Engine], shards: Path) -> None:
        self._engine = load()
        self._parquet = parquet
        self._shards = shards

    def __call__(self, batch: dict[str, IntArray]) -> dict[str, IntArray]:
        """Embed the shards with these numbers, and return the numbers."""
        for number in batch["shard"].tolist():
            path = _shard_file(self._shards, number)
            # If it exists, a worker was killed before it could report it.
            if not path.exists():
                embeddings = self._engine.embed(self._decoded(number))
                with replacing_file(path) as part, part.open("wb") as file:
                    np.save(file, embeddings)
        return batch

    def _decoded(self, number: int) -> Iterator[np.ndarray]:
        """Yield the photos of a shard: uint8 (n, height, width, 3)."""
        with pq.ParquetFile(self._parquet) as file:
            for batch in file.iter_batches(DECODED_AT_ONCE, row_groups=[number], columns=["image"]):
                photos = batch.column("image").to_pylist()
                yield decode_all(photos, self._engine.height, self._engine.width)


@contextmanager
def _connected() -> Iterator[Any]:
    """Give the module ``ray``, connected to a cluster; disconnect after the block."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # noqa: PLC0415
        import ray.data  # noqa: PLC0415
    except ModuleNotFoundError as e:
        raise UserError(
            f"extract.runner is ray, but {e.name} is not installed. "
            "`pip install -r requirements-ray.txt` installs it."
        ) from e
    quiet: dict[str, Any] = {"logging_level": "warning", "log_to_driver": False}
    address = os.environ.get("RAY_ADDRESS")
    try:
        if address:
            ray.init(address, **quiet)
        else:
            ray.init("local", include_dashboard=False, object_store_memory=STORE_BYTES, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as e:
        raise UserError(f"Ray's cluster {address} can't be reached: {first_line(e)}") from e
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield ray
    finally:
        ray.shutdown()


def _reason(error: BaseException) -> str:
    """Return the message of the error that a worker raised."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(getattr(error, "cause", error))


def _shard_file(shards: Path, number: int) -> Path:
    return shards / f"shard-{number:06}.npy"


def _joined(files: list[Path]) -> FloatArray:
    """Read the arrays (n, d) of several files as one."""
    parts = [np.load(file, mmap_mode="r") for file in files]
    return np.concatenate(parts)
