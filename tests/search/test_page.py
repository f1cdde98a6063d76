"""The page without a browser: statuses, escaping, keys, audit."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from search.records import LARGEST_ID, NewPhoto
from search.service import queue
from search.service.app import make_app
from search.service.audit import FILE
from search.service.context import COOKIE
from search.service.guard import MAX_BODY
from search.service.keys import Keys, parse_keys
from search.service.query import encoded
from search.sqlite_index import SqliteIndex
from search.tool import SearchTool
from tests.support.tiny_search import STRANGER, make_tiny_tool, person_photo, write_queries

HERE = "http://127.0.0.1:8000"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Origin": HERE}
SECRET, READING = "a-secret-of-20-letters", "one-that-only-reads; ü"
KEYS = parse_keys(f"anna:{SECRET},door:{READING}:read")


@pytest.fixture
def tool(tmp_path: Path, colour_network: Path) -> Iterator[SearchTool]:
    tool = make_tiny_tool(tmp_path / "index", colour_network)
    yield tool
    tool.index.close()


def browser(tool: SearchTool, keys: Keys | None = None, dataset: Path | None = None) -> TestClient:
    app = make_app(tool, keys or Keys([]), True, dataset or tool.folder / "none")
    return TestClient(app, base_url=HERE, headers=BROWSER)


@pytest.fixture(scope="module")
def client(tiny_tool: SearchTool) -> TestClient:
    """A browser at a service without keys, for tests that leave the index as it is."""
    return browser(tiny_tool)


@pytest.fixture
def own_client(tool: SearchTool) -> TestClient:
    """A browser at a service over the test's own tool."""
    return browser(tool)


def files(*contents: bytes, field: str = "photos") -> list[tuple[str, tuple[str, bytes]]]:
    return [(field, (f"{n}.jpg", content)) for n, content in enumerate(contents, 1)]


def without_files(client: TestClient, path: str, fields: dict[str, str]) -> Response:
    """Send a form as a browser does if no file is chosen."""
    parts = [f'name="{name}"\r\n\r\n{value}' for name, value in fields.items()]
    parts.append('name="photos"; filename=""\r\nContent-Type: application/octet-stream\r\n\r\n')
    body = "".join(f"--x\r\nContent-Disposition: form-data; {part}\r\n" for part in parts)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    return client.post(path, content=f"{body}--x--\r\n".encode(), headers=headers)


def page(answer: Response, status: int = 200) -> str:
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "text/html; charset=utf-8",
    )
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    return answer.text


def audit(tool: SearchTool) -> list[tuple[str, str, int]]:
    lines = [json.loads(line) for line in (tool.folder / FILE).read_text().splitlines()]
    return [(line["key"], line["action"], line["photos"]) for line in lines]


@pytest.mark.parametrize("path", ["/", "/person", "/person/person 3", "/enrol"])
def test_pages_are_there(client: TestClient, path: str) -> None:
    assert "personal data" in page(client.get(path))


@pytest.mark.parametrize("path", ["/person/Nobody", "/person/Nobody/forget", "/nowhere"])
def test_unknown_page_or_person_is_404(client: TestClient, path: str) -> None:
    assert "This did not work" in page(client.get(path), 404)


def test_programs_get_errors_as_json(client: TestClient) -> None:
    answer = client.get("/person/Nobody", headers={"Accept": "*/*"})
    assert (answer.status_code, answer.json()) == (
        404,
        {"detail": "The index has nobody of this name."},
    )
    assert client.post("/", data={"top": "x"}, headers={"Accept": "*/*"}).status_code == 422


def test_search_by_a_file_names_the_person(own_client: TestClient, tool: SearchTool) -> None:
    text = page(own_client.post("/", files=files(person_photo(3, 99))))
    assert "Probably person 3" in text
    assert "1 in 120 strangers looks this similar" in text
    assert audit(tool) == [("local", "search", 1)]


def test_part_of_the_page_is_the_same_rendering(client: TestClient) -> None:
    fields: dict[str, Any] = {"files": files(person_photo(3, 99)), "data": {"top": 4}}
    part = page(client.post("/answer", **fields))
    whole = page(client.post("/", **fields))
    assert "<form" not in part
    assert "".join(part.split()) in "".join(whole.split())


