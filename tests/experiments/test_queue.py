"""DVC's queue: experiments that run two at a time, on a tracking store that did not exist."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dvc.api
import psutil
import pytest
import yaml
from mlflow import MlflowClient

from tests.support.places import ROOT
from tests.support.project import Project, make_project
from tests.support.quick_models import EPOCHS

LEARNING_RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
PATIENCE = 1800
"""Seconds, after which the queue hangs."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Never run; its models are quick ones. No process of its queue outlives the tests."""
    project = make_project(tmp_path_factory.mktemp("queue") / "project")
    (project.root / "quick_models.py").write_text(
        (ROOT / "tests/support/quick_models.py").read_text()
    )
    file = project.root / "dvc.yaml"
    pipeline = yaml.safe_load(file.read_text())
    for name in ("train_baseline", "train_triplet"):
        pipeline["stages"][name]["cmd"] = f"python quick_models.py {name}"
    pipeline["stages"]["extract"]["cmd"] = "python quick_models.py extract_${item.model}"
    file.write_text(yaml.safe_dump(pipeline, sort_keys=False))
    project.commit()
    try:
        yield project
    finally:
        project.run("dvc", "queue", "stop", "--kill")
        _, alive = psutil.wait_procs(processes_in(project.root), timeout=30)
        for process in alive:
            process.kill()


def processes_in(folder: Path) -> list[psutil.Process]:
    """Those that work in a folder, and so were started by its queue."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def tasks(project: Project) -> dict[str, str]:
    """The state of each task by the experiment's name."""
    lines = [line.split() for line in project.must("dvc", "queue", "status").splitlines()]
    states = {"Queued", "Running", "Success", "Failed"}
    return {line[1]: line[-1] for line in lines if line and line[-1] in states}


def wait_for_queue(project: Project) -> dict[str, str]:
    deadline = time.monotonic() + PATIENCE
    while {"Queued", "Running"} & set((states := tasks(project)).values()):
        assert time.monotonic() < deadline, states
        time.sleep(2)
    return states


def shown(project: Project) -> dict[float, dict[str, Any]]:
    """The rows of `dvc exp show` that are experiments, by learning rate."""
    return {row["lr"]: row for row in dvc.api.exp_show(str(project.root)) if row["Experiment"]}


@pytest.fixture(scope="module")
def queued(project: Project) -> Project:
    """The project after its queue was worked off."""
    rates = ",".join(map(str, LEARNING_RATES))
    project.must("dvc", "exp", "run", "--queue", "-S", f"lr={rates}")
    assert list(tasks(project).values()) == ["Queued"] * len(LEARNING_RATES)
    assert not (project.root / "mlflow.db").exists()
    project.must("dvc", "queue", "start", "-j", "2")
    for name, state in wait_for_queue(project).items():
        assert state == "Success", project.run("dvc", "queue", "logs", name).stdout
    return project


def test_each_queued_experiment_is_one_whole_run(queued: Project) -> None:
    runs = queued.mlflow_runs()
    assert sorted(float(run.data.params["lr"]) for run in runs) == sorted(LEARNING_RATES)
    assert len({run.data.tags["fingerprint"] for run in runs}) == len(LEARNING_RATES)
    assert {run.data.tags["dvc_exp"] for run in runs} == set(tasks(queued))
    client = MlflowClient(f"sqlite:///{queued.root / 'mlflow.db'}")
    for run in runs:
        assert run.info.status == "FINISHED"
        rate = float(run.data.params["lr"])
        for model in ("baseline", "triplet"):
            losses = client.get_metric_history(run.info.run_id, f"{model}/loss")
            assert [(m.step, m.value) for m in sorted(losses, key=lambda m: m.step)] == [
                (epoch, pytest.approx(rate + 1 / epoch)) for epoch in range(1, EPOCHS + 1)
            ]
        assert {file.path for file in client.list_artifacts(run.info.run_id)} == {
            *("data_docs", "models", "pipeline", "plots", "validation")
        }


def test_each_queued_experiment_is_shown_with_its_own_figures(queued: Project) -> None:
    rows = shown(queued)
    assert sorted(rows) == sorted(LEARNING_RATES)
    for run in queued.mlflow_runs():
        row = rows[float(run.data.params["lr"])]
        assert row["Experiment"] == run.data.tags["dvc_exp"]
        for figure in ("rank1", "mAP", "mINP"):
            assert row[f"metrics/triplet.json:{figure}"] == pytest.approx(
                run.data.metrics[f"triplet/{figure}"]
            )
    assert len({row["metrics/triplet.json:mAP"] for row in rows.values()}) == len(rows)


def test_queue_leaves_no_process_behind(queued: Project) -> None:
    # Its workers end by themselves when nothing has been left to do for a while.
    _, alive = psutil.wait_procs(processes_in(queued.root), timeout=120)
    assert alive == []
