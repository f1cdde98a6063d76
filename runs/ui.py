"""MLflow's pages of a project's runs, on this machine: ``make ui``."""

import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

from reid.common.errors import UserError, without_credentials
from reid.common.files import replacing_file
from reid.data.paths import TEMPORARY
from runs.run_store import LOCAL_HOST
from runs.tracking_store import tracking_uri

PORT = 5000
"""MLflow's own default."""
LAST_PORT = 65535


def server_of_runs(root: Path) -> str:
    """Return the address of the server that has the project's runs; empty if none has them."""
    uri = tracking_uri(root)
    return without_credentials(uri) if uri.startswith(("http://", "https://")) else ""


def show_runs(root: Path, port: int) -> NoReturn:
    """Show the runs of the project in the folder ``root`` at a port, until MLflow is stopped.

    MLflow takes the place of this process.

    Raises:
        UserError: the port can't be used.
    """
    _require_free(port)
    with replacing_file(_note(root)) as part:
        part.write_text(str(port), encoding="utf-8")
    # One process is enough for one reader, and starts sooner than MLflow's usual four.
    where = ("--host", LOCAL_HOST, "--port", str(port), "--workers", "1")
    store = ("--backend-store-uri", tracking_uri(root))
    os.chdir(root)
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui", *where, *store])


def noted_port(root: Path) -> int:
    """Return the port at which the project's runs were shown last, or else ``PORT``."""
    try:
        return int(_note(root).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return PORT


def _note(root: Path) -> Path:
    return root / TEMPORARY / "ui-port"


def _require_free(port: int) -> None:
    reason = _obstacle(port)
    if reason is None:
        return
    others = range(PORT + 1, LAST_PORT)
    other = next(number for number in others if number != port and _obstacle(number) is None)
    raise UserError(f"port {port} can't be used: {reason}. Name another: make ui PORT={other}")


def _obstacle(port: int) -> str | None:
    """Return why MLflow can't listen at a port; None if it can."""
    with socket.socket() as asked:
        # A Mac lets a program listen here although AirPlay listens at this port of all addresses.
        if asked.connect_ex((LOCAL_HOST, port)) == 0:
            return "another program listens there, perhaps a `make ui` or a Mac's AirPlay"
    with socket.socket() as asked:
        asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            asked.bind((LOCAL_HOST, port))
        except OSError as e:
            return e.strerror
    return None
