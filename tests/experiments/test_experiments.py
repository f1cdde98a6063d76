"""From a DVC experiment to its MLflow run and back: description, comparison, reproduction.

The tests of this file share one project, and each leaves it as it was.
"""

import json
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable, Container, Iterator
from contextlib import AbstractContextManager, ExitStack, chdir, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from dvc.repo import Repo
from mlflow import MlflowClient
from mlflow.entities import Run

import experiments.reproduction
from experiments.reproduction import Reproduction
from reid.__main__ import main
from reid.evaluation.figures import COUNTS, FIGURES
from runs.fingerprint_cache import CommitFingerprints
from tests.support.finished import copied, finished_project
from tests.support.mlflow_server import free_port, mlflow_pages
from tests.support.places import ROOT
from tests.support.project import Project, assert_one_clear_message
from verify.recurrence import Recurrence

NEW_CODE = "reid/newly_written.py"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, shared_folder: Path) -> Project:
    folder = tmp_path_factory.mktemp("experiments")
    return copied(finished_project(shared_folder, "quick"), folder / "a project & co")


@pytest.fixture(scope="module")
def edited(project: Project) -> Run:
    """The run of an experiment with another parameter and with uncommitted code."""
    for name in ("stages/compare.py", ".dvcignore"):
        with (project.root / name).open("a") as file:
            file.write("# edited\n")
    (project.root / NEW_CODE).write_text("# new\n")
    # DVC's own configuration is edited, too: no password in it may travel.
    project.must("dvc", "remote", "add", "storage", "s3://bucket")
    project.must("dvc", "remote", "modify", "storage", "secret_access_key", "s3cret")
    project.must("dvc", "exp", "run", "-n", "edited", "-S", "evaluate.max_rank=20")
    run = project.mlflow_runs()[-1]
    back_to_commit(project)
    return run


@pytest.fixture(scope="module")
def apart(project: Project) -> Run:
    """The run of an experiment with another parameter, made in a temporary folder."""
    project.must("dvc", "exp", "run", "--temp", "-n", "apart", "-S", "evaluate.max_rank=30")
    return project.mlflow_runs()[-1]


@pytest.fixture
def undo() -> Iterator[ExitStack]:
    """Callbacks that take back what a test changes in the project, also if the test fails."""
    with ExitStack() as callbacks:
        yield callbacks


def client_of(project: Project) -> MlflowClient:
    return MlflowClient(project.store)


def kept(project: Project, run: Run, folder: Path) -> Path:
    """What a run carries of the pipeline's state."""
    folder.mkdir()
    return Path(client_of(project).download_artifacts(run.info.run_id, "pipeline", str(folder)))


def compared(project: Project, *arguments: str) -> dict[str, dict[str, Any]]:
    """The rows of ``compare`` by the names of the results."""
    rows = json.loads(project.must("python", "-m", "reid", "compare", "--json", *arguments))
    return {name: row for row in rows for name in row["names"]}


def reproduce(*arguments: str) -> tuple[str, ...]:
    return ("python", "-m", "reid", "reproduce", *arguments)


def ref_of(run: Run) -> str:
    """The reference in git of the experiment that made a run."""
    commit, name = run.data.tags["git_commit"], run.data.tags["dvc_exp"]
    return f"refs/exps/{commit[:2]}/{commit[2:]}/{name}"


def back_to_commit(project: Project) -> None:
    project.must("git", "checkout", "--", ".")
    project.must("git", "clean", "--quiet", "-d", "--force")
    project.must("dvc", "checkout")


def delete_runs_since(project: Project, before: Container[str]) -> None:
    """Delete the runs of a project that it did not have before."""
    for run in project.mlflow_runs():
        if run.info.run_id not in before:
            client_of(project).delete_run(run.info.run_id)


def test_run_of_a_committed_state_names_the_commit(project: Project, tmp_path: Path) -> None:
    # The first run came before the commit of its lock and figures, which are results of it.
    run = project.mlflow_runs()[0]
    started_from = project.must("git", "rev-parse", "HEAD~1").strip()
    data_md5 = yaml.safe_load((project.root / "data.dvc").read_text())["outs"][0]["md5"]
    tags = run.data.tags
    assert tags["git_commit"] == started_from
    assert tags["git_dirty"] == "false"
    assert not {"git_changes", "params_changed"} & tags.keys()
    description = tags["mlflow.note.content"]
    for fact in (started_from, data_md5, tags["fingerprint"], "unchanged", "those of the commit"):
        assert fact in description
    assert f"python -m reid reproduce {run.info.run_id}\n" in description
    files = kept(project, run, tmp_path / "kept")
    assert {file.name for file in files.iterdir()} == {
        *("params.yaml", "dvc.yaml", "dvc.lock", "data.dvc", "pretrained.dvc", "metrics"),
        "changes.patch",
    }
    assert (files / "changes.patch").read_bytes() == b""
    metrics = Path("metrics") / "triplet.json"
    assert (files / metrics).read_bytes() == (project.root / metrics).read_bytes()


