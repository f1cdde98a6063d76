"""What holds for all tests, and the projects that they share."""

import gc
import signal
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.support.finished import copied, finished_project, unfinished_project
from tests.support.project import Project

SLOW_FIXTURES = {"shared_folder", "unfinished", "project", "resumable", "trained"}


def pytest_configure() -> None:
    """Let the processes that tests start obey Ctrl-C and end with their terminal.

    A background job of a shell ignores the one, `nohup` the other, and all children inherit that.
    They do not inherit a handler: the system's own takes its place.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    # What the tests import stays: to look for garbage meanwhile takes a quarter of the time.
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a project as slow, and run them first: the rest fills the gaps."""
    for item in items:
        if SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish() -> None:
    """Set TensorFlow's threads before its first tensor; no test can change them afterwards.

    Nothing is imported for this if no test needs Keras.
    """
    gc.freeze()
    gc.enable()
    if "reid.model.backend" in sys.modules:
        from reid.model.backend import make_deterministic  # noqa: PLC0415

        make_deterministic(seed=1, threads=2)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all workers of the session share."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an MLflow store with nothing but its tables, which take seconds to make."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def unfinished(shared_folder: Path, tmp_path: Path) -> Project:
    """A copy of a project whose pipeline has run up to ``split``."""
    return copied(unfinished_project(shared_folder), tmp_path / "project")


@pytest.fixture
def project(shared_folder: Path, tmp_path: Path) -> Project:
    """A copy of a finished project whose models are made without Keras."""
    return copied(finished_project(shared_folder, "quick"), tmp_path / "project")


@pytest.fixture
def resumable(shared_folder: Path, tmp_path: Path) -> Project:
    """A copy of a finished project whose baseline is a small network, trained by Keras."""
    return copied(finished_project(shared_folder, "resumable"), tmp_path / "project")


@pytest.fixture
def trained(shared_folder: Path, tmp_path: Path) -> Project:
    """A copy of a finished project whose models are small networks."""
    return copied(finished_project(shared_folder, "trained"), tmp_path / "project")
