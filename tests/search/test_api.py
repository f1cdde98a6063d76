import io
import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from search.enrolment import Entry, embed_with
from search.photos import MAX_BYTES
from search.service import queue
from search.service.app import make_app
from search.service.audit import FILE
from search.service.guard import MAX_BODY, MAX_PHOTOS
from search.service.keys import parse_keys
from search.sqlite_index import SqliteIndex
from search.tool import SearchTool
from tests.support.photos import jpeg
from tests.support.tiny_search import make_tool

HERE = "http://127.0.0.1:8000"
PEOPLE, PHOTOS = 25, 3


def photo(person: int, number: int = 0) -> bytes:
    """Return a photo: those of one person have the same colours, brighter or darker."""
    with Image.open(io.BytesIO(jpeg(person))) as image:
        file = io.BytesIO()
        image.point(
            [min(255, round(level * (1 - 0.05 * number))) for level in range(256)] * 3
        ).save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, colour_network: Path) -> Path:
    """The folder of an index with photos 0 to 2 of 25 people, each under another camera."""
    folder = tmp_path_factory.mktemp("filled")
    entries = [
        Entry(partial(photo, person, number), f"person {person}", f"{person}.jpg", camera=number)
        for person in range(PEOPLE)
        for number in range(PHOTOS)
    ]
    make_tool(folder, colour_network, entries).index.close()
    return folder


@pytest.fixture
def tool(filled: Path, tmp_path: Path) -> SearchTool:
    """A tool with a copy of that index."""
    folder = shutil.copytree(filled, tmp_path / "index")
    return SearchTool(SqliteIndex(folder), folder)


@pytest.fixture
def client(tool: SearchTool) -> Iterator[TestClient]:
    """A client of a service without keys."""
    with TestClient(make_app(tool, parse_keys(""), only_local=True), base_url=HERE) as client:
        yield client


def files(*contents: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("photos", (f"{n}.jpg", content)) for n, content in enumerate(contents)]


def search(client: TestClient, *contents: bytes, **fields: Any) -> Response:
    return client.post("/search", files=files(*contents), data=fields)


def found(answer: Response) -> list[str | None]:
    assert answer.status_code == 200, answer.text
    return [person["person"] for person in answer.json()["people"]]


def audit(tool: SearchTool) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tool.folder / FILE).read_text().splitlines()]


class TestSearch:
    def test_person_on_the_photo_comes_first_with_all_sightings(self, client: TestClient) -> None:
        answer = search(client, photo(7, 4), top=4, rate=0.02)
        assert found(answer)[0] == "person 7"
        first = answer.json()["people"][0]
        assert first["is_match"]
        assert first["similarity"] > answer.json()["threshold"]
        assert [sighting["camera"] for sighting in first["sightings"]] == [0, 1, 2]
        assert answer.json()["is_somebody"]

    def test_stranger_is_nobody(self, client: TestClient) -> None:
        answer = search(client, photo(1000), rate=0.02)
        assert answer.json()["is_somebody"] is False
        assert len(found(answer)) == 10

    def test_index_too_small_for_a_rate_gives_no_verdict(self, client: TestClient) -> None:
        answer = search(client, photo(7), rate=0.001)
        assert answer.json()["is_somebody"] is None
        assert found(answer)[0] == "person 7"

    def test_stricter_rate_has_a_higher_threshold(self, client: TestClient) -> None:
        thresholds = [
            search(client, photo(3), rate=rate).json()["threshold"] for rate in (0.02, 0.1, 0.5)
        ]
        assert thresholds == sorted(thresholds, reverse=True)
        assert len(set(thresholds)) == 3

    def test_several_photos_are_one_query(self, client: TestClient) -> None:
        assert found(search(client, photo(4, 3), photo(4, 4), photo(4, 5)))[0] == "person 4"

    def test_filters_by_camera_and_person(self, client: TestClient) -> None:
        answer = search(client, photo(7), not_camera=[0, 1])
        assert {p["best"]["camera"] for p in answer.json()["people"]} == {2}
        answer = search(client, photo(7), camera=[1])
        assert {p["best"]["camera"] for p in answer.json()["people"]} == {1}
        assert found(search(client, photo(7), person=["person 2", "person 3"])) in (
            ["person 2", "person 3"],
            ["person 3", "person 2"],
        )

    def test_filter_by_time(self, client: TestClient) -> None:
        sent = {"camera": "9", "time": "2026-05-01T12:00:00Z"}
        client.post("/people/late/photos", files=files(photo(30)), data=sent)
        since = "2026-05-01T13:30:00+02:00"
        assert found(search(client, photo(30), since=since)) == ["late"]
        assert found(search(client, photo(30), since="2026-05-01T12:00:01")) == []
        assert found(search(client, photo(30), until="2026-05-01T12:00:01")) == ["late"]

    def test_model_is_chosen_by_its_hash(
        self, client: TestClient, tool: SearchTool, other_network: Path
    ) -> None:
        second = tool.networks.install(str(other_network)).model
        assert search(client, photo(7), model=second.sha256).status_code == 404
        embed_with(tool.index, tool.networks, second, switch=False)
        answer = search(client, photo(7), model=second.sha256)
        assert found(answer)[0] == "person 7"
        assert answer.json()["model"] == second.sha256

    def test_photo_of_an_answer_can_be_fetched(self, client: TestClient) -> None:
        best = search(client, photo(7)).json()["people"][0]["best"]
        answer = client.get(best["photo"])
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.content == photo(7)
        assert client.get("/photos/999999").status_code == 404

    def test_judgement_is_kept(self, client: TestClient, tool: SearchTool) -> None:
        best = search(client, photo(7)).json()["people"][0]
        sent = {"photo": best["best"]["id"], "similarity": best["similarity"], "right": "true"}
        assert client.post("/judgements", files=files(photo(7)), data=sent).status_code == 201
        (judgement,) = tool.index.judgements()
        assert judgement.person == "person 7"
        assert judgement.right
        sent["photo"] = 999999
        assert client.post("/judgements", files=files(photo(7)), data=sent).status_code == 404


