"""How file names give people and cameras."""

import pytest

from reid.common.errors import UserError
from reid.data.market import (
    FORMS,
    PERSON_ZERO_PID,
    ImageName,
    form_of,
    forms_that_read,
    person_number,
)


@pytest.mark.parametrize(
    ("form", "name", "parts"),
    [
        ("market1501", "0002_c1s1_000451_03.jpg", (2, 1, 1, 451, 3)),
        ("market1501", "-1_c6s3_096617_04.jpg", (-1, 6, 3, 96617, 4)),
        ("market1501", "1488_c1s6_023021_02.jpg.jpg", (1488, 1, 6, 23021, 2)),
        ("market1501", "40001_C12S1_000451_03.PNG", (40001, 12, 1, 451, 3)),
        ("dukemtmc", "0005_c2_f0046985.jpg", (5, 2, None, 46985, None)),
        ("veri776", "0001_c001_00016450_0.jpg", (1, 1, None, 16450, 0)),
        ("msmt17", "0007_000_01_0303morning_0008_0.jpg", (7, 1, None, 8, 0)),
        ("msmt17", "1040_054_15_0114afternoon_1234_2_ex.jpg", (1040, 15, None, 1234, 2)),
        ("cuhk03np", "0001_c1_1.png", (1, 1, None, None, 1)),
    ],
)
def test_names_of_each_data_set_are_read_by_its_form_alone(
    form: str, name: str, parts: tuple[int, ...]
) -> None:
    assert FORMS[form].parse(name) == ImageName(*parts)
    assert forms_that_read([name]) == [form]


@pytest.mark.parametrize("form", FORMS)
def test_description_of_a_form_ends_with_a_name_of_this_form(form: str) -> None:
    example = FORMS[form].description.split(": ")[-1]
    assert forms_that_read([example]) == [form]


@pytest.mark.parametrize(
    "name", ["2_c1s1_000451_03.jpg", "0002_c1s1_451_03.jpg", "0002_s1_000451_03.jpg", "IMG_1.jpg"]
)
def test_names_of_no_form_are_not_read(name: str) -> None:
    assert forms_that_read([name]) == []


@pytest.mark.parametrize(
    ("expression", "name", "parts"),
    [
        (r"p(?P<pid>\d+)_.*", "p7_at noon.JPEG", (7, 1)),
        (r"cam(?P<camid>\d+)-(?P<pid>\d+)", "cam0-12.jpg", (12, 0)),
        (r"(?P<pid>\d+)_(?P<camid>\d+)(_(?P<box>\d+))?\.jpg", "3_4_5.jpg", (3, 4, None, None, 5)),
        (r"(?P<pid>\d+)_(?P<camid>\d+)(_(?P<box>\d+))?\.jpg", "3_4.jpg", (3, 4)),
        (r"(?P<pid>\w+?)_.*", "anna_1.jpg", None),
        (r"(?P<pid>.+)_c(?P<camid>\d)", "3_2_c1.jpg", None),
        (r"(?P<pid>.+)_c(?P<camid>\d)", " 32_c1.jpg", None),
        (r"(?P<pid>\d+)(_(?P<camid>\d+))?", "3.jpg", None),
        (r"(?P<pid>\d+)_(?P<frame>\d+)", "3_20260102030405.jpg", None),
        (r"(?P<pid>\d+)", "3_4.jpg", None),
    ],
)
def test_expression_reads_whole_names_with_or_without_their_ending(
    expression: str, name: str, parts: tuple[int, ...] | None
) -> None:
    assert form_of(expression).parse(name) == (ImageName(*parts) if parts else None)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (r"(?P<pid>\d+", "is no regular expression: missing"),
        (r"\d+_c\d", "has no group pid. Choose market1501, dukemtmc, "),
        ("market", "market has no group pid"),
        (r"(?P<pid>\d+)_(?P<camera>\d)", "unknown groups camera: use pid, camid"),
    ],
)
def test_expression_that_cannot_be_used_is_explained(expression: str, message: str) -> None:
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        form_of(expression)


def test_person_0_is_a_distractor_unless_people_count_from_0() -> None:
    name = "0000_c1s1_000451_03.jpg"
    assert form_of("market1501").parse(name) == (0, 1, 1, 451, 3)
    assert form_of("market1501").parse(name, "person") == (PERSON_ZERO_PID, 1, 1, 451, 3)
    msmt = form_of("msmt17").parse("0000_000_01_0303morning_0008_0.jpg")
    assert msmt is not None
    assert msmt.pid == PERSON_ZERO_PID
    assert [person_number(pid) for pid in (PERSON_ZERO_PID, 1, -1)] == [0, 1, -1]
    assert form_of(r"(?P<pid>\d+)").parse(f"{PERSON_ZERO_PID}.jpg") is None
