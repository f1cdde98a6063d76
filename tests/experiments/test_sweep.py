"""A sweep as its users run it, with real DVC, git and MLflow."""

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, suppress
from pathlib import Path

import dvc.api
import pandas as pd
import psutil
import pytest
from dvc.repo import Repo
from mlflow import MlflowClient
from rich.console import Console

from experiments.seed_table import has_seeds, seed_table
from experiments.sweep_run import SweepRun
from experiments.temporary_run import BEGUN, reason_of_failure
from tests.support.finished import copied, unfinished_project
from tests.support.project import Project, assert_one_clear_message
from tests.support.quick_models import DIVERGED, EPOCHS, use_quick_models
from tests.support.waiting import wait_until
from tests.support.warm import warm_environment

PATIENCE = 600
"""Seconds after which a sweep hangs."""
FIGURES = ("rank1", "mAP", "mINP")


def quick_project(shared_folder: Path, root: Path) -> Project:
    """Return a project with quick models whose pipeline has not run."""
    made = copied(unfinished_project(shared_folder), root)
    use_quick_models(root)
    made.commit()
    return made


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, shared_folder: Path) -> Project:
    """A project with quick models. Each test leaves its workspace as it was."""
    return quick_project(shared_folder, tmp_path_factory.mktemp("sweep") / "project")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, shared_folder: Path) -> Project:
    """A project after a sweep of three runs, two at a time, without a tracking store before it."""
    made = quick_project(shared_folder, tmp_path_factory.mktemp("swept") / "project")
    before = tree(made)
    done = run_sweep(made, "-S", "lr=0.01,0.02,1e3", "--jobs", "2")
    (made.root.parent / "output").write_text(done.stdout)
    assert done.returncode == 1, done.stdout
    assert_nothing_is_left(made)
    assert tree(made) == before
    return made


