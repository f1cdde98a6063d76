"""The port of MLflow's pages."""

import os
import re
import socket
import sys
from pathlib import Path

import pytest

from reid.common.errors import UserError
from runs.ui import PORT, noted_port, show_runs
from tests.support.mlflow_server import free_port


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands that take this process's place; here they don't."""
    found: list[list[str]] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "execv", lambda _, command: found.append(command))
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_port_in_use_is_one_message_that_names_a_free_one(
    host: str, tmp_path: Path, commands: list[list[str]]
) -> None:
    with socket.socket() as other:
        other.bind((host, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"^port {port} can't be used: another program") as said:
            show_runs(tmp_path, port)
    assert commands == []
    (named,) = re.findall(r"make ui PORT=(\d+)$", str(said.value))
    show_runs(tmp_path, int(named))
    assert f"--port {named}" in " ".join(commands[0])


def test_last_port_is_remembered(tmp_path: Path, commands: list[list[str]]) -> None:
    assert noted_port(tmp_path) == PORT
    port = free_port()
    show_runs(tmp_path, port)
    assert noted_port(tmp_path) == port
    (command,) = commands
    assert command[:4] == [sys.executable, "-m", "mlflow", "ui"]
