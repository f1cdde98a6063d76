"""The run of a result in the tracking store: exactly one, complete, with the last figures."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from sqlalchemy.engine import make_url

from reid.common.errors import UserError
from reid.common.files import write_json
from runs.one_run_per_result import RunIdentity, nameless
from runs.tracking import PipelineResult, Tracker
from runs.tracking_store import tracking_uri
from tests.support.places import ROOT
from tests.support.waiting import DEADLINE, wait_until
from tests.support.warm import warm_environment

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a store with nothing in it."""
    store = tmp_path / "shared" / "mlflow.db"
    store.parent.mkdir()
    shutil.copyfile(empty_store, store)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    return store


@pytest.fixture
def absent_store(own_store: Path) -> Path:
    """The file of a store that is not there yet."""
    own_store.unlink()
    own_store.parent.rmdir()
    return own_store


def identity(root: Path, **tags: str) -> RunIdentity:
    return RunIdentity(root, "abc", "run", tags)


def started(root: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ["python", "-m", "tests.support.tracked_run", str(root), "abc"],
        cwd=ROOT,
        env=os.environ | warm_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )


def runs(tracker: Tracker) -> list[Run]:
    return tracker.client.search_runs([tracker.run.info.experiment_id])


def result(losses: list[float]) -> PipelineResult:
    history = pd.DataFrame({"epoch": range(1, len(losses) + 1), "loss": losses})
    cmc = pd.DataFrame({"rank": [1], "cmc": [0.5]})
    return PipelineResult(
        digest=str(losses),
        params={"lr": 0.1},
        metrics={"triplet": {"rank1": 0.5}},
        histories={"triplet": history},
        cmc={"triplet": cmc},
        data=pd.DataFrame({"pid": [1]}),
        data_name="photos",
        data_md5="123",
    )


@pytest.mark.usefixtures("absent_store")
def test_checkouts_that_share_a_store_make_one_run_per_result(tmp_path: Path) -> None:
    processes = [started(tmp_path / name) for name in ("here", "there")]
    ids = {process.communicate(timeout=DEADLINE)[0].split()[-1] for process in processes}
    assert {process.returncode for process in processes} == {0}
    tracker = Tracker(identity(tmp_path / "third"))
    assert ids == {tracker.id} == {run.info.run_id for run in runs(tracker)}


def test_machine_that_was_later_takes_the_run_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Tracker(identity(tmp_path))
    search = MlflowClient.search_runs
    answers: Iterator[list[Run]] = iter([[]])

    def at_first_none(*arguments: Any, **named: Any) -> list[Run]:
        return next(answers, search(*arguments, **named))

    # As if both looked before one of them has made its run.
    monkeypatch.setattr(MlflowClient, "search_runs", at_first_none)
    assert Tracker(identity(tmp_path)).id == first.id
    assert [run.info.run_id for run in runs(first)] == [first.id]


def also_created(tracker: Tracker, later: int) -> str:
    """Id of a second run of the result, as a machine makes it that doesn't see the first one."""
    run = tracker.run
    tags = {"fingerprint": run.data.tags["fingerprint"]}
    start = run.info.start_time + later
    return tracker.client.create_run(run.info.experiment_id, start, tags).info.run_id


def test_run_that_appears_later_with_an_older_date_is_the_one_that_is_kept(tmp_path: Path) -> None:
    live = Tracker(identity(tmp_path))
    older = also_created(live, later=-5)
    also_created(live, later=5)
    live.log_epoch("triplet", {"epoch": 1, "loss": 0.5})
    tracker = Tracker(identity(tmp_path))
    tracker.delete_others()
    tracker.complete(result([0.5]))
    assert [run.info.run_id for run in runs(live)] == [tracker.id] == [older]
    # The machine of the first one comes to its end, too, and finds nothing left to do.
    tracker = Tracker(identity(tmp_path))
    tracker.delete_others()
    assert tracker.is_finished
    assert tracker.id == older


def test_finished_run_is_kept_rather_than_an_older_one(tmp_path: Path) -> None:
    finished = Tracker(identity(tmp_path))
    finished.complete(result([0.5]))
    also_created(finished, later=-5)
    tracker = Tracker(identity(tmp_path))
    tracker.delete_others()
    assert tracker.is_finished
    assert [run.info.run_id for run in runs(finished)] == [finished.id]