def run_sweep(project: Project, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return project.run("python", "-m", "experiments.sweep", *arguments, REPORT_LIVE="yes")


@contextmanager
def started_sweep(
    project: Project, *arguments: str, **environment: str
) -> "Iterator[subprocess.Popen[str]]":
    """Start a sweep in a session of its own; it is killed if it outlives the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.sweep", *arguments],
        cwd=project.root,
        env=os.environ | environment | {"REPORT_LIVE": "yes"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for left in [] if process.poll() is not None else [process, *project.processes()]:
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                left.kill()


def wait_while_it_runs(holds: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    """Wait until something holds while a process runs."""

    def holds_while_it_runs() -> object:
        found = holds()
        assert found or process.poll() is None, process.communicate()[0]
        return found

    wait_until(holds_while_it_runs, pause=0.01, seconds=PATIENCE)


def assert_nothing_is_left(project: Project) -> None:
    # A process of a training may end a moment after the command.
    psutil.wait_procs(project.processes(), timeout=60)
    assert project.processes() == []
    assert list((project.root / ".dvc/tmp/exps/standalone").glob("tmp*")) == []
    assert project.must("git", "for-each-ref", "refs/exps/stash") == ""


def tree(project: Project) -> list[str]:
    """What git and DVC know of the workspace."""
    commands = (
        *(("git", "symbolic-ref", "HEAD"), ("git", "stash", "list")),
        *(("git", "status", "--short"), ("git", "diff")),
        ("dvc", "status"),
    )
    return [project.must(*command) for command in commands]


def output_of(swept: Project) -> str:
    return (swept.root.parent / "output").read_text()


def test_sweep_over_seeds_shows_means_and_differences(swept: Project) -> None:
    names = ("sweep1-lr0.01", "sweep1-lr0.02")
    with chdir(swept.root):
        content = [dvc.api.read("metrics/triplet.json", rev=name) for name in names]
        first, second = (json.loads(each) for each in content)
        runs = [
            SweepRun(name, {"triplet.weight": weight, "seed": seed}, metrics)
            for weight in ("10", "30")
            for seed, name, metrics in zip("12", names, (first, second), strict=True)
        ]
        console = Console(width=80, record=True)
        console.print(seed_table("sweep1, by recipe", runs))
    shown = console.export_text()
    mean, deviation = (
        100 * function([first["mAP"], second["mAP"]])
        for function in (statistics.mean, statistics.stdev)
    )
    assert shown.count(f"{mean:.1f} ± {deviation:.1f}") >= 2
    assert "triplet.weight=30" in shown
    # The two recipes have the same trainings here.
    assert "+0.0" in shown


def test_seeds_are_shown_only_where_there_are_several() -> None:
    metrics = {"rank1": 0.5, "mAP": 0.5, "mINP": 0.5}
    one = [SweepRun("a", {"lr": "1", "seed": "1"}, metrics)]
    assert not has_seeds([*one, SweepRun("b", {"lr": "2", "seed": "1"}, metrics)])
    assert not has_seeds([*one, SweepRun("c", {"lr": "1", "seed": "2"}, error="diverged")])
    assert has_seeds([*one, SweepRun("d", {"lr": "1", "seed": "2"}, metrics)])


def test_run_that_failed_is_named_with_its_reason(swept: Project) -> None:
    output = output_of(swept)
    message = r"1 of 3 runs failed: sweep1-lr1e3\. sweeps/sweep1/NAME\.log holds all"
    assert re.search(rf"^error: {message}", output, re.M)
    assert re.search(rf"sweep1-lr1e3  failed: {DIVERGED}", output)
    assert re.search(r"^3/3 ", output, re.M)
    assert "Traceback" not in output
    page = (swept.root / "sweeps" / "sweep1.html").read_text("utf-8")
    assert page.count(f"failed: {DIVERGED}") == 1
    assert f"error: {DIVERGED}" in (swept.root / "sweeps/sweep1/sweep1-lr1e3.log").read_text()
    ended = {run.info.run_name: run.info.status for run in swept.mlflow_runs()}
    assert ended["sweep1-lr1e3"] == "FAILED"


def test_table_has_the_figures_of_the_experiments(swept: Project) -> None:
    table = pd.read_csv(swept.root / "sweeps" / "sweep1.csv").set_index("name")
    assert table["error"].notna().tolist() == [False, False, True]
    for name, row in table[table["error"].isna()].iterrows():
        found = project_file(swept, str(name), "metrics/triplet.json")
        for figure in ("rank1", "mAP"):
            assert row[figure] == pytest.approx(json.loads(found)[figure])
    assert table["mAP"].nunique() == 2


def project_file(project: Project, experiment: str, file: str) -> str:
    """A file as an experiment has it."""
    refs = project.must("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    (found,) = [ref for ref in refs if ref.endswith(f"/{experiment}")]
    return project.must("git", "show", f"{found}:{file}")


def test_each_experiment_is_one_whole_run(swept: Project) -> None:
    runs = {
        run.data.tags["dvc_exp"]: run
        for run in swept.mlflow_runs()
        if run.info.status == "FINISHED" and run.data.tags["dvc_exp"].startswith("sweep1-")
    }
    assert sorted(runs) == ["sweep1-lr0.01", "sweep1-lr0.02"]
    assert len({run.data.tags["fingerprint"] for run in runs.values()}) == 2
    client = MlflowClient(f"sqlite:///{swept.root / 'mlflow.db'}")
    for run in runs.values():
        rate = float(run.data.params["lr"])
        for model in ("baseline", "triplet"):
            losses = client.get_metric_history(run.info.run_id, f"{model}/loss")
            assert [(m.step, m.value) for m in sorted(losses, key=lambda m: m.step)] == [
                (epoch, pytest.approx(rate + 1 / epoch)) for epoch in range(1, EPOCHS + 1)
            ]
        assert {file.path for file in client.list_artifacts(run.info.run_id)} == {
            *("data_docs", "models", "pipeline", "plots", "validation")
        }


def test_dvc_shows_each_experiment_with_its_own_figures(swept: Project) -> None:
    rows = {row["Experiment"]: row for row in dvc.api.exp_show(str(swept.root))}
    for run in swept.mlflow_runs():
        if run.info.status == "FINISHED":
            row = rows[run.data.tags["dvc_exp"]]
            for figure in FIGURES:
                assert row[f"metrics/triplet.json:{figure}"] == pytest.approx(
                    run.data.metrics[f"triplet/{figure}"]
                )


def test_later_sweep_takes_finished_runs_from_the_cache(swept: Project) -> None:
    with chdir(swept.root), Repo() as repo:
        # As another process does that is about to run it.
        queue = repo.experiments.tempdir_queue
        repo.experiments.queue_one(queue, name="others", params={"params.yaml": ["lr=0.5"]})
    done = run_sweep(swept, "-S", "lr=0.01")
    assert done.returncode == 0, done.stdout
    with chdir(swept.root), Repo() as repo:
        (left,) = repo.experiments.stash_revs.values()
    assert left.name == "others"
    swept.must("git", "update-ref", "-d", "refs/exps/stash")
    (log,) = swept.root.glob("sweeps/*/sweep[2-9]-lr0.01.log")
    assert "Stage 'train_baseline' is cached - skipping run" in log.read_text()
    assert "Running stage 'train_baseline'" not in log.read_text()


def test_reason_of_a_failure_is_what_the_stage_said_first() -> None:
    printed = "Running\nerror: loss is nan\nERROR: failed to reproduce 'train'\n"
    assert reason_of_failure(printed) == "loss is nan"
    assert reason_of_failure("Running\nKilled\n\n") == "Killed"
    assert reason_of_failure("") == "it printed nothing"


def test_stopped_training_keeps_its_checkpoint(unfinished: Project) -> None:
    project = unfinished
    before = tree(project)
    with started_sweep(project, "-S", "lr=0.01", "-S", "baseline.epochs=200,300") as process:
        wait_while_it_runs(lambda: project.checkpoints(2), process)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE)
    assert "Stopped: 0 of 2 runs have ended and are kept. No run is left running" in output
    assert "Traceback" not in output
    assert process.returncode == 130
    assert_nothing_is_left(project)
    assert tree(project) == before
    assert project.checkpoints(2)
    assert {run.info.status for run in project.mlflow_runs()} == {"FAILED"}


def test_sweep_that_is_stopped_while_dvc_works_with_git_leaves_git_as_it_was(
    project: Project,
) -> None:
    edited = project.root / ".dvcignore"
    content = edited.read_text()
    edited.write_text(f"{content}# edited\n")
    before = tree(project)
    with started_sweep(project, "-S", "lr=0.01,0.02,0.03,0.04", **warm_environment()) as process:
        # To start an experiment, DVC puts git on another commit.
        head = project.root / ".git" / "HEAD"
        wait_while_it_runs(lambda: not head.read_text().startswith("ref:"), process)
        # The first signal asks the sweep to stop, and the others must not end it before it has.
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            time.sleep(0.7)
        output, _ = process.communicate(timeout=PATIENCE)
    assert "Stopped: 0 of 4 runs have ended and are kept. No run is left running" in output
    assert "Traceback" not in output
    assert process.returncode == 130
    assert_nothing_is_left(project)
    assert tree(project) == before
    edited.write_text(content)


def test_edit_of_the_pipeline_stops_the_sweep(project: Project) -> None:
    params = project.root / "params.yaml"
    content = params.read_text()

    def logs() -> set[Path]:
        return set(project.root.glob("sweeps/*/*.log"))

    before = logs()
    with started_sweep(project, "-S", "lr=0.01,0.02", **warm_environment()) as process:

        def has_begun() -> bool:
            return any(BEGUN in log.read_text() for log in logs() - before)

        wait_while_it_runs(has_begun, process)
        project.set_params({"seed": 12345})
        output, _ = process.communicate(timeout=PATIENCE)
    params.write_text(content)
    assert process.returncode == 1
    assert "error: parameters, code or data were edited while the sweep ran" in output
    assert_nothing_is_left(project)


def test_parameter_that_does_not_exist_is_named(project: Project) -> None:
    done = run_sweep(project, "-S", "lrr=0.01,0.02")
    assert_one_clear_message(done, "error: DVC can't start sweep.*-lrr0.01: .*'lrr'")
    assert_nothing_is_left(project)


def test_code_that_git_does_not_know_is_named_before_the_sweep(project: Project) -> None:
    file = Path("reid") / "model" / "backbones" / "mine [1].py"
    (project.root / file).touch()
    before = list((project.root / "sweeps").glob("*"))
    done = run_sweep(project, "-S", "lr=0.01,0.02")
    (project.root / file).unlink()
    assert_one_clear_message(done, f"error: git doesn't know {re.escape(str(file))}.*`git add '")
    assert list((project.root / "sweeps").glob("*")) == before
