"""A whole project in a temporary folder: real git, real DVC, MLflow on sqlite, drawn people."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from sqlalchemy.engine import URL

from runs.tracking_store import alone
from sample.dataset import write_sample
from sample.names import SampleSize
from tests.support.places import ROOT, SUPPORT
from tests.support.quick_models import HOLD
from tests.support.waiting import DEADLINE, wait_until
from tests.support.warm import warm_environment

PROJECT_FILES = (
    "reid",
    "runs",
    "stages",
    "experiments",
    "search",
    "verify",
    "requirements.txt",
    "requirements-onnx.txt",
    "dvc.yaml",
    "params.yaml",
    ".dvcignore",
    ".gitignore",
)
LONGEST = 2 * DEADLINE
"""Seconds; far more than a whole pipeline takes on a busy machine."""
LOSSES = {"baseline/loss", "triplet/loss"}
TINY = SampleSize(
    train_people=6, train_images=48, test_people=4, queries=8, gallery=16, distractors=3, junk=2
)
MANY_EPOCHS = 12
"""So many that a training of the tiny network is halted long before its end."""
INPUT = HEIGHT, WIDTH = 32, 32
QUICK: dict[str, Any] = {
    "baseline": {"epochs": 2, "batch_size": 8},
    "triplet": {"epochs": 1, "refit_epochs": 1, "people": 4, "images": 2},
    "model": {
        **{"backbone": "tiny", "alpha": 1.0, "last_stride": 2},
        **{"weights": "none", "height": HEIGHT, "width": WIDTH},
    },
    "evaluate": {"picture_queries": 2},
}


def _environment() -> dict[str, str]:
    """This process's, with the commands of its Python first."""
    # PYTHONDONTWRITEBYTECODE would hide compiled code from DVC that others have.
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MLFLOW_TRACKING", "DVC_", "PYTHONDONTWRITE"))
    }
    return inherited | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@dataclass(frozen=True)
class Halted:
    """A pipeline whose processes are all stopped, among them its training."""

    pipeline: "subprocess.Popen[bytes]"
    processes: Sequence[psutil.Process]

    def resume(self) -> None:
        """Let the pipeline continue."""
        for process in self.processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def finish(self) -> int:
        """Let the pipeline continue, and return the command's exit status."""
        self.resume()
        return self.pipeline.wait(DEADLINE)


