"""Ray gives the bytes of one process, also if a worker is killed."""

import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reid.common.errors import UserError
from reid.data.dataset import decoded_batches
from reid.inference.engine import load_engine
from reid.inference.ray_runner import DECODED_AT_ONCE, embed_on_ray
from tests.support.colour_network import write_colour_network
from tests.support.photos import jpeg
from tests.support.waiting import wait_until

PHOTOS_IN_SHARD, SHARDS = 40, 60
KILLED_AFTER = 10
"""The shards that are written when a worker is killed."""


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """A file of photos in many small row groups, the last one smaller."""
    drawn = [jpeg(seed) for seed in range(50)]
    order = np.random.default_rng(0).integers(0, len(drawn), PHOTOS_IN_SHARD * SHARDS - 7)
    table = pa.table({"image": pa.array([drawn[n] for n in order], pa.binary())})
    file = tmp_path / "gallery.parquet"
    pq.write_table(table, file, row_group_size=PHOTOS_IN_SHARD, use_dictionary=False)
    return file


def test_killed_worker_costs_its_shard_only(gallery: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: see requirements-ray.txt")
    network = write_colour_network(tmp_path / "network")
    workers = tmp_path / "workers"
    workers.mkdir()
    before: dict[Path, int] = {}
    after: dict[Path, int] = {}

    def note_worker() -> None:
        (workers / str(os.getpid())).touch()

    def kill_a_worker() -> None:
        def written() -> list[Path]:
            return [file for file in tmp_path.glob("shards-*/*.npy") if file.name[0] != "."]

        wait_until(lambda: len(written()) >= KILLED_AFTER, pause=0.005)
        before.update({file: file.stat().st_mtime_ns for file in written()})
        os.kill(int(next(workers.iterdir()).name), signal.SIGKILL)
        wait_until(lambda: len(written()) == SHARDS, pause=0.005)
        after.update({file: file.stat().st_mtime_ns for file in before})

    killing = threading.Thread(target=kill_a_worker)
    killing.start()
    embeddings = embed_on_ray(gallery, network, tmp_path, note_worker, workers=2)
    killing.join()
    assert KILLED_AFTER <= len(before) < SHARDS
    assert before == after, "a shard was embedded twice"
    assert len(list(workers.iterdir())) == 3
    engine = load_engine(network)
    local = engine.embed(decoded_batches(gallery, DECODED_AT_ONCE, engine.height, engine.width))
    assert embeddings.dtype == local.dtype
    assert embeddings.tobytes() == local.tobytes()
    assert not list(tmp_path.glob("shards-*"))


def test_missing_ray_is_named(
    gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install -r requirements-ray\.txt"):
        embed_on_ray(gallery, tmp_path, tmp_path)
