"""Input that can't be used: one message, a non-zero exit, and what was there before stays."""

import io
import resource
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.photos import jpeg, layout, write_folder, write_zip
from tests.support.project import Project, assert_one_clear_message, make_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = make_project(tmp_path_factory.mktemp("bad_input") / "project")
    made.must("dvc", "repro", "split")
    made.commit()
    return made


@contextmanager
def replaced_data(project: Project) -> Iterator[Path]:
    """Put the data aside, to be replaced by something else for a while."""
    data, aside = project.root / "data", project.root.parent / "aside"
    data.rename(aside)
    try:
        yield data
    finally:
        shutil.rmtree(data)
        aside.rename(data)


def empty(data: Path) -> None:
    (data / "photos").mkdir(parents=True)


def without_query(data: Path) -> None:
    files = {name: c for name, c in layout(8).items() if not name.startswith("query/")}
    write_folder(files, data / "photos")


def truncated(data: Path) -> None:
    write_folder(layout(8) | {"query/0009_c3s1_000001_00.jpg": jpeg(1)[:400]}, data / "photos")


def zero_bytes(data: Path) -> None:
    write_folder(layout(8) | {"query/0009_c3s1_000001_00.jpg": b""}, data / "photos")


def text_named_jpg(data: Path) -> None:
    write_folder(layout(8) | {"query/0009_c3s1_000001_00.jpg": b"hello"}, data / "photos")


def hostile_zip(data: Path) -> None:
    with zipfile.ZipFile(write_zip(layout(8), data / "photos.zip"), "a") as archive:
        archive.writestr("photos/../../evil.jpg", b"x")


def broken_zip(data: Path) -> None:
    path = write_zip(layout(8), data / "photos.zip")
    path.write_bytes(path.read_bytes()[:-500])


def wrong_name(data: Path) -> None:
    write_folder(layout(8) | {"query/holiday.jpg": jpeg(900)}, data / "photos")


def query_without_match(data: Path) -> None:
    write_folder(layout(8) | {"query/0099_c1s1_000001_00.jpg": jpeg(900)}, data / "photos")


def overlap(data: Path) -> None:
    write_folder(layout(8) | {"bounding_box_train/0009_c1s1_000077_00.jpg": jpeg(900)}, data / "p")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (empty, "holds no image in Market-1501 layout"),
        (without_query, "Train, query and gallery each hold images"),
        (truncated, r"0009_c3s1_000001_00\.jpg: .*[Tt]runcated"),
        (zero_bytes, r"0009_c3s1_000001_00\.jpg: the file is empty"),
        (text_named_jpg, r"0009_c3s1_000001_00\.jpg: no image"),
        (hostile_zip, "leads out of the archive"),
        (broken_zip, r"photos\.zip is no readable zip archive"),
        (wrong_name, r"holiday\.jpg"),
        (query_without_match, r"0099_c1s1_000001_00\.jpg"),
        (overlap, r"0009_c1s1_000077_00\.jpg"),
    ],
)
def test_data_that_cannot_be_used(
    project: Project, spoil: Callable[[Path], None], message: str
) -> None:
    with replaced_data(project) as data:
        spoil(data)
        done = project.run("dvc", "repro", "split")
    assert_one_clear_message(done, message)
    project.must("git", "checkout", "--", ".")
    restored = project.must("dvc", "repro", "split")
    assert "Running stage" not in restored
    assert (project.root / "build" / "split.parquet").exists()


def test_no_space_for_an_output_is_said_and_the_old_output_stays(project: Project) -> None:
    index = project.root / "build" / "dataset" / "train.parquet"
    before = index.read_bytes()
    limit = 2_000_000
    rng = np.random.default_rng(0)
    noise = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (900, 900, 3), dtype=np.uint8)).save(noise, "JPEG")
    large = {f"bounding_box_train/0001_c1s1_{n:06}_00.jpg": noise.getvalue() for n in range(6)}
    assert 6 * len(noise.getvalue()) > limit
    with replaced_data(project) as data:
        write_folder(layout(8) | large, data / "photos")
        done = subprocess.run(
            [sys.executable, "-m", "stages.ingest"],
            cwd=project.root,
            # A limit on the size of files fails a write as a full disk does, without filling one.
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    assert_one_clear_message(done, "no space to write")
    assert index.read_bytes() == before
    assert list(index.parent.parent.glob(".*part*")) == []