def test_photos_come_back_and_are_searched_for_again(
    own_client: TestClient, tool: SearchTool
) -> None:
    kept = [encoded(person_photo(3, 98)), encoded(person_photo(3, 99))]
    text = page(own_client.post("/", data={"kept": kept, "not_camera": [1, 2]}))
    assert "Probably person 3" in text
    assert all(f'name="kept" value="{photo}"' in text for photo in kept)
    text = page(own_client.post("/", data={"kept": kept, "remove": "0"}))
    assert kept[0] not in text
    assert kept[1] in text
    assert audit(tool) == [("local", "search", 2), ("local", "search", 1)]


def test_stranger_is_nobody(client: TestClient) -> None:
    text = page(client.post("/", files=files(person_photo(STRANGER, 1))))
    assert "Nobody in the gallery" in text
    assert "1 false alarm in 100" in text


def test_empty_fields_of_a_form_are_no_filter(client: TestClient) -> None:
    fields = {"person": "", "since": "", "until": "", "against": ""}
    text = page(client.post("/", data=fields, files=files(person_photo(3, 99))))
    assert "Probably person 3" in text


def test_filter_that_lets_nothing_pass_is_said(client: TestClient) -> None:
    sent = {"since": "2030-01-01T00:00"}
    text = page(client.post("/", data=sent, files=files(person_photo(3, 99))))
    assert "No photo passes the filters" in text
    assert 'value="2030-01-01T00:00"' in text


def test_file_that_is_no_photo_is_named_and_the_others_stay(client: TestClient) -> None:
    good = person_photo(3, 99)
    text = page(client.post("/", files=files(good, b"no image")), 400)
    assert "2.jpg can&#39;t be used: not an image in a known format" in text
    assert encoded(good) in text
    text = page(client.post("/", data={"kept": encoded(good)}, files=files(b"no image")), 400)
    assert encoded(good) in text


def test_search_without_a_photo_is_refused(client: TestClient) -> None:
    assert "Choose a photo" in page(without_files(client, "/", {"top": "5"}), 400)


@pytest.mark.parametrize("fields", [{"kept": "%%%"}, {"verdict": "right 1", "kept": "AAAA"}])
def test_damaged_field_is_refused(client: TestClient, fields: dict[str, str]) -> None:
    page(client.post("/", data=fields), 400)


@pytest.mark.parametrize("fields", [{"top": "x"}, {"since": "yesterday"}])
def test_field_that_can_not_be_understood_is_named(
    client: TestClient, fields: dict[str, str]
) -> None:
    assert next(iter(fields)) in page(client.post("/", data=fields), 422)


def test_too_many_photos_are_refused(client: TestClient) -> None:
    kept = [encoded(person_photo(3, 99))] * 20
    more = files(person_photo(3, 98), field="more")
    assert "at most 20" in page(client.post("/", data={"kept": kept}, files=more), 413)


def test_body_that_is_too_large_gets_a_page(client: TestClient) -> None:
    headers = {"content-length": str(MAX_BODY + 1), "content-type": "multipart/form-data"}
    assert "larger than" in page(client.post("/", content=b"", headers=headers), 413)


def test_form_of_another_site_is_refused(client: TestClient) -> None:
    answer = client.post("/person/person 3/forget", headers={"Origin": "https://evil.example"})
    assert "other web sites" in page(answer, 403)


def test_busy_service_says_when_to_try_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "LONGEST", 0)
    answer = client.post("/", data={"kept": encoded(person_photo(3, 99))})
    assert "busy" in page(answer, 503)
    assert answer.headers["retry-after"] == "1"
    answer = client.post("/enrol", data={"name": "Anna"}, files=files(person_photo(50, 1)))
    assert "busy" in page(answer, 503)


def test_empty_index_says_what_to_do(tmp_path: Path) -> None:
    tool = SearchTool(SqliteIndex(tmp_path / "empty"), tmp_path / "empty")
    client = browser(tool)
    assert "index build" in page(client.get("/"))
    assert "index build" in page(client.post("/", files=files(person_photo(3, 99))), 400)
    assert "Nobody is here yet" in page(client.get("/person"))


def test_index_without_photos_says_what_to_do(empty_tool: SearchTool) -> None:
    assert "holds no photo yet" in page(browser(empty_tool).get("/"))


