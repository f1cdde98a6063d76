"""Run Python programs in forks of a process that has imported the libraries.

The libraries take longer to import than a stage takes to work on tiny data. This server imports
them once. ``bin/python`` and ``bin/dvc`` send it their commands. For each command it forks itself,
and the child runs the command as ``python`` does. ``warm_server.py SOCKET PROCESS`` ends, and
removes the socket's folder, when the process of that number ends. It imports nothing of the
project: a command runs the code of the folder that it starts in.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

# What the project sets before it imports Keras. bin/python runs commands that set it differently.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

LIBRARIES = (
    *("PIL.Image", "PIL.ImageDraw", "PIL.ImageOps", "dvc.api", "dvc.cli", "dvc.repo"),
    *("dvc.repo.datasets", "dvc.repo.experiments.queue.celery", "dvc.repo.plots"),
    *("great_expectations", "hydra", "jinja2", "keras", "keras.src.backend.tensorflow"),
    *("mlflow", "mlflow.pyfunc", "mlflow.store.model_registry.sqlalchemy_store"),
    *("mlflow.store.tracking.sqlalchemy_store", "networkx", "pandas", "psutil"),
    *("pyarrow.dataset", "pyarrow.parquet", "pygit2", "rich.table", "scipy.stats"),
    *("sklearn.model_selection", "sklearn.preprocessing", "tensorflow", "tqdm", "typer", "yaml"),
)


def become(
    command: list[str], folder: str, environment: dict[str, str], files: Sequence[int]
) -> None:
    """Turn this process into one that was started with a command, and run the command.

    Args:
        command: ``-m MODULE`` or the path of a program, and its arguments.
        folder: the current folder.
        environment: all environment variables.
        files: the file descriptors of input, output and errors.
    """
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # Libraries have asked for it when they were imported.
    tempfile.tempdir = None
    # What the command starts with its own Python starts warm, too.
    sys.executable = str(Path(__file__).parent / "bin" / "python")
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    is_module = command[0] == "-m"
    program, *arguments = command[1:] if is_module else command
    own = folder if is_module else str(Path(program).resolve().parent)
    others = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:1] = [own, *others]
    sys.argv = [program, *arguments]
    if is_module:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(program, run_name="__main__")


def end(status: object) -> NoReturn:
    """End this process as Python does, without the seconds that it spends on freeing the memory."""
    if status is not None and not isinstance(status, int):
        sys.stderr.write(f"{status}\n")
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)


def run_as(message: tuple[list[str], str, dict[str, str]], files: Sequence[int]) -> NoReturn:
    """Run a command in this process, as `become` does, and end the process."""
    try:
        become(*message, files)
    except SystemExit as e:
        end(e.code)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        end(1)
    end(0)


@dataclass(frozen=True)
class Command:
    """A command that runs for a client, in a fork."""

    client: socket.socket
    process: int
    end: int
    """The file descriptor that is readable when the process has ended."""


class Server:
    """Runs commands until a process ends. A client that ends first has its command killed."""

    def __init__(self, listener: socket.socket) -> None:
        """Serve the clients that come to ``listener``."""
        self._listener = listener
        self._waited = selectors.DefaultSelector()

    def serve(self, process: int) -> None:
        """Serve until a process ends."""
        end = os.pidfd_open(process)
        self._waited.register(end, selectors.EVENT_READ)
        self._waited.register(self._listener, selectors.EVENT_READ)
        while True:
            ready = [(key.fd, key.data) for key, _ in self._waited.select()]
            if any(fd == end for fd, _ in ready):
                return
            # First, because a process that was waited for has given its number away.
            for fd, command in ready:
                if command and fd != command.end:
                    os.kill(command.process, signal.SIGKILL)
                    self._waited.unregister(command.client)
            for fd, command in ready:
                if not command:
                    self._start()
                elif fd == command.end:
                    self._finish(command)

    def _start(self) -> None:
        client, _ = self._listener.accept()
        message, files, _, _ = socket.recv_fds(client, 1 << 20, 3)
        process = os.fork() or run_as(json.loads(message), files)
        for file in files:
            os.close(file)
        command = Command(client, process, os.pidfd_open(process))
        self._waited.register(client, selectors.EVENT_READ, command)
        self._waited.register(command.end, selectors.EVENT_READ, command)

    def _finish(self, command: Command) -> None:
        """Send the client the exit status of its command as one byte."""
        _, status = os.waitpid(command.process, 0)
        with suppress(BrokenPipeError):
            command.client.sendall(bytes([os.waitstatus_to_exitcode(status) % 256]))
        for fd in (command.client, command.end):
            with suppress(KeyError):
                self._waited.unregister(fd)
        command.client.close()
        os.close(command.end)


def main() -> None:
    """Import the libraries and serve."""
    # What is imported stays: to look for garbage meanwhile takes a quarter of the time.
    gc.disable()
    # TensorFlow imports JAX where it is installed. Each fork would copy and clean up what it holds.
    sys.modules["jax"] = None  # type: ignore[assignment]
    for name in LIBRARIES:
        importlib.import_module(name)
    del sys.modules["jax"]
    # For the first model that a process logs, MLflow lists the modules of all installed packages.
    sys.modules["mlflow.utils.requirements_utils"].warn_dependency_requirement_mismatches(["numpy"])
    # The garbage collector of a child would copy the memory that it shares with the server.
    gc.freeze()
    gc.enable()
    address = Path(sys.argv[1])
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{address}.part")
        listener.listen(64)
        Path(f"{address}.part").rename(address)
        Server(listener).serve(int(sys.argv[2]))
    shutil.rmtree(address.parent)


if __name__ == "__main__":
    main()
