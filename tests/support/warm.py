"""Commands that start warm: in a process that has imported the libraries already."""

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from filelock import FileLock

from tests.support.places import SUPPORT
from tests.support.waiting import wait_until


@cache
def _server() -> Path:
    """Return the socket of the session's server. The first worker that asks starts it."""
    session = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    folder = Path(tempfile.gettempdir()) / f"warm-{session}"
    folder.mkdir(exist_ok=True)
    address, said = folder / "socket", folder / "said.txt"
    with FileLock(folder / "lock"):
        if not address.exists():
            with said.open("wb") as output:
                process = subprocess.Popen(
                    [sys.executable, str(SUPPORT / "warm_server.py"), str(address), str(session)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )

            def is_up() -> bool:
                assert process.poll() is None, said.read_text()
                return address.exists()

            wait_until(is_up)
    return address


def warm_environment() -> dict[str, str]:
    """Return the environment variables with which ``python`` and ``dvc`` start warm.

    A signal to such a command reaches a process that only waits. What a test interrupts must not be
    started in this way; killing it is all right.
    """
    paths = (SUPPORT / "bin", Path(sys.executable).parent, os.environ["PATH"])
    return {"WARM_SERVER": str(_server()), "PATH": os.pathsep.join(map(str, paths))}
