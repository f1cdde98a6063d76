"""Milvus Lite's own server, which stands in for a Milvus server."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from tests.support.mlflow_server import free_port
from tests.support.waiting import wait_until


@contextmanager
def milvus_server(folder: Path, port: int | None = None) -> Iterator[str]:
    """Give the address of a server that keeps its files in a folder; kill it after the block."""
    port = port or free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "milvus_lite", "server", "--host", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--data-dir", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def is_up() -> bool:
        assert process.poll() is None
        try:
            client = MilvusClient(address, timeout=1)
            # The client may have kept its connection to a former server at this port.
            client.list_databases(timeout=1)
            client.close()
        except MilvusException:
            return False
        return True

    try:
        wait_until(is_up, pause=0.2)
        yield address
    finally:
        process.kill()
        process.wait()
