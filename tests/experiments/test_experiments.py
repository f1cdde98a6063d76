"""From a DVC experiment to its MLflow run and back: description, comparison, reproduction.

The tests of this file share one project and build upon each other, in the order of the file.
"""

import json
import re
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run

import experiments.reproduction
from experiments.reproduction import Reproduction
from reid.__main__ import main
from reid.evaluation.figures import COUNTS, FIGURES
from tests.support.mlflow_server import free_port, mlflow_server
from tests.support.project import Project, assert_one_clear_message, make_project
from verify.recurrence import Recurrence

NEW_CODE = "reid/newly_written.py"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = make_project(tmp_path_factory.mktemp("experiments") / "a project")
    made.must("dvc", "repro")
    made.commit()
    return made


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
    return project.mlflow_runs()[-1]


def client_of(project: Project) -> MlflowClient:
    return MlflowClient(f"sqlite:///{project.root / 'mlflow.db'}")


def kept(project: Project, run: Run, folder: Path) -> Path:
    """What a run carries of the pipeline's state."""
    folder.mkdir()
    return Path(client_of(project).download_artifacts(run.info.run_id, "pipeline", str(folder)))


def compare(project: Project, *arguments: str) -> dict[str, dict[str, object]]:
    rows = json.loads(project.must("python", "-m", "reid", "compare", "--json", *arguments))
    return {name: row for row in rows for name in row["names"]}


def reproduce(*arguments: str) -> tuple[str, ...]:
    return ("python", "-m", "reid", "reproduce", *arguments)


def back_to_commit(project: Project) -> None:
    project.must("git", "checkout", "--", ".")
    project.must("git", "clean", "--quiet", "-d", "--force")
    project.must("dvc", "checkout")


def test_run_of_a_committed_state_names_the_commit(project: Project, tmp_path: Path) -> None:
    # The first run came before the commit of its lock and figures, which are results of it.
    (run,) = project.mlflow_runs()
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


def test_other_parameters_alone_are_not_dirty(project: Project) -> None:
    project.must("dvc", "exp", "run", "--temp", "-n", "apart", "-S", "evaluate.max_rank=30")
    run = project.mlflow_runs()[-1]
    assert run.data.tags["dvc_exp"] == "apart"
    assert run.data.tags["git_commit"] == project.must("git", "rev-parse", "HEAD").strip()
    assert run.data.tags["git_dirty"] == "false"
    assert run.data.tags["params_changed"] == "evaluate.max_rank: 50 -> 30"
    assert "| Experiment | `apart` |" in run.data.tags["mlflow.note.content"]


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


def test_compare_joins_what_dvc_and_mlflow_know(project: Project, edited: Run) -> None:
    rows = compare(project)
    branch = project.must("git", "branch", "--show-current").strip()
    assert rows.keys() == {branch, "apart", "edited"}
    runs = {run.info.run_id: run for run in project.mlflow_runs()}
    for row in rows.values():
        assert row["place"] == "both"
        assert row["status"] == "finished"
        assert row["fingerprint"] == runs[str(row["run_id"])].data.tags["fingerprint"]
    assert rows["edited"]["run_id"] == edited.info.run_id
    table = project.must("python", "-m", "reid", "compare", COLUMNS="100")
    assert "max_rank" in table
    assert "seed" not in table
    assert max(len(line) for line in table.splitlines()) <= 100


def test_compare_shows_what_only_one_of_them_knows(project: Project, edited: Run) -> None:
    client = client_of(project)
    client.delete_run(edited.info.run_id)
    row = compare(project)["edited"]
    assert (row["place"], row["run_id"]) == ("DVC", "")
    figures = json.loads((project.root / "metrics" / "triplet.json").read_text())
    assert row["metrics"]["triplet/mAP"] == figures["mAP"]
    compared = project.run("python", "-m", "reid", "compare", "--open", "edited", "apart")
    assert_one_clear_message(compared, "edited is only in DVC")
    client.restore_run(edited.info.run_id)
    project.must("dvc", "exp", "remove", "edited")
    back_to_commit(project)
    row = compare(project)["edited"]
    assert (row["place"], row["run_id"]) == ("MLflow", edited.info.run_id)


def test_compare_points_out_figures_that_contradict_each_other(project: Project) -> None:
    before = compare(project)["apart"]
    client, run_id = client_of(project), str(before["run_id"])
    client.log_metric(run_id, "triplet/rank1", 2.0, step=1)
    table = project.must("python", "-m", "reid", "compare", COLUMNS="200")
    assert re.search(r"apart +both, differ +", table)
    row = compare(project)["apart"]
    assert (row["place"], row["metrics"]) == ("both, differ", before["metrics"])
    assert row["run_metrics"] == {**before["metrics"], "triplet/rank1": 2.0}
    client.log_metric(run_id, "triplet/rank1", before["metrics"]["triplet/rank1"], step=2)
    assert compare(project)["apart"] == before


