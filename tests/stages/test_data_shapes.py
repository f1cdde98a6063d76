"""Data of other shapes than Market-1501's, from the photos to the figures, without a network."""

import io
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from reid.data import paths
from reid.data.dataset import read_index, read_source, read_subset
from reid.data.market import PERSON_ZERO_PID
from reid.evaluation import picture
from reid.report import camera_table, difference_line, metrics_table, read_difference
from stages import compare, evaluate, ingest, split, validate
from tests.support import quick_models
from tests.support.naive_evaluation import naive_metrics
from tests.support.photos import jpeg, write_folder
from tests.support.project import QUICK
from tests.support.workplace import make_workplace

TRAIN_PEOPLE, TEST_PEOPLE = 6, 4


def market_name(pid: int, camid: int, number: int) -> str:
    return f"{pid:04}_c{camid}s1_{number:06}_01.jpg"


@dataclass(frozen=True)
class Shape:
    """A data set's names and cameras, and the parameters that it needs."""

    name: Callable[[int, int, int], str]
    """The function from person, camera and the photo's number to a file name."""
    params: dict[str, Any] = field(default_factory=dict)
    cameras: tuple[int, ...] = (1, 2)
    first_person: int = 1
    """The lowest person; the test people come first."""
    sizes: tuple[tuple[int, int], ...] = ((64, 128),)
    """The widths and heights of the photos, in turns."""
    a_camera_each: bool = False
    """Whether each photo has a camera of its own: the number of the photo."""


ONE_CAMERA = Shape(
    lambda pid, _, number: f"anna-{pid}-{number}.jpg",
    {
        "ingest": {"names": r"[a-z]+-(?P<pid>\d+)-.*"},
        "evaluate": {"protocol": "any_camera", "resamples": 1000},
        "split": {"holdout": "people"},
    },
    cameras=(1,),
)
A_CAMERA_EACH = Shape(
    lambda pid, camid, _: f"{pid}_{camid}.jpg",
    {"ingest": {"names": r"(?P<pid>\d+)_(?P<camid>\d+)"}, "validate": {"cameras": 999}},
    a_camera_each=True,
)
SHAPES = {
    "dukemtmc": Shape(
        lambda pid, camid, number: f"{pid:04}_c{camid}_f{number:07}.jpg",
        {"ingest": {"names": "dukemtmc"}, "validate": {"cameras": 8}},
        cameras=(1, 8),
    ),
    "veri776": Shape(
        lambda pid, camid, number: f"{pid:04}_c{camid:03}_{number:08}_0.jpg",
        {"ingest": {"names": "veri776"}, "validate": {"cameras": 20}},
        cameras=(1, 20),
        sizes=((120, 90),),
    ),
    "msmt17": Shape(
        lambda pid, camid, number: f"{pid:04}_{number:03}_{camid:02}_0303morning_0008_0.jpg",
        {"ingest": {"names": "msmt17"}, "validate": {"cameras": 15}},
        cameras=(3, 15),
        first_person=0,
    ),
    "cuhk03np": Shape(
        lambda pid, camid, number: f"{pid:04}_c{camid}_{number}.png",
        {"ingest": {"names": "cuhk03np"}},
    ),
    "people counted from 0": Shape(market_name, {"ingest": {"person_0": "person"}}, first_person=0),
    "12 cameras and 5 digits": Shape(
        market_name, {"validate": {"cameras": 12}}, cameras=(3, 12), first_person=40_001
    ),
    "PNG files of mixed sizes": Shape(
        lambda *numbers: market_name(*numbers).replace(".jpg", ".png"),
        sizes=((64, 128), (48, 96), (200, 300)),
    ),
}


def photo(name: str, seed: int, size: tuple[int, int]) -> bytes:
    content = jpeg(seed, *size)
    if name.endswith(".jpg"):
        return content
    file = io.BytesIO()
    Image.open(io.BytesIO(content)).save(file, "PNG")
    return file.getvalue()


Truth = dict[str, tuple[int, int]]
"""Person and camera by file name."""


def drawn(shape: Shape) -> tuple[dict[str, bytes], Truth]:
    """Draw the files of a data set; also return person and camera of each file's name."""
    files, truth = {}, {}
    last_test = shape.first_person + TEST_PEOPLE
    people = range(shape.first_person, last_test + TRAIN_PEOPLE)
    number = 0
    for pid in people:
        for camid in shape.cameras:
            for place in range(4):
                number += 1
                seen_by = number if shape.a_camera_each else camid
                name = shape.name(pid, seen_by, number)
                folder = "bounding_box_test" if place else "query"
                folder = folder if pid < last_test else "bounding_box_train"
                files[f"{folder}/{name}"] = photo(
                    name, number, shape.sizes[number % len(shape.sizes)]
                )
                truth[name] = (pid, seen_by)
    return files, truth


