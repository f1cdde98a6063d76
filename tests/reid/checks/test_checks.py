import csv
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from reid.checks.data_docs import write_data_docs
from reid.checks.facts import image_facts, subset_facts
from reid.checks.judge import check
from reid.checks.limits import Limits
from reid.checks.official import holds_market1501
from reid.checks.report import Offender, Outcome, Report, Severity
from reid.common.files import write_json
from reid.data.market import SUBSETS, ImageName, parse_name
from reid.data.protocols import Protocol
from tests.support.places import MARKET_NAMES

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
    names="market1501",
    protocol="cross_camera",
    official_counts=True,
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
    also: Sequence[str] = (),
    **index: Any,
) -> Any:
    files = [file for file in (*VALID, *add) if file not in remove]
    judged = replace(LIMITS, **(limits or {}))
    title = f"{expectation}-{rows[0]}"
    failing = [expectation, *also]
    return pytest.param(index_of(files, **index), judged, failing, severity, rows, id=title)


@pytest.mark.parametrize(
    ("index", "limits", "failing", "severity", "rows"),
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
            ["gallery/0003_c7s1_000011_01.jpg"],
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
            "warning",
            [VALID[4], "query/0003_c1s2_000011_00.jpg"],
            add=("query/0003_c1s2_000011_00.jpg",),
        ),
        case(
            "query_has_match_under_another_camera",
            "warning",
            ["query/0005_c1s1_000011_00.jpg"],
            add=(
                "query/0005_c1s1_000011_00.jpg",
                "gallery/0005_c1s1_000012_01.jpg",  # the same camera is no match
            ),
        ),
        case(
            "enough_people_to_be_sure",
            "fatal",
            ["query"],
            remove=VALID[8:],  # no query has a right answer: it is said once, not for each
        ),
        case(
            "query_has_match",
            "warning",
            ["query/0005_c1s1_000011_00.jpg"],
            add=(
                "query/0005_c1s1_000011_00.jpg",
                "query/0003_c1s2_000011_00.jpg",  # a second query under this camera is as good
            ),
            limits={"protocol": "any_camera"},
        ),
        case(
            "query_not_in_gallery",
            "fatal",
            [VALID[4]],
            add=("gallery/0003_c1s1_000005_01.jpg",),
            same_bytes=[(VALID[4], "gallery/0003_c1s1_000005_01.jpg")],
            limits={"protocol": "any_camera"},
            also=["bytes_once_under_an_id"],
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
        case(
            "no_strangers_in_train_or_query",
            "fatal",
            ["query/0000_c1s1_000012_00.jpg"],
            add=("query/0000_c1s1_000012_00.jpg", "gallery/0000_c2s1_000013_00.jpg"),
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
    index: pd.DataFrame, limits: Limits, failing: list[str], severity: str, rows: list[str]
) -> None:
    report = check(index, limits)
    assert sorted(failures(report)) == sorted(failing)
    outcome = failures(report)[failing[0]]
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


def names_like_market1501(gallery_folder: str) -> list[str]:
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


@pytest.fixture(scope="module")
def market1501() -> pd.DataFrame:
    """An index with the official counts."""
    return index_of(names_like_market1501("bounding_box_test"))


def found(report: Report) -> dict[str, str]:
    """Return the rows that fail, by the names of the expectations."""
    return {name: listed(o.offenders) for name, o in failures(report).items()}


def listed(offenders: Iterable[Offender]) -> str:
    return "; ".join(map(str, offenders))


def test_hand_drawn_gallery_has_official_counts_too() -> None:
    index = index_of(names_like_market1501("gt_bbox"))
    limits = replace(LIMITS, gallery_folder="gt_bbox")
    assert found(check(index, limits)) == {}
    assert found(check(index[:-1], limits)) == {
        "official_images": "gallery: images 25258, official_images 25259"
    }


@pytest.mark.parametrize("dataset", ["market1501", "Market1501-master", "my photos"])
def test_market1501_less_some_images_is_fatal_under_any_name(
    market1501: pd.DataFrame, dataset: str
) -> None:
    junk = market1501.index[market1501["pid"] == -1]
    report = check(market1501.drop(junk[:300]), replace(LIMITS, dataset=dataset))
    assert found(report) == {
        "official_images": "gallery: images 19432, official_images 19732",
        "official_junk": "gallery: junk 3519, official_junk 3819",
    }
    assert not report.ok


def test_market1501_with_a_query_too_many_of_a_person_is_fatal(market1501: pd.DataFrame) -> None:
    changed = market1501.copy()
    first, second = changed.index[changed["subset"] == "query"][:2]
    changed.loc[first, ["pid", "camid"]] = changed.loc[second, ["pid", "camid"]]
    failed = failures(check(changed, LIMITS))
    assert failed["one_query_per_person_and_camera"].severity == "fatal"


def test_market1501_that_was_changed_on_purpose_can_be_used(market1501: pd.DataFrame) -> None:
    limits = replace(LIMITS, dataset="my photos", official_counts=False)
    junk = market1501.index[market1501["pid"] == -1]
    assert found(check(market1501.drop(junk[:300]), limits)) == {}


def test_part_of_market1501_is_a_warning_because_of_its_name() -> None:
    report = check(index_of(VALID), replace(LIMITS, dataset="Market-1501-tiny"))
    assert list(failures(report)) == ["official_images"]
    assert report.ok


@pytest.mark.skipif(not MARKET_NAMES.exists(), reason="the list of Market-1501's names is missing")
def test_official_names_are_recognised_and_parts_of_them_are_not() -> None:
    folders = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}
    paths = [line.split("/") for line in MARKET_NAMES.read_text().split()]
    index = index_of(f"{folders[folder]}/{name}" for folder, name in paths)
    shuffled = index.sample(frac=1, random_state=0)
    assert holds_market1501(index, "bounding_box_test")
    assert holds_market1501(shuffled[:-900], "bounding_box_test")
    assert not holds_market1501(shuffled[: len(index) // 2], "bounding_box_test")
    assert not holds_market1501(index[index["subset"] != "gallery"], "bounding_box_test")


@pytest.mark.parametrize(
    ("train", "query", "gallery", "people", "cameras"),
    [
        (7_365, 1_400, 5_332, 1_467, 2),  # CUHK03-NP
        (16_522, 2_228, 17_661, 7_140, 8),  # DukeMTMC-reID
        (13_000, 3_000, 20_000, 1_600, 6),  # nearly as many images, of more people
        (13_000, 3_000, 20_000, 1_501, 7),  # another camera
        (13_000, 3_000, 20_000, 1_200, 6),  # fewer people
    ],
)
def test_other_data_sets_are_not_market1501(
    train: int, query: int, gallery: int, people: int, cameras: int
) -> None:
    number = np.arange(train + query + gallery)
    index = pd.DataFrame({"pid": 1 + number % people, "camid": 1 + number % cameras})
    assert not holds_market1501(index.astype("Int32"), "bounding_box_test")


def advice(report: Report, name: str) -> str:
    return failures(report)[name].hint


@pytest.mark.parametrize(
    ("pattern", "form"),
    [
        ("{pid}_c{camid}_f0046985.jpg", "dukemtmc"),
        ("{pid}_c00{camid}_00016450_0.jpg", "veri776"),
        ("{pid}_000_0{camid}_0303morning_0008_0.jpg", "msmt17"),
        ("{pid}_c{camid}_1.png", "cuhk03np"),
    ],
)
def test_names_of_another_data_set_are_the_only_message(pattern: str, form: str) -> None:
    files = {
        f"{subset}/{pattern.format(pid=pid, camid=camid)}"
        for subset, pids in (("train", "0001 0002"), ("query", "0003"), ("gallery", "0003 0004"))
        for pid in pids.split()
        for camid in (1, 2)
    }
    report = check(index_of(files), LIMITS)
    assert list(failures(report)) == ["name_follows_pattern"]
    assert f"ingest.names: {form} " in advice(report, "name_follows_pattern")
    text = report.to_text()
    assert "4 to 6 digits (or -1) of the person" in text
    assert "0002_c1s1_000451_03.jpg" in text


def test_name_that_no_form_reads_is_advised_to_get_an_expression() -> None:
    report = check(index_of([*VALID, "gallery/IMG_1.jpg"]), LIMITS)
    assert "ingest.names" in advice(report, "name_follows_pattern")
    assert "regular expression" in advice(report, "name_follows_pattern")


def test_unread_names_hide_no_fault_of_other_photos() -> None:
    index = index_of([*VALID, "train/IMG_1.jpg", "gallery/0002_c3s1_000011_01.jpg"])
    assert list(failures(check(index, LIMITS))) == [
        "name_follows_pattern",
        "train_and_test_people_disjoint",
    ]


def with_one_camera(index: pd.DataFrame) -> pd.DataFrame:
    return index.assign(camid=index["camid"].mask(index["camid"].notna(), 1))


def test_one_camera_is_one_message_that_says_what_can_be_measured() -> None:
    index = with_one_camera(index_of(VALID))
    report = check(index, LIMITS)
    assert list(failures(report)) == ["enough_people_to_be_sure"]
    hint = advice(report, "enough_people_to_be_sure")
    assert "All photos carry camera 1." in hint
    assert "evaluate.protocol: any_camera" in hint
    assert failures(check(index, replace(LIMITS, protocol="any_camera"))) == {}


def test_person_0_in_a_query_is_advised_to_be_made_a_person() -> None:
    report = check(index_of([*VALID, "query/0000_c1s1_000012_00.jpg"]), LIMITS)
    assert "ingest.person_0: person" in advice(report, "no_strangers_in_train_or_query")


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


@pytest.mark.parametrize("protocol", get_args(Protocol))
def test_image_facts_agree_with_plain_loops(random_index: pd.DataFrame, protocol: Protocol) -> None:
    facts = image_facts(random_index, ("query", "gallery"), protocol)
    columns = (random_index[column] for column in ("subset", "name", "sha256"))
    images = [
        (subset, parse_name(name), sha256) for subset, name, sha256 in zip(*columns, strict=True)
    ]
    known = [(subset, name, sha256) for subset, name, sha256 in images if name]

    def expected(subset: str, name: ImageName | None, sha256: str) -> dict[str, int | None]:
        same_bytes = [n.pid for _, n, other in known if other == sha256]
        wanted = dict.fromkeys(facts.columns[facts.columns.get_loc("pid_outside_gallery") :])
        wanted["pids_of_these_bytes"] = len(set(same_bytes))
        if subset == "query":
            wanted["copies_in_gallery"] = [
                (s, other) for s, _, other in images if s == "gallery"
            ].count(("gallery", sha256))
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
                right = [(s, same) for s, same in alike if not same or protocol == "any_camera"]
                wanted["right_answers"] = [s for s, _ in right].count("gallery")
        return wanted

    for position, image in enumerate(images):
        wanted = expected(*image)
        found = facts.loc[position, list(wanted)]
        assert {k: None if pd.isna(v) else v for k, v in found.items()} == wanted


@pytest.mark.parametrize("protocol", get_args(Protocol))
def test_subset_facts_agree_with_plain_loops(
    random_index: pd.DataFrame, protocol: Protocol
) -> None:
    facts = subset_facts(random_index, protocol).set_index("subset")
    tests = {
        subset: {
            (parsed.pid, parsed.camid)
            for name in random_index.loc[random_index["subset"] == subset, "name"]
            if (parsed := parse_name(name)) and parsed.pid > 0
        }
        for subset in ("query", "gallery")
    }
    answered = {
        pid
        for pid, camid in tests["query"]
        for other, elsewhere in tests["gallery"]
        if pid == other and (camid != elsewhere or protocol == "any_camera")
    }
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
            "people_with_an_answer": len(answered) if is_query else None,
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
    "gallery/<b>$x.jpg",
    *(f"query/0000_c1s1_{i:06}_00.jpg" for i in range(100, 113)),
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
    assert "nor distractors (id 0000)\n  Fails for 13 images" in text
    assert "query/0000_c1s1_000105_00.jpg" not in text
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
    assert "query/0000_c1s1_000109_00.jpg" in page
    assert "query/0000_c1s1_000110_00.jpg" not in page
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
    assert {"row": "query/0000_c1s1_000112_00.jpg", "severity": "fatal"}.items() <= rows[13].items()


def test_data_docs_show_a_file_name_as_text(faulty: tuple[Report, Path]) -> None:
    _, folder = faulty
    page = readable_offline(folder)
    assert "gallery/&lt;b&gt;$x.jpg" in page
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
