import csv
import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reid.checks.data_docs import write_data_docs
from reid.checks.expectations import Limits, check
from reid.checks.facts import image_facts, subset_facts
from reid.checks.report import Offender, Outcome, Report, Severity
from reid.common.files import write_json
from reid.data.market import SUBSETS, ImageName, parse_name

VALID = (
    "train/0001_c1s1_000001_01.jpg",
    "train/0001_c2s1_000002_01.jpg",
    "train/0002_c1s1_000003_01.jpg",
    "train/0002_c2s1_000004_01.jpg",
    "query/0003_c1s1_000005_00.jpg",
    "query/0004_c2s1_000006_00.jpg",
    "gallery/-1_c1s1_000007_01.jpg",
    "gallery/0000_c1s1_000008_01.jpg",
    "gallery/0003_c2s1_000009_01.jpg",
    "gallery/0004_c1s1_000010_01.jpg",
)
LIMITS = Limits(
    dataset="mine",
    gallery_folder="bounding_box_test",
    cameras=6,
    min_width=16,
    min_height=32,
    usual_size=(64, 128),
    people_per_batch=2,
    batch_size=4,
    few_images=2,
)


def index_of(
    files: Iterable[str],
    sizes: Mapping[str, tuple[int, int]] | None = None,
    same_bytes: Iterable[tuple[str, str]] = (),
) -> pd.DataFrame:
    """Make an index of ``subset/name``, sorted as ``ingest`` does, with pairs of the same bytes."""
    rows = []
    for file in sorted(files, key=lambda f: (SUBSETS.index(f.split("/")[0]), f)):
        subset, name = file.split("/")
        width, height = (sizes or {}).get(file, (64, 128))
        keys = ("pid", "camid", "sequence", "frame", "box")
        parsed = parse_name(name) or (None,) * len(keys)
        row = {"subset": subset, "name": name, **dict(zip(keys, parsed, strict=True))}
        rows.append({**row, "width": width, "height": height, "sha256": file})
    index = pd.DataFrame(rows).assign(transparent=False, flat_bottom=0.0)
    numbers = ["pid", "camid", "sequence", "frame", "box", "width", "height"]
    index[numbers] = index[numbers].astype("Int32")
    return index.replace({"sha256": {a: b for b, a in same_bytes}})


def failures(report: Report) -> dict[str, Outcome]:
    return {outcome.name: outcome for outcome in report.outcomes if not outcome.success}


def test_valid_index_meets_every_expectation() -> None:
    report = check(index_of(VALID), LIMITS)
    assert report.ok
    assert failures(report) == {}
    assert {o.severity for o in report.outcomes} == set(Severity)


def case(
    expectation: str,
    severity: str,
    rows: list[str],
    add: tuple[str, ...] = (),
    remove: tuple[str, ...] = (),
    limits: Mapping[str, Any] | None = None,
    **index: Any,
) -> Any:
    files = [file for file in (*VALID, *add) if file not in remove]
    judged = replace(LIMITS, **(limits or {}))
    title = f"{expectation}-{rows[0]}"
    return pytest.param(index_of(files, **index), judged, expectation, severity, rows, id=title)


