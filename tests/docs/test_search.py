"""Each command of docs/search.md and docs/privacy.md, in the order of the pages."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reid.data.dataset import read_columns
from tests.support.milvus_server import milvus_server
from tests.support.photos import jpeg, write_folder
from tests.support.places import ROOT
from tests.support.project import Project
from tests.support.waiting import wait_until

ADDRESS = re.compile(r"Person search: http://[\d.]+:(\d+)")
MILVUS = "http://milvus.example:19530"
PAGE_PORT = "127.0.0.1:8000"
BY_MAKE = "make repro    # train the models, once\nmake app      # build"


def blocks(page: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [block.strip() for block in re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)]


@contextmanager
def served(project: Project, block: str) -> Iterator[str]:
    """Run a block that serves, on a free port. Yield the host and the port."""
    output = project.root / "served.txt"
    output.unlink(missing_ok=True)
    command = block.replace("--port 8000", "--port 0")
    with project.started("bash", "-c", f"{command} > {output}"):
        wait_until(lambda: output.exists() and ADDRESS.search(output.read_text()))
        yield f"127.0.0.1:{ADDRESS.findall(output.read_text())[0]}"


def make_app() -> str:
    """Return what ``make app`` does once its packages are installed."""
    done = subprocess.run(
        ["make", "--dry-run", "--old-file", ".venv/app", "app", "PORT=8000"],
        cwd=ROOT,
        # `make test` hands its own settings on.
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.strip().replace("\n", " && ")


def run(project: Project, block: str) -> str:
    return project.must("bash", "-e", "-o", "pipefail", "-c", block)


@pytest.fixture
def user(trained: Project) -> Project:
    """A project whose pipeline has run, with photos of the user's own next to it."""
    root = trained.root
    write_folder({f"000{n}_c{n}s1_000001_00.jpg": jpeg(n) for n in (1, 2)}, root / "photos/hall")
    write_folder({f"{n}.jpg": jpeg(10 + n) for n in (1, 2)}, root / "photos/anna")
    (query, *_) = read_columns(root / "build" / "dataset", "query", ["image"])["image"]
    for name, photo in (("query", query), ("one", jpeg(20)), ("two", jpeg(21))):
        (root / f"{name}.jpg").write_bytes(photo)
    return trained


def test_each_command_of_the_page_works(user: Project, tmp_path: Path) -> None:
    begin, *others = blocks("search.md")
    assert begin.startswith(BY_MAKE)
    with served(user, make_app()) as address:
        assert "ready" in run(user, f"curl -s http://{address}/readyz")
    outputs: dict[str, str] = {}
    *others, with_milvus = others
    rest = iter(others)
    for block in rest:
        if "reid serve" in block:
            calls = next(rest)
            with served(user, block) as address:
                outputs["curl"] = run(user, calls.replace(PAGE_PORT, address))
        else:
            outputs[block] = run(user, block)
    with (
        milvus_server(tmp_path) as milvus,
        served(user, with_milvus.replace(MILVUS, milvus)) as address,
    ):
        assert "ready" in run(user, f"curl -s http://{address}/readyz")
    for block in blocks("privacy.md"):
        if "forget" in block:
            run(user, 'python -m reid index add photos/anna --person "Anna"')
        outputs[block] = run(user, block)
    _check(outputs, user.root)


def _check(outputs: dict[str, str], root: Path) -> None:
    (info,) = [text for block, text in outputs.items() if "index info" in block]
    assert "Anna" in info
    assert "hall 1" in info
    (forgotten, *_) = [text for block, text in outputs.items() if "forget Anna" in block]
    assert "photos deleted: 2" in forgotten
    assert any("answers now" in text for text in outputs.values())
    assert any("can be compared" in text for text in outputs.values())
    assert (root / "judgements.parquet").exists()
    calls = outputs["curl"]
    assert '"is_somebody":' in calls
    assert '{"added":2,"known":0}' in calls
    assert '{"forgotten":2}' in calls
    assert "reid_photos" in calls