def test_names_are_never_markup(own_client: TestClient, tool: SearchTool) -> None:
    evil = "<b>'x\"&amp;<script>"
    photo = NewPhoto(person_photo(60, 1), "6" * 64, "<i>.jpg", evil, 1)
    network = tool.networks.load(tool.index.current_model().sha256)
    tool.index.add([photo], {network.model.sha256: network.embed([photo.content])})
    link = "/person/%3Cb%3E%27x%22%26amp%3B%3Cscript%3E"
    texts = [
        page(own_client.get("/")),
        page(own_client.get("/person")),
        page(own_client.get("/person", params={"q": evil})),
        page(own_client.get(link)),
        page(own_client.get(f"{link}/forget")),
        page(own_client.get("/enrol", params={"name": evil})),
        page(own_client.post("/", files=files(person_photo(60, 2)), data={"person": evil})),
    ]
    for text in texts:
        assert "&lt;b&gt;&#39;x" in text
        assert "<b>" not in text
        assert "<script>" not in text
    assert all(f'href="{link}' in texts[number] for number in (1, 3, 6))
    assert own_client.post(f"{link}/forget").status_code == 200
    assert own_client.get(link).status_code == 404


def test_file_name_is_never_markup(client: TestClient) -> None:
    answer = client.post("/", files=[("photos", ("<b>.jpg", b"no image"))])
    assert "&lt;b&gt;.jpg can" in page(answer, 400)


def test_enrolment_and_forgetting_write_their_lines_of_audit(
    own_client: TestClient, tool: SearchTool
) -> None:
    sent = {"name": " Anna ", "camera": "7", "time": "2026-05-01T12:00"}
    photos = files(person_photo(50, 1), person_photo(50, 2))
    text = page(own_client.post("/enrol", data=sent, files=photos), 201)
    assert "2 photos added" in text
    (first, _) = tool.index.sightings(["Anna"])
    assert (first.camera, first.time) == (7, 1_777_636_800.0)
    again = page(own_client.post("/enrol", data={"name": "Anna"}, files=photos), 201)
    assert "2 photos were there already" in again
    assert "2 photos" in page(own_client.get("/person/Anna/forget"))
    assert "Forgotten: 2 photos" in page(own_client.post("/person/Anna/forget"))
    assert tool.index.sightings(["Anna"]) == []
    assert audit(tool) == [
        ("local", "enrol", 2),
        ("local", "enrol", 0),
        ("local", "forget", 2),
    ]


@pytest.mark.parametrize(
    ("name", "photo", "message"),
    [
        ("a/b", person_photo(50, 1), "can&#39;t be a person&#39;s name"),
        ("", person_photo(50, 1), "can&#39;t be a person&#39;s name"),
        ("Anna", b"no image", "not an image"),
        ("Anna", b"", "at least one photo"),
    ],
)
def test_enrolment_that_can_not_be_done_keeps_the_fields(
    client: TestClient, name: str, photo: bytes, message: str
) -> None:
    sent = {"name": name, "camera": "7"}
    answer = (
        client.post("/enrol", data=sent, files=files(photo))
        if photo
        else without_files(client, "/enrol", sent)
    )
    text = page(answer, 400)
    assert message in text
    assert f'name="name" value="{name}"' in text
    assert 'value="7"' in text


def test_people_are_filtered_by_name_in_natural_order(client: TestClient) -> None:
    text = page(client.get("/person"))
    assert text.index(">person 2<") < text.index(">person 10<")
    text = page(client.get("/person", params={"q": "PERSON 2"}))
    assert "11 people" in text
    assert ">person 3<" not in text
    assert "No name contains" in page(client.get("/person", params={"q": "zzz"}))


def test_sightings_are_sorted_by_time_or_as_they_were_added(
    own_client: TestClient, tool: SearchTool
) -> None:
    tool.enrol("person 3", [("late", person_photo(3, 50))], camera=9, taken=1.0)
    by_time = page(own_client.get("/person/person 3"))
    assert by_time.index("Camera 9") < by_time.index("Camera 1")
    assert "2026-01-01 03:01:00 UTC" in by_time
    as_added = page(own_client.get("/person/person 3?order=added"))
    assert as_added.index("Camera 1") < as_added.index("Camera 9")


