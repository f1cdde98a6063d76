"""The pipeline as its users run it: ``dvc repro``, ``dvc exp run``, one MLflow run per result."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run

from reid.data.dataset import read_subset
from reid.data.paths import history_file, model_folder
from reid.training.history import history_table
from tests.support.absent import without
from tests.support.places import ROOT
from tests.support.project import MANY_EPOCHS, Project, assert_one_clear_message

MODELS = ("baseline", "triplet")
RERANKING = {"use": False, "k1": 4, "k2": 2, "original_weight": 0.3}


def stages_run(output: str) -> set[str]:
    return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}


def drawn_plots(project: Project) -> set[str]:
    """Names of the plots of ``dvc.yaml`` that are no pictures."""
    plots = yaml.safe_load((project.root / "dvc.yaml").read_text())["plots"]
    return {name for plot in plots for name in plot if not name.endswith(".png")}


def lines_of(project: Project, plot: str) -> set[tuple[str, str]]:
    """Model and field of each line that ``dvc plots show`` draws; it must have nothing to say."""
    said = project.must("dvc", "plots", "show")
    assert re.fullmatch(r"\s*file://\S+index\.html\s*", said), said
    (shown,) = json.loads(project.must("dvc", "plots", "show", "--json", plot))["data"][plot]
    return {
        (point["filename"].split("/")[0], point["field"])
        for point in shown["content"]["data"]["values"]
        if point[shown["content"]["encoding"]["y"]["field"]] != ""
    }


def versions(project: Project) -> int:
    """Return how many versions the registered model has."""
    client = MlflowClient(f"sqlite:///{project.root / 'mlflow.db'}")
    return len(client.search_model_versions("name = 'reid'"))


def back_to_commit(project: Project) -> None:
    project.must("git", "checkout", "--", ".")
    project.must("dvc", "checkout")


def test_repro_gives_figures_and_one_whole_run(trained: Project) -> None:
    (run,) = trained.mlflow_runs()
    assert run.info.status == "FINISHED"
    assert run.data.params["lr"] == "0.01"
    assert run.data.params["triplet.margin"] == "0.3"
    for model in MODELS:
        written = json.loads((trained.root / "metrics" / f"{model}.json").read_text())
        assert written["queries"] == 8
        assert written["junk"] == 2
        assert written["distractors"] == 3
        for figure in ("rank1", "rank5", "rank10", "mAP", "mAP_official", "mINP"):
            assert run.data.metrics[f"{model}/{figure}"] == pytest.approx(written[figure])
        assert (trained.root / "plots" / model / "answers.png").stat().st_size > 0
    client = MlflowClient(f"sqlite:///{trained.root / 'mlflow.db'}")
    steps = [m.step for m in client.get_metric_history(run.info.run_id, "baseline/loss")]
    assert steps == [1, 2]
    assert "triplet/triplet_loss" in run.data.metrics
    assert "triplet/refit_loss" in run.data.metrics
    assert "baseline/refit_loss" not in run.data.metrics
    networks = {Path(f.path).name for f in client.list_artifacts(run.info.run_id, "models/triplet")}
    assert networks == {"final.keras"}
    assert run.data.params["test_set.gallery"] == "19"
    assert run.data.params["test_set.junk"] == "2"
    assert "baseline/gallery" not in run.data.metrics
    ranks = client.get_metric_history(run.info.run_id, "triplet/cmc")
    assert [m.step for m in ranks] == list(range(1, 51))
    assert ranks[4].value == pytest.approx(run.data.metrics["triplet/rank5"])
    page = Path(client.download_artifacts(run.info.run_id, "plots/curves.html"))
    assert page.read_text("utf-8").count("vegaEmbed('#") == len(drawn_plots(trained))
    figures = run.data.metrics
    for figure in ("rank1", "mAP"):
        for model in MODELS:
            low, high = (figures[f"{model}/{figure}_{end}"] for end in ("low", "high"))
            assert low <= figures[f"{model}/{figure}"] <= high
        assert figures[f"comparison/{figure}_difference"] == pytest.approx(
            figures[f"triplet/{figure}"] - figures[f"baseline/{figure}"]
        )
    assert run.inputs is not None
    (used,) = run.inputs.dataset_inputs
    tracked = yaml.safe_load((trained.root / "data.dvc").read_text())["outs"][0]["md5"]
    assert used.dataset.digest == tracked
    assert run.data.tags["data_md5"] == tracked
    assert {f.path for f in client.list_artifacts(run.info.run_id)} == {
        "data_docs",
        "models",
        "pipeline",
        "plots",
        "validation",
    }


def test_second_repro_does_nothing_and_keeps_the_one_run(project: Project) -> None:
    output = project.must("dvc", "repro")
    assert stages_run(output) == {"track"}
    assert "is up to date" in output
    assert "version" not in output
    assert len(project.mlflow_runs()) == versions(project) == 1


def test_files_of_a_run_may_lie_in_the_project(project: Project) -> None:
    (files,) = (project.root / "mlartifacts").glob("**/artifacts/pipeline")
    shutil.copytree(files, project.root / "kept")
    try:
        assert stages_run(project.must("dvc", "repro")) == {"track"}
        (result,) = json.loads(project.must("python", "-m", "reid", "compare", "--json"))
        assert result["place"] == "both"
    finally:
        shutil.rmtree(project.root / "kept")
    assert len(project.mlflow_runs()) == 1


def test_pulled_result_gets_its_run_without_training(project: Project, tmp_path: Path) -> None:
    clone = project.pulled_clone(tmp_path)
    for _ in range(2):
        assert stages_run(clone.must("dvc", "repro")) == {"track"}
        (here,), (there,) = project.mlflow_runs(), clone.mlflow_runs()
        assert versions(clone) == 1
    assert there.data.tags["fingerprint"] == here.data.tags["fingerprint"]
    assert there.data.metrics == pytest.approx(here.data.metrics, rel=1e-6)
    # The clone's commit, other than the one that the first run began with, has the result.
    commit = clone.must("git", "rev-parse", "HEAD").strip()
    assert f"`{commit}`, unchanged" in there.data.tags["mlflow.note.content"]
    assert commit not in here.data.tags["mlflow.note.content"]


def test_edit_without_a_repro_makes_no_run(project: Project) -> None:
    lock = (project.root / "dvc.lock").read_bytes()
    (before,) = project.mlflow_runs()
    project.set_params({"lr": 0.3})
    assert "edited after the stages ran" in project.must("dvc", "repro", "-s", "track")
    project.must("git", "checkout", "params.yaml")
    (project.root / "data" / "note.txt").write_text("another data set")
    project.must("dvc", "add", "data")
    assert "edited after the stages ran" in project.must("dvc", "repro", "-s", "track")
    assert (project.root / "dvc.lock").read_bytes() == lock
    (now,) = project.mlflow_runs()
    assert now.info.run_id == before.info.run_id


def test_number_written_differently_is_the_same_result(project: Project) -> None:
    (before,) = project.mlflow_runs()
    assert before.info.run_name.startswith("repro-")
    output = project.must("dvc", "exp", "run", "-n", "same", "-S", "triplet.weight=10")
    assert stages_run(output) == {"track"}
    (now,) = project.mlflow_runs()
    assert now.info.run_id == before.info.run_id
    # It is the experiment's result, too, and says so.
    assert (now.info.run_name, now.data.tags["dvc_exp"]) == ("same", "same")


def test_edit_reruns_only_what_it_touches(project: Project) -> None:
    project.set_params({"evaluate": {"resamples": 2000, "reranking": {**RERANKING, "use": True}}})
    output = project.must("dvc", "repro")
    assert stages_run(output) == {"evaluate@baseline", "evaluate@triplet", "compare", "track"}
    assert ", re-ranked" in output


def test_experiment_has_its_own_run_and_its_repetition_adds_none(project: Project) -> None:
    before = len(project.mlflow_runs())
    project.must("dvc", "exp", "run", "-n", "faster", "-S", "lr=0.02")
    runs = project.mlflow_runs()
    assert len(runs) == before + 1
    assert runs[-1].data.params["lr"] == "0.02"
    assert runs[-1].data.tags["dvc_exp"] == "faster"
    assert runs[-1].info.status == "FINISHED"
    commit = project.must("git", "rev-parse", "HEAD").strip()
    assert runs[-1].data.tags["git_commit"] == commit
    back_to_commit(project)
    again = project.must("dvc", "exp", "run", "-n", "again", "-S", "lr=0.02")
    assert "Stage 'train_baseline' is cached - skipping run" in again
    assert len(project.mlflow_runs()) == versions(project) == before + 1
    shown = project.must("dvc", "exp", "show", "--csv")
    assert "faster" in shown
    assert "metrics/triplet.json:mAP" in shown


def test_run_names_an_experiment_that_is_there(project: Project) -> None:
    def run_of_the_commit() -> Run:
        here = project.must("python", "-m", "tests.support.print_fingerprint", PYTHONPATH=str(ROOT))
        return next(
            run for run in project.mlflow_runs() if run.data.tags["fingerprint"] == here.strip()
        )

    run_id = run_of_the_commit().info.run_id
    project.must("dvc", "exp", "run", "--temp", "-n", "same")
    project.must("dvc", "exp", "run", "--temp", "-n", "second")
    assert run_of_the_commit().data.tags["dvc_exp"] == "same"
    project.must("dvc", "exp", "remove", "same")
    project.must("dvc", "repro")
    assert run_of_the_commit().data.tags["dvc_exp"] == "second"
    project.must("dvc", "exp", "rename", "second", "renamed")
    project.must("dvc", "repro")
    now = run_of_the_commit()
    assert (now.info.run_id, now.data.tags["dvc_exp"]) == (run_id, "renamed")
    description = now.data.tags["mlflow.note.content"]
    assert "| Experiment | `renamed` |" in description
    assert now.info.run_name == "renamed"
    project.must("dvc", "exp", "apply", "renamed")
    back_to_commit(project)
    # Where another kind of processor made the run, its figures are no experiment's of this one.
    store = MlflowClient(f"sqlite:///{project.root / 'mlflow.db'}")
    store.set_tag(run_id, "result", "of another machine")
    project.must("dvc", "exp", "remove", "renamed")
    project.must("dvc", "exp", "run", "--temp", "-n", "third")
    assert run_of_the_commit().data.tags["dvc_exp"] == "renamed"
    store.set_tag(run_id, "result", now.data.tags["result"])


def test_server_that_is_down_costs_nothing_and_is_caught_up_with(project: Project) -> None:
    before = len(project.mlflow_runs())
    experiment = ("dvc", "exp", "run", "-n", "untold", "-S", "evaluate.max_rank=20")
    output = project.must(*experiment, MLFLOW_TRACKING_URI="http://me:secret@127.0.0.1:9")
    (told,) = [line for line in output.splitlines() if "127.0.0.1" in line]
    assert told.startswith(
        "The run in MLflow at http://127.0.0.1:9 can't be completed ([Errno 111] "
    )
    assert "secret" not in output
    assert len(project.mlflow_runs()) == before
    project.must("dvc", "repro")
    runs = project.mlflow_runs()
    assert len(runs) == before + 1
    assert runs[-1].info.status == "FINISHED"
    assert runs[-1].data.metrics.keys() >= {"baseline/loss", "triplet/loss"}
    # Whose result that is, DVC knows.
    assert runs[-1].data.tags["dvc_exp"] == "untold"
    assert "| Experiment | `untold` |" in runs[-1].data.tags["mlflow.note.content"]


def test_killed_repro_resumes_in_its_own_run_and_ends_with_the_same_bytes(
    resumable: Project,
) -> None:
    before = len(resumable.mlflow_runs())
    resumable.set_params({"baseline": {"epochs": MANY_EPOCHS}})
    with resumable.trained_for(epochs=2):
        pass
    assert "resuming after epoch" in resumable.must("dvc", "repro")
    states = (resumable.root / ".dvc" / "tmp" / "checkpoints").iterdir()
    assert not [state for state in states if state.is_dir()]
    resumed = (resumable.root / "dvc.lock").read_bytes()
    run = resumable.mlflow_runs()[-1]
    assert len(resumable.mlflow_runs()) == before + 1
    assert run.info.status == "FINISHED"
    client = MlflowClient(f"sqlite:///{resumable.root / 'mlflow.db'}")
    steps = [m.step for m in client.get_metric_history(run.info.run_id, "baseline/loss")]
    assert sorted(steps) == list(range(1, MANY_EPOCHS + 1))
    undisturbed = resumable.must("dvc", "repro", "--force", "--single-item", "train_baseline")
    assert f"epoch 1/{MANY_EPOCHS}" in undisturbed
    assert (resumable.root / "dvc.lock").read_bytes() == resumed


def test_training_killed_before_dvc_saved_it_is_not_repeated(resumable: Project) -> None:
    resumable.set_params({"baseline": {"epochs": 1}})
    # As if DVC was killed when the training's process had just ended.
    resumable.must("python", "-m", "stages.train_baseline")
    output = resumable.must("dvc", "repro", "train_baseline")
    assert "resuming after epoch 1 of 1" in output
    lock = (resumable.root / "dvc.lock").read_bytes()
    # Once it is saved, to ask for it again means to train it again.
    force = ("dvc", "repro", "--force", "--single-item", "train_baseline")
    assert "epoch 1/1" in resumable.must(*force)
    assert (resumable.root / "dvc.lock").read_bytes() == lock


def test_training_of_another_experiment_is_not_repeated(resumable: Project) -> None:
    resumable.set_params({"baseline": {"epochs": MANY_EPOCHS}})
    experiment = ("dvc", "exp", "run", "--temp", "train_baseline", "-S")
    with resumable.trained_for(1, (*experiment, "triplet.margin=0.7")) as first:
        first.resume()
        output = resumable.must(*experiment, "triplet.margin=0.6")
        assert first.pipeline.wait() == 0
    finished = f"resuming after epoch {MANY_EPOCHS} of {MANY_EPOCHS}|is cached - skipping"
    assert re.search(finished, output)
    assert f"epoch 1/{MANY_EPOCHS}" not in output


def test_plots_show_what_the_holdout_measures_without_a_warning(trained: Project) -> None:
    def expected(*measured: str) -> set[tuple[str, str]]:
        return {(model, field) for model in MODELS for field in ("accuracy", *measured)}

    refitted = {("triplet", "refit_accuracy")}
    assert lines_of(trained, "Accuracy") == expected("val_accuracy") | refitted
    # As a training writes it that holds out people.
    row = {"epoch": 1, "learning_rate": 0.01, "loss": 2, "accuracy": 0.5}
    for model in MODELS:
        history_table([row | {"val_rank1": 0.5, "val_mAP": 0.4}], []).to_csv(
            trained.root / history_file(model_folder(model)), index=False
        )
    assert lines_of(trained, "Accuracy") == expected("val_rank1", "val_mAP")


def test_search_answers_a_photo_of_ones_own(trained: Project, tmp_path: Path) -> None:
    gallery = read_subset(trained.root / "build" / "dataset", "gallery", images=True)
    features = np.load(trained.root / "build" / "features" / "triplet" / "gallery.npy")
    asked = int(np.flatnonzero(gallery["pid"] > 0)[0])
    photo = tmp_path / "me.jpg"
    photo.write_bytes(gallery["image"][asked])
    expected = dict(zip(gallery["name"], features @ features[asked], strict=True))
    best_of: dict[object, float] = {}
    for name, pid in zip(gallery["name"], gallery["pid"], strict=True):
        if pid >= 0:
            who = pid or name
            best_of[who] = max(expected[name], best_of.get(who, -1))
    search = ("python", "-m", "reid", "search", str(photo))
    answers = json.loads(trained.must(*search, "--top", "3", "--json"))
    assert [set(answer) for answer in answers] == [{"person", "camera", "file", "similarity"}] * 3
    found = [answer["similarity"] for answer in answers]
    assert found == pytest.approx(sorted(best_of.values(), reverse=True)[:3], abs=1e-3)
    assert found == pytest.approx([expected[answer["file"]] for answer in answers], abs=1e-6)
    people = [answer["person"] for answer in answers if answer["person"]]
    assert len(people) == len(set(people))
    picture = tmp_path / "out.png"
    # Neither library is imported, which would take seconds.
    absent = without("keras", "tensorflow")
    trained.must(*search, "--picture", str(picture), START_COLD="yes", **absent)
    assert picture.read_bytes().startswith(b"\x89PNG")
    # Another backend than those installed, as a shell's profile may ask for, is no matter.
    elsewhere = ("env", "KERAS_BACKEND=torch", *search)
    assert answers[0]["file"] in trained.must(*elsewhere)
    weights = trained.root / "build" / "networks" / "triplet" / "network.bin"
    content = weights.read_bytes()
    weights.unlink()
    shutil.copyfile(trained.root / "build" / "networks" / "baseline" / "network.bin", weights)
    assert_one_clear_message(trained.run(*search), "build/networks/triplet changed after")
    weights.write_bytes(content)
    photo.write_text("no photo")
    assert_one_clear_message(trained.run(*search), "me.jpg can't be read as a photo")


def test_report_shows_both_models(project: Project) -> None:
    output = project.must("python", "-m", "reid", "report")
    for word in ("baseline", "triplet", "rank-1", "mAP", "mINP", "make ui", "distractors"):
        assert word in output
    cameras = json.loads((project.root / "plots" / "triplet" / "cameras.json").read_text())
    for camera, figures in cameras.items():
        (row,) = (line for line in output.splitlines() if f" {camera} " in line)
        assert f" {100 * figures['mAP']:.1f} " in row


def test_change_behind_a_linked_folder_is_noticed_although_dvc_does_not_look_there(
    project: Project,
) -> None:
    with zipfile.ZipFile(project.root / "data" / "synthetic-pedestrians.zip") as sample:
        sample.extractall(project.root / "disk")
    (project.root / "data" / "mine").symlink_to("../disk")
    assert_one_clear_message(project.run("dvc", "repro"), "dvc repro --force ingest")
    assert "links to folders" in project.must("dvc", "repro", "--force", "ingest")
    project.must("dvc", "repro")
    (project.root / "data" / "mine").unlink()
    assert_one_clear_message(project.run("dvc", "repro"), "dvc repro --force ingest")


def test_student_learns_from_a_teacher_that_dvc_tracks(trained: Project) -> None:
    teacher = trained.root / "pretrained" / "teacher.keras"
    shutil.copyfile(trained.root / "models" / "triplet" / "final.keras", teacher)
    trained.must("dvc", "add", "pretrained")
    trained.must("dvc", "repro", "train_baseline")
    wrong = trained.run("dvc", "exp", "run", "-S", "triplet.teacher=teacher.h5", "train_triplet")
    assert_one_clear_message(wrong, "there is no file pretrained/teacher.h5")
    said = trained.must("dvc", "exp", "run", "-S", "triplet.teacher=teacher.keras", "train_triplet")
    assert "the teacher embeds 48 training images at 32x32" in said
    history = pd.read_csv(history_file(trained.root / model_folder("triplet")))
    assert (
        history[["teacher_loss", "val_teacher_loss", "refit_teacher_loss"]].notna().all(axis=None)
    )
