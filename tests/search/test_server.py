import io
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from reid.common.errors import UserError
from search.enrolment import Entry
from search.service.keys import KEYS
from search.service.server import run
from search.sqlite_index import SqliteIndex
from search.tool import SearchTool
from tests.support.photos import jpeg
from tests.support.places import ROOT
from tests.support.tiny_search import make_tool
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

BODY_SECONDS = 2
WAIT = 60


class Service:
    """A running service."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.search_service", str(folder), str(BODY_SECONDS)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert address, line
        self.url, self.port = address[0], int(address[1])

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT)

    def lives(self) -> bool:
        return httpx2.get(f"{self.url}/readyz", timeout=WAIT).status_code == 200

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, colour_network: Path) -> Path:
    """The folder of an index with a few photos."""
    folder = tmp_path_factory.mktemp("served") / "index"
    entries = [Entry(partial(jpeg, n), f"person {n}", f"{n}.jpg") for n in range(25)]
    make_tool(folder, colour_network, entries).index.close()
    return folder


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    """A service over that index, which all tests but one leave running."""
    running = Service(folder)
    yield running
    running.kill()


def large_photo() -> bytes:
    """Return a photo that takes a while to decode."""
    file = io.BytesIO()
    Image.effect_noise((3000, 3000), 60).save(file, "JPEG", quality=10)
    return file.getvalue()


def test_sigterm_lets_a_request_that_has_begun_finish(folder: Path) -> None:
    service = Service(folder)
    answers = []
    photos = [("photos", (f"{n}.jpg", large_photo() + bytes(n))) for n in range(2)]

    def enrol() -> None:
        answers.append(httpx2.post(f"{service.url}/people/Anna/photos", files=photos, timeout=WAIT))

    request = threading.Thread(target=enrol)
    request.start()
    wait_until(lambda: "reid_waiting_requests 1.0" in httpx2.get(f"{service.url}/metrics").text)
    service.process.send_signal(signal.SIGTERM)
    request.join(WAIT)
    assert [answer.json() for answer in answers] == [{"added": 2, "known": 0}]
    service.process.wait(WAIT)
    assert len(SqliteIndex(folder).sightings(["Anna"])) == 2


def test_body_that_does_not_arrive_ends_with_408(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(
            b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")
    assert service.lives()


@pytest.mark.parametrize("begin", [b"", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n'])
def test_endless_body_is_cut_off(service: Service, begin: bytes) -> None:
    with service.connect() as connection:
        connection.sendall(
            b"POST /search HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
            + (b"%x\r\n%s\r\n" % (len(begin), begin) if begin else b"")
        )
        chunk = b"%x\r\n" % 2**20 + b"-" * 2**20 + b"\r\n"
        sent = 0
        with suppress(OSError):
            while sent < 500:
                connection.sendall(chunk)
                sent += 1
    assert sent < 500
    assert service.lives()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
        b"Content-Type: multipart/form-data\r\n\r\nabc",
        b"GET /static/../../../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /photos/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /people HTTP/1.1\r\nHost: [\r\n\r\n",
    ],
)
def test_broken_request_is_refused_and_the_service_lives_on(
    service: Service, request_bytes: bytes
) -> None:
    with service.connect() as connection:
        connection.sendall(request_bytes)
        assert re.match(rb"HTTP/1.1 4\d\d", connection.recv(1000))
    assert service.lives()


def test_other_addresses_need_keys(empty_tool: SearchTool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEYS, raising=False)
    for host in ("0.0.0.0", "192.168.1.5", "::", "example.org"):
        with pytest.raises(UserError, match=f"Set keys first: {KEYS}"):
            run(empty_tool, host, 0)


def test_port_that_is_taken_is_named(
    empty_tool: SearchTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEYS, raising=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"127.0.0.1:{port} can't be listened on"):
            run(empty_tool, "127.0.0.1", port)


def test_empty_index_is_not_served(sqlite_index: SqliteIndex, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the index is empty"):
        run(SearchTool(sqlite_index, tmp_path), "127.0.0.1", 0)