def test_other_parameters_alone_are_not_dirty(project: Project, apart: Run) -> None:
    assert apart.data.tags["dvc_exp"] == "apart"
    assert apart.data.tags["git_commit"] == project.must("git", "rev-parse", "HEAD").strip()
    assert apart.data.tags["git_dirty"] == "false"
    assert apart.data.tags["params_changed"] == "evaluate.max_rank: 50 -> 30"
    assert "| Experiment | `apart` |" in apart.data.tags["mlflow.note.content"]


def test_uncommitted_code_travels_with_the_run(
    project: Project, edited: Run, tmp_path: Path
) -> None:
    assert edited.data.tags["dvc_exp"] == "edited"
    assert edited.data.tags["git_dirty"] == "true"
    assert edited.data.tags["git_changes"] == "stages/compare.py"
    assert "`stages/compare.py`" in edited.data.tags["mlflow.note.content"]
    files = kept(project, edited, tmp_path / "kept")
    assert yaml.safe_load((files / "params.yaml").read_text())["evaluate"]["max_rank"] == 20
    patched = re.findall(r"^diff --git a/(\S+)", (files / "changes.patch").read_text(), re.M)
    assert sorted(patched) == [".dvcignore", NEW_CODE, "stages/compare.py"]


def test_compare_joins_what_dvc_and_mlflow_know(project: Project, apart: Run, edited: Run) -> None:
    rows = compared(project)
    branch = project.must("git", "branch", "--show-current").strip()
    assert rows.keys() == {branch, "apart", "edited"}
    runs = {run.info.run_id: run for run in project.mlflow_runs()}
    for row in rows.values():
        assert row["place"] == "both"
        assert row["status"] == "finished"
        assert row["fingerprint"] == runs[str(row["run_id"])].data.tags["fingerprint"]
    assert rows["apart"]["run_id"] == apart.info.run_id
    assert rows["edited"]["run_id"] == edited.info.run_id
    table = project.must("python", "-m", "reid", "compare", COLUMNS="100")
    assert "max_rank" in table
    assert "seed" not in table
    assert max(len(line) for line in table.splitlines()) <= 100


def test_compare_shows_a_result_that_only_dvc_knows(
    project: Project, apart: Run, edited: Run, undo: ExitStack
) -> None:
    client = client_of(project)
    client.delete_run(edited.info.run_id)
    undo.callback(client.restore_run, edited.info.run_id)
    row = compared(project)["edited"]
    assert (row["place"], row["run_id"]) == ("DVC", "")
    figures = json.loads(project.must("git", "show", f"{ref_of(edited)}:metrics/triplet.json"))
    assert row["metrics"]["triplet/mAP"] == figures["mAP"]
    done = project.run("python", "-m", "reid", "compare", "--open", "edited", "apart")
    assert_one_clear_message(done, "edited is only in DVC")


def test_compare_shows_a_result_that_only_mlflow_knows(
    project: Project, edited: Run, undo: ExitStack
) -> None:
    ref = ref_of(edited)
    commit = project.must("git", "rev-parse", ref).strip()
    undo.callback(project.must, "git", "update-ref", ref, commit)
    project.must("dvc", "exp", "remove", "edited")
    row = compared(project)["edited"]
    assert (row["place"], row["run_id"]) == ("MLflow", edited.info.run_id)


def test_compare_points_out_figures_that_contradict_each_other(
    project: Project, apart: Run, undo: ExitStack
) -> None:
    before = compared(project)["apart"]
    client, run_id = client_of(project), apart.info.run_id
    figure = before["metrics"]["triplet/rank1"]
    undo.callback(client.log_metric, run_id, "triplet/rank1", figure, step=2)
    client.log_metric(run_id, "triplet/rank1", 2.0, step=1)
    table = project.must("python", "-m", "reid", "compare", COLUMNS="200")
    assert re.search(r"apart +both, differ +", table)
    row = compared(project)["apart"]
    assert (row["place"], row["metrics"]) == ("both, differ", before["metrics"])
    assert row["run_metrics"] == {**before["metrics"], "triplet/rank1": 2.0}
    undo.close()
    assert compared(project)["apart"] == before


