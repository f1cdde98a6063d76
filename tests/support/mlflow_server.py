"""MLflow's own server, as several machines share it."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import URLError
from urllib.request import urlopen

from tests.support.project import Project


def free_port() -> int:
    """A port of this machine that nothing listens at."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


@contextmanager
def mlflow_server(project: Project, port: int) -> Iterator[str]:
    """A server whose files lie beside a project, killed at the end of the block; its address."""
    with project.started(
        *("mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{project.root.parent / 'server.db'}"),
        *("--artifacts-destination", str(project.root.parent / "server-artifacts")),
    ) as process:
        address = f"http://127.0.0.1:{port}"
        while True:
            assert process.poll() is None
            try:
                with urlopen(f"{address}/health") as answer:
                    assert answer.status == 200
                break
            except URLError:
                time.sleep(0.1)
        yield address
