"""``dvc.yaml`` declares the files and parameters that each stage reads.

Imports are followed in the code, so that what is imported only under a condition counts. All else
is seen by watching each stage of two small pipelines: what it opens, from any language, and which
parameters it takes.
"""

import shutil
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import yaml

from tests.support import tiny_backbone
from tests.support.declarations import Declared, declarations, undeclared, unread, watch_stages
from tests.support.finished import copied, unfinished_project
from tests.support.imports import (
    declared_never_imported,
    declared_unused,
    imported_undeclared,
)
from tests.support.places import ROOT
from tests.support.project import INPUT, Project
from tests.support.watched_stage import Seen

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
USERS_OWN = {
    ".keras/keras.json": "read by Keras itself, and overruled in reid/model/backend.py",
    ".cache/matplotlib": "a list of the fonts, in a library that others import",
}
"""Files in the home folder that libraries read, and why that is left alone."""

EACH_MODEL = ("baseline", "triplet")
NOT_READ = {
    "split: build/validation.json": "it has to be there: no split of data that failed",
    **dict.fromkeys(
        [
            f"{stage}@{model}: requirements-onnx.txt"
            for stage in ("export", "extract")
            for model in EACH_MODEL
        ],
        "it stands for the libraries of one engine",
    ),
    **dict.fromkeys(
        [f"evaluate@{model}: parameter evaluate.reranking.expansion" for model in EACH_MODEL],
        "it is for one way to re-rank",
    ),
    **dict.fromkeys(
        [
            f"{stage}: requirements.txt"
            for stage in (
                *(f"train_{model}" for model in EACH_MODEL),
                *(
                    f"{stage}@{model}"
                    for stage in ("export", "extract", "evaluate")
                    for model in EACH_MODEL
                ),
                "compare",
            )
        ],
        "it stands for the libraries",
    ),
}
"""What is declared and read by neither small pipeline, and why it is declared."""

WEIGHTS = "start.weights.h5"
OTHER_CHOICES: dict[str, Any] = {
    "ingest": {"gallery": "gt_bbox"},
    "split": {"holdout": "people"},
    "model": {"weights": WEIGHTS},
    "triplet": {"start": "pretrained"},
    "extract": {"engine": "keras"},
    "evaluate": {
        "reranking": {
            **{"use": True, "method": "k_reciprocal", "expansion": 3},
            **{"k1": 4, "k2": 2, "original_weight": 0.3},
        }
    },
}
"""Parameters with which other files and parameters are read than with the usual ones."""

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="watches through inotify")


EVERY_STAGE = [name for name in STAGES if name != "track"]


@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_stage_declares_all_code_that_it_imports(stage: str) -> None:
    assert imported_undeclared(ROOT, stage) == []


@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_stage_imports_from_each_folder_that_it_declares(stage: str) -> None:
    assert declared_unused(ROOT, stage) == []


@pytest.mark.parametrize("stage", ["train_baseline", "train_triplet"])
def test_training_imports_every_library_file_that_it_declares(stage: str) -> None:
    assert declared_never_imported(ROOT, stage) == []


def test_wrongly_declared_code_is_named(tmp_path: Path) -> None:
    files = {
        "stages/learn.py": "from reid.used import one\ndef main():\n    import reid.hidden\n",
        "reid/used/one.py": "import runs.anything\n",
        "reid/used/two.py": "",
        "reid/hidden.py": "",
        "reid/idle/three.py": "",
    }
    for name, code in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(code)
    deps = ["data", "stages/learn.py", "reid/used", "reid/idle"]
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"learn": {"deps": deps}}}))
    assert imported_undeclared(tmp_path, "learn") == ["reid/hidden.py"]
    assert declared_unused(tmp_path, "learn") == ["reid/idle"]
    assert declared_never_imported(tmp_path, "learn") == ["reid/idle/three.py", "reid/used/two.py"]


Watched = list[tuple[dict[str, Declared], dict[str, Seen]]]


