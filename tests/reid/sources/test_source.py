"""Finding the data set in what people have in data/: downloads, links, archives, other files."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.repo import Repo

from reid.common.errors import UserError
from reid.sources.files import behind_links
from reid.sources.litter import LITTER, is_litter
from reid.sources.source import Source, open_source
from tests.support.photos import Layout, jpeg, layout, say_packed_with, write_folder, write_zip
from tests.support.places import ROOT

SAMPLE = "synthetic-pedestrians.zip"
FOLDERS = {"bounding_box_train", "query", "bounding_box_test"}


def found(data: Path) -> Source:
    with open_source(data) as source:
        return source


def images(source: Source) -> int:
    return sum(map(len, source.folders.values()))


def zipped(files: Layout, top: str = "photos") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            # The same bytes at any time: they are part of the names of tests.
            archive.writestr(zipfile.ZipInfo(f"{top}/{name}" if top else name), content)
    return file.getvalue()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder data/ that holds the sample."""
    write_zip(layout(2), tmp_path / "data" / SAMPLE, "synthetic-pedestrians")
    return tmp_path / "data"


WHOLE = zipped(layout(), "Market-1501-v15.09.15")


class TestNextToTheSample:
    @pytest.mark.parametrize(
        "name",
        ["Market.zip.1", "Market", "Market.zip.part", "Market.zip.001", "Market.ZIP", "Market.tmp"],
    )
    def test_whole_zip_is_read_whatever_its_name(self, data: Path, name: str) -> None:
        (data / name).write_bytes(WHOLE)
        assert found(data).name == "Market-1501-v15.09.15"

    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("Market.zip", WHOLE[:5000], "is not a readable zip archive"),
            ("Market.zip.1", WHOLE[:5000], "is not a readable zip archive"),
            ("Market", WHOLE[:5000], "is not a readable zip archive"),
            ("Market.zip.part", WHOLE[:5000], "is a download that has not ended"),
            ("Market.zip.crdownload", WHOLE[:5000], "is a download that has not ended"),
            ("Unconfirmed 1.crdownload", bytes(100), "is a download that has not ended"),
            ("Market.zip.001", WHOLE[:5000], "is a part of an archive that was split"),
            ("Market.z01", b"PK\x07\x08" + WHOLE[:500], "is a part of an archive that was split"),
            ("Market", b"PK\x07\x08" + WHOLE[:500], "the first part of a zip archive"),
            ("Market.zip", b"", "is empty"),
            ("Market.tar.zst", b"\x28\xb5\x2f\xfd rest", "but a Zstandard archive. Unpack it"),
            ("Market.zip", b"7z\xbc\xaf\x27\x1c rest", "but a 7z archive. Unpack it"),
            ("Market", b"Rar!\x1a\x07\1\0 rest", "but a RAR archive. Unpack it"),
            ("Market.tgz", b"\x1f\x8b\x08 rest", "but a gzip archive. Unpack it"),
            ("Market.tar", bytes(257) + b"ustar\0" + bytes(249), "but a tar archive. Unpack it"),
            ("Market.zip", b"<!DOCTYPE html><title>Quota", "is an HTML page. A server sent it"),
            ("Market.zip", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
            ("Market.zip", b"\0\1\2\3", "is not a readable zip archive"),
            ("Market.rar", b"\0\1\2\3", "is not a zip archive, nor any other"),
            ("readme.txt", b"hello", "readme.txt: a file of an unknown type"),
            ("photo.jpg", jpeg(1), "photo.jpg: a JPEG image"),
            ("thesis.docx", zipped({"word.xml": b""}), "a zip archive without images in Market"),
            (".hidden/photo.jpg", jpeg(1), ".hidden: a hidden folder"),
            ("Market.zip.download/Market.zip", WHOLE[:99], "is a download that has not ended"),
            ("Market.zip.aa", WHOLE[:5000], "is a part of an archive that was split"),
            ("Market.zip.part1", WHOLE[:5000], "is a part of an archive that was split"),
            ("Market.tar.lzma", b"]\0\0\x80\0", "nor any other that is known here. Unpack it"),
            ("Market", b"version https://git-lfs.github.com/spec/v1\n", "with `git lfs pull`"),
        ],
    )
    def test_everything_else_is_named(
        self, data: Path, name: str, content: bytes, reason: str
    ) -> None:
        write_folder({name: content}, data)
        with pytest.raises(UserError) as error:
            found(data)
        assert reason in str(error.value)
        assert Path(name).parts[0] in str(error.value)

    def test_the_last_part_of_a_split_archive_is_named(self, data: Path) -> None:
        content = bytearray(WHOLE)
        content[content.rindex(b"PK\x05\x06") + 4] = 2
        (data / "Market.zip").write_bytes(content)
        with pytest.raises(UserError, match="last part of a zip archive that was split"):
            found(data)

    def test_what_desktops_and_git_leave_is_nothing(self, data: Path) -> None:
        write_folder({".DS_Store": b"x", "__MACOSX/._a": b"x", ".gitkeep": b""}, data)
        source = found(data)
        assert (source.name, source.strangers) == ("synthetic-pedestrians", {})


