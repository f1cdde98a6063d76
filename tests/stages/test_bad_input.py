"""Input that can't be used gives one message and a non-zero exit, and leaves earlier results."""

import io
import logging
import os
import resource
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dvc.api
import numpy as np
import pytest
from PIL import Image

from reid.common.errors import UserError
from reid.common.settings import Settings, checked
from reid.data import paths
from stages import evaluate, export, ingest, split, train_baseline, train_triplet, validate
from tests.support.photos import jpeg, layout, write_folder, write_zip
from tests.support.places import ROOT
from tests.support.project import (
    Project,
    assert_one_clear_message,
    with_changes,
)
from tests.support.workplace import make_workplace


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project to run stages in, in this process: parameters and ``dvc.yaml``."""
    make_workplace(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_bfloat16_for_any_processor_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_workplace(tmp_path, {"extract": {"precision": "bfloat16"}})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"needs extract\.engine: openvino"):
        validate.main()


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


def gallery_of_other_people(data: Path) -> None:
    files = {n.replace("_test/00", "_test/09"): content for n, content in layout(8).items()}
    write_folder(files, data / "photos")


def overlap(data: Path) -> None:
    write_folder(layout(8) | {"bounding_box_train/0009_c1s1_000077_00.jpg": jpeg(900)}, data / "p")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (empty, "holds no image in Market-1501 layout"),
        (truncated, r"0009_c3s1_000001_00\.jpg: .*[Tt]runcated"),
        (zero_bytes, r"0009_c3s1_000001_00\.jpg: the file is empty"),
        (text_named_jpg, r"0009_c3s1_000001_00\.jpg: not an image"),
        (hostile_zip, "leads out of the archive"),
        (broken_zip, r"photos\.zip is not a readable zip archive"),
    ],
)
def test_data_that_cannot_be_read_is_refused_by_ingest(
    workplace: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(workplace / paths.DATA)
    with pytest.raises(UserError, match=message):
        ingest.main()
    assert not (workplace / paths.DATASET).exists()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_query, r"Train, query and gallery each contain images\n.*\n    query"),
        (wrong_name, r"holiday\.jpg"),
        (gallery_of_other_people, "At least 2 people have a query, and a gallery image"),
        (overlap, r"0009_c1s1_000077_00\.jpg"),
    ],
)
def test_data_that_makes_results_wrong_is_refused_by_validate(
    workplace: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(workplace / paths.DATA)
    ingest.main()
    with pytest.raises(UserError, match=message):
        validate.main()
    assert not (workplace / paths.VALIDATION).exists()


def test_ignored_files_are_logged_in_one_line(
    workplace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    others = {f"notes/{folder}/{name}.txt": b"x" for folder in range(30) for name in "ab"}
    write_folder(layout(8) | others, workplace / paths.DATA / "photos")
    with caplog.at_level(logging.INFO, logger=ingest.__name__):
        ingest.main()
    _, ignored = caplog.messages
    assert ignored.startswith("ignored 60 files that are not images of the layout, in 30 folders")


def test_no_space_for_an_output_is_reported_and_the_old_output_stays(workplace: Path) -> None:
    write_folder(layout(8), workplace / paths.DATA / "photos")
    ingest.main()
    index = workplace / paths.subset_file(paths.DATASET, "train")
    before = index.read_bytes()
    limit = 2_000_000
    rng = np.random.default_rng(0)
    noise = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (900, 900, 3), dtype=np.uint8)).save(noise, "JPEG")
    large = {f"bounding_box_train/0001_c1s1_{n:06}_00.jpg": noise.getvalue() for n in range(6)}
    assert 6 * len(noise.getvalue()) > limit
    write_folder(large, workplace / paths.DATA / "photos")
    done = subprocess.run(
        [sys.executable, "-m", "stages.ingest"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
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


@pytest.mark.parametrize(
    ("stage", "kind", "changes", "message"),
    [
        (
            "ingest",
            ingest.Params,
            {"ingest": {"gallery": "attic"}},
            r"ingest\.gallery: Input should be 'bounding_box_test' or 'gt_bbox' \(got 'attic'\)",
        ),
        (
            "ingest",
            ingest.Params,
            {"ingest": {"names": r"(?P<person>\d+)_.*"}},
            r"ingest\.names: \(\?P<person>\\d\+\)_\.\* has no group pid\. Choose market1501, .*",
        ),
        (
            "ingest",
            ingest.Params,
            {"ingest": {"names": "(?P<pid>"}},
            r"ingest\.names: \(\?P<pid> is no regular expression: .*Choose market1501, ",
        ),
        (
            "evaluate@triplet",
            evaluate.Params,
            {"evaluate": {"protocol": "every_camera"}},
            r"evaluate\.protocol: .*'cross_camera' or 'any_camera' \(got 'every_camera'\)",
        ),
        ("validate", validate.Params, {"validate": {"cameras": 0}}, r"validate\.cameras: .*got 0"),
        ("split", split.Params, {"split": {"fraction": 1.5}}, r"split\.fraction: .*less than 1"),
        ("split", split.Params, {"seed": -1}, r"seed: .*greater than or equal to 0 \(got -1\)"),
        ("train_baseline", train_baseline.Params, {"lr": -0.01}, "lr: .*greater than 0 .*-0.01"),
        ("train_baseline", train_baseline.Params, {"lr": "fast"}, "lr: .*valid number .*'fast'"),
        (
            "train_baseline",
            train_baseline.Params,
            {"baseline": {"epochs": 1.5}},
            r"baseline\.epochs: .*valid integer.*1\.5",
        ),
        (
            "train_triplet",
            train_triplet.Params,
            {"triplet": {"margin": -1}},
            r"triplet\.margin: .*greater than 0, or soft.*-1",
        ),
        (
            "train_triplet",
            train_triplet.Params,
            {"triplet": {"martin": 0.3}},
            r"triplet\.martin: Extra inputs are not permitted",
        ),
        (
            "export@baseline",
            export.Params,
            {"extract": {"flip": "yes"}},
            r"extract\.flip: .*valid boolean.*'yes'",
        ),
    ],
)
def test_nonsense_parameter_is_named(
    stage: str, kind: type[Settings], changes: dict[str, Any], message: str
) -> None:
    declared = dvc.api.params_show(repo=str(ROOT), stages=stage)
    checked(kind, declared, paths.PARAMS)
    with pytest.raises(UserError, match=rf"^params\.yaml: correct these parameters:\n  {message}"):
        checked(kind, with_changes(declared, changes), paths.PARAMS)


@pytest.fixture
def project(unfinished: Project) -> Project:
    """A project that was run up to ``split``."""
    return unfinished


def test_dvc_shows_the_message_and_keeps_earlier_results(project: Project) -> None:
    project.set_params({"split": {"fraction": 1.5}})
    done = project.run("dvc", "repro", "split")
    assert_one_clear_message(done, r"split\.fraction: Input should be less than 1 \(got 1\.5\)")
    project.must("git", "checkout", paths.PARAMS)

    data, aside = project.root / paths.DATA, project.root.parent / "aside"
    data.rename(aside)
    for spoil, message in ((zero_bytes, "the file is empty"), (wrong_name, r"holiday\.jpg")):
        spoil(data)
        done = project.run("dvc", "repro", "split")
        assert_one_clear_message(done, message)
        shutil.rmtree(data)
    aside.rename(data)
    project.must("git", "checkout", "--", ".")
    restored = project.must("dvc", "repro", "split")
    assert "Running stage" not in restored
    assert (project.root / paths.SPLIT).exists()