def test_compare_shows_what_waits_since_another_commit(project: Project) -> None:
    project.must("git", "commit", "--quiet", "--allow-empty", "-m", "nothing ended here")
    project.must("dvc", "exp", "run", "--queue", "-n", "waits", "-S", "lr=0.5")
    project.must("git", "commit", "--quiet", "--allow-empty", "-m", "later")
    row = compare(project)["waits"]
    assert (row["place"], row["status"]) == ("DVC", "queued")
    # It has no run to compare, and stands in nobody's way.
    output = project.must("python", "-m", "reid", "compare", "--open", BROWSER="echo opened %s")
    assert "waits" in output
    assert "/#/compare-runs?" in output
    project.must("dvc", "queue", "remove", "waits")
    project.must("git", "reset", "--quiet", "--hard", "HEAD~2")


def run_that_is_reproduced(project: Project, text: str) -> str:
    """The id of the run that a text means to ``reproduce``, whose folder is there already."""
    done = project.run(*reproduce(text, str(project.root)))
    assert_one_clear_message(done, "is there already")
    return re.findall("^run ([0-9a-f]{32}) ", done.stdout, re.M)[0]


def test_reproduce_knows_the_names_that_compare_shows(project: Project, edited: Run) -> None:
    rows = compare(project)
    (branch,) = rows.keys() - {"apart", "edited"}
    assert run_that_is_reproduced(project, branch) == rows[branch]["run_id"]
    # As where an experiment without a name was killed, and another made its run whole.
    client = client_of(project)
    apart = str(rows["apart"]["run_id"])
    client.update_run(apart, name="dead")
    assert run_that_is_reproduced(project, "apart") == apart
    assert run_that_is_reproduced(project, "dead") == apart
    client.update_run(edited.info.run_id, name="dead")
    assert run_that_is_reproduced(project, "edited") == edited.info.run_id
    done = project.run(*reproduce("dead"))
    shorts = rf"\({apart[:8]}\), dead \({edited.info.run_id[:8]}\)"
    assert_one_clear_message(done, rf"dead names 2 results: apart {shorts}\. Give an id")
    for run_id, name in ((apart, "apart"), (edited.info.run_id, "edited")):
        client.update_run(run_id, name=name)


def test_reproduce_says_which_result_has_no_run(project: Project) -> None:
    client, run_id = client_of(project), str(compare(project)["apart"]["run_id"])
    client.delete_run(run_id)
    done = project.run(*reproduce("apart"))
    assert_one_clear_message(done, "apart is only in DVC and has no run. `dvc exp apply` it")
    client.restore_run(run_id)


REMEMBERED = Path(".dvc") / "tmp" / "fingerprints.json"
WITHOUT_A_LOOK = """
from dvc.repo import Repo
from reid.__main__ import main

Repo.switch = None
main()
"""


def test_compare_looks_into_a_commit_once(project: Project) -> None:
    rows = project.must("python", "-m", "reid", "compare", "--json")
    assert project.must("python", "-c", WITHOUT_A_LOOK, "compare", "--json") == rows


@pytest.mark.parametrize("damage", ["", "[3]", '{"another definition": {"REV": "wrong"}}'])
def test_compare_looks_again_where_nothing_useful_is_remembered(
    project: Project, damage: str
) -> None:
    rows = compare(project)
    remembered = (project.root / REMEMBERED).read_text()
    head = project.must("git", "rev-parse", "HEAD").strip()
    (project.root / REMEMBERED).write_text(damage.replace("REV", head))
    assert compare(project) == rows
    assert (project.root / REMEMBERED).read_text() == remembered


def test_compare_leaves_out_a_commit_that_can_not_be_read(project: Project) -> None:
    rows = compare(project)
    file = project.root / "dvc.yaml"
    before = file.read_text()
    file.write_text(f"<<<<<<< HEAD\n{before}")
    project.must("git", "commit", "--quiet", "--all", "-m", "a merge gone wrong")
    file.write_text(before)
    assert {row["run_id"] for row in compare(project).values()} == {
        row["run_id"] for row in rows.values()
    }
    project.must("git", "reset", "--quiet", "--hard", "HEAD~1")
    assert compare(project) == rows


@pytest.mark.parametrize("name", ["dvc.yaml", "params.yaml", "dvc.lock", "data.dvc"])
def test_compare_in_the_middle_of_a_merge(project: Project, name: str) -> None:
    file = project.root / name
    before = file.read_text()
    file.write_text(f"<<<<<<< HEAD\n{before}")
    done = project.run("python", "-m", "reid", "compare")
    file.write_text(before)
    assert_one_clear_message(done, f"^error: DVC can't work with this project: .*'{name}'")


UI_AT = """
import sys
import runs.run_store

runs.run_store.LOCAL_UI = sys.argv.pop(1)
from reid.__main__ import main

main()
"""


