"""The process that reports a training to MLflow: it tells what it can, and outlives nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from tests.support.project import Project, make_project

TRAINING = """
import logging, sys, time
import psutil
from runs.live import live_report
logging.basicConfig(format="%(message)s")
with live_report("baseline") as live:
    {before}
    live.begin()
    live.epoch({{"epoch": 1, "loss": 0.5}})
    try:
        {meanwhile}
    finally:
        live.epoch({{"epoch": 2, "loss": 0.25}})
"""


def training(before: str = "pass", meanwhile: str = "pass") -> tuple[str, ...]:
    """A command that tells two epochs, and what it does between them."""
    return sys.executable, "-c", TRAINING.format(before=before, meanwhile=meanwhile)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


def losses(project: Project) -> list[float]:
    """Told so far to the only run; none where there is no run."""
    if not (runs := project.mlflow_runs()):
        return []
    client = MlflowClient(f"sqlite:///{project.root / 'mlflow.db'}")
    (run,) = runs
    return [m.value for m in client.get_metric_history(run.info.run_id, "baseline/loss")]


def wait_for_first_epoch(project: Project, process: "subprocess.Popen[bytes]") -> None:
    while not losses(project):
        assert process.poll() is None
        time.sleep(0.1)


def test_all_epochs_are_told_before_the_training_goes_on_to_its_end(project: Project) -> None:
    assert project.must(*training()) == ""
    assert losses(project) == [0.5, 0.25]


def test_training_that_does_not_begin_makes_no_run(project: Project) -> None:
    done = project.run(*training(before="sys.exit('no weights')"))
    assert done.stdout == "no weights\n"
    assert not project.mlflow_runs()


def test_training_that_is_killed_takes_its_report_along(project: Project) -> None:
    with project.started(*training(meanwhile="time.sleep(600)")) as process:
        wait_for_first_epoch(project, process)
        (report,) = psutil.Process(process.pid).children()
        process.kill()
        assert psutil.wait_procs([report], timeout=60) == ([report], [])
    assert losses(project) == [0.5]


def test_interrupted_training_tells_all_its_epochs(project: Project) -> None:
    with project.started(*training(meanwhile="time.sleep(600)")) as process:
        wait_for_first_epoch(project, process)
        # As Ctrl-C does: to all processes at the terminal.
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait() != 0
    assert losses(project) == [0.5, 0.25]


def test_report_that_is_killed_costs_the_training_nothing(project: Project) -> None:
    killed = "[child] = psutil.Process().children(); child.kill()"
    said = project.must(*training(meanwhile=killed))
    assert said == (
        "The process that reports to MLflow ended with status -9; the training goes on, and the "
        "run is brought up to date at the end.\n"
    )
