"""Runs whose pipeline or tracking server dies: whole in the end, and never RUNNING for ever.

The tests of this file share one project and build upon each other, in the order of the file.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run

from runs.liveness import end_abandoned, forget, this_pipeline
from tests.support.mlflow_server import free_port, mlflow_server
from tests.support.places import ROOT
from tests.support.project import Project, assert_one_clear_message, make_project

STORE = "sqlite:///somewhere.db"
NOTE = (
    "import sys; from pathlib import Path; import psutil; "
    "from runs.liveness import Worker, note; "
    "note(Path(sys.argv[1]), sys.argv[3], sys.argv[2], Worker.of(psutil.Process()))"
)
PIPELINE = (
    "import os, subprocess, sys; "
    "subprocess.run([sys.executable, '-c', *sys.argv[1:]], check=True, "
    "env=os.environ | {'DVC_STAGE': 'train'}); "
    "print('noted', flush=True); sys.stdin.read()"
)


@contextmanager
def pipeline(root: Path, run_id: str, store: str = STORE) -> Iterator["subprocess.Popen[str]"]:
    """A process whose stage noted a run and ended; it lives until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", PIPELINE, NOTE, str(root), run_id, store],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "noted\n"
        yield process


def ended(root: Path, own: str = "") -> list[str]:
    killed: list[str] = []
    end_abandoned(root, STORE, killed.append, this_pipeline(), own)
    return sorted(killed)


def test_run_is_abandoned_when_all_its_pipelines_are_gone(tmp_path: Path) -> None:
    with pipeline(tmp_path, "a"):
        assert ended(tmp_path) == []
        with pipeline(tmp_path, "a"), pipeline(tmp_path, "b"):
            assert ended(tmp_path) == []
        assert ended(tmp_path) == ["b"]
    assert ended(tmp_path, own="a") == []
    assert ended(tmp_path) == ["a"]
    assert ended(tmp_path) == []


def test_notes_of_others_are_not_judged(tmp_path: Path) -> None:
    for run_id in ("a", "b", "c", "d"):
        with pipeline(tmp_path, run_id):
            pass
    folder = tmp_path / ".dvc" / "tmp" / "runs"
    for file, key in zip(sorted(folder.iterdir())[:2], ("host", "store"), strict=True):
        file.write_text(json.dumps(json.loads(file.read_text()) | {key: "another"}))
    forget(tmp_path, STORE, "c")
    assert ended(tmp_path) == ["d"]
    assert len(list(folder.iterdir())) == 2


def test_number_of_a_dead_process_may_be_taken_by_another(tmp_path: Path) -> None:
    with pipeline(tmp_path, "a"):
        (file,) = (tmp_path / ".dvc" / "tmp" / "runs").iterdir()
        values = json.loads(file.read_text())
        values["worker"]["pipeline"]["began"] -= 3600
        file.write_text(json.dumps(values))
        assert ended(tmp_path) == ["a"]


def test_note_that_was_not_written_to_its_end_is_dropped(tmp_path: Path) -> None:
    with pipeline(tmp_path, "a"):
        pass
    folder = tmp_path / ".dvc" / "tmp" / "runs"
    (folder / "b-1.json").write_text("")
    (folder / "c-1.json").write_text("{}")
    assert ended(tmp_path) == ["a"]
    assert not list(folder.iterdir())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("interrupted") / "project")


def runs_of(address: str) -> list[Run]:
    client = MlflowClient(address)
    experiment = client.get_experiment_by_name("reid")
    return client.search_runs([experiment.experiment_id]) if experiment else []


def test_server_that_dies_in_the_middle_of_a_run(project: Project) -> None:
    epochs = 12
    project.set_params({"baseline": {"epochs": epochs}})
    project.commit()
    port = free_port()
    up = ExitStack()
    address = up.enter_context(mlflow_server(project, port))
    with project.started("dvc", "repro", MLFLOW_TRACKING_URI=address) as repro:
        while not any("baseline/loss" in run.data.metrics for run in runs_of(address)):
            assert repro.poll() is None
            time.sleep(0.2)
        (begun,) = runs_of(address)
        up.close()
        assert repro.wait() == 0
    assert not (project.root / "mlflow.db").exists()
    assert (project.root / "metrics" / "triplet.json").exists()
    with mlflow_server(project, port) as address:
        caught_up = project.must("dvc", "repro", MLFLOW_TRACKING_URI=address)
        assert "Running stage 'train" not in caught_up
        (run,) = runs_of(address)
        assert run.info.run_id == begun.info.run_id
        assert begun.info.status == "RUNNING"
        assert run.info.status == "FINISHED"
        history = MlflowClient(address).get_metric_history(run.info.run_id, "baseline/loss")
    assert sorted(metric.step for metric in history) == list(range(1, epochs + 1))


def store_of(project: Project) -> MlflowClient:
    return MlflowClient(f"sqlite:///{project.root / 'mlflow.db'}")


