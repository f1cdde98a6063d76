"""Runs whose pipeline or tracking server dies: complete in the end, and never RUNNING for ever."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run

from runs.liveness import end_abandoned, forget, hold, note, noted_run
from tests.support.mlflow_server import free_port, mlflow_server
from tests.support.places import ROOT
from tests.support.project import MANY_EPOCHS, Project, assert_one_clear_message
from tests.support.quick_models import EPOCHS, HOLD
from tests.support.waiting import DEADLINE, wait_until
from tests.support.warm import warm_environment

STORE = "sqlite:///somewhere.db"
A, B = 64 * "a", 64 * "b"
"""Fingerprints."""


@contextmanager
def worker(
    root: Path, fingerprint: str, run_id: str, store: str = STORE
) -> Iterator["subprocess.Popen[str]"]:
    """Give a process that works on a run until the end of the block, where it is killed."""
    command = [sys.executable, "-m", "tests.support.worker", str(root), fingerprint, run_id, store]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "works\n"
        yield process
        process.kill()
        process.wait(DEADLINE)


def ended(root: Path, own: str = "") -> list[str]:
    """Return the runs that are ended as abandoned."""
    killed: list[str] = []
    end_abandoned(root, STORE, killed.append, own)
    return sorted(killed)


def left(root: Path) -> set[str]:
    return {file.suffix for file in (root / ".dvc" / "tmp" / "runs").iterdir()}


def test_run_is_abandoned_when_its_worker_is_killed(tmp_path: Path) -> None:
    with worker(tmp_path, A, "a"):
        with worker(tmp_path, B, "b"):
            assert ended(tmp_path) == []
        assert ended(tmp_path) == ["b"]
    assert ended(tmp_path) == ["a"]
    assert ended(tmp_path) == []
    assert not left(tmp_path)


def test_own_run_is_not_abandoned(tmp_path: Path) -> None:
    with worker(tmp_path, A, "a"):
        pass
    assert ended(tmp_path, own=A) == []
    assert ended(tmp_path, own=B) == ["a"]


def test_second_worker_of_a_result_continues_without_the_lock(tmp_path: Path) -> None:
    with worker(tmp_path, A, "a"):
        with worker(tmp_path, A, "a"):
            pass
        assert ended(tmp_path) == []


def test_lock_is_held_until_the_process_ends_also_if_it_is_asked_for_again(tmp_path: Path) -> None:
    for _ in range(2):
        hold(tmp_path, A)
    note(tmp_path, STORE, A, "a")
    assert ended(tmp_path) == []


def test_runs_of_another_store_are_not_judged(tmp_path: Path) -> None:
    for store in (STORE, "sqlite:///another.db"):
        with worker(tmp_path, A, f"run in {store}", store):
            pass
    assert ended(tmp_path) == [f"run in {STORE}"]
    assert noted_run(tmp_path, "sqlite:///another.db", A)


def test_finished_run_is_not_abandoned(tmp_path: Path) -> None:
    with worker(tmp_path, A, "a"):
        forget(tmp_path, STORE, A)
    assert ended(tmp_path) == []
    assert not left(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"run'])
def test_note_that_was_not_written_to_its_end_is_dropped(tmp_path: Path, text: str) -> None:
    with worker(tmp_path, A, "a"):
        pass
    (file,) = (tmp_path / ".dvc" / "tmp" / "runs").glob("*.json")
    file.write_text(text)
    assert ended(tmp_path) == []
    assert not left(tmp_path)


def runs_at(address: str) -> list[Run]:
    client = MlflowClient(address)
    experiment = client.get_experiment_by_name("reid")
    return client.search_runs([experiment.experiment_id]) if experiment else []


def store_of(project: Project) -> MlflowClient:
    return MlflowClient(f"sqlite:///{project.root / 'mlflow.db'}")


def run_ids(project: Project) -> set[str]:
    return {run.info.run_id for run in project.mlflow_runs()}


def newest(project: Project) -> Run:
    return project.mlflow_runs()[-1]


def finished_run(project: Project) -> Run:
    """Return the run of the committed result, the oldest of all."""
    return project.mlflow_runs()[0]


def status(project: Project) -> str:
    """Return the status of the newest run, after a listing has ended abandoned runs."""
    project.must("python", "-m", "reid", "compare", "--json")
    return str(newest(project).info.status)


def test_server_that_dies_during_a_training_costs_the_run_nothing(project: Project) -> None:
    project.set_params({"lr": 0.02})
    project.commit()
    before = run_ids(project)
    port = free_port()
    hold = project.hold()
    with ExitStack() as up:
        address = up.enter_context(mlflow_server(project, port))
        with project.started(
            *("dvc", "repro"),
            **warm_environment(),
            MLFLOW_TRACKING_URI=address,
            REPORT_LIVE="yes",
        ) as repro:

            def is_reported() -> bool:
                assert repro.poll() is None
                return any("baseline/loss" in run.data.metrics for run in runs_at(address))

            wait_until(is_reported, pause=0.2)
            (begun,) = runs_at(address)
            up.close()
            hold.unlink()
            assert repro.wait(DEADLINE) == 0
    assert run_ids(project) == before
    with mlflow_server(project, port) as address:
        caught_up = project.must("dvc", "repro", MLFLOW_TRACKING_URI=address)
        assert "Running stage 'train" not in caught_up
        (run,) = runs_at(address)
        assert run.info.run_id == begun.info.run_id
        assert begun.info.status == "RUNNING"
        assert run.info.status == "FINISHED"
        history = MlflowClient(address).get_metric_history(run.info.run_id, "baseline/loss")
    assert sorted(metric.step for metric in history) == list(range(1, EPOCHS + 1))


def test_run_of_a_killed_pipeline_is_killed_by_the_next_and_running_when_it_resumes(
    project: Project,
) -> None:
    project.set_params({"lr": 0.02})
    with project.held():
        begun = newest(project)
        assert status(project) == "RUNNING"
    # The next pipeline makes another result.
    project.must("git", "checkout", "params.yaml")
    project.must("dvc", "repro")
    assert newest(project).info.run_id == begun.info.run_id
    assert newest(project).info.status == "KILLED"
    project.set_params({"lr": 0.02})
    project.must("dvc", "repro", "train_baseline", REPORT_LIVE="yes")
    assert newest(project).info.run_id == begun.info.run_id
    assert newest(project).info.status == "RUNNING"
    # Its pipeline ended before the run was complete.
    assert status(project) == "KILLED"
    assert newest(project).data.tags["params_changed"] == "lr: 0.01 -> 0.02"
    project.commit()
    project.must("dvc", "repro")
    run = newest(project)
    assert run.info.run_id == begun.info.run_id
    assert run.info.status == "FINISHED"
    # It names the commit that was made before it came to its end.
    commit = project.must("git", "rev-parse", "HEAD").strip()
    assert run.data.tags["git_commit"] == commit != begun.data.tags["git_commit"]
    assert "params_changed" not in run.data.tags
    assert f"`{commit}`, unchanged" in run.data.tags["mlflow.note.content"]


def test_run_that_lacks_only_its_end_gets_it(project: Project) -> None:
    run = finished_run(project)
    client = store_of(project)
    client.update_run(run.info.run_id, status="RUNNING")
    project.must("dvc", "repro")
    assert client.get_run(run.info.run_id).info.status == "FINISHED"


def test_second_run_of_a_result_is_deleted(project: Project) -> None:
    before = run_ids(project)
    run = finished_run(project)
    fingerprint = {"fingerprint": run.data.tags["fingerprint"]}
    store_of(project).create_run(run.info.experiment_id, start_time=1, tags=fingerprint)
    assert f"as run {run.info.run_id}, which were deleted" in project.must("dvc", "repro")
    assert run_ids(project) == before


def test_deleted_run_is_not_marked_killed(project: Project) -> None:
    project.set_params({"lr": 0.02})
    with project.held():
        pass
    deleted = newest(project)
    assert deleted.info.status == "RUNNING"
    store_of(project).delete_run(deleted.info.run_id)
    project.must("python", "-m", "reid", "compare", "--json")
    assert not project.notes()
    assert store_of(project).get_run(deleted.info.run_id).info.status == "RUNNING"


def test_run_that_can_not_be_ended_costs_no_registration(project: Project) -> None:
    store = store_of(project)
    for version in store.search_model_versions("name = 'reid'"):
        store.delete_model_version("reid", version.version)
    with worker(project.root, A, "no id of MLflow's", store.tracking_uri):
        pass
    said = project.must("dvc", "repro")
    forget(project.root, store.tracking_uri, A)
    assert "can't be ended (Invalid value" in said
    assert "is up to date" in said
    assert store.search_model_versions("name = 'reid'")


def test_killed_tracking_leaves_no_run_running(project: Project) -> None:
    project.set_params({"evaluate": {"max_rank": 17}})
    noted = project.notes()
    with project.started("dvc", "repro", **warm_environment()) as repro:

        def is_noted() -> bool:
            assert repro.poll() is None
            return bool(project.notes() - noted)

        wait_until(is_noted, pause=0.02)
    begun = newest(project)
    assert "baseline/loss" not in begun.data.metrics
    assert begun.info.status == "RUNNING"
    assert status(project) == "KILLED"
    project.must("dvc", "repro")
    assert newest(project).info.run_id == begun.info.run_id
    assert newest(project).info.status == "FINISHED"


def test_run_without_its_page_of_curves_is_not_complete(project: Project) -> None:
    project.set_params({"evaluate": {"max_rank": 18}})
    file = project.root / "dvc.yaml"
    before = file.read_text()
    pipeline = yaml.safe_load(before)
    pipeline["plots"].append(
        {"Broken": {"template": "none-such", "x": "rank", "y": {"plots/triplet/cmc.csv": "cmc"}}}
    )
    file.write_text(yaml.safe_dump(pipeline, sort_keys=False))
    said = project.must("dvc", "repro")
    assert "can't be completed (`dvc plots show` fails" in said
    begun = newest(project)
    assert begun.info.status == "RUNNING"
    file.write_text(before)
    project.must("dvc", "repro")
    run = newest(project)
    assert (run.info.run_id, run.info.status) == (begun.info.run_id, "FINISHED")
    plots = store_of(project).list_artifacts(run.info.run_id, "plots")
    assert "plots/curves.html" in {file.path for file in plots}


def test_killed_experiment_is_finished_in_its_own_run_under_the_name_of_its_end(
    project: Project,
) -> None:
    branch = project.must("git", "branch", "--show-current").strip()
    changed = ("-S", "lr=0.02")
    with project.held(("dvc", "exp", "run", "-n", "begun", *changed)):
        pass
    begun = newest(project)
    assert (begun.data.tags["dvc_exp"], begun.info.run_name) == ("begun", "begun")
    project.must("git", "switch", branch)
    project.must("dvc", "exp", "run", "-n", "finished", *changed)
    run = newest(project)
    assert (run.info.run_id, run.info.status) == (begun.info.run_id, "FINISHED")
    # DVC has no experiment that was killed, and nothing is to be found under its name.
    assert (run.data.tags["dvc_exp"], run.info.run_name) == ("finished", "finished")
    assert "| Experiment | `finished`" in run.data.tags["mlflow.note.content"]


def test_result_of_a_training_is_not_recorded_under_inputs_edited_meanwhile(
    resumable: Project,
) -> None:
    project = resumable
    project.set_params({"baseline": {"epochs": MANY_EPOCHS}})
    with project.trained_for(epochs=1) as halted:
        project.set_params({"lr": 0.02})
        assert halted.finish() != 0
    lock = yaml.safe_load((project.root / "dvc.lock").read_text())
    recorded = lock["stages"]["train_baseline"]["params"]["params.yaml"]
    assert (recorded["lr"], recorded["baseline"]["epochs"]) == (0.01, 2)
    assert newest(project).info.status == "FAILED"
    # What was trained before the edit is not lost.
    project.set_params({"lr": 0.01})
    assert f"after epoch {MANY_EPOCHS}" in project.must("dvc", "repro", "train_baseline")


def test_stage_that_fails_after_the_training_fails_its_run(project: Project) -> None:
    project.set_params({"lr": 0.02, "evaluate": {"max_rank": 0}})
    before = run_ids(project)
    assert_one_clear_message(project.run("dvc", "repro", REPORT_LIVE="yes"), "max_rank")
    assert before == run_ids(project) - {newest(project).info.run_id}
    assert newest(project).info.status == "FAILED"


def test_code_edited_in_the_middle_of_a_pipeline_ends_the_first_run(project: Project) -> None:
    project.set_params({"lr": 0.02})
    before = len(project.mlflow_runs())
    with project.held(("dvc", "repro", "train_triplet")) as repro:
        with (project.root / "stages" / "compare.py").open("a") as code:
            code.write("# edited\n")
        (project.root / HOLD).unlink()
        assert repro.wait(DEADLINE) == 0
        first, second = project.mlflow_runs()[before:]
    assert first.info.status == "KILLED"
    assert second.info.status == "RUNNING"
    assert "baseline/loss" in first.data.metrics
    assert "triplet/loss" in second.data.metrics