@pytest.mark.parametrize(
    ("index", "limits", "expectation", "severity", "rows"),
    [
        case(
            "name_follows_pattern",
            "fatal",
            ["train/0001_c1_000011_01.jpg", "gallery/IMG_1.jpg"],
            add=("train/0001_c1_000011_01.jpg", "gallery/IMG_1.jpg"),
        ),
        case(
            "no_strangers_in_train_or_query",
            "fatal",
            ["train/-1_c1s1_000011_01.jpg", "query/0000_c1s1_000012_00.jpg"],
            add=("train/-1_c1s1_000011_01.jpg", "query/0000_c1s1_000012_00.jpg"),
        ),
        case(
            "camera_in_range",
            "fatal",
            ["gallery/-1_c0s1_000012_01.jpg", "gallery/0003_c7s1_000011_01.jpg"],
            add=("gallery/0003_c7s1_000011_01.jpg", "gallery/-1_c0s1_000012_01.jpg"),
        ),
        case(
            "camera_in_range",
            "fatal",
            ["gallery/0003_c4s1_000011_01.jpg"],
            add=("gallery/0003_c3s1_000011_01.jpg", "gallery/0003_c4s1_000011_01.jpg"),
            limits={"cameras": 3},
        ),
        case(
            "bytes_under_one_id", "fatal", [VALID[0], VALID[9]], same_bytes=[(VALID[0], VALID[9])]
        ),
        case(
            "train_and_test_people_disjoint",
            "fatal",
            list(VALID[2:4]),
            add=("gallery/0002_c3s1_000011_01.jpg",),
        ),
        case(
            "train_and_test_people_disjoint",
            "fatal",
            list(VALID[0:2]),
            add=("query/0001_c1s1_000011_00.jpg", "gallery/0001_c2s1_000012_01.jpg"),
            limits={"gallery_folder": "gt_bbox"},
        ),
        case(
            "one_query_per_person_and_camera",
            "fatal",
            [VALID[4], "query/0003_c1s2_000011_00.jpg"],
            add=("query/0003_c1s2_000011_00.jpg",),
        ),
        case(
            "query_has_match_under_another_camera",
            "fatal",
            [VALID[4]],
            remove=(VALID[8],),
            add=("gallery/0003_c1s1_000011_01.jpg",),  # the same camera is no match
        ),
        case("subset_present", "fatal", ["train"], remove=VALID[:4]),
        case("subset_present", "fatal", ["query"], remove=VALID[4:6]),
        case(
            "enough_people_for_a_batch",
            "fatal",
            ["train"],
            add=("train/0005_c1s1_000011_01.jpg",),  # a single image makes no pair
            limits={"people_per_batch": 3, "few_images": 1},
        ),
        case("enough_images_for_a_batch", "fatal", ["train"], limits={"batch_size": 5}),
        case("usual_size", "warning", [VALID[6]], sizes={VALID[6]: (64, 127)}),
        case("bytes_once_under_an_id", "warning", list(VALID[:2]), same_bytes=[VALID[:2]]),
        case(
            "enough_images_of_a_person",
            "warning",
            ["train/0005_c1s1_000011_01.jpg"],
            add=("train/0005_c1s1_000011_01.jpg",),
        ),
    ],
)
def test_each_fault_fails_only_its_expectation(
    index: pd.DataFrame, limits: Limits, expectation: str, severity: str, rows: list[str]
) -> None:
    report = check(index, limits)
    assert list(failures(report)) == [expectation]
    outcome = failures(report)[expectation]
    assert outcome.severity == severity
    assert [offender.row for offender in outcome.offenders] == rows
    assert report.ok == (severity == "warning")


@pytest.mark.parametrize(
    ("size", "expectation"), [((15, 128), "wide_enough"), ((64, 31), "high_enough")]
)
def test_image_that_is_too_small_is_fatal_and_of_unusual_size(
    size: tuple[int, int], expectation: str
) -> None:
    index = index_of(VALID, sizes={VALID[4]: size, VALID[5]: (16, 32)})
    failed = failures(check(index, LIMITS))
    assert list(failed) == [expectation, "usual_size"]
    assert [offender.row for offender in failed[expectation].offenders] == [VALID[4]]
    assert failed[expectation].severity == "fatal"


def test_hand_drawn_boxes_of_train_people_may_be_in_the_gallery() -> None:
    files = (*VALID, "gallery/0001_c1s1_000011_01.jpg")
    limits = replace(LIMITS, gallery_folder="gt_bbox")
    assert failures(check(index_of(files), limits)) == {}


def test_empty_index_is_reported_as_three_missing_subsets() -> None:
    report = check(index_of(VALID).iloc[:0], LIMITS)
    assert list(failures(report)) == ["subset_present"]
    (outcome,) = failures(report).values()
    assert outcome.offenders == tuple(Offender(subset, "images 0") for subset in SUBSETS)


def market1501_like(gallery_folder: str) -> list[str]:
    """Make valid file names, as many as the official data set has."""

    def of(subset: str, count: int, first_pid: int, people: int) -> list[str]:
        return [
            f"{subset}/{first_pid + i % people:04}_c{1 + i // people % 6}s1_{i:06}_01.jpg"
            for i in range(count)
        ]

    galleries = {
        "bounding_box_test": [
            *of("gallery", 13_115, 752, 750),
            *of("gallery", 2_798, 0, 1),
            *(f"gallery/-1_c1s1_{i:06}_01.jpg" for i in range(3_819)),
        ],
        "gt_bbox": of("gallery", 25_259, 1, 1_501),
    }
    train, query = of("train", 12_936, 1, 751), of("query", 3_368, 752, 750)
    return [*train, *query, *galleries[gallery_folder]]


@pytest.mark.parametrize(
    ("gallery_folder", "one_less"),
    [
        (
            "bounding_box_test",
            {
                "official_images": "gallery: images 19731, official_images 19732",
                "official_junk": "gallery: junk 3818, official_junk 3819",
            },
        ),
        ("gt_bbox", {"official_images": "gallery: images 25258, official_images 25259"}),
    ],
)
def test_official_counts_are_expected_of_the_official_name(
    gallery_folder: str, one_less: dict[str, str]
) -> None:
    index = index_of(market1501_like(gallery_folder))
    limits = replace(LIMITS, gallery_folder=gallery_folder, dataset="market-1501-v15.09.15")
    assert failures(check(index, limits)) == {}
    first_in_gallery = index.index[index["subset"] == "gallery"][0]
    failed = failures(check(index.drop(first_in_gallery), limits))
    assert {name: str(*outcome.offenders) for name, outcome in failed.items()} == one_less


