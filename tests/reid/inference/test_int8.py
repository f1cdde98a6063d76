"""Networks whose convolutions compute in 8 bits."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reid.common.errors import UserError
from reid.inference import bundle, int8
from reid.inference.bundle import write_bundle
from reid.inference.engine import FILES, load_engine
from reid.inference.export import export_network
from reid.inference.int8 import quantise, require_quantiser
from reid.model.backend import make_deterministic
from reid.model.network import retrieval_network, save_network
from tests.support.photos import jpeg
from tests.support.places import ROOT
from tests.support.small_training import HEIGHT, TINY, WIDTH, network

PHOTOS = np.random.default_rng(0).integers(0, 256, (20, HEIGHT, WIDTH, 3), np.uint8)


@pytest.mark.slow
def test_convolutions_are_integers_and_embeddings_nearly_the_same(tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    make_deterministic(seed=1, threads=2)
    export_network(retrieval_network(network(TINY), flip=True), "openvino", tmp_path)
    before = load_engine(tmp_path).embed([PHOTOS])
    file = tmp_path / FILES["openvino"]
    quantise(file, PHOTOS)
    assert file.read_text().count('type="FakeQuantize"') >= 2
    assert '"i8"' in file.read_text()
    after = load_engine(tmp_path).embed([PHOTOS])
    assert (before * after).sum(axis=1) == pytest.approx(1, abs=0.02)
    assert np.linalg.norm(after, axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_network_that_is_not_similar_enough_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nncf")
    save_network(network(TINY), tmp_path / "best.keras")
    photos = [jpeg(number) for number in range(10)]
    out = tmp_path / "out"
    said = write_bundle(tmp_path / "best.keras", "openvino", True, photos, out, photos)
    assert said.startswith("mean similarity ")
    monkeypatch.setattr(bundle, "LEAST_SIMILARITY", 1.1)
    with pytest.raises(
        UserError, match=r"in int8, at least 1\.1 is accepted\. Nothing was written"
    ):
        write_bundle(tmp_path / "best.keras", "openvino", True, photos, tmp_path / "no", photos)
    assert not (tmp_path / "no").exists()


def test_absent_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"not installed \(nncf\).*requirements-int8.txt"):
        require_quantiser()


def test_other_formats_have_no_int8(tmp_path: Path) -> None:
    command = ("-m", "reid", "export", "best.keras", str(tmp_path / "out"), "--format", "tflite")
    done = subprocess.run(
        [sys.executable, *command, "--int8"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip() == "error: --int8 works with --format openvino only."