def test_folders_of_people_are_no_data_sets(data: Path) -> None:
    write_folder({f"{person:04}/{n}.jpg": jpeg(n) for person in range(3) for n in range(2)}, data)
    with pytest.raises(UserError, match=r"It holds images in other folders: 0000 \(2\), 0001"):
        found(data)


def test_sample_is_no_archive_to_unpack(data: Path) -> None:
    write_folder({"notes/a.txt": b"x", "lists/b.txt": b"x"}, data)
    with pytest.raises(UserError, match="data holds no image in Market-1501 layout") as error:
        found(data)
    assert SAMPLE not in str(error.value)


def test_what_is_neither_file_nor_folder_is_named(data: Path) -> None:
    os.mkfifo(data / "Market.zip")
    with pytest.raises(UserError, match=r"Market\.zip: neither a file nor a folder"):
        found(data)


@pytest.mark.parametrize("name", ["mine.tar.lzma", "mine.cab", "mine.zip.download/mine.zip"])
def test_more_leftovers_next_to_ones_own_data_are_named(data: Path, name: str) -> None:
    write_folder(layout(), data / "mine")
    write_folder({name: b"x"}, data)
    with pytest.raises(UserError, match=Path(name).parts[0]):
        found(data)


@pytest.mark.parametrize("place", ["", "mine", "mine/query", "mine/notes"])
@pytest.mark.parametrize("name", [b"M\xfcller", b"\x1b[31mred", b"two\nlines"])
def test_names_that_cannot_be_stored_or_shown_are_named(
    tmp_path: Path, place: str, name: bytes
) -> None:
    data = tmp_path / "data"
    write_folder(layout(), data / "mine")
    folder = os.fsencode(data / place) + b"/" + name
    os.makedirs(folder)
    Path(os.fsdecode(folder), "0001_c1s1_000001_00.jpg").write_bytes(jpeg(1))
    with pytest.raises(UserError, match="1 names are not UTF-8 or have control") as error:
        found(data)
    assert str(error.value).isprintable()


def test_names_in_an_archive_are_checked_too(tmp_path: Path) -> None:
    write_zip(layout() | {"query/0001\x1b[31m.jpg": jpeg(1)}, tmp_path / "data" / "mine.zip")
    with pytest.raises(UserError, match=r"mine\.zip: 1 names are not UTF-8 or have control"):
        found(tmp_path / "data")


def test_small_files_next_to_ones_own_data_are_counted(data: Path) -> None:
    write_folder(layout(), data / "mine")
    write_folder({"readme.txt": b"x", "list.docx": zipped({"word.xml": b""})}, data)
    assert found(data).strangers == {"..": 2}


