"""The folder to hand over: its example runs by itself, and its README says what was measured."""

import io
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid.common.errors import UserError
from reid.data.images import decode_all
from reid.inference import bundle
from reid.inference.bundle import write_bundle
from reid.inference.engine import FILES, EngineName, load_engine
from reid.model.backend import make_deterministic
from reid.model.network import save_network
from tests.support.small_training import TINY, network
from tests.support.warm import warm_environment

COUNT = 3


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    make_deterministic(seed=1, threads=2)
    path = tmp_path_factory.mktemp("weights") / "best.keras"
    save_network(network(TINY), path)
    return path


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(COUNT):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (50, 20, 3), np.uint8)).save(file, "JPEG")
        found.append(file.getvalue())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_example_finds_the_similarities_of_the_engine(
    weights: Path, photos: list[bytes], name: EngineName, tmp_path: Path
) -> None:
    folder = tmp_path / "handed over"
    comparison = write_bundle(weights, name, True, photos, folder)
    said = re.search(r"largest difference (\S+),", comparison)
    assert said
    assert float(said[1]) < 1e-5
    files = [tmp_path / f"{number}.jpg" for number in range(COUNT)]
    for file, photo in zip(files, photos, strict=True):
        file.write_bytes(photo)
    done = subprocess.run(
        ["python", str(folder / "example.py"), *map(str, files)],
        cwd=tmp_path,
        env=os.environ | warm_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    embeddings = load_engine(folder).embed([decode_all(photos, TINY.height, TINY.width)])
    printed = [float(number) for number in re.findall(r"-?\d+\.\d*(?:e-?\d+)?", done.stdout)]
    expected = (embeddings @ embeddings.T).ravel()
    np.testing.assert_allclose(printed, expected, atol=1e-4)


@pytest.mark.parametrize("name", FILES)
def test_example_is_short(name: EngineName) -> None:
    code = (bundle.EXAMPLES / f"example_{name}.py").read_text().splitlines()
    lines = [line for line in code if line and not line.startswith(('"""', "import", "from"))]
    assert len(lines) <= 10


def test_readme_says_what_goes_in_and_what_comes_out(
    weights: Path, photos: list[bytes], tmp_path: Path
) -> None:
    write_bundle(weights, "openvino", False, photos, tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    for part in (
        f"uint8 (n, {TINY.height}, {TINY.width}, 3)",
        "float32 (n, 16)",
        f"on {COUNT} photos",
        "| mirrored | no |",
        "pip install numpy pillow openvino==",
    ):
        assert part in text


def test_folder_that_exists_is_left_alone(
    weights: Path, photos: list[bytes], tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match=f"{tmp_path} exists already"):
        write_bundle(weights, "openvino", True, photos, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_network_that_differs_from_keras_is_refused(
    weights: Path, photos: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "LARGEST_DIFFERENCE", -1.0)
    with pytest.raises(UserError, match=r"best\.keras as openvino: largest difference"):
        write_bundle(weights, "openvino", True, photos, tmp_path / "out")
    assert not (tmp_path / "out").exists()