def test_run_that_was_created_twice_by_a_repeated_request_is_one_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = MlflowClient.create_run

    def twice(client: MlflowClient, experiment_id: str, **named: Any) -> Run:
        named["start_time"] = int(1000 * time.time())
        created = [create(client, experiment_id, **named) for _ in range(2)]
        return min(created, key=lambda run: run.info.run_id)

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "create_run", twice)
        live = Tracker(identity(tmp_path))
    assert len(runs(live)) == 2
    tracker = Tracker(identity(tmp_path))
    tracker.delete_others()
    assert [run.info.run_id for run in runs(live)] == [tracker.id] == [live.id]


def test_store_whose_creation_was_killed_is_created_again(
    tmp_path: Path, absent_store: Path
) -> None:
    process = started(tmp_path)

    def is_begun() -> bool:
        assert process.poll() is None
        return bool(list(absent_store.parent.glob(".mlflow.db.*.part")))

    wait_until(is_begun, pause=0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(DEADLINE)
    assert not absent_store.exists()
    assert runs(Tracker(identity(tmp_path)))


def test_epochs_that_came_out_differently_are_logged_as_they_ended(tmp_path: Path) -> None:
    live = Tracker(identity(tmp_path))
    live.log_epoch("triplet", {"epoch": 1, "loss": 0.123456789})
    live.log_epoch("triplet", {"epoch": 2, "loss": 99.0})
    live.complete(result([0.12345679, 1.0]))
    history = live.client.get_metric_history(live.id, "triplet/loss")
    assert [(m.step, m.value) for m in history] == [(1, 0.123456789), (2, 99.0), (2, 1.0)]
    assert live.client.get_run(live.id).data.metrics["triplet/loss"] == 1.0


def test_epoch_that_was_logged_live_is_not_logged_again_from_the_file(tmp_path: Path) -> None:
    live = Tracker(identity(tmp_path))
    # The first is rounded up to seven digits where it was rounded up to eight before.
    losses = [3.0919649600982666, *np.random.default_rng(0).normal(size=100, scale=3)]
    for epoch, loss in enumerate(losses, start=1):
        live.log_epoch("triplet", {"epoch": epoch, "loss": loss})
    file = tmp_path / "history.csv"
    result(losses).histories["triplet"].to_csv(file, index=False, float_format="%.8g")
    live.complete(result(pd.read_csv(file)["loss"].tolist()))
    history = live.client.get_metric_history(live.id, "triplet/loss")
    assert sorted(m.step for m in history) == list(range(1, len(losses) + 1))


def test_interrupted_run_is_finished_even_if_a_value_is_written_differently_now(
    tmp_path: Path,
) -> None:
    begun = Tracker(identity(tmp_path))
    begun.client.log_param(begun.id, "triplet.weight", "10.0")
    written = replace(result([1.0]), params={"lr": 0.1, "triplet": {"weight": 10}})
    Tracker(identity(tmp_path)).complete(written)
    run = begun.client.get_run(begun.id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"lr": "0.1", "triplet.weight": "10.0"}


def test_finished_run_of_other_metrics_stays_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Tracker(identity(tmp_path)).complete(result([1.0]))
    again = Tracker(identity(tmp_path))
    assert again.holds(result([1.0]))
    assert not again.holds(result([2.0]))
    again.complete(result([2.0]))
    assert "has other metrics: it stays as it is" in caplog.text
    assert [m.value for m in again.client.get_metric_history(again.id, "triplet/loss")] == [1.0]


def test_protocol_other_than_the_usual_one_is_a_tag_and_no_metric(tmp_path: Path) -> None:
    tracker = Tracker(identity(tmp_path))
    tracker.complete(replace(result([0.5]), metrics={"triplet": {"rank1": 0.5, "any_camera": 1}}))
    (run,) = runs(tracker)
    assert run.data.tags["protocol"] == "any_camera"
    assert run.data.metrics.keys() == {"triplet/rank1", "triplet/loss", "triplet/cmc"}


def test_origin_is_the_one_at_the_end(tmp_path: Path) -> None:
    begun = {"git_commit": "a", "params_changed": "lr: 1 -> 2", "data_md5": "123"}
    travelling = tmp_path / "travelling"
    write_json(travelling / "params.json", {"lr": 1})
    Tracker(identity(tmp_path, **begun)).log_origin(
        identity(tmp_path, git_commit="b", git_dirty="false"), "from b", travelling
    )
    now = Tracker(identity(tmp_path))
    (file,) = now.client.list_artifacts(now.id, "pipeline")
    assert file.path == "pipeline/params.json"
    tags = now.run.data.tags
    assert tags["git_commit"] == "b"
    assert tags["git_dirty"] == "false"
    assert "params_changed" not in tags
    assert tags["data_md5"] == "123"
    assert tags["mlflow.note.content"] == "from b"


def experiment(root: Path, name: str) -> RunIdentity:
    return replace(identity(root, dvc_exp=name), name=name)


def reproduction(root: Path) -> RunIdentity:
    """Return the identity of a run of `dvc repro`, which belongs to no experiment."""
    return replace(identity(root), name=nameless("abc"))


@pytest.mark.parametrize(
    ("begun_as", "finished_as", "given"),
    [
        ("", "", ""),
        ("", "faster", ""),
        ("killed-one", "", ""),
        ("killed-one", "faster", ""),
        ("killed-one", "faster", "mine"),
    ],
)
def test_finished_run_has_the_name_of_its_experiment_unless_a_person_gave_one(
    tmp_path: Path, begun_as: str, finished_as: str, given: str
) -> None:
    def named(name: str) -> RunIdentity:
        return experiment(tmp_path, name) if name else reproduction(tmp_path)

    begun = Tracker(named(begun_as))
    if given:
        begun.client.update_run(begun.id, name=given)
    Tracker(named(finished_as)).log_origin(named(finished_as), "", tmp_path / "shared")
    now = Tracker(identity(tmp_path))
    assert now.experiment == finished_as
    assert now.run.info.run_name == (given or finished_as or nameless("abc"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "custom_model_development"),
        ("genai_development_inferred", "custom_model_development"),
        ("no_inferred_type", "custom_model_development"),
        ("finetuning", "finetuning"),
    ],
)
def test_mlflow_shows_an_existing_experiment_as_model_training_unless_a_person_chose(
    tmp_path: Path, before: str | None, after: str
) -> None:
    tracker = Tracker(identity(tmp_path))
    number = tracker.run.info.experiment_id
    if before is None:
        tracker.client.delete_experiment_tag(number, "mlflow.experimentKind")
    else:
        tracker.client.set_experiment_tag(number, "mlflow.experimentKind", before)
    Tracker(identity(tmp_path))
    assert tracker.client.get_experiment(number).tags["mlflow.experimentKind"] == after