@pytest.mark.parametrize("packed", [True, False])
def test_folders_without_photos_next_to_ones_own_data_are_counted(data: Path, packed: bool) -> None:
    if packed:
        write_zip(layout(), data / "mine.zip", "mine")
    else:
        write_folder(layout(), data / "mine")
    write_folder({f"{person:04}/attributes.txt": b"x" for person in range(30)}, data)
    source = found(data)
    assert (source.name, images(source)) == ("mine", len(layout()))
    assert source.strangers == {"..": 30}


@pytest.mark.parametrize("name", ["more/1.jpg", "more/1.heic", "more/old.tar.gz"])
def test_folder_with_other_photos_next_to_ones_own_data_is_named(data: Path, name: str) -> None:
    write_zip(layout(), data / "mine.zip")
    write_folder({name: b"x"}, data)
    with pytest.raises(UserError, match=r"holds several data sets: mine\.zip, more\."):
        found(data)


@pytest.mark.parametrize("top", ["", "mine/"])
def test_leftover_archive_next_to_ones_own_data_is_named(data: Path, top: str) -> None:
    write_folder({top + name: content for name, content in layout().items()}, data)
    (data / "mine.zip.part").write_bytes(WHOLE[:5000])
    with pytest.raises(UserError, match=r"mine\.zip\.part is a download that has not ended"):
        found(data)
    (data / "mine.zip.part").rename(data / "query.zip")
    with pytest.raises(UserError, match=r"query\.zip is not a readable zip archive"):
        found(data)
    (data / "query.zip").write_bytes(WHOLE)
    with pytest.raises(UserError, match=r"holds several data sets: (data|mine), query\.zip"):
        found(data)


class TestLinks:
    def test_linked_files_and_folders_are_read(self, tmp_path: Path) -> None:
        disk = write_folder(layout(), tmp_path / "disk")
        data = tmp_path / "data"
        (data / "photos" / "query").mkdir(parents=True)
        for folder in FOLDERS - {"query"}:
            (data / "photos" / folder).symlink_to(disk / folder)
        for photo in (disk / "query").iterdir():
            (data / "photos" / "query" / photo.name).symlink_to(photo)
        assert images(found(data)) == len(layout())

    def test_linked_archive_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "archives").mkdir()
        (tmp_path / "archives" / "a.zip").symlink_to(write_zip(layout(), tmp_path / "disk.zip"))
        assert images(found(tmp_path / "archives")) == len(layout())

    def test_data_may_be_a_link(self, tmp_path: Path) -> None:
        write_folder(layout(), tmp_path / "disk" / "photos")
        (tmp_path / "data").symlink_to(tmp_path / "disk")
        assert images(found(tmp_path / "data")) == len(layout())
        (tmp_path / "disk").rename(tmp_path / "elsewhere")
        with pytest.raises(UserError, match=r"Links lead nowhere: .*data -> .*disk"):
            found(tmp_path / "data")

    @pytest.mark.parametrize("target", [".", "..", "../..", "../../..", "../../../twin"])
    def test_loop_adds_nothing(self, tmp_path: Path, target: str) -> None:
        photos = write_folder(layout(), tmp_path / "data" / "photos")
        twin = tmp_path / "twin"
        twin.mkdir()
        (twin / "back").symlink_to(photos)
        (photos / "query" / "loop").symlink_to(target)
        (photos / "self").symlink_to(twin)
        assert images(found(tmp_path / "data")) == len(layout())

    def test_what_dvc_does_not_see_behind_linked_folders_is_noted(self, tmp_path: Path) -> None:
        disk = write_folder(layout(), tmp_path / "disk")
        data = tmp_path / "data"
        data.mkdir()
        assert behind_links(data) == ""
        write_folder({"sample.jpg": b"not linked"}, data)
        assert behind_links(data) == ""
        (data / "photos").symlink_to(disk)
        noted = behind_links(data)
        assert noted
        with Repo.init(str(tmp_path), no_scm=True) as repo:
            (stage,) = repo.add(str(data))
            hidden = stage.outs[0].hash_info
            (photo, *_) = (disk / "query").iterdir()
            for change in (
                lambda: photo.write_bytes(b"another size"),
                photo.unlink,
                (data / "photos").unlink,
            ):
                change()
                before, noted = noted, behind_links(data)
                assert noted != before
                (stage,) = repo.add(str(data))
                assert stage.outs[0].hash_info == hidden

    def test_what_a_desktop_leaves_behind_linked_folders_is_not_noted(self, tmp_path: Path) -> None:
        disk = write_folder(layout(), tmp_path / "disk")
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "photos").symlink_to(disk)
        noted = behind_links(tmp_path / "data")
        (disk / ".DS_Store").write_bytes(b"x")
        assert behind_links(tmp_path / "data") == noted

    @pytest.mark.parametrize("link", ["photos/query/0004_c9s1_000001_00.jpg", "photos/more", "x"])
    def test_link_that_leads_nowhere_is_named(self, tmp_path: Path, link: str) -> None:
        write_folder(layout(), tmp_path / "data" / "photos")
        (tmp_path / "data" / link).symlink_to("/nowhere")
        with pytest.raises(UserError, match=rf"{link} -> /nowhere"):
            found(tmp_path / "data")

    def test_link_to_itself_is_named(self, tmp_path: Path) -> None:
        photos = write_folder(layout(), tmp_path / "data" / "photos")
        (photos / "gt_bbox").symlink_to("gt_bbox")
        with pytest.raises(UserError, match="gt_bbox -> gt_bbox"):
            found(tmp_path / "data")

    def test_folder_that_may_not_be_read_is_no_empty_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_folder(layout(), tmp_path / "data" / "photos")
        scan = os.scandir

        def refusing(path: str | Path) -> object:
            if Path(path).name == "query":
                raise PermissionError(13, "Permission denied", str(path))
            return scan(path)

        monkeypatch.setattr(os, "scandir", refusing)
        with pytest.raises(PermissionError):
            found(tmp_path / "data")