def _prepare_other_choices(project: Project) -> None:
    """Give a project what ``OTHER_CHOICES`` need: hand-drawn boxes and a file of weights."""
    (archive,) = (project.root / "data").glob("*.zip")
    with ZipFile(archive, "a") as file:
        for name in file.namelist():
            if "/bounding_box_test/" in name:
                file.writestr(name.replace("bounding_box_test", "gt_bbox"), file.read(name))
    network = tiny_backbone.build(*INPUT, 1.0, 2, None)
    network.save_weights(project.root / "pretrained" / WEIGHTS)
    project.must("dvc", "add", "--quiet", "data", "pretrained")
    project.set_params(OTHER_CHOICES)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, shared_folder: Path) -> Watched:
    """What is declared and what is read, with the usual parameters and with the others."""
    found = []
    for prepare, cold in ((lambda project: None, "ingest"), (_prepare_other_choices, "")):
        folder = tmp_path_factory.mktemp("watched")
        project = copied(unfinished_project(shared_folder), folder / "project")
        prepare(project)
        project.set_params({"triplet": {"epochs": 2}})  # The first only warms up.
        (folder / "seen").mkdir()
        seen = watch_stages(project, folder / "seen", cold)
        found.append((declarations(project.root), seen))
    return found


@linux_only
def test_stages_read_nothing_but_what_they_declare(watched: Watched) -> None:
    known = [str(Path.home() / place) for place in USERS_OWN]
    for declared, seen in watched:
        assert set(declared) == set(seen)
        found = undeclared(declared, seen)
        assert [line for line in found if not any(place in line for place in known)] == []


@linux_only
def test_stages_read_what_they_declare(watched: Watched) -> None:
    usual, other = (set(unread(declared, seen)) for declared, seen in watched)
    assert sorted((usual & other) - set(NOT_READ)) == []


PROBES = ROOT / "tests" / "support" / "probes"


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str]]:
    """Stages that read what they declare and what they don't: what is said of them."""
    folder = tmp_path_factory.mktemp("probes")
    project = Project(folder / "project")
    project.root.mkdir()
    stages: dict[str, dict[str, object]] = {}
    for probe in PROBES.glob("probe_*.py"):
        shutil.copy(probe, project.root)
        name = probe.stem.removeprefix("probe_")
        stages[name] = {"cmd": f"python -m {probe.stem}", "deps": [probe.name]}
    stages["declared"] |= {
        "deps": ["probe_declared.py", "known.txt", "unused"],
        "params": ["lr", "spare"],
    }
    stages["own_output"]["outs"] = ["made"]
    stages["settings"]["params"] = ["lr"]
    stages["other"] = {
        "cmd": "python -m probe_code",
        "deps": ["probe_code.py", "secret.py"],
        "params": ["lr", "hidden"],
    }
    (project.root / "params.yaml").write_text("lr: 0.1\nspare: 1\nhidden:\n  depth: 3\n")
    for file in ("secret.txt", "known.txt", "secret.py", "unused/file.txt"):
        (project.root / file).parent.mkdir(exist_ok=True)
        (project.root / file).write_text("'content'\n")
    (project.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    project.must("git", "init", "--quiet")
    project.init_dvc()
    (folder / "seen").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for variable, place in (("HOME", folder / "home"), ("TMPDIR", folder / "tmp")):
            place.mkdir()
            patch.setenv(variable, str(place))
        (folder / "home" / "secret.txt").write_text("content")
        seen = watch_stages(project, folder / "seen")
    declared = declarations(project.root)
    return undeclared(declared, seen), unread(declared, seen)


@pytest.mark.slow
@linux_only
@pytest.mark.parametrize(
    ("stage", "lines"),
    [
        ("python", ["python: secret.txt"]),
        ("cpp", ["cpp: secret.txt"]),
        ("child", ["child: secret.txt"]),
        ("code", ["code: secret.py"]),
        ("param", ["param: parameter hidden.depth"]),
        ("settings", ["settings: parameter hidden.depth"]),
        ("merged", ["merged: parameter lr", "merged: parameter spare"]),
        ("yaml", ["yaml reads params.yaml by itself"]),
        ("loaded", ["loaded reads params.yaml by itself"]),
        ("api", ["api reads params.yaml by itself"]),
        ("own_output", []),
        ("declared", []),
        ("other", []),
    ],
)
def test_what_is_read_undeclared_is_named(
    probed: tuple[list[str], list[str]], stage: str, lines: list[str]
) -> None:
    found, _ = probed
    assert [line for line in found if line.startswith((f"{stage}:", f"{stage} "))] == lines


@pytest.mark.slow
@linux_only
def test_what_is_read_outside_the_project_is_named(probed: tuple[list[str], list[str]]) -> None:
    found, _ = probed
    (line,) = [line for line in found if line.startswith("home:")]
    assert line.endswith("/home/secret.txt")


@pytest.mark.slow
@linux_only
def test_what_is_declared_and_not_read_is_named(probed: tuple[list[str], list[str]]) -> None:
    _, idle = probed
    assert [line for line in idle if not line.startswith("other: ")] == [
        *("declared: parameter spare", "declared: unused", "settings: parameter lr")
    ]