def test_expectation_that_cannot_be_checked_raises() -> None:
    index = index_of(VALID).assign(width="wide")
    with pytest.raises(RuntimeError, match="wide_enough can't be judged"):
        check(index, LIMITS)


@pytest.fixture(scope="module")
def random_index() -> pd.DataFrame:
    """Few people, cameras and bytes, so that many clash; some names don't match the pattern."""
    rng = np.random.default_rng(0)
    files = {
        f"{rng.choice(SUBSETS)}/{rng.choice(['-1', '0000', '0001', '0002', '0003', 'x'])}"
        f"_c{rng.integers(1, 4)}s1_{i:06}_01.jpg"
        for i in range(120)
    }
    index = index_of(files)
    return index.assign(sha256=rng.integers(0, 60, len(index)).astype(str))


def test_image_facts_agree_with_plain_loops(random_index: pd.DataFrame) -> None:
    facts = image_facts(random_index, ("query", "gallery"))
    columns = (random_index[column] for column in ("subset", "name", "sha256"))
    images = [
        (subset, parse_name(name), sha256) for subset, name, sha256 in zip(*columns, strict=True)
    ]
    known = [(subset, name, sha256) for subset, name, sha256 in images if name]

    def expected(subset: str, name: ImageName | None, sha256: str) -> dict[str, int | None]:
        same_bytes = [n.pid for _, n, other in known if other == sha256]
        wanted = dict.fromkeys(facts.columns[facts.columns.get_loc("pid_outside_gallery") :])
        wanted["pids_of_these_bytes"] = len(set(same_bytes))
        if name:
            wanted["copies_under_this_pid"] = same_bytes.count(name.pid)
        if name and subset != "gallery":
            wanted["pid_outside_gallery"] = name.pid
        if name and name.pid > 0 and subset != "gallery":
            alike = [(s, n.camid == name.camid) for s, n, _ in known if n.pid == name.pid]
            in_train = sum(s == "train" for s, _ in alike)
            if subset == "train":
                wanted["train_images_of_this_person"] = in_train
                wanted["images_of_train_person_in_test"] = len(alike) - in_train
            else:
                wanted["queries_of_this_person_and_camera"] = alike.count(("query", True))
                wanted["matches_under_another_camera"] = alike.count(("gallery", False))
        return wanted

    for position, image in enumerate(images):
        wanted = expected(*image)
        found = facts.loc[position, list(wanted)]
        assert {k: None if pd.isna(v) else v for k, v in found.items()} == wanted


def test_subset_facts_agree_with_plain_loops(random_index: pd.DataFrame) -> None:
    facts = subset_facts(random_index).set_index("subset")
    for subset in SUBSETS:
        names = random_index.loc[random_index["subset"] == subset, "name"]
        pids = [parsed.pid for parsed in map(parse_name, names) if parsed]
        people = {pid for pid in pids if pid > 0}
        pairs = [pid for pid in people if pids.count(pid) > 1]
        is_train, is_query = subset == "train", subset == "query"
        found = facts.loc[subset].items()
        assert {k: None if pd.isna(v) else v for k, v in found} == {
            "images": len(names),
            "people": len(people),
            "distractors": pids.count(0),
            "junk": pids.count(-1),
            "images_to_train_on": len(names) if is_train else None,
            "people_with_a_pair": len(pairs) if is_train else None,
            "people_asked_for": len(people) if is_query else None,
            "other_formats": None,
        }


def test_unusual_photos_are_warnings() -> None:
    index = index_of(VALID)
    index.loc[1, "transparent"] = True
    index.loc[[2, 5], "flat_bottom"] = [0.5, 0.05]
    index.loc[3, "flat_bottom"] = 0.04
    unread = {"query": {".bmp": 1200, ".webp": 3}, "train": {}, "gallery": {}}
    report = check(index, replace(LIMITS, other_formats=unread))
    assert report.ok
    assert {name: list(map(str, o.offenders)) for name, o in failures(report).items()} == {
        "opaque": [f"{VALID[1]}: transparent True"],
        "whole_to_the_bottom": [f"{VALID[2]}: flat_bottom 0.5", f"{VALID[5]}: flat_bottom 0.05"],
        "only_jpeg_and_png": ["query: other_formats 1,200 .bmp, 3 .webp"],
    }