class TestLitter:
    EXAMPLES = (
        *(".DS_Store", "._0001_c1s1_000001_00.jpg", "__MACOSX/x/0001_c1s1_000001_00.jpg"),
        *("Thumbs.db", "thumbs.db", "THUMBS.DB", "ehthumbs_vista.db", "desktop.ini", "Desktop.ini"),
        *("$RECYCLE.BIN/a", "System Volume Information/a", ".Trash-1000/a", ".Trashes/a"),
        *(
            "Icon\r",
            ".localized",
            "Thumbs.db:encryptable",
            "Picasa.ini",
            "~$list.docx",
            "lost+found/a",
        ),
        *("#recycle/a.jpg", ".@__thumb/a.jpg", ".nfs00000001", ".~lock.list.ods#"),
        *(".ipynb_checkpoints/0001_c1s1_000001_00.jpg", "Temporary Items/a", "@Recycle/b"),
        *("@eaDir/a.jpg", ".directory", "0001_c1s1_000001_00.jpg:Zone.Identifier"),
    )

    def test_looking_into_a_folder_changes_no_hash_of_dvc(self, tmp_path: Path) -> None:
        write_folder(layout(1, 1, 1), tmp_path / "data" / "photos")
        (tmp_path / ".dvcignore").write_bytes((ROOT / ".dvcignore").read_bytes())
        with Repo.init(str(tmp_path), no_scm=True) as repo:
            (stage,) = repo.add(str(tmp_path / "data"))
            before = stage.outs[0].hash_info
        for name in self.EXAMPLES:
            write_folder({f"data/{name}": b"x", f"data/photos/query/{name}": b"x"}, tmp_path)
        with Repo(str(tmp_path)) as repo:
            assert repo.status() == {}
            (stage,) = repo.add(str(tmp_path / "data"))
            assert stage.outs[0].hash_info == before

    def test_code_and_dvc_have_the_same_patterns(self) -> None:
        lines = (ROOT / ".dvcignore").read_text(encoding="utf-8").splitlines()
        assert set(LITTER) == {line for line in lines if line and line[0] != "#"} - {"__pycache__/"}

    @pytest.mark.parametrize("pack", [write_folder, write_zip])
    def test_it_is_never_counted(
        self, tmp_path: Path, pack: Callable[[Layout, Path], Path]
    ) -> None:
        assert all(map(is_litter, map(Path, self.EXAMPLES)))
        files = layout() | {f"query/{name}": b"x" for name in self.EXAMPLES}
        pack(files, tmp_path / "data" / "photos.zip")
        source = found(tmp_path / "data")
        assert images(source) == len(layout())
        assert source.strangers == {}