def test_compare_shows_the_workspace_next_to_a_commit_of_another_processor(
    shared_folder: Path, tmp_path: Path
) -> None:
    project = copied(finished_project(shared_folder, "quick"), tmp_path / "project")
    # The run and the workspace have the figures that this processor gave, the commit has others.
    file = project.root / "metrics" / "triplet.json"
    here = file.read_text()
    file.write_text(json.dumps(json.loads(here) | {"rank1": 2.0}))
    project.must("git", "commit", "--quiet", "--all", "-m", "made on another processor")
    file.write_text(here)
    rows = compared(project)
    branch = project.must("git", "branch", "--show-current").strip()
    run_id = project.mlflow_runs()[0].info.run_id
    assert (rows["workspace"]["place"], rows["workspace"]["run_id"]) == ("both", run_id)
    assert rows["workspace"]["metrics"]["triplet/rank1"] == json.loads(here)["rank1"]
    assert rows[branch]["place"] == "both, differ"
    assert rows[branch]["metrics"]["triplet/rank1"] == 2.0
    assert run_that_is_reproduced(project, branch) == run_id


def test_compare_shows_an_experiment_queued_on_another_commit(
    project: Project, apart: Run, edited: Run, undo: ExitStack
) -> None:
    head = project.must("git", "rev-parse", "HEAD").strip()
    undo.callback(project.must, "git", "reset", "--quiet", "--hard", head)
    undo.callback(project.run, "dvc", "queue", "remove", "waits")
    project.must("git", "commit", "--quiet", "--allow-empty", "-m", "nothing ended here")
    project.must("dvc", "exp", "run", "--queue", "-n", "waits", "-S", "lr=0.5")
    project.must("git", "commit", "--quiet", "--allow-empty", "-m", "later")
    row = compared(project)["waits"]
    assert (row["place"], row["status"]) == ("DVC", "queued")
    # It has no run, and is left out of the page that compares runs.
    output = project.must("python", "-m", "reid", "compare", "--open", BROWSER="echo opened %s")
    assert "waits" in output
    assert "/#/compare-runs?" in output


def test_experiment_of_one_stage_does_not_show_the_figures_of_other_parameters(
    project: Project, undo: ExitStack
) -> None:
    before = {run.info.run_id for run in project.mlflow_runs()}
    undo.callback(delete_runs_since, project, before)
    undo.callback(back_to_commit, project)
    undo.callback(project.run, "dvc", "exp", "remove", "partly")
    project.must("dvc", "exp", "run", "-n", "partly", "-S", "lr=0.7", "train_baseline")
    row = compared(project)["partly"]
    assert (row["status"], row["metrics"], row["params"]["lr"]) == ("incomplete", {}, "0.7")
    table = project.must("python", "-m", "reid", "compare")
    assert "incomplete: has no whole run. `dvc exp apply` it" in table


def run_that_is_reproduced(project: Project, text: str) -> str:
    """The id of the run that a text means to ``reproduce``, whose folder is there already."""
    done = project.run(*reproduce(text, str(project.root)))
    assert_one_clear_message(done, "exists already")
    return re.findall("^run ([0-9a-f]{32}) ", done.stdout, re.M)[0]


def test_reproduce_knows_the_names_that_compare_shows(
    project: Project, apart: Run, edited: Run, undo: ExitStack
) -> None:
    rows = compared(project)
    branch = project.must("git", "branch", "--show-current").strip()
    assert run_that_is_reproduced(project, branch) == rows[branch]["run_id"]
    # As if an experiment without a name was killed, and another completed its run.
    client = client_of(project)
    ids = apart.info.run_id, edited.info.run_id
    for run_id, name in zip(ids, ("apart", "edited"), strict=True):
        undo.callback(client.update_run, run_id, name=name)
    client.update_run(ids[0], name="dead")
    assert run_that_is_reproduced(project, "apart") == ids[0]
    assert run_that_is_reproduced(project, "dead") == ids[0]
    client.update_run(ids[1], name="dead")
    assert run_that_is_reproduced(project, "edited") == ids[1]
    done = project.run(*reproduce("dead"))
    assert_one_clear_message(done, r"dead names 2 results: .*\. Give more of the id")
    for run_id, name in zip(ids, ("apart", "edited"), strict=True):
        assert f"{name} ({run_id[:8]})" in done.stdout