@dataclass(frozen=True)
class Project:
    """A clone of the project with tiny data and quick parameters."""

    root: Path

    @property
    def store(self) -> str:
        """The URI of the project's own store."""
        url = URL.create("sqlite+pysqlite", database=str(self.root / "mlflow.db"))
        return url.render_as_string()

    def run(self, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in the project; its output is text, both streams in ``stdout``.

        Python programs start warm. The test fails if the command takes longer than ``LONGEST``.
        """
        return subprocess.run(
            command,
            cwd=self.root,
            env=_environment() | warm_environment() | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=LONGEST,
        )

    @contextmanager
    def started(self, *command: str, **environment: str) -> "Iterator[subprocess.Popen[bytes]]":
        """Start a command; at the end of the block, it and all its children are killed.

        With ``warm_environment``, the stages that it runs start warm. It itself never does.
        """
        program, *arguments = command
        process = subprocess.Popen(
            [shutil.which(program, path=_environment()["PATH"]) or program, *arguments],
            cwd=self.root,
            env=_environment() | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def processes(self) -> list[psutil.Process]:
        """Return all processes that work in the project or below."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if Path(process.cwd()).is_relative_to(self.root):
                    found.append(process)
        return found

    def _halted(self, pipeline: "subprocess.Popen[bytes]") -> Halted:
        """Stop all processes in the project, of which one is a running pipeline."""
        assert pipeline.poll() is None
        halted = Halted(pipeline, self.processes())
        for process in halted.processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        return halted

    @contextmanager
    def trained_for(
        self, epochs: int, command: Sequence[str] = ("dvc", "repro", "train_baseline")
    ) -> "Iterator[Halted]":
        """Halt the baseline's training after at least some epochs, with its run in MLflow.

        At the end of the block, all processes of the command are killed.
        """
        # An earlier training that was killed and given up has left its own.
        trained, noted = self.checkpoints(epochs), self.notes()
        with self.started(*command, **warm_environment()) as repro:

            def is_trained() -> bool:
                assert repro.poll() is None
                return bool(self.checkpoints(epochs) - trained and self.notes() - noted)

            wait_until(is_trained, pause=0.02)
            halted = self._halted(repro)
            # A process that is stopped while it writes would block all readers of the store.
            while self.store_is_locked():
                halted.resume()
                time.sleep(0.05)
                halted = self._halted(repro)
            yield halted
        self._wait_for_killed_stages()

    @contextmanager
    def held(
        self, command: Sequence[str] = ("dvc", "repro", "train_baseline")
    ) -> "Iterator[subprocess.Popen[bytes]]":
        """Hold a training of a quick model after its first epoch, which is in MLflow.

        Without the file ``HOLD``, it continues. At the end of the block, all processes are killed.
        """
        hold = self.hold()
        begun_before = self._runs_with_epochs()
        with self.started(*command, **warm_environment(), REPORT_LIVE="yes") as pipeline:

            def has_an_epoch() -> bool:
                assert pipeline.poll() is None
                return bool(self._runs_with_epochs() - begun_before)

            wait_until(has_an_epoch)
            yield pipeline
        self._wait_for_killed_stages()
        hold.unlink(missing_ok=True)

    def _wait_for_killed_stages(self) -> None:
        """Wait for the warm server to end what it ran for processes that were killed."""
        assert not psutil.wait_procs(self.processes(), timeout=DEADLINE)[1]

    def _runs_with_epochs(self) -> set[str]:
        return {r.info.run_id for r in self.mlflow_runs() if LOSSES & r.data.metrics.keys()}

    def hold(self) -> Path:
        """Make the file that holds trainings of quick models after their first epoch."""
        file = self.root / HOLD
        file.parent.mkdir(exist_ok=True)
        file.touch()
        return file

    def store_is_locked(self) -> bool:
        """Return whether a process is writing to the project's own store."""
        store = sqlite3.connect(self.root / "mlflow.db", timeout=0)
        try:
            store.execute("BEGIN IMMEDIATE")
            store.rollback()
        except sqlite3.OperationalError:
            return True
        finally:
            store.close()
        return False

    def checkpoints(self, epochs: int) -> set[Path]:
        """Return the checkpoints of trainings that did at least so many epochs."""
        saved = (self.root / ".dvc" / "tmp" / "checkpoints").glob("*/[0-9][0-9][0-9][0-9]")
        return {path for path in saved if int(path.name) >= epochs}

    def notes(self) -> set[Path]:
        """Return the notes about runs in MLflow that have begun and not ended."""
        return set((self.root / ".dvc" / "tmp" / "runs").glob("*.json"))

    def pulled_clone(self, folder: Path) -> "Project":
        """Commit, push everything to a new remote, and pull it into a clone, both in a folder."""
        self.must("dvc", "remote", "add", "--default", "storage", str(folder / "storage"))
        self.must("dvc", "push")
        self.commit()
        clone = Project(folder / "clone")
        self.must("git", "clone", "--quiet", ".", str(clone.root))
        clone.must("dvc", "pull")
        return clone

    def must(self, *command: str, **environment: str) -> str:
        """Run a command that has to succeed; gives its output."""
        done = self.run(*command, **environment)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def init_dvc(self) -> None:
        """Begin to use DVC, set up as this project is, without a remote."""
        self.must("dvc", "init", "--quiet")
        lines = (ROOT / ".dvc" / "config").read_text().splitlines()
        settings = [line for line in lines if "remote" not in line and "url" not in line]
        (self.root / ".dvc" / "config").write_text("\n".join([*settings, ""]))

    def commit(self) -> None:
        """Commit everything."""
        self.must("git", "add", "-A")
        self.must("git", "commit", "--quiet", "--allow-empty", "-m", "state")

    def set_params(self, changes: dict[str, Any]) -> None:
        """Change values of ``params.yaml``, nested as they are there."""
        path = self.root / "params.yaml"
        values = with_changes(yaml.safe_load(path.read_text()), changes)
        path.write_text(yaml.safe_dump(values, sort_keys=False))

    def mlflow_runs(self) -> list[Run]:
        """All runs of the project's own store, the oldest first."""
        with alone(self.root):
            client = MlflowClient(self.store)
        return client.search_runs(
            [e.experiment_id for e in client.search_experiments()],
            order_by=["attributes.start_time ASC"],
        )


def with_changes(params: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return parameters with some values changed, nested as in ``params.yaml``."""
    nested = {k: {**params[k], **v} if isinstance(v, dict) else v for k, v in changes.items()}
    return params | nested


def assert_one_clear_message(done: "subprocess.CompletedProcess[str]", pattern: str) -> None:
    """The command failed, said why in words that match, and showed no traceback."""
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert re.search(pattern, done.stdout), done.stdout


def make_project(root: Path) -> Project:
    """Set up a project whose data is ``TINY``, committed, not yet run."""
    root.mkdir(parents=True)
    for name in PROJECT_FILES:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, root / name)
    shutil.copyfile(SUPPORT / "tiny_backbone.py", root / "reid" / "model" / "backbones" / "tiny.py")
    project = Project(root)
    (root / "data").mkdir()
    write_sample(root / "data" / "synthetic-pedestrians.zip", size=TINY)
    (root / "pretrained").mkdir()
    (root / "pretrained" / "readme.txt").write_text("no weights: the tests start from random ones")
    project.must("git", "init", "--quiet")
    project.must("git", "config", "user.name", "Test")
    project.must("git", "config", "user.email", "test@localhost")
    project.init_dvc()
    for name in ("plots", "plots_page"):
        shutil.copytree(ROOT / ".dvc" / name, root / ".dvc" / name)
    project.must("dvc", "add", "--quiet", "data", "pretrained")
    project.set_params(QUICK)
    project.commit()
    return project