class TestZips:
    def test_backslashes_separate_folders(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
            archive.writestr("photos\\query\\", b"")
            for name, content in layout().items():
                archive.writestr("photos\\" + name.replace("/", "\\"), content)
        with open_source(tmp_path / "photos.zip") as source:
            assert (source.name, images(source), source.strangers) == ("photos", len(layout()), {})
            (first, *_) = source.folders["query"]
            assert source.files.read(first) == layout()[f"query/{first.name}"]

    @pytest.mark.parametrize(
        "member", ["photos\\..\\..\\evil.jpg", "C:\\evil.jpg", "c:evil.jpg", "\\\\server\\evil.jpg"]
    )
    def test_member_that_leads_out_is_refused(self, tmp_path: Path, member: str) -> None:
        path = write_zip(layout() | {"a": b""}, tmp_path / "photos.zip")
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(member, b"x")
        with pytest.raises(UserError, match="leads out of the archive"):
            found(path)

    @pytest.mark.parametrize(
        ("method", "flags", "words"),
        [
            (9, 0, "packed with Deflate64, which Python can't unpack"),
            (98, 0, "packed with PPMd, which Python can't unpack"),
            (97, 0, "packed with method 97, which Python can't unpack"),
            (8, 1, "encrypted with a password"),
            (99, 1, "encrypted with a password"),
        ],
    )
    def test_what_python_cannot_unpack_is_found_when_it_is_opened(
        self, tmp_path: Path, method: int, flags: int, words: str
    ) -> None:
        path = write_zip(layout(), tmp_path / "photos.zip")
        say_packed_with(path, method, flags)
        total = len(layout())
        with pytest.raises(UserError, match=rf"photos\.zip: {total} of {total} files are {words}"):
            found(path)

    def test_links_in_an_archive_are_named(self, tmp_path: Path) -> None:
        path = write_zip(layout(), tmp_path / "photos.zip")
        link = zipfile.ZipInfo("photos/gt_bbox")
        link.external_attr = 0o120777 << 16
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(link, "/disk/gt_bbox")
        with pytest.raises(UserError, match=r"in place of 1 of 27 files: photos/gt_bbox"):
            found(path)

    def test_archive_in_an_archive_is_named(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "download.zip", "w") as archive:
            archive.writestr("set/Market.zip", WHOLE)
        with pytest.raises(UserError, match=r"holds other archives: set/Market\.zip\. Unpack it"):
            found(tmp_path / "download.zip")


def shared_out(data: Path, names: list[str], top: str = "photos") -> None:
    """Write the layout shared out over several zips, as a cloud drive does."""
    for number, name in enumerate(names):
        part = dict(list(layout().items())[number :: len(names)])
        write_zip(part, data / name, top)


class TestSeveralZips:
    @pytest.mark.parametrize(
        "names",
        [
            ["set-20240101T000000Z-001.zip", "set-20240101T000000Z-002.zip"],
            ["set-20240101T000000Z-1-001.zip", "set-20240101T000000Z-1-002.zip"],
            ["OneDrive_1_1-2-2024.zip", "OneDrive_2_1-2-2024.zip", "OneDrive_3_1-2-2024.zip"],
            ["a.zip", "b.zip"],
        ],
    )
    def test_parts_of_one_data_set_are_read_together(self, data: Path, names: list[str]) -> None:
        shared_out(data, names)
        with open_source(data) as source:
            assert (source.name, images(source)) == ("photos", len(layout()))
            assert source.archives == tuple(names)
            for folder, paths in source.folders.items():
                assert all(source.files.read(p) == layout()[f"{folder}/{p.name}"] for p in paths)

    @pytest.mark.parametrize("inner", [True, False])
    def test_one_zip_for_each_folder(self, data: Path, inner: bool) -> None:
        for folder in FOLDERS:
            files = {n: c for n, c in layout().items() if n.startswith(folder)}
            if not inner:
                files = {Path(name).name: content for name, content in files.items()}
            (data / f"{folder}.zip").write_bytes(zipped(files, top=""))
        assert images(found(data)) == len(layout())

    @pytest.mark.parametrize("inner", [True, False])
    def test_zips_with_nearly_the_right_names_are_named(self, data: Path, inner: bool) -> None:
        names = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}
        for folder, name in names.items():
            files = {n: c for n, c in layout().items() if n.startswith(folder)}
            files = {f"{name}/" * inner + Path(n).name: content for n, content in files.items()}
            (data / f"{name}.zip").write_bytes(zipped(files, top=""))
        with pytest.raises(UserError, match=r"from gallery/ to bounding_box_test/\n  from train/"):
            found(data)

    @pytest.mark.parametrize("kept", [[0, 2], [1, 2], [1]])
    def test_missing_part_is_named(self, data: Path, kept: list[int]) -> None:
        names = [f"set-20240101T000000Z-00{number}.zip" for number in (1, 2, 3)]
        shared_out(data, names)
        for number in {0, 1, 2} - set(kept):
            (data / names[number]).unlink()
        missing = 1 if 0 not in kept else 2
        with pytest.raises(UserError, match=f"part {missing} is missing"):
            found(data)

    def test_two_data_sets_are_an_error(self, data: Path) -> None:
        (data / "a.zip").write_bytes(zipped(layout(), top="a"))
        (data / "b.zip").write_bytes(zipped(layout(5), top="b"))
        with pytest.raises(UserError, match=r"holds several data sets: a\.zip, b\.zip"):
            found(data)
        (data / "b.zip").write_bytes(zipped(layout(5), top="a"))
        with pytest.raises(UserError, match="are several data sets, or copies of one"):
            found(data)
        for name, pids in (("a.zip", "0001"), ("b.zip", "0002")):
            part = {n: c for n, c in layout().items() if pids in n or "train" not in n}
            renamed = {n.replace("/", f"/{pids}"): c for n, c in part.items()}
            (data / name).write_bytes(zipped(renamed, top=""))
        with pytest.raises(UserError, match=r"holds several data sets: a\.zip, b\.zip"):
            found(data)

    @pytest.mark.parametrize("names", [["cuhk01.zip", "cuhk03.zip"], ["set1.zip", "set2.zip"]])
    def test_numbers_in_the_names_of_data_sets_are_no_numbers_of_parts(
        self, data: Path, names: list[str]
    ) -> None:
        for name in names:
            (data / name).write_bytes(zipped(layout(), top=name[:-4]))
        with pytest.raises(UserError, match=f"holds several data sets: {names[0]}, {names[1]}"):
            found(data)
        for name in names:
            renamed = {n.replace("/", f"/{name[3:-4]}"): c for n, c in layout().items()}
            (data / name).write_bytes(zipped(renamed, top=""))
        with pytest.raises(UserError, match=f"holds several data sets: {names[0]}, {names[1]}"):
            found(data)

    def test_two_downloads_of_an_archive_are_copies(self, data: Path) -> None:
        for name in ("Market (1).zip", "Market (3).zip"):
            (data / name).write_bytes(WHOLE)
        with pytest.raises(UserError, match="are several data sets, or copies of one"):
            found(data)


