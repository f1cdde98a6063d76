"""A store of runs that can't be read is explained."""

import os
import socketserver
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from mlflow import MlflowClient

from reid.common.errors import UserError
from runs.run_store import RunStore
from tests.support.warm import warm_environment

pytestmark = pytest.mark.slow


def test_store_that_is_down_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    with pytest.raises(UserError, match=r"store http://127\.0\.0\.1:9 can't be read") as raised:
        RunStore(tmp_path)
    assert "secret" not in str(raised.value)


def test_store_with_options_in_its_address_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").create_experiment("reid")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db?timeout=30")
    assert RunStore(tmp_path).runs() == []
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///absent.db?timeout=30")
    with pytest.raises(UserError, match=r"absent\.db does not exist"):
        RunStore(tmp_path)


def test_experiment_that_was_deleted_can_be_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.create_experiment("reid")
    run = client.create_run(experiment)
    client.delete_experiment(experiment)
    with pytest.raises(UserError, match="experiment reid was deleted in MLflow") as raised:
        RunStore(tmp_path)
    command = str(raised.value).split("`")[1].replace(" mlflow", " python -m mlflow")
    environment = os.environ | warm_environment()
    subprocess.run(command, shell=True, check=True, cwd=tmp_path, env=environment)
    assert [found.info.run_id for found in RunStore(tmp_path).runs()] == [run.info.run_id]


class Refusing(socketserver.StreamRequestHandler):
    """An FTP server that refuses every login."""

    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        self.rfile.readline()
        self.wfile.write(b"530 who are you\r\n")


@pytest.fixture
def refusing_artifacts() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"ftp://me:secret@127.0.0.1:{server.server_address[1]}/artifacts"
        server.shutdown()


def test_artifact_store_with_its_own_error_types_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusing_artifacts: str
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = client.create_run(client.create_experiment("reid", refusing_artifacts))
    message = r"can't be read \(530 who are you\)\. A store of artifacts may need a password"
    with pytest.raises(UserError, match=message) as raised:
        RunStore(tmp_path).download(run, "pipeline", tmp_path)
    assert not isinstance(raised.value.__cause__, (OSError, ImportError))