def test_data_set_offers_queries(tool: SearchTool, tmp_path: Path) -> None:
    client = browser(tool, dataset=write_queries(tmp_path / "dataset"))
    assert 'alt="person 2, camera 9"' in page(client.get("/"))
    assert client.get("/samples/1").content == person_photo(2, 99)
    assert client.get("/samples/7").status_code == 404
    assert "Probably person 2" in page(client.post("/", data={"pick": "1"}))
    assert page(client.post("/", data={"pick": "7"}), 404)


def test_no_data_set_no_queries(client: TestClient) -> None:
    assert "query of the data set" not in page(client.get("/"))


def test_judgement_is_kept_with_the_model_that_answered(
    own_client: TestClient, tool: SearchTool
) -> None:
    model = tool.index.current_model().sha256
    (sighting, *_) = tool.index.sightings(["person 3"])
    fields = {
        "kept": encoded(person_photo(3, 99)),
        "verdict": f"right {sighting.id} 0.990000 {model}",
    }
    text = page(own_client.post("/", data=fields))
    assert "Your judgement was kept." in text
    (judgement,) = tool.index.judgements()
    assert (judgement.photo, judgement.right, judgement.model) == (sighting.id, True, model)
    assert ("local", "judge", 1) in audit(tool)
    for missing in (99999, LARGEST_ID):
        fields["verdict"] = f"right {missing} 0.990000 {model}"
        assert "no such photo" in page(own_client.post("/", data=fields), 404)
    fields["verdict"] = f"right {LARGEST_ID + 1} 0.990000 {model}"
    assert "read. Search again" in page(own_client.post("/", data=fields), 400)


class TestKeys:
    @pytest.fixture
    def locked(self, tool: SearchTool) -> TestClient:
        """A browser at a service with keys."""
        return browser(tool, KEYS)

    def login(self, client: TestClient, secret: str) -> Response:
        return client.post("/login", data={"key": secret})

    @pytest.mark.parametrize("path", ["/", "/person", "/person/person 3", "/photos/1", "/enrol"])
    def test_browser_without_a_key_is_led_to_the_login(self, locked: TestClient, path: str) -> None:
        answer = locked.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert answer.text == ""

    def test_wrong_key_is_refused(self, locked: TestClient) -> None:
        assert "not a valid key" in page(self.login(locked, "wrong"), 401)
        assert COOKIE not in locked.cookies

    def test_key_is_kept_in_a_cookie_that_scripts_and_other_sites_can_not_use(
        self, locked: TestClient
    ) -> None:
        answer = locked.post("/login", data={"key": SECRET}, follow_redirects=False)
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "secure" not in cookie.replace(SECRET, "")
        safe = TestClient(locked.app, base_url="https://127.0.0.1", headers={"Accept": "text/html"})
        answer = safe.post("/login", data={"key": SECRET}, follow_redirects=False)
        assert "secure" in answer.headers["set-cookie"].lower().replace(SECRET, "")

    def test_logout_ends_it(self, locked: TestClient) -> None:
        assert "Sign out" in page(self.login(locked, SECRET))
        assert "Sign in" in page(locked.post("/logout"))
        assert "Sign in" in page(locked.get("/"))

    def test_read_only_key_sees_no_way_to_change_the_index(
        self, locked: TestClient, tool: SearchTool
    ) -> None:
        assert "door (read-only)" in page(self.login(locked, READING))
        answer = page(locked.post("/", files=files(person_photo(3, 99))))
        for text in (answer, page(locked.get("/person/person 3")), page(locked.get("/person"))):
            assert "/enrol" not in text
            assert "orget…" not in text
            assert 'name="verdict"' not in text
        page(locked.get("/enrol"), 403)
        page(locked.get("/person/person 3/forget"), 403)
        page(locked.post("/person/person 3/forget"), 403)
        page(locked.post("/enrol", data={"name": "A"}, files=files(person_photo(50, 1))), 403)
        model = tool.index.current_model().sha256
        judgement = {"kept": encoded(person_photo(3, 99)), "verdict": f"right 1 0.900000 {model}"}
        page(locked.post("/", data=judgement), 403)
        assert tool.index.size() == 120
        assert list(tool.index.judgements()) == []
        assert audit(tool) == [("door", "search", 1)]

    def test_no_login_without_keys(self, client: TestClient) -> None:
        assert client.get("/login", follow_redirects=False).headers["location"] == "/"
