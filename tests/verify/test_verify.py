"""``python -m verify``: can the committed result be reproduced?"""

import json
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml

from reid.common.processor import Processor
from reid.evaluation.figures import COUNTS, FIGURES
from tests.support.finished import copied
from tests.support.places import ROOT
from tests.support.project import Project, assert_one_clear_message
from verify.result import ResultFiles
from verify.tables import files_table, show

pytestmark = pytest.mark.slow

RANK1 = {"baseline": 0.715, "triplet": 0.83}


def write_result(
    folder: Path,
    rank1: dict[str, float],
    lr: float,
    data: str = "d1",
    processor: Processor = "this",
    reranking: bool = False,
) -> None:
    """A lock of two stages and the metrics of both models, as `dvc repro` leaves them."""
    (folder / "metrics").mkdir(parents=True, exist_ok=True)
    for model, value in rank1.items():
        figures = dict.fromkeys(FIGURES, 0.5) | {"rank1": value} | dict.fromkeys(COUNTS, 200)
        (folder / "metrics" / f"{model}.json").write_text(json.dumps(figures))
    split = {
        "cmd": "python -m stages.split",
        "deps": [{"path": "stages/split.py", "md5": "c0de"}],
        "outs": [{"path": "build/split.parquet", "md5": data}],
    }
    chosen = {
        "lr": lr,
        "backend": "tensorflow",
        "processor": processor,
        "precision": "float32",
    }
    train = {
        "cmd": "python -m stages.train_triplet",
        "deps": [{"path": "build/split.parquet", "md5": data}],
        "params": {"params.yaml": chosen},
        "outs": [{"path": "models/triplet", "md5": f"made with {lr} giving {rank1}"}],
    }
    extract = {"cmd": "c", "params": {"params.yaml": {"extract.engine": "openvino"}}, "outs": []}
    ranking = {"evaluate": {"reranking": {"use": reranking}}}
    evaluate = {"cmd": "c", "params": {"params.yaml": ranking}, "outs": []}
    stages = {
        "split": split,
        "train_triplet": train,
        "extract@triplet": extract,
        "evaluate@triplet": evaluate,
    }
    lock = {"schema": "2.0", "stages": stages}
    (folder / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose branch main holds a result."""
    project = Project(tmp_path / "project")
    write_result(project.root, RANK1, lr=0.01)
    project.must("git", "init", "--quiet", "--initial-branch", "main")
    project.must("git", "config", "user.name", "Test")
    project.must("git", "config", "user.email", "test@localhost")
    project.commit()
    project.must("git", "checkout", "--quiet", "-b", "change")
    return project


def verify(
    project: Project, *arguments: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    command = ("python", "-m", "verify", *arguments)
    return project.run(*command, PYTHONPATH=str(ROOT), **environment)


def repro(pipeline: Project, **environment: str) -> None:
    command = ("dvc", "repro", "--quiet", "--force")
    pipeline.must(*command, PYTHONPATH=str(ROOT), **environment)


def row(output: str, model: str, figure: str) -> list[str]:
    """The cells after the figure of a model, in the table that was printed."""
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in output.splitlines()]
    (cells,) = [cells[2:] for cells in table if cells[:2] == [model, figure]]
    return cells


@pytest.mark.parametrize(
    ("triplet", "moved"),
    [(0.88, "+5.0"), (0.75, "-8.0")],
    ids=["better", "worse by just the tolerance"],
)
def test_change_within_the_tolerance_passes(
    project: Project, tmp_path: Path, triplet: float, moved: str
) -> None:
    write_result(tmp_path / "clone", RANK1 | {"triplet": triplet}, lr=0.01)
    done = verify(project, "change", str(tmp_path / "clone"), "--base", "main")
    assert done.returncode == 0, done.stdout
    after = f"{100 * triplet:.1f}"
    assert row(done.stdout, "triplet", "rank-1") == ["83.0", "83.0", after, moved, ""]
    assert row(done.stdout, "baseline", "rank-1") == ["71.5", "71.5", "71.5", "0", ""]
    assert f"the figures are within {moved[1:]} points (8 are allowed" in done.stdout


def test_metrics_must_be_those_of_the_lock(project: Project, tmp_path: Path) -> None:
    write_result(project.root, RANK1, lr=0.01, processor="any")
    metrics = project.root / "metrics" / "triplet.json"
    metrics.write_text(metrics.read_text().replace("0.83", "0.93"))
    project.commit()
    write_result(tmp_path / "clone", RANK1, lr=0.01, processor="any")
    done = verify(project, "change", str(tmp_path / "clone"))
    assert_one_clear_message(done, "triplet rank-1 moved by .* from 93.0 to 83.0")


def test_reranked_figures_may_differ(project: Project, tmp_path: Path) -> None:
    write_result(project.root, RANK1, lr=0.01, processor="any", reranking=True)
    project.commit()
    near = RANK1 | {"triplet": 0.825}
    write_result(tmp_path / "clone", near, lr=0.01, processor="any", reranking=True)
    done = verify(project, "change", str(tmp_path / "clone"))
    assert "within 0.5 points" in done.stdout


def test_result_for_any_processor_must_have_the_same_bytes(
    project: Project, tmp_path: Path
) -> None:
    write_result(project.root, RANK1, lr=0.01, processor="any")
    project.commit()
    write_result(tmp_path / "clone", RANK1, lr=0.01, processor="any")
    done = verify(project, "change", str(tmp_path / "clone"))
    assert "was reproduced: the same bytes" in done.stdout
    write_result(tmp_path / "clone", RANK1 | {"triplet": 0.825}, lr=0.01, processor="any")
    done = verify(project, "change", str(tmp_path / "clone"))
    assert_one_clear_message(done, "models/triplet has other bytes")
    write_result(tmp_path / "clone", RANK1, lr=0.02, processor="any")
    done = verify(project, "change", str(tmp_path / "clone"))
    assert_one_clear_message(
        done, "train_triplet: lr differs from what the committed dvc.lock records"
    )


@pytest.mark.parametrize("triplet", [0.7, 0.95], ids=["worse", "better"])
def test_change_beyond_the_tolerance_fails_with_before_and_after(
    project: Project, tmp_path: Path, triplet: float
) -> None:
    write_result(tmp_path / "clone", RANK1 | {"triplet": triplet}, lr=0.01)
    done = verify(project, "change", str(tmp_path / "clone"), "--base", "main")
    assert_one_clear_message(done, "triplet rank-1 moved by .* points, from 83.0 to")
    assert "commit dvc.lock and metrics/" in done.stdout
    after, moved = f"{100 * triplet:.1f}", f"{100 * (triplet - 0.83):+.1f}"
    assert row(done.stdout, "triplet", "rank-1") == ["83.0", "83.0", after, moved, "too far"]


def test_change_that_commits_worse_metrics_passes(project: Project, tmp_path: Path) -> None:
    worse = RANK1 | {"triplet": 0.6}
    write_result(project.root, worse, lr=0.05)
    project.commit()
    write_result(tmp_path / "clone", worse, lr=0.05)
    done = verify(project, "change", str(tmp_path / "clone"), "--base", "main")
    assert done.returncode == 0, done.stdout
    assert row(done.stdout, "triplet", "rank-1") == [
        *("83.0", "60.0", "60.0", "0", "lowered by the commit")
    ]
    assert row(done.stdout, "baseline", "rank-1") == ["71.5", "71.5", "71.5", "0", ""]
    assert "was reproduced: the same bytes" in done.stdout


def test_change_without_its_lock_is_pointed_out(project: Project, tmp_path: Path) -> None:
    write_result(tmp_path / "clone", RANK1, lr=0.02)
    done = verify(project, "change", str(tmp_path / "clone"))
    assert done.returncode == 0, done.stdout
    assert "dvc.lock was made from other inputs: train_triplet: lr." in done.stdout


def test_change_of_the_data_without_its_lock_fails(project: Project, tmp_path: Path) -> None:
    write_result(tmp_path / "clone", RANK1, lr=0.01, data="d2")
    done = verify(project, "change", str(tmp_path / "clone"))
    assert_one_clear_message(done, "split gave other bytes: build/split.parquet")


def drop_figure(folder: Path) -> None:
    path = folder / "metrics" / "triplet.json"
    figures = json.loads(path.read_text())
    del figures["mINP"]
    path.write_text(json.dumps(figures))


def test_figure_that_the_base_lacks_is_shown_as_a_dash(project: Project, tmp_path: Path) -> None:
    project.must("git", "checkout", "--quiet", "main")
    drop_figure(project.root)
    project.commit()
    project.must("git", "checkout", "--quiet", "change")
    write_result(tmp_path / "clone", RANK1, lr=0.01)
    done = verify(project, "change", str(tmp_path / "clone"), "--base", "main")
    assert done.returncode == 0, done.stdout
    assert row(done.stdout, "triplet", "mINP") == ["-", "50.0", "50.0", "0", ""]


@pytest.mark.parametrize(
    ("lacks", "cells", "message"),
    [
        (
            "project",
            ["-", "50.0", "-", "too far"],
            "triplet mINP is in the new result and not",
        ),
        (
            "clone",
            ["50.0", "-", "-", "too far"],
            "triplet mINP is in the committed result and not",
        ),
    ],
)
def test_figure_that_is_on_one_side_only_fails(
    project: Project, tmp_path: Path, lacks: str, cells: list[str], message: str
) -> None:
    write_result(tmp_path / "clone", RANK1, lr=0.01)
    drop_figure(tmp_path / lacks)
    project.commit()
    done = verify(project, "change", str(tmp_path / "clone"))
    assert_one_clear_message(done, message)
    assert row(done.stdout, "triplet", "mINP") == cells


def test_change_of_a_count_fails(project: Project, tmp_path: Path) -> None:
    write_result(tmp_path / "clone", RANK1, lr=0.01)
    path = tmp_path / "clone" / "metrics" / "triplet.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"queries": 100}))
    done = verify(project, "change", str(tmp_path / "clone"))
    assert_one_clear_message(done, "triplet queries was 200, is 100")


@pytest.mark.parametrize("damaged", ["dvc.lock", "metrics/triplet.json"])
def test_conflict_markers_are_pointed_out(project: Project, tmp_path: Path, damaged: str) -> None:
    write_result(tmp_path / "clean", RANK1, lr=0.01)
    file = project.root / damaged
    content = file.read_text()
    file.write_text(f"<<<<<<< HEAD\n{content}=======\n{content}>>>>>>> other\n")
    project.commit()
    done = verify(project, "change", str(tmp_path / "clean"))
    assert_one_clear_message(done, "of commit .* can't be read .* conflict markers")


def test_missing_folder_or_commit_is_named(project: Project, tmp_path: Path) -> None:
    assert_one_clear_message(
        verify(project, "change", str(tmp_path / "absent")), "absent/dvc.lock is not there"
    )
    write_result(tmp_path / "clone", RANK1, lr=0.01)
    assert_one_clear_message(
        verify(project, "change", str(tmp_path / "clone"), "--base", "no-such"),
        "dvc.lock of commit no-such can't be read",
    )


@pytest.fixture(scope="module")
def finished_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of one quick stage, which has run, with its result committed."""
    folder = tmp_path_factory.mktemp("finished")
    project = Project(folder / "pipeline")
    project.root.mkdir()
    project.must("git", "init", "--quiet")
    project.must("git", "config", "user.name", "Test")
    project.must("git", "config", "user.email", "test@localhost")
    project.init_dvc()
    project.must("dvc", "remote", "add", "--quiet", "--default", "storage", str(folder / "remote"))
    (project.root / "data").write_text("photos")
    project.must("dvc", "add", "--quiet", "data")
    project.must("dvc", "push", "--quiet")
    train = {
        "cmd": "python -m tests.support.train_at_once",
        "deps": ["data", "code.py"],
        "metrics": [
            {f"metrics/{model}.json": {"cache": False}} for model in ("baseline", "triplet")
        ],
        "outs": ["models"],
    }
    (project.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": train}}))
    (project.root / "code.py").write_text("# declared, and never run\n")
    repro(project)
    project.commit()
    return project


@pytest.fixture
def pipeline(finished_pipeline: Project, tmp_path: Path) -> Project:
    """A copy of the project with the committed result."""
    return copied(finished_pipeline, tmp_path / "pipeline")


def test_table_of_files_fits_80_columns_without_a_break(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("verify.tables.WIDTH", 80)
    longest = "build/rankings/baseline.parquet"
    lock = "stages: {evaluate: {cmd: c, outs: [{path: %s, md5: %s}]}}"
    first, second, committed = (ResultFiles(lock % (longest, 8 * digit), {}) for digit in "abc")
    show(files_table((first, second), committed))
    output = capsys.readouterr().out
    assert f"| {longest} | aaaaaaa | bbbbbbb | ccccccc | all three |" in output


@pytest.fixture
def clones_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the clones are made."""
    folder = tmp_path / "clones"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_two_clones_give_the_committed_bytes(pipeline: Project, clones_folder: Path) -> None:
    done = verify(pipeline, "clones")
    assert done.returncode == 0, done.stdout
    assert "was reproduced: the same bytes" in done.stdout
    assert done.stdout.count("Running stage 'train'") == 2
    assert list(clones_folder.glob("verify-*")) == []


def test_two_clones_that_differ_are_kept(pipeline: Project, clones_folder: Path) -> None:
    done = verify(pipeline, "clones", TRAIN_BY_CHANCE="1")
    assert_one_clear_message(done, f"different results. The clones are in {clones_folder}")
    (models,) = [line for line in done.stdout.splitlines() if line.startswith("| models ")]
    assert "| all three" in models
    assert len(list(clones_folder.glob("verify-*/*/reid/dvc.lock"))) == 2


def test_two_clones_on_another_kind_of_processor(pipeline: Project, clones_folder: Path) -> None:
    repro(pipeline, KIND_OF_PROCESSOR="0.05")
    pipeline.commit()
    done = verify(pipeline, "clones")
    assert "the models differ, the figures are within 5.0 points" in done.stdout
    for model in ("baseline", "triplet"):
        assert row(done.stdout, model, "rank-1") == ["75.0", "70.0", "-5.0", ""]


def test_lock_made_from_other_code_fails(pipeline: Project, clones_folder: Path) -> None:
    (pipeline.root / "code.py").write_text("# an edit after the run\n")
    pipeline.commit()
    assert_one_clear_message(verify(pipeline, "clones"), "from other inputs .*: train: code.py")