def test_reproduce_says_which_result_has_no_run(
    project: Project, apart: Run, undo: ExitStack
) -> None:
    client, run_id = client_of(project), apart.info.run_id
    client.delete_run(run_id)
    undo.callback(client.restore_run, run_id)
    done = project.run(*reproduce("apart"))
    assert_one_clear_message(done, "apart is only in DVC and has no run. `dvc exp apply` it")


REMEMBERED = Path(".dvc") / "tmp" / "fingerprints.json"


def test_compare_reads_a_commit_once(project: Project) -> None:
    rows = project.must("python", "-m", "reid", "compare", "--json")
    program = ("python", "-m", "tests.support.blind_compare", "--json")
    assert project.must(*program, PYTHONPATH=str(ROOT)) == rows


@pytest.mark.parametrize("damage", ["", "[3]", '{"another definition": {"REV": "wrong"}}'])
def test_commit_is_read_again_if_its_note_is_damaged(project: Project, damage: str) -> None:
    head = project.must("git", "rev-parse", "HEAD").strip()
    with chdir(project.root), Repo() as repo:
        fingerprint = CommitFingerprints(repo).of(head)
        (project.root / REMEMBERED).parent.mkdir(exist_ok=True)
        (project.root / REMEMBERED).write_text(damage.replace("REV", head))
        again = CommitFingerprints(repo)
        assert again.of(head) == fingerprint
        again.remember()
    assert fingerprint in (project.root / REMEMBERED).read_text()


def test_compare_leaves_out_a_damaged_commit(project: Project, undo: ExitStack) -> None:
    rows = compared(project)
    file = project.root / "dvc.yaml"
    before = file.read_text()
    head = project.must("git", "rev-parse", "HEAD").strip()
    undo.callback(project.must, "git", "reset", "--quiet", "--hard", head)
    file.write_text(f"<<<<<<< HEAD\n{before}")
    project.must("git", "commit", "--quiet", "--all", "-m", "a merge gone wrong")
    file.write_text(before)
    assert {row["run_id"] for row in compared(project).values()} == {
        row["run_id"] for row in rows.values()
    }
    undo.close()
    assert compared(project) == rows


@pytest.mark.parametrize("name", ["dvc.yaml", "data.dvc"])
def test_compare_names_the_file_with_conflict_markers(
    project: Project, name: str, undo: ExitStack
) -> None:
    file = project.root / name
    before = file.read_text()
    undo.callback(file.write_text, before)
    file.write_text(f"<<<<<<< HEAD\n{before}")
    done = project.run("python", "-m", "reid", "compare")
    assert_one_clear_message(done, f"^error: DVC can't work with this project: .*'{name}'")


def test_open_gives_the_page_that_compares(project: Project, apart: Run, edited: Run) -> None:
    port = free_port()
    command = ("python", "-m", "reid", "compare", "--open", "apart", edited.info.run_id[:8])
    output = project.must(*command, "--port", str(port), BROWSER="echo opened %s")
    assert "opened" not in output
    assert f"MLflow does not run there: run `make ui PORT={port}`" in output
    assert re.search(rf"^http://127\.0\.0\.1:{port}/#/compare-runs\?", output, re.M)
    with mlflow_pages(project, port):
        # The port of `make ui` is known.
        output = project.must(*command, BROWSER="echo opened %s")
    (page,) = re.findall(r"^opened (\S+)", output, re.M)
    assert page.startswith(f"http://127.0.0.1:{port}/#/compare-runs?")
    asked = parse_qs(urlsplit(urlsplit(page).fragment).query)
    both = {apart.info.run_id, edited.info.run_id}
    assert set(json.loads(asked["runs"][0])) == both
    assert json.loads(asked["experiments"][0]) == [edited.info.experiment_id]


def test_description_gives_one_command_that_repeats_the_run(edited: Run) -> None:
    (command,) = re.findall(r"```\n(.*?)\n```", edited.data.tags["mlflow.note.content"], re.S)
    assert command == f"python -m reid reproduce {edited.info.run_id}"