def renamed(folders: dict[str, str]) -> Layout:
    def new(name: str) -> str:
        folder, _, file = name.partition("/")
        return f"{folders.get(folder, folder)}/{file}"

    return {new(name): content for name, content in layout().items()}


class TestNearMisses:
    @pytest.mark.parametrize("place", ["data", "data/photos"])
    @pytest.mark.parametrize(
        "names",
        [
            {"query": "Query"},
            {"bounding_box_train": "train"},
            {"bounding_box_test": "gallery"},
            {"bounding_box_test": "bounding_box_tset"},
            {"bounding_box_train": "Bounding Box Train", "query": "queries"},
            {"bounding_box_train": "train", "query": "Query", "bounding_box_test": "test"},
            {
                "bounding_box_train": "image_train",
                "query": "image_query",
                "bounding_box_test": "image_test",
            },
            {"query": "query/images"},
            {"query": "query/query"},
            {name: f"{name}/{name}" for name in ("bounding_box_train", "bounding_box_test")},
        ],
    )
    def test_folder_with_nearly_the_right_name_is_named(
        self, tmp_path: Path, names: dict[str, str], place: str
    ) -> None:
        write_folder(renamed(names), tmp_path / place)
        with pytest.raises(UserError) as error:
            found(tmp_path / "data")
        for right, wrong in names.items():
            assert f"from {wrong}/ to {right}/" in str(error.value)

    @pytest.mark.parametrize(
        ("right", "wrong"),
        [
            ("query", "Anfrage"),
            ("bounding_box_train", "images/train_set"),
            ("bounding_box_test", "mask_test_v2"),
        ],
    )
    def test_photos_in_any_folder_are_named_if_a_folder_of_the_layout_has_none(
        self, tmp_path: Path, right: str, wrong: str
    ) -> None:
        write_folder(renamed({right: wrong}), tmp_path / "data")
        with pytest.raises(UserError, match=rf"no image in {right}, but .* folders: {wrong} \("):
            found(tmp_path / "data")

    def test_folders_of_the_layout_in_different_places_are_named(self, tmp_path: Path) -> None:
        write_folder(renamed({"query": "test/query"}), tmp_path / "data")
        with pytest.raises(UserError, match=r"in different places: .*, test/query\. Move them"):
            found(tmp_path / "data")

    def test_other_folders_next_to_a_whole_layout_are_no_fault(self, tmp_path: Path) -> None:
        write_folder(layout() | {"test/0001_c1s1_000001_00.jpg": jpeg(1)}, tmp_path / "data")
        assert found(tmp_path / "data").strangers == {"test": 1}

    def test_images_elsewhere_are_counted(self, tmp_path: Path) -> None:
        files = {f"people/{number}.jpg": jpeg(number) for number in range(3)}
        write_folder(files | {"people/x.txt": b"x"}, tmp_path / "data" / "photos")
        with pytest.raises(UserError, match=r"It holds images in other folders: people \(3\)\."):
            found(tmp_path / "data")


