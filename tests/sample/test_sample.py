"""The drawn data set keeps the protocol, is reproducible, and shows distinguishable people."""

import io
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid.common.errors import UserError
from reid.data.market import GALLERY_FOLDERS, QUERY_FOLDER, TRAIN_FOLDER, ImageName, parse_name
from sample.camera import CAMERAS
from sample.dataset import SAMPLE_NAME, SAMPLE_SEED, write_dataset, write_sample
from sample.names import SampleSize, plan_names

GALLERY_FOLDER = GALLERY_FOLDERS[0]
SMALL = SampleSize(
    train_people=3, train_images=13, test_people=2, queries=5, gallery=7, distractors=3, junk=5
)
SIZES = [SampleSize(), SMALL, SampleSize(7, 30, 5, 30, 30, 0, 0), SampleSize(0, 0, 0, 0, 0, 2, 2)]


EVERY = 8


@pytest.fixture(scope="module")
def part_of_sample(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The images of the project's sample, of every eighth person and every eighth stranger.

    An image depends on nothing but its path and the seed, so these are the sample's own bytes.
    """
    paths = plan_names(SampleSize(), SAMPLE_SEED)
    people, strangers = [], []
    for path in paths:
        name = parse_name(path.split("/")[1])
        assert name is not None
        if name.pid <= 0:
            strangers.append(path)
        elif name.pid % EVERY == 0:
            people.append(path)
    destination = tmp_path_factory.mktemp("sample") / "part.zip"
    write_dataset(people + strangers[::EVERY], destination, SAMPLE_SEED, top_folder="top")
    return read_images(destination)


def read_images(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def parsed(paths: list[str], folder: str) -> list[ImageName]:
    names = [parse_name(path.split("/")[1]) for path in paths if path.startswith(folder + "/")]
    assert None not in names
    return [name for name in names if name is not None]


def cameras_by_person(names: list[ImageName]) -> dict[int, list[int]]:
    cameras = defaultdict(list)
    for name in names:
        cameras[name.pid].append(name.camid)
    return cameras


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", [0, 1, SAMPLE_SEED])
class TestPlannedNames:
    def test_have_the_requested_numbers(self, size: SampleSize, seed: int) -> None:
        paths = plan_names(size, seed)
        gallery = [name.pid for name in parsed(paths, GALLERY_FOLDER)]
        assert len(paths) == len(set(paths))
        assert len(parsed(paths, TRAIN_FOLDER)) == size.train_images
        assert len(parsed(paths, QUERY_FOLDER)) == size.queries
        assert gallery.count(0) == size.distractors
        assert gallery.count(-1) == size.junk
        assert sum(pid > 0 for pid in gallery) == size.gallery

    def test_number_train_people_first_and_test_people_after_them(
        self, size: SampleSize, seed: int
    ) -> None:
        paths = plan_names(size, seed)
        test = parsed(paths, QUERY_FOLDER) + parsed(paths, GALLERY_FOLDER)
        train_pids = sorted({name.pid for name in parsed(paths, TRAIN_FOLDER)})
        test_pids = sorted({name.pid for name in test if name.pid > 0})
        assert train_pids + test_pids == [*range(1, size.train_people + size.test_people + 1)]

    def test_give_train_people_four_images_under_two_cameras(
        self, size: SampleSize, seed: int
    ) -> None:
        train = cameras_by_person(parsed(plan_names(size, seed), TRAIN_FOLDER))
        for cameras in train.values():
            assert len(cameras) >= 4
            assert len(set(cameras)) >= 2

    def test_have_one_query_per_person_and_camera_with_a_match_under_another(
        self, size: SampleSize, seed: int
    ) -> None:
        paths = plan_names(size, seed)
        queries = cameras_by_person(parsed(paths, QUERY_FOLDER))
        gallery = cameras_by_person(parsed(paths, GALLERY_FOLDER))
        for pid, cameras in queries.items():
            assert len(set(cameras)) == len(cameras)
            for camera in cameras:
                assert set(gallery[pid]) - {camera}

    def test_use_existing_cameras_and_no_moment_twice(self, size: SampleSize, seed: int) -> None:
        paths = plan_names(size, seed)
        names = [name for path in paths if (name := parse_name(path.split("/")[1]))]
        assert {name.camid for name in names} <= {camera.camid for camera in CAMERAS}
        assert len({(name.camid, name.sequence, name.frame) for name in names}) == len(names)


@pytest.mark.parametrize(
    "numbers",
    [
        {"train_people": -1},
        {"train_people": 300},
        {"queries": 100},
        {"queries": 500, "gallery": 600},
        {"gallery": 149},
    ],
)
def test_impossible_sizes_are_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(UserError, match="give"):
        SampleSize(**numbers)


def test_same_seed_gives_the_same_bytes_for_any_order_and_number_of_workers(tmp_path: Path) -> None:
    paths = plan_names(SMALL, seed=5)
    write_dataset(paths, tmp_path / "one.zip", seed=5, top_folder="top")
    write_dataset(paths, tmp_path / "two.zip", seed=5, top_folder="top", workers=2)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()

    write_dataset(paths[::-1], tmp_path / "reversed.zip", seed=5, top_folder="top")
    assert read_images(tmp_path / "reversed.zip") == read_images(tmp_path / "one.zip")


def test_another_seed_draws_other_images(tmp_path: Path) -> None:
    paths = plan_names(SMALL, seed=5)
    write_dataset(paths, tmp_path / "one.zip", seed=5, top_folder="top")
    write_dataset(paths, tmp_path / "two.zip", seed=6, top_folder="top")
    one, two = read_images(tmp_path / "one.zip"), read_images(tmp_path / "two.zip")
    assert all(one[name] != two[name] for name in one)


def test_any_market_name_can_be_drawn(tmp_path: Path) -> None:
    paths = [
        "bounding_box_test/-1_c4s6_022316_11.jpg.jpg",
        "gt_bbox/1501_c6s4_002877_00.jpg",
        "query/0001_c1s1_001051_00.jpg",
    ]
    write_dataset(paths, tmp_path / "some.zip", seed=1, top_folder="Market-1501-v15.09.15")
    assert list(read_images(tmp_path / "some.zip")) == [f"Market-1501-v15.09.15/{p}" for p in paths]


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        (["query/Thumbs.db"], "Thumbs.db"),
        (["query/0001_c7s1_001051_00.jpg"], "camera 7"),
        (["query/0001_c1s1_001051_00.jpg"] * 2, "twice"),
    ],
)
def test_names_that_cannot_be_drawn_are_refused_and_leave_the_old_file(
    paths: list[str], named: str, tmp_path: Path
) -> None:
    destination = tmp_path / "old.zip"
    destination.write_bytes(b"old")
    with pytest.raises(UserError, match=named):
        write_dataset(paths, destination, seed=1, top_folder="top")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"old.zip": b"old"}


class TestSample:
    def test_is_small(self, part_of_sample: dict[str, bytes]) -> None:
        images = len(plan_names(SampleSize(), SAMPLE_SEED))
        bytes_per_image = np.mean([len(content) for content in part_of_sample.values()])
        assert images > 1500
        assert images * bytes_per_image <= 4_500_000

    def test_contains_different_jpegs_of_64_by_128(self, part_of_sample: dict[str, bytes]) -> None:
        assert len(set(part_of_sample.values())) == len(part_of_sample) > 200
        for content in part_of_sample.values():
            with Image.open(io.BytesIO(content)) as image:
                assert (image.format, image.size, image.mode) == ("JPEG", (64, 128), "RGB")

    def test_contains_the_planned_names_in_one_folder(self, tmp_path: Path) -> None:
        write_sample(tmp_path / "sample.zip", size=SMALL)
        planned = [f"{SAMPLE_NAME}/{path}" for path in plan_names(SMALL, SAMPLE_SEED)]
        assert list(read_images(tmp_path / "sample.zip")) == planned

    def test_people_look_more_like_themselves_under_another_camera_than_like_others(
        self, part_of_sample: dict[str, bytes]
    ) -> None:
        names, colours = [], []
        for path, content in part_of_sample.items():
            name = parse_name(path.rsplit("/", 1)[1])
            if name is not None and name.pid > 0:
                names.append((name.pid, name.camid))
                colours.append(middle_colours(content))
        pids, camids = np.array(names).T
        features = np.stack(colours)
        for camid in range(1, 7):
            features[camids == camid] -= features[camids == camid].mean(axis=0)
        distances = np.linalg.norm(features[:, None] - features[None], axis=2)
        other_camera = camids[:, None] != camids
        same_person = pids[:, None] == pids
        to_self = distances[same_person & other_camera].mean()
        to_others = distances[~same_person & other_camera].mean()
        assert to_self < 0.85 * to_others


def middle_colours(content: bytes) -> np.ndarray:
    """Return the mean colours of chest and thighs, (6,): a feature unrelated to the drawing."""
    with Image.open(io.BytesIO(content)) as image:
        pixels = np.asarray(image, np.float64)
    chest, thighs = pixels[30:58, 24:40], pixels[66:92, 24:40]
    return np.concatenate([chest.mean(axis=(0, 1)), thighs.mean(axis=(0, 1))])