def test_mlflow_shows_a_new_experiment_as_model_training(tmp_path: Path) -> None:
    tracker = Tracker(identity(tmp_path))
    tags = tracker.client.get_experiment(tracker.run.info.experiment_id).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"


@pytest.mark.usefixtures("absent_store")
def test_message_after_a_move_says_how_runs_find_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, now = tmp_path / "a project? #1 50%20 für", tmp_path / "renamed? %41"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    before.mkdir()
    tracker = Tracker(identity(before))
    before.rename(now)
    with pytest.raises(UserError, match="Was the project moved") as raised:
        Tracker(identity(now))
    # MLflow would have begun a folder at the old place.
    assert not before.exists()
    subprocess.run(str(raised.value).split("`")[1], shell=True, check=True)
    again = Tracker(identity(now))
    again.log_file(Path(__file__), "tests")
    assert again.id == tracker.id
    assert list(now.rglob(Path(__file__).name))
    # All of the store lies in the project, whatever its path.
    assert set(tmp_path.iterdir()) == {before, now}


@pytest.mark.parametrize("name", ["plain", "50%", "%20 ü", "a?b=c", "#1", "?", "a+b;c&d", "[x]@:y"])
@pytest.mark.parametrize("asked", [None, "sqlite:///mlflow.db?timeout=30&a=b"])
def test_store_lies_in_the_project_whatever_its_path(
    tmp_path: Path, name: str, asked: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    if asked:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", asked)
    url = make_url(tracking_uri(tmp_path / name))
    assert url.database == str(tmp_path / name / "mlflow.db")
    assert dict(url.query) == ({"timeout": "30", "a": "b"} if asked else {})


def test_deleted_experiment_is_named_with_the_command_that_restores_it(tmp_path: Path) -> None:
    tracker = Tracker(identity(tmp_path))
    experiment = tracker.run.info.experiment_id
    tracker.client.delete_experiment(experiment)
    with pytest.raises(UserError, match="experiment reid was deleted in MLflow") as raised:
        Tracker(identity(tmp_path))
    command = str(raised.value).split("`")[1].replace(" mlflow", " python -m mlflow")
    subprocess.run(command, shell=True, check=True, env=os.environ | warm_environment())
    assert Tracker(identity(tmp_path)).run.info.experiment_id == experiment


def test_files_that_are_kept_elsewhere_are_not_looked_for_here(
    tmp_path: Path, own_store: Path
) -> None:
    client = MlflowClient(f"sqlite:///{own_store}")
    client.create_experiment("reid", artifact_location="s3://bucket/reid")
    assert Tracker(identity(tmp_path)).run.info.artifact_uri.startswith("s3://bucket/reid/")