FAULTY = (
    *VALID,
    "train/<b>$x.jpg",
    *(f"query/0003_c1s1_{i:06}_00.jpg" for i in range(100, 112)),
    "train/0005_c1s1_000011_01.jpg",
)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    """A report with fatal failures and a warning, and the folder of its Data Docs."""
    folder = tmp_path_factory.mktemp("faulty") / "data_docs"
    return check(index_of(FAULTY), LIMITS, folder), folder


def test_terminal_text_lists_fatal_failures_first(faulty: tuple[Report, Path]) -> None:
    report, _ = faulty
    text = report.to_text()
    headings = re.findall(r"^[A-Z]+(?=: )", text, re.MULTILINE)
    assert headings == ["FATAL", "FATAL", "WARNING"]
    assert "Every person has at most one query under each camera\n  Fails for 13 images" in text
    assert "query/0003_c1s1_000104_00.jpg" not in text
    assert "and 8 more" in text
    assert all(outcome.hint in text for outcome in failures(report).values())


def test_report_of_the_same_data_has_the_same_bytes(
    faulty: tuple[Report, Path], tmp_path: Path
) -> None:
    report, _ = faulty
    write_json(tmp_path / "first.json", report.to_dict())
    write_json(tmp_path / "second.json", check(index_of(FAULTY), LIMITS).to_dict())
    first = (tmp_path / "first.json").read_bytes()
    assert first == (tmp_path / "second.json").read_bytes()
    assert b'"ok": false' in first


def references(page: str) -> list[str]:
    """Return what a page makes a browser load or lets a reader follow."""
    return re.findall(r"""(?:href|src|action|data)\s*=\s*["']?([^"'\s>]+)""", page)


def readable_offline(folder: Path) -> str:
    """Return the page of Data Docs that need neither network nor scripts."""
    assert sorted(path.name for path in folder.iterdir()) == ["failing_rows.csv", "index.html"]
    page = (folder / "index.html").read_text(encoding="utf-8")
    for loading in ("//", "@import", "url(", "<script"):
        assert loading not in page
    for reference in references(page):
        assert reference.startswith("data:") or (folder / reference).is_file()
    return page


def test_data_docs_name_the_first_ten_rows_that_fail(faulty: tuple[Report, Path]) -> None:
    report, folder = faulty
    page = html.unescape(readable_offline(folder))
    assert "The data set can't be used" in page
    for outcome in failures(report).values():
        assert outcome.description in page
        assert outcome.hint in page
    assert "query/0003_c1s1_000108_00.jpg" in page
    assert "query/0003_c1s1_000109_00.jpg" not in page
    assert "and 3 more" in page


def test_data_docs_hold_a_table_of_all_rows_that_fail(faulty: tuple[Report, Path]) -> None:
    report, folder = faulty
    with (folder / "failing_rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["expectation"], row["row"]) for row in rows] == [
        (outcome.name, offender.row)
        for outcome in report.outcomes
        for offender in outcome.offenders
    ]
    assert {"row": "query/0003_c1s1_000111_00.jpg", "severity": "fatal"}.items() <= rows[13].items()


def test_data_docs_show_a_file_name_as_text(faulty: tuple[Report, Path]) -> None:
    _, folder = faulty
    page = readable_offline(folder)
    assert "train/&lt;b&gt;$x.jpg" in page
    assert "<b>" not in page


def test_data_docs_of_a_success_replace_older_ones(tmp_path: Path) -> None:
    (tmp_path / "data_docs").mkdir()
    (tmp_path / "data_docs" / "old.html").touch()
    report = check(index_of(VALID), LIMITS, tmp_path / "data_docs")
    page = readable_offline(tmp_path / "data_docs")
    assert "The data set can be used" in page
    assert all(outcome.description in page for outcome in report.outcomes)


def test_data_docs_that_cannot_be_written_leave_the_old_ones(tmp_path: Path) -> None:
    (tmp_path / "old.html").touch()
    not_utf8 = Outcome("", "", "", Severity.FATAL, "images", False, (Offender("\udcff", ""),))
    with pytest.raises(UnicodeEncodeError):
        write_data_docs(tmp_path, "mine", Report((not_utf8,)))
    assert [path.name for path in tmp_path.iterdir()] == ["old.html"]


def test_data_docs_of_the_same_data_have_the_same_bytes(
    faulty: tuple[Report, Path], tmp_path: Path
) -> None:
    _, folder = faulty
    check(index_of(FAULTY), LIMITS, tmp_path / "again")
    first, second = (
        {path.name: path.read_bytes() for path in docs.iterdir()}
        for docs in (folder, tmp_path / "again")
    )
    assert first == second