class TestPeople:
    def test_somebody_is_enrolled_found_and_forgotten(self, client: TestClient) -> None:
        path = "/people/Zoë 'X'/photos"
        first = client.post(path, files=files(photo(40), photo(40, 1)), data={"camera": 5})
        assert (first.status_code, first.json()) == (201, {"added": 2, "known": 0})
        again = client.post(path, files=files(photo(40)))
        assert again.json() == {"added": 0, "known": 1}
        assert found(search(client, photo(40, 2)))[0] == "Zoë 'X'"
        assert {"name": "Zoë 'X'", "photos": 2, "cameras": [5]} in client.get("/people").json()
        assert len(client.get("/people/Zoë 'X'").json()) == 2
        assert client.delete("/people/Zoë 'X'").json() == {"forgotten": 2}
        assert client.get("/people/Zoë 'X'").status_code == 404
        assert client.delete("/people/Zoë 'X'").status_code == 404
        assert "Zoë 'X'" not in found(search(client, photo(40, 2)))

    def test_photo_of_another_person_is_refused(self, client: TestClient) -> None:
        answer = client.post("/people/Anna/photos", files=files(photo(50), photo(7)))
        assert answer.status_code == 400
        assert "photo 2 is person 7" in answer.json()["detail"]
        assert client.get("/people/Anna").status_code == 404

    @pytest.mark.parametrize("name", ["%20", "a%0Ab", "x" * 101, "..%2f..%2fetc", "a%2Fb"])
    def test_name_that_can_not_be_used_is_refused(self, client: TestClient, name: str) -> None:
        answer = client.post(f"/people/{name}/photos", files=files(photo(50)))
        assert answer.status_code in (400, 404, 422)
        assert len(client.get("/people").json()) == PEOPLE


