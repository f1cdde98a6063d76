import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from reid.common.errors import UserError
from reid.data.dataset import read_images, read_index, read_source, read_subset
from reid.preparation import ingest as module
from reid.preparation.ingest import ingest
from reid.sources.source import open_source
from tests.support.photos import Layout, jpeg, layout, write_folder, write_zip


def run_ingest(data: Path, gallery: str = "bounding_box_test") -> Path:
    destination = data.with_name("dataset")
    with open_source(data) as source:
        ingest(source, destination, gallery)
    return destination


def run_on_folder(files: Layout, tmp_path: Path) -> Path:
    return run_ingest(write_folder(files, tmp_path / "data" / "photos").parent)


def test_every_image_has_a_row_with_its_own_bytes(tmp_path: Path) -> None:
    files = layout()
    dataset = run_on_folder(files, tmp_path)
    index = read_index(dataset)
    assert len(index) == len(files)
    rows = read_subset(dataset, "train", images=True).set_index("name")
    row = rows.loc["0002_c1s1_000002_00.jpg"]
    content = files["bounding_box_train/0002_c1s1_000002_00.jpg"]
    assert row["image"] == content
    assert row["sha256"] == hashlib.sha256(content).hexdigest()
    assert (row["pid"], row["camid"], row["sequence"], row["frame"], row["box"]) == (2, 1, 1, 2, 0)
    assert (row["width"], row["height"]) == (64, 128)
    gallery = read_subset(dataset, "gallery")
    assert {-1, 0} < set(gallery["pid"])
    assert gallery["name"].is_monotonic_increasing


def test_zip_and_folder_give_the_same_bytes(tmp_path: Path) -> None:
    files = layout()
    from_folder = run_on_folder(files, tmp_path / "a")
    write_zip(files, tmp_path / "b" / "data" / "photos.zip", top="photos")
    from_zip = run_ingest(tmp_path / "b" / "data")
    for name in ("train.parquet", "query.parquet", "gallery.parquet", "source.json"):
        assert (from_folder / name).read_bytes() == (from_zip / name).read_bytes()


def test_layout_may_be_in_data_itself(tmp_path: Path) -> None:
    dataset = run_ingest(write_folder(layout(), tmp_path / "data"))
    assert read_source(dataset)["name"] == "data"
    assert len(read_index(dataset)) == len(layout())


def test_other_files_are_ignored_and_counted_by_folder(tmp_path: Path) -> None:
    files = layout() | {
        "query/notes.txt": b"x",
        "bounding_box_train/notes.txt": b"x",
        "readme.txt": b"x",
        "gt_query/0001_c1s1_001051_00_good.mat": b"x",
    }
    dataset = run_on_folder(files, tmp_path)
    assert read_source(dataset)["strangers"] == {
        ".": 1,
        "bounding_box_train": 1,
        "gt_query": 1,
        "query": 1,
    }
    assert len(read_index(dataset)) == len(layout())


def test_hand_drawn_boxes_can_be_the_gallery(tmp_path: Path) -> None:
    files = layout() | {"gt_bbox/0004_c3s1_000001_00.jpg": jpeg(900)}
    write_folder(files, tmp_path / "data" / "photos")
    dataset = run_ingest(tmp_path / "data", gallery="gt_bbox")
    assert read_subset(dataset, "gallery")["name"].tolist() == ["0004_c3s1_000001_00.jpg"]


def test_official_names_with_two_suffixes_are_understood(tmp_path: Path) -> None:
    files = layout() | {"bounding_box_test/1488_c1s6_023021_02.jpg.jpg": jpeg(900)}
    gallery = read_subset(run_on_folder(files, tmp_path), "gallery").set_index("name")
    assert gallery.loc["1488_c1s6_023021_02.jpg.jpg", "pid"] == 1488


def test_image_of_another_name_pattern_is_kept_without_a_person(tmp_path: Path) -> None:
    files = layout() | {"query/holiday.jpg": jpeg(900)}
    query = read_subset(run_on_folder(files, tmp_path), "query").set_index("name")
    assert query.loc["holiday.jpg"].isna().sum() == 5