def test_open_gives_the_page_that_compares(project: Project, edited: Run) -> None:
    port = free_port()
    command = (
        *("python", "-c", UI_AT, f"http://127.0.0.1:{port}"),
        *("compare", "--open", "apart", edited.info.run_id[:8]),
    )
    output = project.must(*command, BROWSER="echo opened %s")
    assert "opened" not in output
    assert "no MLflow answers there: run `make ui`" in output
    assert re.search(rf"^http://127\.0\.0\.1:{port}/#/compare-runs\?", output, re.M)
    with mlflow_server(project, port):
        output = project.must(*command, BROWSER="echo opened %s")
    (page,) = re.findall(r"^opened (\S+)", output, re.M)
    assert page.startswith(f"http://127.0.0.1:{port}/#/compare-runs?")
    asked = parse_qs(urlsplit(urlsplit(page).fragment).query)
    both = {str(compare(project)["apart"]["run_id"]), edited.info.run_id}
    assert set(json.loads(asked["runs"][0])) == both
    assert json.loads(asked["experiments"][0]) == [edited.info.experiment_id]


def test_description_gives_one_command_that_repeats_the_run(edited: Run) -> None:
    (command,) = re.findall(r"```\n(.*?)\n```", edited.data.tags["mlflow.note.content"], re.S)
    assert command == f"python -m reid reproduce {edited.info.run_id}"


def test_reproduce_computes_the_same_figures_and_touches_nothing(
    project: Project, edited: Run, tmp_path: Path
) -> None:
    def project_now() -> tuple[str, str, list[str]]:
        with sqlite3.connect(project.root / "mlflow.db") as store:
            rows = list(store.iterdump())
        return project.must("git", "status", "--short"), project.must("git", "show-ref"), rows

    before = project_now()
    folder = tmp_path / "again"
    store = f"sqlite:///{project.root / 'mlflow.db'}"
    output = project.must(
        *reproduce(edited.info.run_id[:10], str(folder)), MLFLOW_TRACKING_URI=store
    )
    assert project_now() == before
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
        project.run(*reproduce(edited.info.run_id, str(folder))), "again is there already"
    )


def test_reproduction_that_differs_fails(
    project: Project, edited: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = [Recurrence("triplet/rank1", 0.5, 0.25), Recurrence("triplet/mAP", 0.5, 0.5)]
    done = Reproduction(edited.info.run_id, Path("elsewhere"), figures, same_bytes=False)
    monkeypatch.setattr(experiments.reproduction, "reproduce", lambda *_: done)
    monkeypatch.setattr(sys, "argv", ["reid", "reproduce", edited.info.run_id])
    monkeypatch.chdir(project.root)
    with pytest.raises(SystemExit, match="does not come out again; elsewhere holds what came out"):
        main()


def unfinished(project: Project, run: Run) -> str:
    begun = client_of(project).create_run(run.info.experiment_id, run_name="begun")
    return str(begun.info.run_id)


def lost_package(project: Project, run: Run) -> str:
    code = project.root / "stages" / "lineage.py"
    code.write_text(f"import never_installed\n{code.read_text()}")
    project.must("git", "commit", "--quiet", "--all", "-m", "with a package of then")
    commit = project.must("git", "rev-parse", "HEAD").strip()
    project.must("git", "reset", "--quiet", "--hard", "HEAD~1")
    client_of(project).set_tag(run.info.run_id, "git_commit", commit)
    return str(run.info.run_id)


def lost_commit(project: Project, run: Run) -> str:
    client_of(project).set_tag(run.info.run_id, "git_commit", "0123456789" * 4)
    return str(run.info.run_id)


def lost_data(project: Project, run: Run) -> str:
    (project.root / ".dvc" / "cache").rename(project.root.parent / "cache")
    return str(project.mlflow_runs()[0].info.run_id)


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (lambda project, run: "never-heard", "no run of .* has the id or the name never-heard"),
        (lambda project, run: "", "no run is named"),
        (unfinished, "is RUNNING and holds no whole result"),
        (lost_package, "does not start: ModuleNotFoundError: No module named 'never_installed'"),
        (lost_commit, "git commit 0123456789.* is not in .* any more"),
        (lost_data, r"what data\.dvc names is neither in the project's cache nor in its remote"),
    ],
)
def test_run_that_cannot_be_reproduced(
    project: Project,
    edited: Run,
    tmp_path: Path,
    cause: Callable[[Project, Run], str],
    message: str,
) -> None:
    folder = tmp_path / "again"
    done = project.run(*reproduce(cause(project, edited), str(folder)))
    assert_one_clear_message(done, message)
    assert not folder.exists()


@pytest.mark.parametrize("command", [("compare",), ("reproduce", "a")])
def test_store_that_is_not_there(project: Project, command: tuple[str, ...]) -> None:
    done = project.run(
        *("python", "-m", "reid", *command), MLFLOW_TRACKING_URI="sqlite:///absent.db"
    )
    assert_one_clear_message(done, r"absent\.db does not exist: no result was tracked yet")
    assert not (project.root / "absent.db").exists()