class TestBadRequests:
    def test_file_that_is_no_photo_is_named(self, client: TestClient) -> None:
        answer = search(client, photo(7), b"no image")
        assert answer.status_code == 400
        assert answer.json()["detail"].startswith("photo 2: not an image in a known format")

    def test_request_without_a_photo_is_refused(self, client: TestClient) -> None:
        assert client.post("/search", data={"top": 3}).status_code == 422
        answer = client.post("/search", files=[("photos", ("", b""))])
        assert answer.status_code in (400, 422)

    def test_bomb_is_refused_before_it_is_decoded(self, client: TestClient) -> None:
        file = io.BytesIO()
        Image.new("1", (9_000, 9_000)).save(file, "PNG")
        answer = search(client, file.getvalue())
        assert answer.status_code == 400
        assert "more than 40,000,000 pixels" in answer.json()["detail"]

    def test_too_many_photos_are_refused(self, client: TestClient) -> None:
        answer = search(client, *[photo(1)] * (MAX_PHOTOS + 1))
        assert (answer.status_code, answer.json()["detail"]) == (
            413,
            f"{MAX_PHOTOS + 1} photos in a request; at most {MAX_PHOTOS} are read.",
        )

    def test_photo_that_is_too_large_is_refused(self, client: TestClient) -> None:
        answer = search(client, photo(1), photo(2) + bytes(MAX_BYTES))
        assert (answer.status_code, answer.json()["detail"]) == (
            413,
            "Photo 2 is larger than 10 MB. Save it smaller.",
        )

    def test_body_that_says_it_is_too_large_is_refused_unread(self, client: TestClient) -> None:
        headers = {"content-length": str(MAX_BODY + 1), "content-type": "multipart/form-data"}
        answer = client.post("/search", content=b"", headers=headers)
        assert answer.status_code == 413

    @pytest.mark.parametrize(
        "fields",
        [
            {"top": 0},
            {"top": 1000},
            {"rate": 0},
            {"rate": "nan"},
            {"camera": "x"},
            {"camera": -1},
            {"not_camera": 10**25},
            {"since": "x"},
        ],
    )
    def test_value_out_of_range_is_refused(
        self, client: TestClient, fields: dict[str, Any]
    ) -> None:
        assert search(client, photo(1), **fields).status_code == 422

    def test_number_that_no_index_can_hold_is_refused(self, client: TestClient) -> None:
        judgement = {"photo": 10**25, "similarity": 0.5, "right": True}
        for path, fields in (
            ("/people/Anna/photos", {"camera": 10**25}),
            ("/judgements", judgement),
        ):
            assert client.post(path, files=files(photo(50)), data=fields).status_code == 422
        assert client.get(f"/photos/{10**25}").status_code == 422

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"host": "evil.example"}, 421),
            ({"host": "127.0.0.1.evil.example:8000"}, 421),
            ({"host": "localhost:8000"}, 200),
            ({"host": "[::1]:8000"}, 200),
            ({"origin": "https://evil.example"}, 403),
            ({"origin": "null"}, 403),
            ({"origin": HERE}, 200),
            ({"sec-fetch-site": "cross-site"}, 403),
            ({"sec-fetch-site": "same-site"}, 403),
            ({"sec-fetch-site": "same-origin"}, 200),
        ],
    )
    def test_what_other_web_sites_send_is_refused(
        self, client: TestClient, headers: dict[str, str], status: int
    ) -> None:
        answer = client.post("/search", files=files(photo(1)), headers=headers)
        assert answer.status_code == status

    def test_every_answer_forbids_scripts_from_elsewhere(self, client: TestClient) -> None:
        for path in ("/people", "/nowhere", "/photos/1"):
            headers = client.get(path).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"