def test_reproduce_gives_the_same_figures_and_changes_nothing(
    project: Project, edited: Run, tmp_path: Path
) -> None:
    def project_now() -> tuple[str, str, list[str]]:
        with sqlite3.connect(project.root / "mlflow.db") as store:
            rows = list(store.iterdump())
        return project.must("git", "status", "--short"), project.must("git", "show-ref"), rows

    before = project_now()
    folder = tmp_path / "again? #2 50%20 für"
    output = project.must(
        *reproduce(edited.info.run_id[:10], str(folder)), MLFLOW_TRACKING_URI=project.store
    )
    assert project_now() == before
    assert list(tmp_path.iterdir()) == [folder]
    ran = set(re.findall("^Running stage '(.*)'", output, re.M))
    assert ran >= {"ingest", "train_baseline", "train_triplet", "evaluate@triplet", "track"}
    assert "every file that DVC hashes has the same bytes" in output
    assert output.count(" equal ") == 2 * len((*FIGURES, *COUNTS))
    (run,) = Project(folder).mlflow_runs()
    assert run.data.tags["fingerprint"] == edited.data.tags["fingerprint"]
    assert run.data.tags["result"] == edited.data.tags["result"]
    for name in ("stages/compare.py", ".dvcignore"):
        assert (folder / name).read_text().endswith("# edited\n")
    assert (folder / NEW_CODE).exists()
    assert_one_clear_message(
        project.run(*reproduce(edited.info.run_id, str(folder))), "für exists already"
    )


def test_reproduction_that_differs_fails(
    project: Project, edited: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = [Recurrence("triplet/rank1", 0.5, 0.25), Recurrence("triplet/mAP", 0.5, 0.5)]
    done = Reproduction(edited.info.run_id, Path("elsewhere"), figures, same_bytes=False)
    monkeypatch.setattr(experiments.reproduction, "reproduce", lambda *_: done)
    monkeypatch.setattr(sys, "argv", ["reid", "reproduce", edited.info.run_id])
    monkeypatch.chdir(project.root)
    with pytest.raises(SystemExit, match="was not reproduced; elsewhere holds the new result"):
        main()


@contextmanager
def unfinished(project: Project, run: Run) -> Iterator[str]:
    begun = client_of(project).create_run(run.info.experiment_id, run_name="begun")
    try:
        yield str(begun.info.run_id)
    finally:
        client_of(project).delete_run(begun.info.run_id)


@contextmanager
def commit_of(project: Project, run: Run, commit: str) -> Iterator[str]:
    """Let a run come from another commit."""
    client, run_id = client_of(project), run.info.run_id
    client.set_tag(run_id, "git_commit", commit)
    try:
        yield run_id
    finally:
        client.set_tag(run_id, "git_commit", run.data.tags["git_commit"])


@contextmanager
def lost_package(project: Project, run: Run) -> Iterator[str]:
    code = project.root / "runs" / "fingerprint.py"
    code.write_text(f"import never_installed\n{code.read_text()}")
    project.must("git", "commit", "--quiet", "--all", "-m", "with a package of then")
    commit = project.must("git", "rev-parse", "HEAD").strip()
    project.must("git", "reset", "--quiet", "--hard", "HEAD~1")
    with commit_of(project, run, commit) as run_id:
        yield run_id


@contextmanager
def lost_data(project: Project, run: Run) -> Iterator[str]:
    cache, elsewhere = project.root / ".dvc" / "cache", project.root.parent / "cache"
    cache.rename(elsewhere)
    try:
        yield project.mlflow_runs()[0].info.run_id
    finally:
        shutil.rmtree(cache, ignore_errors=True)
        elsewhere.rename(cache)


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (unfinished, "is RUNNING and has no whole result"),
        (lost_package, "does not start: ModuleNotFoundError: No module named 'never_installed'"),
        (
            partial(commit_of, commit="0123456789" * 4),
            "git commit 0123456789.* is not in .* any more",
        ),
        (lost_data, r"the files of data\.dvc are neither in the project's cache nor in its remote"),
    ],
)
def test_run_that_cannot_be_reproduced(
    project: Project,
    edited: Run,
    tmp_path: Path,
    cause: Callable[[Project, Run], AbstractContextManager[str]],
    message: str,
) -> None:
    folder = tmp_path / "again"
    with cause(project, edited) as run_id:
        done = project.run(*reproduce(run_id, str(folder)))
    assert_one_clear_message(done, message)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("never-heard", "no run of .* has the id or the name never-heard"),
        ("", "no run is named"),
    ],
)
def test_unknown_run_is_named(project: Project, text: str, message: str) -> None:
    assert_one_clear_message(project.run(*reproduce(text)), message)


@pytest.mark.parametrize("command", [("compare",), ("reproduce", "a")])
def test_missing_store_is_named(project: Project, command: tuple[str, ...]) -> None:
    done = project.run(
        *("python", "-m", "reid", *command), MLFLOW_TRACKING_URI="sqlite:///absent.db"
    )
    assert_one_clear_message(done, r"absent\.db does not exist: no result was tracked yet")
    assert not (project.root / "absent.db").exists()
