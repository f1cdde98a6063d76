"""Each engine embeds photos as Keras does, and gives a photo the same bytes in any company."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reid.common.errors import UserError
from reid.inference.engine import FILES, Engine, EngineName, load_engine, require_writers
from reid.inference.export import export_network
from reid.inference.openvino_engine import has_bfloat16
from reid.model.backend import keras, make_deterministic
from reid.model.network import embedder, retrieval_network
from tests.support.places import ROOT
from tests.support.small_training import TINY, network

HEIGHT, WIDTH = TINY.height, TINY.width
COUNT = 41
"""Photos: no multiple of those in a request."""


@pytest.fixture(scope="module")
def trained() -> keras.Model:
    make_deterministic(seed=1, threads=2)
    return network(TINY)


def photos(count: int = COUNT) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, HEIGHT, WIDTH, 3), np.uint8)


def naive(trained: keras.Model, images: np.ndarray, flip: bool) -> np.ndarray:
    """Embed by the definition: the mean with the mirror image, at length 1."""
    model = embedder(trained)
    embeddings = np.asarray(model(images.astype(np.float32)))
    if flip:
        embeddings = embeddings + np.asarray(model(images[:, :, ::-1].astype(np.float32)))
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def exported(trained: keras.Model, name: EngineName, flip: bool, folder: Path) -> Engine:
    export_network(retrieval_network(trained, flip), name, folder)
    return load_engine(folder)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_engine_embeds_as_the_trained_network_does(
    trained: keras.Model, name: EngineName, flip: bool, tmp_path: Path
) -> None:
    engine = exported(trained, name, flip, tmp_path)
    assert (engine.height, engine.width) == (HEIGHT, WIDTH)
    embeddings = engine.embed([photos()])
    assert embeddings.dtype == np.float32
    assert embeddings.shape == (COUNT, engine.dimension)
    np.testing.assert_allclose(embeddings, naive(trained, photos(), flip), atol=1e-5)
    assert engine.embed([]).shape == (0, engine.dimension)


@pytest.mark.parametrize("name", ["openvino", "onnx"])
def test_photo_has_the_same_bytes_in_any_company(
    trained: keras.Model, name: EngineName, tmp_path: Path
) -> None:
    engine = exported(trained, name, True, tmp_path)
    together = engine.embed([photos()])
    assert engine.embed([photos()]).tobytes() == together.tobytes()
    assert engine.embed([photos()[:7], photos()[7:8], photos()[8:]]).tobytes() == together.tobytes()
    alone = [engine.embed([photos()[row : row + 1]]) for row in range(3)]
    assert np.concatenate(alone).tobytes() == together[:3].tobytes()


@pytest.mark.skipif(not has_bfloat16(), reason="this processor has no bfloat16")
def test_bfloat16_resembles_float32_and_repeats_its_bytes(
    trained: keras.Model, tmp_path: Path
) -> None:
    in_float32 = exported(trained, "openvino", True, tmp_path).embed([photos()])
    engine = load_engine(tmp_path, precision="bfloat16")
    embeddings = engine.embed([photos()])
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    assert (embeddings * in_float32).sum(axis=1).min() > 0.999
    assert np.abs(embeddings - in_float32).max() > 1e-5
    assert engine.embed([photos()[:7], photos()[7:]]).tobytes() == embeddings.tobytes()


def test_other_engines_refuse_bfloat16(trained: keras.Model, tmp_path: Path) -> None:
    exported(trained, "keras", False, tmp_path)
    with pytest.raises(UserError, match="keras computes in float32 only"):
        load_engine(tmp_path, precision="bfloat16")


def test_network_from_the_cache_gives_the_same_bytes(trained: keras.Model, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    engine = exported(trained, "openvino", True, tmp_path)
    for _ in range(2):
        kept = load_engine(tmp_path, cache)
        assert list(cache.iterdir())
        assert kept.embed([photos()]).tobytes() == engine.embed([photos()]).tobytes()


def test_same_weights_give_the_same_files(trained: keras.Model, tmp_path: Path) -> None:
    written = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        folder.mkdir()
        export_network(retrieval_network(trained, True), "openvino", folder)
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert written[0] == written[1]


def test_folder_without_a_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"{tmp_path} holds no network. `dvc repro export`"):
        load_engine(tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_damaged_network_is_named(name: EngineName, tmp_path: Path) -> None:
    (tmp_path / FILES[name]).write_bytes(b"no network")
    with pytest.raises(UserError, match=f"{FILES[name]} can't be loaded"):
        load_engine(tmp_path)


def test_engine_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / FILES["onnx"]).touch()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "reid.inference.onnx_engine", raising=False)
    with pytest.raises(UserError, match="onnxruntime is not installed"):
        load_engine(tmp_path)


def test_openvino_leaves_no_trace_in_the_home_folder(tmp_path: Path) -> None:
    # Its telemetry, which reports to its makers, would leave an identity there.
    subprocess.run(
        [sys.executable, "-m", "reid.inference.openvino_engine"],
        cwd=ROOT,
        env=os.environ | {"HOME": str(tmp_path)},
        check=True,
    )
    assert list(tmp_path.iterdir()) == []


def test_absent_package_for_onnx_is_named_before_anything_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("reid.inference.engine.find_spec", lambda name: name == "onnx" or None)
    with pytest.raises(UserError, match=r"not installed \(tf2onnx\).*requirements-onnx.txt"):
        require_writers("onnx")
    require_writers("openvino")
