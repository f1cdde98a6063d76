"""Live reports of a training to MLflow: they log all epochs and cost the training nothing."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.support.mlflow_server import free_port
from tests.support.places import ROOT
from tests.support.project import Project
from tests.support.waiting import DEADLINE, wait_until


@pytest.fixture
def project(unfinished: Project, empty_store: Path) -> Project:
    shutil.copyfile(empty_store, unfinished.root / "mlflow.db")
    return unfinished


def training(what: str, *seconds: str) -> tuple[str, ...]:
    """Return the command of a training that reports two epochs."""
    return "python", "-m", "tests.support.reported_training", what, *seconds


# The project's own code comes first: it is in the current folder.
PLACE = {"PYTHONPATH": str(ROOT)}


def losses(project: Project) -> list[float]:
    """Return the losses that were logged to the only run; none if there is no run."""
    if not (runs := project.mlflow_runs()):
        return []
    client = MlflowClient(f"sqlite:///{project.root / 'mlflow.db'}")
    (run,) = runs
    return [m.value for m in client.get_metric_history(run.info.run_id, "baseline/loss")]


def wait_for_first_epoch(project: Project, process: "subprocess.Popen[bytes]") -> None:
    def is_logged() -> bool:
        assert process.poll() is None
        return bool(losses(project))

    wait_until(is_logged, pause=0.2)


def test_training_ends_with_all_epochs_logged(project: Project) -> None:
    assert project.must(*training("whole"), **PLACE) == ""
    assert losses(project) == [0.5, 0.25]
    (run,) = project.mlflow_runs()
    assert run.info.status == "RUNNING"


def test_training_that_does_not_begin_makes_no_run(project: Project) -> None:
    done = project.run(*training("fails"), **PLACE)
    assert done.stdout == "no weights\n"
    assert not project.mlflow_runs()


def test_killed_training_keeps_the_epochs_that_were_logged(project: Project) -> None:
    with project.started(*training("waits"), **PLACE) as process:
        wait_for_first_epoch(project, process)
        process.kill()
        process.wait(DEADLINE)
    assert losses(project) == [0.5]


def test_interrupted_training_logs_all_its_epochs(project: Project) -> None:
    with project.started(*training("waits"), **PLACE) as process:
        wait_for_first_epoch(project, process)
        # Ctrl-C reaches all processes at the terminal.
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(DEADLINE) != 0
    assert losses(project) == [0.5, 0.25]


def test_unreachable_store_gives_one_warning(project: Project) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    said = project.must(*training("whole"), MLFLOW_TRACKING_URI=address, **PLACE)
    assert said == (
        "MLflow can't be reached ([Errno 111] Connection refused); training continues; "
        "the run is completed at the end.\n"
    )


def test_store_that_does_not_answer_holds_the_training_up_no_longer_than_it_says(
    project: Project,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        begun = time.monotonic()
        # MLflow itself would wait for an hour.
        said = project.must(
            *training("whole", "1"),
            MLFLOW_TRACKING_URI=address,
            MLFLOW_HTTP_REQUEST_TIMEOUT="3600",
            **PLACE,
        )
    assert said == (
        "MLflow didn't answer for 1 s; training continues; the run is completed at the end.\n"
    )
    assert time.monotonic() - begun < DEADLINE
