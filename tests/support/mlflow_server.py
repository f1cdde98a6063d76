"""MLflow's own server, as several machines share it."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.error import URLError
from urllib.request import urlopen

from tests.support.project import Project
from tests.support.waiting import wait_until


def free_port() -> int:
    """Return a port of this machine at which nothing listens."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


@contextmanager
def mlflow_server(project: Project, port: int) -> Iterator[str]:
    """Give the address of a server with files next to a project; end it with the block.

    It has no processes for jobs of its own, which take longer to start than the server.
    """
    command = (
        *("mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{project.root.parent / 'server.db'}"),
        *("--artifacts-destination", str(project.root.parent / "server-artifacts")),
    )
    with _served(project, port, command) as address:
        yield address


@contextmanager
def mlflow_pages(project: Project, port: int) -> Iterator[str]:
    """Give the address of a project's own pages, as ``make ui`` shows them."""
    command = ("python", "-m", "reid", "ui", "--port", str(port))
    with _served(project, port, command) as address:
        yield address


@contextmanager
def _served(project: Project, port: int, command: Sequence[str]) -> Iterator[str]:
    with project.started(*command, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false") as process:
        address = f"http://127.0.0.1:{port}"

        def is_up() -> bool:
            assert process.poll() is None
            try:
                with urlopen(f"{address}/health", timeout=10) as answer:
                    return bool(answer.status == 200)
            except (URLError, TimeoutError):
                return False

        wait_until(is_up, pause=0.1)
        yield address
