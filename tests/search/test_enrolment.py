from functools import partial
from pathlib import Path

import numpy as np
import pytest

from reid.common.errors import UserError
from reid.data.images import UnreadableImageError
from reid.data.market import MARKET_NAMES
from reid.preparation.ingest import ingest
from reid.serving.thresholds import THRESHOLDS, write_thresholds
from reid.sources.source import open_source
from runs.registry.download import FetchedNetwork
from search.enrolment import (
    AT_ONCE,
    Counts,
    Entry,
    add_entries,
    add_photos,
    checked_name,
    embed_with,
    folder_entries,
    gallery_entries,
)
from search.networks import Networks
from search.sqlite_index import SqliteIndex
from search.tool import SearchTool
from tests.support.photos import jpeg, layout, write_folder


def entries(count: int, person: str | None = "Anna") -> list[Entry]:
    return [Entry(partial(jpeg, number), person, f"{number}.jpg") for number in range(count)]


def add(tool: SearchTool, some: list[Entry]) -> Counts:
    return add_entries(tool.index, tool.networks, some, len(some))


def test_gallery_is_added_without_junk_and_distractors_have_no_name(
    empty_tool: SearchTool, tmp_path: Path
) -> None:
    write_folder(layout(test_people=2, images=3), tmp_path / "data")
    with open_source(tmp_path / "data") as source:
        ingest(source, tmp_path / "dataset", "bounding_box_test")
    found, total = gallery_entries(tmp_path / "dataset")
    counts = add_entries(empty_tool.index, empty_tool.networks, found, total)
    assert counts == Counts(added=13)
    assert [(person.name, person.photos) for person in empty_tool.index.people()] == [
        ("person 4", 6),
        ("person 5", 6),
    ]
    (first, *_) = empty_tool.index.sightings(["person 4"])
    assert (first.camera, first.sequence, first.frame, first.file) == (
        1,
        1,
        1,
        "0004_c1s1_000001_00.jpg",
    )


def test_embeddings_are_those_of_the_network(empty_tool: SearchTool) -> None:
    add(empty_tool, entries(AT_ONCE + 3))
    model = empty_tool.index.current_model()
    network = empty_tool.networks.load(model.sha256)
    (query,) = network.embed([jpeg(AT_ONCE + 1)])
    (hits,) = empty_tool.index.search(query[None], model.sha256, 2)
    assert hits[0].sighting.file == f"{AT_ONCE + 1}.jpg"
    assert hits[0].similarity == pytest.approx(1, abs=1e-6)


def test_photo_that_is_added_twice_is_one(empty_tool: SearchTool) -> None:
    assert add(empty_tool, entries(5) + entries(5)) == Counts(added=5, known=5)
    assert add(empty_tool, entries(7)) == Counts(added=2, known=5)
    assert empty_tool.index.size() == 7


def test_adding_that_was_stopped_resumes(empty_tool: SearchTool) -> None:
    def stop() -> bytes:
        raise KeyboardInterrupt

    some = entries(3 * AT_ONCE)
    stopped = [*some[: 2 * AT_ONCE], Entry(stop, "Anna", "stop.jpg")]
    with pytest.raises(KeyboardInterrupt):
        add(empty_tool, stopped)
    assert empty_tool.index.size() == 2 * AT_ONCE
    assert add(empty_tool, some) == Counts(added=AT_ONCE, known=2 * AT_ONCE)


def test_unreadable_photos_are_named_and_the_others_are_added(empty_tool: SearchTool) -> None:
    bad = [Entry(partial(bytes, b"no image"), "Anna", f"bad {number}.jpg") for number in range(12)]
    with pytest.raises(UserError) as error:
        add(empty_tool, [*bad, *entries(4)])
    message = str(error.value)
    assert "Photos added: 4. These can't be read, 12 in all" in message
    assert "bad 0.jpg: not an image in a known format" in message
    assert "and 2 more" in message
    assert empty_tool.index.size() == 4


def test_photo_of_another_person_is_refused(empty_tool: SearchTool) -> None:
    add(empty_tool, entries(2, "Anna"))
    with pytest.raises(UserError, match=r"0\.jpg is Anna, 1\.jpg is Anna"):
        add_photos(empty_tool.index, empty_tool.networks, entries(3, "Berta"))
    assert empty_tool.index.size() == 2


def test_photo_of_two_people_in_one_folder_is_refused(empty_tool: SearchTool) -> None:
    both = entries(1, "Anna") + entries(1, "Berta")
    with pytest.raises(UserError, match=r"0\.jpg is Anna"):
        add_photos(empty_tool.index, empty_tool.networks, both)
    assert empty_tool.index.size() == 0


def test_one_unreadable_photo_of_a_request_keeps_all_of_them_out(empty_tool: SearchTool) -> None:
    bad = Entry(bytes, "Anna", "me.jpg")
    with pytest.raises(UnreadableImageError, match=r"^me\.jpg: the file is empty"):
        add_photos(empty_tool.index, empty_tool.networks, [*entries(2), bad])
    assert empty_tool.index.size() == 0


def test_folder_gives_person_and_camera_by_its_names(tmp_path: Path) -> None:
    folder = write_folder(
        {
            "0007_c2s1_000451_03.jpg": jpeg(1),
            "more/0012_c3s2_000009_01.jpg": jpeg(2),
            "0000_c1s1_000001_00.jpg": jpeg(3),
            "notes.txt": b"",
            ".DS_Store": b"",
        },
        tmp_path / "office",
    )
    found = folder_entries(folder, MARKET_NAMES, None, None, None)
    assert [(entry.person, entry.camera, entry.sequence, entry.frame) for entry in found] == [
        (None, 1, 1, 1),
        ("office 7", 2, 1, 451),
        ("office 12", 3, 2, 9),
    ]