def test_sample_is_ignored_if_there_is_another_data_set(tmp_path: Path) -> None:
    write_zip(layout(), tmp_path / "data" / "synthetic-pedestrians.zip", "synthetic-pedestrians")
    assert read_source(run_ingest(tmp_path / "data"))["name"] == "synthetic-pedestrians"
    write_zip(layout(train_people=4), tmp_path / "data" / "mine.zip", "mine")
    assert read_source(run_ingest(tmp_path / "data"))["name"] == "mine"


def deep_png() -> bytes:
    """A greyscale PNG of 16 bits per pixel, as scanners and thermal cameras write them."""
    ramp = np.linspace(0, 65_535, 64 * 128).reshape(128, 64).astype(np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"this is text", "not an image in a known format"),
        (jpeg(1)[:300], "image file is truncated"),
        (deep_png(), "more than 8 bits per channel"),
    ],
)
def test_unreadable_image_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    files = layout() | {"query/0004_c3s1_000001_00.jpg": content}
    with pytest.raises(UserError) as error:
        run_on_folder(files, tmp_path)
    assert "1 of" in str(error.value)
    assert "query/0004_c3s1_000001_00.jpg" in str(error.value)
    assert reason in str(error.value)


def test_unreadable_images_are_grouped_by_reason(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:"
    files = {name: pointer + bytes([65 + n]) for n, name in enumerate(layout())}
    files |= {"query/0004_c3s1_000001_00.jpg": b"<html>404</html>", "query/0004_c1s9.jpg": b""}
    with pytest.raises(UserError) as error:
        run_on_folder(files, tmp_path)
    first, *reasons, last = str(error.value).splitlines()
    assert first == "28 of 28 images can't be decoded:"
    assert reasons[0] == (
        "  26 images, bounding_box_train/0001_c1s1_000001_00.jpg, "
        "bounding_box_train/0001_c1s1_000002_00.jpg, bounding_box_train/0001_c2s1_000001_00.jpg, "
        "and 23 more: a Git LFS pointer instead of a JPEG or PNG; "
        "fetch the files themselves with `git lfs pull`"
    )
    assert sorted(reasons[1:])[0] == "  1 image, query/0004_c1s9.jpg: the file is empty"
    assert len(reasons) == 3
    assert last == "Replace them, or remove them from the data set."


def test_what_the_validation_judges_is_in_the_index(tmp_path: Path) -> None:
    def png(pixels: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    clear = np.zeros((128, 64, 4), np.uint8)
    half = np.random.default_rng(0).integers(0, 256, (128, 64, 3), np.uint8)
    half[64:] = 128
    own = {"query/0004_c3s1_000001_00.png": png(clear), "query/0004_c4s1_000001_00.png": png(half)}
    dataset = run_on_folder(layout() | own | {"query/a.webp": b"x"}, tmp_path)
    query = read_subset(dataset, "query")
    found = dict(
        zip(
            query["name"], zip(query["transparent"], query["flat_bottom"], strict=True), strict=True
        )
    )
    assert found["0004_c3s1_000001_00.png"] == (True, 0.0)
    assert found["0004_c4s1_000001_00.png"] == (False, 0.5)
    assert found["0004_c1s1_000099_00.jpg"] == (False, 0.0)
    assert read_source(dataset)["other_formats"] == {
        "train": {},
        "query": {".webp": 1},
        "gallery": {},
    }


def test_row_groups_are_bounded_by_bytes_and_by_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = layout(train_people=6)
    large = len(max(files.values(), key=len))
    monkeypatch.setattr(module, "BYTES_PER_GROUP", 5 * large)
    monkeypatch.setattr(module, "ROWS_PER_GROUP", 7)
    dataset = run_on_folder(files, tmp_path)
    with pq.ParquetFile(dataset / "train.parquet") as file:
        groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert sum(groups) == 24
    assert 5 <= max(groups) <= 7
    names = read_subset(dataset, "train")["name"]
    assert read_images(dataset, "train", range(24)) == [
        files[f"bounding_box_train/{name}"] for name in names
    ]
    monkeypatch.setattr(module, "BYTES_PER_GROUP", 1)  # An image that is too large stands alone.
    with pq.ParquetFile(run_on_folder(files, tmp_path) / "train.parquet") as file:
        assert file.num_row_groups == 24


def test_failure_leaves_the_former_data_set(tmp_path: Path) -> None:
    dataset = run_on_folder(layout(), tmp_path)
    before = {p.name: p.read_bytes() for p in dataset.iterdir()}
    with pytest.raises(UserError):
        run_on_folder({"query/0004_c3s1_000001_00.jpg": b""}, tmp_path)
    assert {p.name: p.read_bytes() for p in dataset.iterdir()} == before
    assert [p.name for p in dataset.parent.iterdir() if p.name.startswith(".")] == []


def test_missing_subset_gives_an_empty_table(tmp_path: Path) -> None:
    files = {name: content for name, content in layout().items() if not name.startswith("query")}
    assert len(read_subset(run_on_folder(files, tmp_path), "query")) == 0


@pytest.mark.parametrize(
    "member", ["../query/0004_c1s1_000001_00.jpg", "/etc/0004_c1s1_000001_00.jpg"]
)
def test_hostile_zip_is_refused(tmp_path: Path, member: str) -> None:
    path = write_zip(layout(), tmp_path / "data" / "photos.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, b"x")
    with pytest.raises(UserError, match="leads out of the archive"):
        run_ingest(path.parent)


def test_corrupted_zip_is_refused(tmp_path: Path) -> None:
    path = write_zip(layout(), tmp_path / "data" / "photos.zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"photos\.zip is not a readable zip archive"):
        run_ingest(path.parent)


def test_zip_with_a_flipped_byte_is_refused(tmp_path: Path) -> None:
    path = write_zip(layout(), tmp_path / "data" / "photos.zip")
    content = bytearray(path.read_bytes())
    content[content.index(jpeg(0)) + 200] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(UserError, match="can't be unpacked"):
        run_ingest(path.parent)


def test_damaged_compressed_member_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in layout().items():
            archive.writestr(name, content)
        first = archive.infolist()[0]
    whole = path.read_bytes()
    for place in range(60, 60 + first.compress_size - 40, 40):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="can't be unpacked"):
            run_ingest(path)


def test_image_that_is_in_a_zip_twice_is_refused(tmp_path: Path) -> None:
    path = write_zip(layout(), tmp_path / "data" / "photos.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("./photos/query/0004_c1s1_000099_00.jpg", jpeg(900))
    with pytest.raises(UserError, match="is in the archive twice"):
        run_ingest(path.parent)


def test_archive_that_is_not_a_zip_is_not_ignored(tmp_path: Path) -> None:
    write_zip(layout(), tmp_path / "data" / "synthetic-pedestrians.zip")
    (tmp_path / "data" / "Market-1501.tar.gz").write_bytes(b"x")
    with pytest.raises(UserError, match=r"Market-1501\.tar\.gz is not a zip archive"):
        run_ingest(tmp_path / "data")


def test_data_set_has_the_name_of_the_folder_in_the_archive(tmp_path: Path) -> None:
    path = write_zip(layout(), tmp_path / "data" / "download.zip", "Market-1501-v15.09.15")
    assert read_source(run_ingest(path.parent))["name"] == "Market-1501-v15.09.15"


def test_empty_missing_or_ambiguous_data_is_explained(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with pytest.raises(UserError, match=r"dvc pull data\.dvc"):
        run_ingest(data)
    data.mkdir()
    with pytest.raises(UserError, match="holds no data set"):
        run_ingest(data)
    (data / "holiday").mkdir()
    with pytest.raises(UserError, match="no image in Market-1501 layout"):
        run_ingest(data)
    write_zip(layout(), data / "other.zip")
    with pytest.raises(UserError, match=r"several data sets: holiday, other\.zip"):
        run_ingest(data)