def status(project: Project) -> str:
    """Of the youngest run, after the listing that ends what is abandoned."""
    project.must("python", "-m", "reid", "compare", "--json")
    return project.mlflow_runs()[-1].info.status


def test_killed_pipeline_leaves_no_run_running(project: Project) -> None:
    project.must("git", "add", "-A")
    project.must("dvc", "repro")
    project.commit()
    whole = project.mlflow_runs()
    project.set_params({"baseline": {"epochs": 13}})
    with project.trained_for(epochs=2):
        assert status(project) == "RUNNING"
    # What comes next is another pipeline, which says nothing about the killed one.
    project.must("git", "checkout", "params.yaml")
    project.must("dvc", "repro")
    runs = project.mlflow_runs()
    assert [run.info.status for run in runs] == ["FINISHED"] * len(whole) + ["KILLED"]


def test_run_that_goes_on_is_running_again(project: Project) -> None:
    project.set_params({"baseline": {"epochs": 13}})
    before = project.mlflow_runs()
    assert "resuming after epoch" in project.must("dvc", "repro", "train_baseline")
    runs = project.mlflow_runs()
    assert [run.info.run_id for run in runs] == [run.info.run_id for run in before]
    assert runs[-1].info.status == "RUNNING"
    # Its pipeline ended before the run was whole.
    assert status(project) == "KILLED"


def test_run_that_lacks_only_its_end_gets_it(project: Project) -> None:
    project.must("git", "checkout", ".")
    project.must("dvc", "repro")
    (run,) = (r for r in project.mlflow_runs() if r.data.params.get("baseline.epochs") == "12")
    client = store_of(project)
    client.update_run(run.info.run_id, status="RUNNING")
    project.must("dvc", "repro")
    assert client.get_run(run.info.run_id).info.status == "FINISHED"


def test_second_run_of_a_result_is_deleted(project: Project) -> None:
    before = project.mlflow_runs()
    (run,) = (run for run in before if run.info.status == "FINISHED")
    fingerprint = {"fingerprint": run.data.tags["fingerprint"]}
    store_of(project).create_run(run.info.experiment_id, start_time=1, tags=fingerprint)
    assert f"as run {run.info.run_id}, which were deleted" in project.must("dvc", "repro")
    assert {r.info.run_id for r in project.mlflow_runs()} == {r.info.run_id for r in before}


def test_run_that_was_deleted_while_it_was_running_is_none_to_end(project: Project) -> None:
    project.set_params({"baseline": {"epochs": 15}})
    with project.trained_for(epochs=1):
        pass
    deleted = project.mlflow_runs()[-1]
    assert deleted.info.status == "RUNNING"
    store_of(project).delete_run(deleted.info.run_id)
    project.must("git", "checkout", "params.yaml")
    project.must("python", "-m", "reid", "compare", "--json")
    assert not list((project.root / ".dvc" / "tmp" / "runs").iterdir())
    assert deleted.info.run_id not in {run.info.run_id for run in project.mlflow_runs()}


def test_run_that_can_not_be_ended_costs_no_registration(project: Project) -> None:
    store = store_of(project)
    for version in store.search_model_versions("name = 'reid'"):
        store.delete_model_version("reid", version.version)
    with pipeline(project.root, "no id of MLflow's", store.tracking_uri):
        pass
    said = project.must("dvc", "repro")
    assert "can't be ended (Invalid value" in said
    assert "is up to date" in said
    assert store.search_model_versions("name = 'reid'")
    forget(project.root, store.tracking_uri, "no id of MLflow's")


def test_what_is_committed_while_a_run_waits_to_go_on_is_where_it_is_from(
    project: Project,
) -> None:
    project.set_params({"baseline": {"epochs": 14}})
    with project.trained_for(epochs=1):
        pass
    begun = project.mlflow_runs()[-1]
    assert begun.data.tags["params_changed"] == "baseline.epochs: 12 -> 14"
    project.commit()
    project.must("dvc", "repro")
    run = project.mlflow_runs()[-1]
    assert run.info.run_id == begun.info.run_id
    commit = project.must("git", "rev-parse", "HEAD").strip()
    assert run.data.tags["git_commit"] == commit != begun.data.tags["git_commit"]
    assert "params_changed" not in run.data.tags
    assert f"`{commit}`, unchanged" in run.data.tags["mlflow.note.content"]
    project.must("git", "checkout", ".")
    project.must("git", "reset", "--quiet", "--hard", "HEAD~1")


def test_killed_tracking_leaves_no_run_running(project: Project) -> None:
    project.set_params({"evaluate": {"max_rank": 17}})
    noted = project.notes()
    with project.started("dvc", "repro") as repro:
        while not project.notes() - noted:
            assert repro.poll() is None
            time.sleep(0.02)
    begun = project.mlflow_runs()[-1]
    assert "baseline/loss" not in begun.data.metrics
    assert begun.info.status == "RUNNING"
    assert status(project) == "KILLED"
    project.must("dvc", "repro")
    run = project.mlflow_runs()[-1]
    assert (run.info.run_id, run.info.status) == (begun.info.run_id, "FINISHED")