def test_images_of_other_formats_are_counted_by_folder(tmp_path: Path) -> None:
    others = ("query/a.bmp", "query/b.BMP", "query/c.webp", "bounding_box_train/d.jfif")
    files = layout() | dict.fromkeys(others, b"x") | {"other/e.bmp": b"x"}
    source = found(write_folder(files, tmp_path / "data"))
    assert source.other_formats == {
        "bounding_box_train": {".jfif": 1},
        "query": {".bmp": 2, ".webp": 1},
    }
    assert source.strangers == {"other": 1}


def test_photos_without_an_ending_or_not_loaded_completely_are_counted(tmp_path: Path) -> None:
    endings = (
        "",
        ".jpg.part",
        ".JPG.crdownload",
        ".jpg.1",
        ".png.icloud",
        ".jpg_large",
        ".jpg (1)",
    )
    others = {f"query/0004_c1s1_000001_00{ending}": b"x" for ending in endings}
    notes = {f"query/{name}": b"x" for name in ("readme", "a.txt", "a.jpg.json", "0001_good.mat")}
    source = found(write_folder(layout() | others | notes, tmp_path / "data"))
    assert sum(source.other_formats["query"].values()) == len(endings)
    assert source.other_formats["query"]["without ending"] == 1
    assert source.strangers == {"query": len(notes)}