class TestKeys:
    SECRET, OTHER = "a-secret-of-20-letters", "one-that-only-reads"

    @pytest.fixture
    def locked(self, tool: SearchTool) -> Iterator[TestClient]:
        """A client of a service with keys."""
        keys = parse_keys(f"anna:{self.SECRET},door:{self.OTHER}:read")
        with TestClient(make_app(tool, keys, only_local=False), base_url="http://any") as client:
            yield client

    def bearer(self, secret: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {secret}"}

    @pytest.mark.parametrize("secret", ["", "wrong", "a-secret-of-20-lettersx", "é"])
    def test_nothing_is_told_without_a_key(self, locked: TestClient, secret: str) -> None:
        headers = {b"Authorization": f"Bearer {secret}".encode()} if secret else {}
        for method, path in (
            ("GET", "/people"),
            ("GET", "/people/person 1"),
            ("GET", "/photos/1"),
            ("GET", "/metrics"),
            ("POST", "/search"),
            ("DELETE", "/people/person 1"),
        ):
            answer = locked.request(method, path, headers=headers)
            assert answer.status_code == 401, path
        assert locked.get("/healthz").status_code == 200

    def test_key_opens_the_service_and_names_the_line_in_the_audit(
        self, locked: TestClient, tool: SearchTool
    ) -> None:
        locked.headers = self.bearer(self.SECRET)
        assert found(search(locked, photo(7)))[0] == "person 7"
        assert locked.delete("/people/person 7").status_code == 200
        assert [(line["key"], line["action"]) for line in audit(tool)] == [
            ("anna", "search"),
            ("anna", "forget"),
        ]

    def test_read_only_key_searches_and_changes_nothing(self, locked: TestClient) -> None:
        locked.headers = self.bearer(self.OTHER)
        assert search(locked, photo(7)).status_code == 200
        assert locked.get("/people").status_code == 200
        assert locked.delete("/people/person 7").status_code == 403
        enrol = locked.post("/people/Anna/photos", files=files(photo(50)))
        assert enrol.status_code == 403
        judge = {"photo": 1, "similarity": 0.5, "right": "true"}
        assert locked.post("/judgements", files=files(photo(7)), data=judge).status_code == 403
        assert len(locked.get("/people").json()) == PEOPLE


class TestService:
    def test_audit_names_nobody(self, client: TestClient, tool: SearchTool) -> None:
        search(client, photo(7))
        client.post("/people/Anna Secret/photos", files=files(photo(50)))
        client.delete("/people/Anna Secret")
        lines = audit(tool)
        assert [(line["key"], line["action"], line["photos"]) for line in lines] == [
            ("local", "search", 1),
            ("local", "enrol", 1),
            ("local", "forget", 1),
        ]
        assert "Anna" not in (tool.folder / FILE).read_text()

    def test_metrics_count_answers_and_photos(self, client: TestClient) -> None:
        search(client, photo(7))
        search(client, b"no image")
        client.get("/nowhere")
        samples = {
            (sample.name, sample.labels.get("route"), sample.labels.get("status")): sample.value
            for family in text_string_to_metric_families(client.get("/metrics").text)
            for sample in family.samples
        }
        assert samples["reid_answers_total", "/search", "200"] == 1
        assert samples["reid_answers_total", "/search", "400"] == 1
        assert samples["reid_answers_total", "none", "404"] == 1
        assert samples["reid_request_seconds_count", "/search", None] == 2
        assert samples["reid_photos", None, None] == PEOPLE * PHOTOS
        assert samples["reid_people", None, None] == PEOPLE

    def test_answers_have_the_form_that_openapi_describes(self, client: TestClient) -> None:
        description = client.get("/openapi.json").json()

        def check(answer: Response, method: str, path: str) -> None:
            responses = description["paths"][path][method]["responses"]
            content = responses[str(answer.status_code)]["content"]["application/json"]
            jsonschema.validate(answer.json(), {**description, **content["schema"]})

        check(search(client, photo(7)), "post", "/search")
        check(search(client, photo(7), top="x"), "post", "/search")
        check(client.get("/people"), "get", "/people")
        check(client.get("/people/person 1"), "get", "/people/{name}")
        enrolled = client.post("/people/Anna/photos", files=files(photo(50)))
        check(enrolled, "post", "/people/{name}/photos")
        check(client.delete("/people/Anna"), "delete", "/people/{name}")
        check(client.get("/readyz"), "get", "/readyz")

    def test_full_queue_says_when_to_come_again(
        self, client: TestClient, tool: SearchTool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queue, "LONGEST", 1)
        begun, go_on = threading.Event(), threading.Event()
        usual = tool.search

        def slow(*arguments: Any) -> Any:
            begun.set()
            assert go_on.wait(30)
            return usual(*arguments)

        monkeypatch.setattr(tool, "search", slow)
        answers: list[Response] = []
        first = threading.Thread(target=lambda: answers.append(search(client, photo(7))))
        first.start()
        assert begun.wait(30)
        refused = search(client, photo(8))
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        go_on.set()
        first.join(30)
        assert found(answers[0])[0] == "person 7"
        assert search(client, photo(8)).status_code == 200

    def test_service_is_not_ready_without_an_index(self, tool: SearchTool, tmp_path: Path) -> None:
        empty = SearchTool(SqliteIndex(tmp_path / "empty"), tmp_path / "empty")
        client = TestClient(make_app(empty, parse_keys(""), only_local=True), base_url=HERE)
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert "index build" in answer.json()["detail"]
        assert search(client, photo(1)).status_code == 400