def prepare(shape: Shape, workplace: Path) -> Truth:
    """Draw a data set, and run the stages up to ``split`` in the working folder."""
    files, truth = drawn(shape)
    make_workplace(workplace, {"evaluate": {"resamples": 1000}, **shape.params})
    write_folder(files, paths.DATA / "photos")
    for stage in (ingest, validate, split):
        stage.main()
    return truth


def measure(model: str, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Draw the features of a model, and return the figures that ``evaluate`` writes."""
    paths.model_folder(model).mkdir(parents=True)
    (paths.model_folder(model) / "train.json").write_text('{"lr": 0.01}')
    quick_models.extract(model)
    patch.setattr("sys.argv", ["evaluate", model])
    evaluate.main()
    return json.loads(paths.metrics_file(model).read_text())


def figures_from_definitions(any_camera: bool) -> dict[str, Any]:
    test: dict[str, Any] = {}
    for letter, subset in (("q", "query"), ("g", "gallery")):
        rows = read_subset(paths.DATASET, subset)
        features = np.load(paths.embeddings_file(paths.features_folder("triplet"), subset))
        test |= {
            f"{letter}f": features.tolist(),
            f"{letter}_pids": rows["pid"].tolist(),
            f"{letter}_camids": rows["camid"].tolist(),
        }
    figures = naive_metrics(**test, any_camera=any_camera)
    del figures["ranks"]
    return figures


def assert_right(figures: dict[str, Any], truth: Truth, shape: Shape) -> None:
    """Check people and cameras by the names, and the figures by their definitions."""
    rows = read_index(paths.DATASET)[["name", "pid", "camid"]].to_numpy()
    assert {name: (pid, camid) for name, pid, camid in rows} == {
        name: (pid or PERSON_ZERO_PID, camid) for name, (pid, camid) in truth.items()
    }
    names = shape.params.get("ingest", {}).get("names", "market1501")
    source = read_source(paths.DATASET)
    assert source["names"] == names
    assert source["person_0"] == ("distractor" if shape.first_person else "person")
    protocol = shape.params.get("evaluate", {}).get("protocol", "cross_camera")
    expected = figures_from_definitions(protocol == "any_camera")
    assert {key: figures[key] for key in expected} == pytest.approx(expected)
    assert figures.get("any_camera") == (1 if protocol == "any_camera" else None)
    with Image.open(paths.answers_file(paths.plots_folder("triplet"))) as answers:
        assert answers.height > QUICK["evaluate"]["picture_queries"] * picture.HEIGHT


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_data_of_another_shape_ends_with_right_figures(
    shape: Shape, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = prepare(shape, workplace)
    assert_right(measure("triplet", monkeypatch), truth, shape)


def test_any_camera_is_named_wherever_figures_are(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    truth = prepare(ONE_CAMERA, workplace)
    titles: list[str] = []
    sheet = picture.answers_sheet

    def titled_sheet(title: str, rows: Any) -> Image.Image:
        titles.append(title)
        return sheet(title, rows)

    monkeypatch.setattr(picture, "answers_sheet", titled_sheet)
    metrics = {model: measure(model, monkeypatch) for model in paths.MODELS}
    compare.main()
    assert_right(metrics["triplet"], truth, ONE_CAMERA)
    for name in (*paths.MODELS, paths.COMPARISON):
        assert json.loads(paths.metrics_file(name).read_text())["any_camera"] == 1
        for table in paths.plots_folder(name).glob("*.csv"):
            assert set(pd.read_csv(table)["protocol"]) == {"any camera"}
    assert all(title.endswith(", any camera") for title in titles)
    logged = [line for line in caplog.messages if "rank-1" in line]
    assert len(titles) + 1 == len(logged)
    assert all(line.endswith(", any camera") for line in logged)
    caption = str(metrics_table("photos", metrics).caption)
    assert "any camera: photos by the query's own camera are right answers, too" in caption
    unanswered = {"triplet": metrics["triplet"] | {"queries_without_match": 3}}
    assert "3 more queries have no right answer" in str(metrics_table("p", unanswered).caption)
    assert "any camera" in difference_line(read_difference(paths.METRICS))
    # Held-out people are validated by the same protocol.
    assert set(pd.read_parquet(paths.SPLIT)["protocol"]) == {"any_camera"}
    assert any("held-out people" in line and "any camera" in line for line in caplog.messages)


def test_pairs_of_many_cameras_are_left_out_and_the_output_says_so(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    truth = prepare(A_CAMERA_EACH, workplace)
    metrics = {"triplet": measure("triplet", monkeypatch)}
    assert_right(metrics["triplet"], truth, A_CAMERA_EACH)
    note = "left out: 32 cameras, more than 30"
    plots = paths.plots_folder("triplet")
    assert json.loads(paths.camera_pairs_file(plots).read_text()) == {"left_out": note}
    assert pd.read_csv(plots / "camera_pairs.csv")["note"].tolist() == [note]
    assert f"pairs of cameras are {note}" in caplog.messages
    assert f"pairs of cameras are {note}" in str(camera_table(paths.PLOTS, metrics).caption)
    assert len(json.loads(paths.cameras_file(plots).read_text())) == 8
