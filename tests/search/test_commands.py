from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from reid.__main__ import app
from reid.common.errors import UserError
from reid.data.images import decode
from search.commands import LONG_LIST
from search.tool import ADDRESS, FOLDER, open_tool
from tests.support.photos import jpeg, layout, write_folder

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function that runs ``index`` with arguments, on an index of its own."""
    monkeypatch.setenv(FOLDER, str(tmp_path / "index"))
    monkeypatch.delenv(ADDRESS, raising=False)

    def run(*arguments: object, answer: str = "") -> Result:
        done = CliRunner().invoke(app, ["index", *map(str, arguments)], input=answer)
        if isinstance(done.exception, UserError):
            raise done.exception
        return done

    return run


@pytest.fixture
def filled(run: Run, tmp_path: Path, colour_network: Path) -> Run:
    """The same with three photos of Anna, and two of people whose names say who they are."""
    anna = write_folder({f"{n}.jpg": jpeg(n) for n in range(3)}, tmp_path / "anna")
    hall = write_folder(
        {f"000{n}_c{n}s1_000001_00.jpg": jpeg(10 + n) for n in (1, 2)}, tmp_path / "hall"
    )
    run("add", anna, "--person", "Anna", "--camera", 3, "--model", colour_network)
    run("add", hall)
    return run


def test_photos_of_a_folder_begin_an_index(run: Run, tmp_path: Path, colour_network: Path) -> None:
    folder = write_folder({f"{n}.jpg": jpeg(n) for n in range(3)}, tmp_path / "anna")
    arguments = ("add", folder, "--person", "Anna", "--model", colour_network)
    assert run(*arguments).output == "photos added: 3\n"
    assert run(*arguments).output == "photos added: 0, there already: 3\n"


def test_info_shows_models_people_and_cameras(filled: Run) -> None:
    output = filled("info").output
    assert "5 photos, 3 named people" in output
    assert "current model: " in output
    assert "│ Anna   │      3 │ 3       │" in output
    assert "│ hall 1 │      1 │ 1       │" in output


def test_long_list_of_people_says_how_many_more_there_are(
    run: Run, tmp_path: Path, colour_network: Path
) -> None:
    names = {f"{n:04}_c1s1_000001_00.jpg": jpeg(n) for n in range(1, LONG_LIST + 4)}
    run("add", write_folder(names, tmp_path / "hall"), "--model", colour_network)
    assert "3 more: --all lists everybody" in run("info").output
    everybody = run("info", "--all").output
    assert "hall 13" in everybody
    assert "more" not in everybody


def test_person_is_forgotten_after_a_yes(filled: Run) -> None:
    refused = filled("forget", "Anna", answer="n\n")
    assert refused.exit_code != 0
    assert "Delete Anna and 3 photos for ever?" in refused.output
    assert "Anna" in filled("info").output
    assert "photos deleted: 3" in filled("forget", "Anna", answer="y\n").output
    assert "Anna" not in filled("info").output


def test_forgetting_somebody_unknown_is_an_error(filled: Run) -> None:
    with pytest.raises(UserError, match="nobody called Berta"):
        filled("forget", "Berta", "--yes")


def test_old_photos_expire(filled: Run, tmp_path: Path) -> None:
    folder = write_folder({"old.jpg": jpeg(50)}, tmp_path / "old")
    filled("add", folder, "--person", "Anna", "--time", "2020-02-01")
    assert "photos deleted: 0" in filled("expire", "--older-than", "9999d", "--yes").output
    assert "photos deleted: 1" in filled("expire", "--older-than", "30d", "--yes").output
    assert "5 photos, 3 named people" in filled("info").output


@pytest.mark.parametrize("age", ["", "d", "-3d", "30 days", "1.5d", "²d", "9" * 400])
def test_age_that_is_no_number_of_days_is_refused(run: Run, age: str) -> None:
    with pytest.raises(UserError, match="give a number of days, such as 30d"):
        run("expire", f"--older-than={age}", "--yes")


def test_index_is_built_from_the_gallery_of_the_pipeline(
    run: Run, tmp_path: Path, colour_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reid.preparation.ingest import ingest  # noqa: PLC0415
    from reid.sources.source import open_source  # noqa: PLC0415

    with open_source(write_folder(layout(), tmp_path / "data")) as source:
        ingest(source, tmp_path / "dataset", "bounding_box_test")
    monkeypatch.setattr("reid.data.paths.DATASET", tmp_path / "dataset")
    assert run("build", colour_network).output == "photos added: 9\n"
    assert run("build", colour_network).output == "photos added: 0, there already: 9\n"


def test_index_is_not_built_again_with_another_model(filled: Run, other_network: Path) -> None:
    with pytest.raises(UserError, match=r"is another model.*index rebuild"):
        filled("build", other_network)


def test_rebuilt_index_answers_with_the_other_model(filled: Run, other_network: Path) -> None:
    assert filled("rebuild", other_network).output == f"{other_network} answers now\n"
    assert f"current model: {other_network}" in filled("info").output
    assert "to compare" not in filled("info").output


def test_second_model_can_be_compared(filled: Run, other_network: Path) -> None:
    filled("compare", other_network)
    assert f"to compare: {other_network}" in filled("info").output


def test_empty_index_says_how_to_fill_it(run: Run, colour_network: Path) -> None:
    assert "0 photos, 0 named people" in run("info").output
    with pytest.raises(UserError, match=r"the index is empty.*index build"):
        run("rebuild", colour_network)


def test_judgements_are_written_with_both_photos(filled: Run, tmp_path: Path) -> None:
    tool = open_tool()
    (found, *_) = tool.index.sightings(["Anna"])
    assert tool.judge(jpeg(0), found.id, 0.75, right=True)
    assert tool.judge(jpeg(1), found.id, 0.25, right=False)
    file = tmp_path / "judgements.parquet"
    assert filled("judgements", file).output == f"judgements written to {file}: 2\n"
    rows = pq.read_table(file).to_pylist()
    assert [(r["person"], r["similarity"], r["right"]) for r in rows] == [
        ("Anna", 0.75, True),
        ("Anna", 0.25, False),
    ]
    assert (decode(rows[1]["query"], 128, 64) == decode(jpeg(1), 128, 64)).all()
    assert (decode(rows[1]["photo"], 128, 64) == decode(jpeg(0), 128, 64)).all()


def test_judgement_of_a_photo_that_is_gone_is_not_kept(filled: Run) -> None:
    assert not open_tool().judge(jpeg(0), 999, 0.5, right=True)


def test_champion_of_a_project_that_never_ran_is_an_error(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    folder = write_folder({"1.jpg": jpeg(1)}, tmp_path / "anna")
    with pytest.raises(UserError, match="no result was tracked yet"):
        run("add", folder, "--person", "Anna")