def test_run_that_lacks_its_page_of_curves_is_not_whole(project: Project) -> None:
    project.set_params({"evaluate": {"max_rank": 18}})
    file = project.root / "dvc.yaml"
    before = file.read_text()
    pipeline = yaml.safe_load(before)
    pipeline["plots"].append(
        {"Broken": {"template": "none-such", "x": "rank", "y": {"plots/triplet/cmc.csv": "cmc"}}}
    )
    file.write_text(yaml.safe_dump(pipeline, sort_keys=False))
    said = project.must("dvc", "repro")
    assert "can't be brought up to date (`dvc plots show` fails" in said
    begun = project.mlflow_runs()[-1]
    assert begun.info.status == "RUNNING"
    file.write_text(before)
    project.must("dvc", "repro")
    run = project.mlflow_runs()[-1]
    assert (run.info.run_id, run.info.status) == (begun.info.run_id, "FINISHED")
    plots = store_of(project).list_artifacts(run.info.run_id, "plots")
    assert "plots/curves.html" in {file.path for file in plots}
    project.must("git", "checkout", ".")


@pytest.mark.parametrize("ended_by", ["dvc exp run", "dvc repro"])
def test_killed_experiment_is_ended_in_its_own_run(project: Project, ended_by: str) -> None:
    branch = project.must("git", "branch", "--show-current").strip()
    name = ended_by.replace(" ", "-")
    epochs = f"baseline.epochs={16 + len(ended_by)}"
    experiment = ("dvc", "exp", "run", "-n", name, "-S", epochs)
    with project.trained_for(1, experiment):
        pass
    begun = project.mlflow_runs()[-1]
    assert begun.data.tags["dvc_exp"] == name
    project.must("git", "switch", branch)
    command = experiment if ended_by == "dvc exp run" else ("dvc", "repro")
    assert "resuming after epoch" in project.must(*command)
    run = project.mlflow_runs()[-1]
    assert (run.info.run_id, run.info.status) == (begun.info.run_id, "FINISHED")
    # DVC has no experiment that was killed, and nothing is to be found under its name.
    is_kept = ended_by == "dvc exp run"
    assert run.data.tags.get("dvc_exp") == (name if is_kept else None)
    assert (f"/{name}\n" in run.data.tags["mlflow.note.content"]) == is_kept
    project.must("git", "checkout", ".")


def test_edit_during_a_training_is_no_cause_of_its_result(project: Project) -> None:
    project.set_params({"baseline": {"epochs": 8}})
    with project.trained_for(epochs=1) as halted:
        project.set_params({"lr": 0.02})
        assert halted.finish() != 0
    lock = yaml.safe_load((project.root / "dvc.lock").read_text())
    assert lock["stages"]["train_baseline"]["params"]["params.yaml"]["lr"] == 0.01
    assert project.mlflow_runs()[-1].info.status == "FAILED"
    again = project.run("dvc", "repro", "train_baseline")
    assert again.returncode == 0
    assert "epoch 1/8" in again.stdout
    # What was trained before the edit is not lost.
    project.set_params({"lr": 0.01})
    assert "resuming after epoch 8" in project.must("dvc", "repro", "train_baseline")


def test_stage_that_fails_after_the_training_fails_its_run(project: Project) -> None:
    project.must("git", "checkout", ".")
    project.set_params({"baseline": {"epochs": 3}, "evaluate": {"max_rank": 0}})
    before = project.mlflow_runs()
    assert_one_clear_message(project.run("dvc", "repro"), "max_rank")
    *others, failed = project.mlflow_runs()
    assert [run.info.run_id for run in others] == [run.info.run_id for run in before]
    assert failed.info.status == "FAILED"
    project.set_params({"evaluate": {"max_rank": 10}})
    project.must("dvc", "repro")
    # Other parameters, another run.
    assert [run.info.status for run in project.mlflow_runs()[-2:]] == ["FAILED", "FINISHED"]


def test_code_edited_in_the_middle_of_a_pipeline_ends_the_first_run(project: Project) -> None:
    project.set_params({"baseline": {"epochs": 4}, "triplet": {"margin": 0.4}})
    before = len(project.mlflow_runs())
    with project.trained_for(1, ("dvc", "repro", "train_triplet")) as halted:
        with (project.root / "stages" / "compare.py").open("a") as code:
            code.write("# edited\n")
        assert halted.finish() == 0
        first, second = project.mlflow_runs()[before:]
    assert first.info.status == "KILLED"
    assert second.info.status == "RUNNING"
    assert "baseline/loss" in first.data.metrics
    assert "triplet/loss" in second.data.metrics
