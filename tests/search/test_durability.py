"""What an index in a folder survives: kills, torn journals, full disks, other writers."""

import random
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

from reid.common.errors import UserError
from search import sqlite_index
from search.sqlite_index import FILE, SqliteIndex
from tests.support.holding import held
from tests.support.indexes import FIRST, add, new_photo, unit_vectors, vectors_of
from tests.support.places import ROOT
from tests.support.waiting import DEADLINE

pytestmark = pytest.mark.slow

KILLS = 10
JOURNAL = f"{FILE}-wal"


def command(module: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", f"tests.support.{module}", *map(str, arguments)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of an index, which is not there yet."""
    return tmp_path / "index"


def assert_holds(folder: Path, numbers: list[int]) -> None:
    """Check that the index has photos, and finds each by its embedding."""
    index = SqliteIndex(folder)
    photos = [new_photo(number) for number in numbers]
    known = index.known([photo.sha256 for photo in photos])
    assert known.keys() == {photo.sha256 for photo in photos}
    found = index.search(vectors_of(photos), FIRST.sha256, 1)
    assert [hits[0].sighting.file for hits in found] == [photo.file for photo in photos]
    index.close()


def test_acknowledged_photos_survive_ten_kills(folder: Path) -> None:
    acknowledged: list[int] = []
    moments = random.Random(0)
    for kill in range(KILLS):
        with subprocess.Popen(
            command("adding", folder, kill * 100_000), cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            acknowledged.append(int(process.stdout.readline()))
            time.sleep(moments.uniform(0, 0.3))
            process.kill()
            *lines, last = process.stdout.read().split("\n")
            assert last == ""
            acknowledged += map(int, lines)
        assert_holds(folder, acknowledged)
    assert len(acknowledged) > 5 * KILLS


@pytest.fixture
def torn(folder: Path, tmp_path: Path) -> Path:
    """A copy of an index whose photo 1 is in its file, and whose photos 2 to 9 in its journal."""
    index = SqliteIndex(folder)
    index.begin_model(FIRST)
    add(index, new_photo(1))
    index.close()  # The last connection moves the journal into the file.
    assert not (folder / JOURNAL).exists()
    index = SqliteIndex(folder)
    for number in range(2, 10):
        add(index, new_photo(number))
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    index.close()
    (copy / f"{FILE}-shm").unlink()
    return copy


def assert_is_usable(folder: Path) -> None:
    """Check that an index is whole, has what was in its file, and takes more."""
    assert_holds(folder, [1])
    index = SqliteIndex(folder)
    size = index.size()
    assert add(index, new_photo(100)) == 1
    index.close()
    with sqlite3.connect(folder / FILE) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        (photos,) = connection.execute("SELECT count(*) FROM photo").fetchone()
        (embeddings,) = connection.execute("SELECT count(*) FROM embedding").fetchone()
    connection.close()
    assert photos == embeddings == size + 1


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.35, 0.5, 0.75, 0.999])
def test_journal_that_was_cut_opens_with_all_that_came_before(share: float, torn: Path) -> None:
    content = (torn / JOURNAL).read_bytes()
    (torn / JOURNAL).write_bytes(content[: int(share * len(content))])
    assert_is_usable(torn)


@pytest.mark.parametrize("start", [0, 40, 20_000])
def test_journal_with_damage_opens_with_all_that_came_before(start: int, torn: Path) -> None:
    content = bytearray((torn / JOURNAL).read_bytes())
    content[start : start + 500] = random.Random(0).randbytes(500)
    (torn / JOURNAL).write_bytes(content)
    assert_is_usable(torn)


def test_journal_with_garbage_at_its_end_keeps_everything(torn: Path) -> None:
    with (torn / JOURNAL).open("ab") as file:
        file.write(random.Random(0).randbytes(10_000))
    assert_holds(torn, list(range(1, 10)))
    assert_is_usable(torn)


@pytest.mark.parametrize("limit", [150_000, 400_000])
def test_full_disk_is_one_message_and_loses_nothing(limit: int, folder: Path) -> None:
    done = subprocess.run(
        command("adding", folder, 0, limit), cwd=ROOT, capture_output=True, text=True, check=True
    )
    *numbers, message = done.stdout.splitlines()
    assert message.startswith(f"{folder / FILE}: the disk is full")
    assert "nothing was lost" in message
    assert numbers
    assert done.stderr == ""
    assert_holds(folder, [int(number) for number in numbers])
    index = SqliteIndex(folder)
    assert index.size() == len(numbers)
    assert add(index, new_photo(10**6)) == 1
    index.close()


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + 500 * b"x"])
def test_file_that_is_no_index_is_one_message_and_stays(content: bytes, folder: Path) -> None:
    folder.mkdir()
    (folder / FILE).write_bytes(content)
    with pytest.raises(UserError, match="is not an index, or is damaged"):
        SqliteIndex(folder)
    assert (folder / FILE).read_bytes() == content


def test_index_of_another_version_is_one_message(folder: Path) -> None:
    SqliteIndex(folder).close()
    with sqlite3.connect(folder / FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UserError, match="made by another version of this tool"):
        SqliteIndex(folder)


def test_folder_that_can_not_be_made_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="can't be made"):
        SqliteIndex(tmp_path / "file" / "index")


def test_other_writer_is_waited_for_and_then_one_message(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_index, "WAIT", 0.3)
    index = SqliteIndex(folder)
    index.begin_model(FIRST)
    with held("hold_index", folder) as other:
        with pytest.raises(UserError, match="another process is using it; try again"):
            add(index, new_photo(1))
        assert index.search(unit_vectors(1), FIRST.sha256, 1) == [[]]
        other.input.close()
        assert other.process.wait(DEADLINE) == 0
    assert add(index, new_photo(1)) == 1
    index.close()


def test_reader_that_keeps_old_pages_is_one_message(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_index, "WAIT", 0.2)
    index = SqliteIndex(folder)
    index.begin_model(FIRST)
    add(index, new_photo(1))
    reader = sqlite3.connect(folder / FILE, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM photo").fetchall()
    with pytest.raises(UserError, match="another process is reading"):
        index.forget("Ada")
    reader.close()
    assert index.forget("Ada") == 0
    assert not (folder / JOURNAL).read_bytes()
    index.close()


def test_threads_that_ended_leave_no_open_files(folder: Path) -> None:
    index = SqliteIndex(folder)
    index.begin_model(FIRST)

    def open_files() -> int:
        opened = (file.resolve() for file in Path("/proc/self/fd").iterdir())
        return sum(file.is_relative_to(folder.resolve()) for file in opened)

    def ask_in_threads(count: int) -> int:
        for _ in range(count):
            thread = Thread(target=index.size)
            thread.start()
            thread.join()
        return open_files()

    assert ask_in_threads(100) < 100
    index.close()
    assert open_files() == 0