def test_folder_of_one_person_may_have_any_names(tmp_path: Path) -> None:
    folder = write_folder({"IMG 1.JPG": jpeg(1), "b/2.png": jpeg(2)}, tmp_path / "photos")
    found = folder_entries(folder, MARKET_NAMES, "Anna", 4, 1e9)
    assert [(e.person, e.camera, e.time, e.file) for e in found] == [
        ("Anna", 4, 1e9, "IMG 1.JPG"),
        ("Anna", 4, 1e9, "2.png"),
    ]


def test_names_of_another_form_are_listed_with_the_way_out(tmp_path: Path) -> None:
    folder = write_folder({f"IMG{n}.jpg": jpeg(n) for n in range(12)}, tmp_path / "photos")
    with pytest.raises(UserError, match=r"12 of 12 names do not say who it is: IMG0\.jpg") as error:
        folder_entries(folder, MARKET_NAMES, None, None, None)
    assert "and 2 more" in str(error.value)
    assert "--person" in str(error.value)


@pytest.mark.parametrize(
    ("files", "words"), [({}, "is not a folder"), ({"a.txt": b""}, "holds no")]
)
def test_folder_without_photos_is_an_error(
    tmp_path: Path, files: dict[str, bytes], words: str
) -> None:
    write_folder(files, tmp_path / "photos")
    with pytest.raises(UserError, match=words):
        folder_entries(tmp_path / "photos", MARKET_NAMES, None, None, None)


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a\nb", "x" * 101, ".", ".."])
def test_name_that_can_not_be_used_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="can't be a person's name"):
        checked_name(name)


def test_name_keeps_letters_of_all_languages() -> None:
    assert checked_name(" Zoë 'Ωmega' 李 ") == "Zoë 'Ωmega' 李"


def test_old_model_answers_until_all_photos_are_embedded_anew(
    empty_tool: SearchTool, other_network: Path
) -> None:
    add(empty_tool, entries(AT_ONCE + 1))
    old = empty_tool.index.current_model()
    new = empty_tool.networks.install(str(other_network))
    seen = []

    class Watched(Networks):
        """Looks at the index whenever photos are embedded."""

        def load(self, sha256: str):  # type: ignore[no-untyped-def]
            seen.append(empty_tool.index.current_model())
            return empty_tool.networks.load(sha256)

    embed_with(empty_tool.index, Watched(Path()), new.model, switch=True)
    assert seen == [old]
    assert empty_tool.index.models() == [new.model]
    (query,) = new.embed([jpeg(5)])
    (hits,) = empty_tool.index.search(query[None], new.model.sha256, 1)
    assert hits[0].sighting.file == "5.jpg"


def test_photo_added_while_another_model_is_prepared_is_embedded_by_it(
    empty_tool: SearchTool, other_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(empty_tool, entries(3))
    new = empty_tool.networks.install(str(other_network))
    embed, late = new.embed, entries(4)[3:]

    def embed_while_somebody_adds(photos: list[bytes]) -> np.ndarray:
        if late:
            add(empty_tool, [late.pop()])
        return embed(photos)

    monkeypatch.setattr(new, "embed", embed_while_somebody_adds)
    embed_with(empty_tool.index, empty_tool.networks, new.model, switch=True)
    assert empty_tool.index.without_embedding(new.model.sha256, 10) == {}
    assert empty_tool.index.size() == 4


def test_second_model_answers_next_to_the_first(
    empty_tool: SearchTool, other_network: Path
) -> None:
    add(empty_tool, entries(3))
    first = empty_tool.index.current_model()
    second = empty_tool.networks.install(str(other_network)).model
    embed_with(empty_tool.index, empty_tool.networks, second, switch=False)
    assert empty_tool.index.models() == [first, second]
    add(empty_tool, entries(5))
    for model in (first, second):
        (query,) = empty_tool.networks.load(model.sha256).embed([jpeg(4)])
        (hits,) = empty_tool.index.search(query[None], model.sha256, 1)
        assert hits[0].sighting.file == "4.jpg"


def test_network_survives_where_its_source_is_gone(
    tmp_path: Path, colour_network: Path, sqlite_index: SqliteIndex
) -> None:
    sha256 = Networks(tmp_path / "networks").install(str(colour_network)).model.sha256
    again = Networks(tmp_path / "networks").load(sha256)
    assert again.model.name == str(colour_network)
    assert again.embed([jpeg(1)]).shape == (1, again.model.dimension)


def test_thresholds_of_a_registered_model_come_with_its_network(
    tmp_path: Path, colour_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = Networks(tmp_path / "networks")
    assert networks.install(str(colour_network)).thresholds == {}
    write_thresholds(tmp_path / THRESHOLDS, {"threshold_at_1pct": 0.75})
    fetched = FetchedNetwork(colour_network, tmp_path / THRESHOLDS, "models:/reid/1")
    monkeypatch.setattr("search.networks._downloaded", lambda address, folder: fetched)
    # The same network was installed before, from a folder that has no thresholds.
    installed = networks.install("models:/reid@champion")
    assert installed.thresholds == {0.01: 0.75}
    again = Networks(tmp_path / "networks").load(installed.model.sha256)
    assert again.thresholds == {0.01: 0.75}


def test_network_that_is_not_here_is_named_with_the_command_that_brings_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"lacks the network 0000.*index install"):
        Networks(tmp_path).load("0" * 64)


def test_folder_without_a_network_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no network"):
        Networks(tmp_path / "networks").install(str(tmp_path))
