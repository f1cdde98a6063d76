"""Ray gives the bytes of one process, also if a worker is killed."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
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
from tests.support.places import ROOT
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

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


OWN_NETWORK = ("unshare", "--net", "--map-root-user", "sh", "-c", 'ip link set lo up && exec "$@"')
"""Ray listens on all addresses of a machine. Here it gets a network of its own: itself alone."""


def can_have_own_network() -> bool:
    with suppress(OSError):
        return subprocess.run([*OWN_NETWORK, "sh", "true"], check=False).returncode == 0
    return False


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is missing: see requirements-ray.txt")
@pytest.mark.skipif(not can_have_own_network(), reason="no network can be made for Ray alone")
def test_killed_worker_costs_its_shard_only(gallery: Path, tmp_path: Path) -> None:
    network = write_colour_network(tmp_path / "network")
    workers = tmp_path / "workers"
    workers.mkdir()
    program = ("python", "-m", "tests.support.embed_on_ray", gallery, network, tmp_path)
    # Ray writes a token into the home folder.
    own = os.environ | {"HOME": str(tmp_path)}
    with subprocess.Popen([*OWN_NETWORK, "sh", *program], cwd=ROOT, env=own) as process:

        def written() -> list[Path]:
            assert process.poll() in (None, 0)
            return [file for file in tmp_path.glob("shards-*/*.npy") if file.name[0] != "."]

        wait_until(lambda: len(written()) >= KILLED_AFTER, pause=0.005)
        before = {file: file.stat().st_mtime_ns for file in written()}
        os.kill(int(next(workers.iterdir()).name), signal.SIGKILL)
        wait_until(lambda: len(written()) == SHARDS, pause=0.005)
        after = {file: file.stat().st_mtime_ns for file in before}
    assert process.returncode == 0
    assert KILLED_AFTER <= len(before) < SHARDS
    assert before == after, "a shard was embedded twice"
    assert len(list(workers.iterdir())) == 3
    embeddings = np.load(tmp_path / "embeddings.npy")
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
        embed_on_ray(gallery, partial(load_engine, tmp_path), tmp_path)
