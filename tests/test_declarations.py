"""``dvc.yaml`` declares the files and parameters that each stage reads.

Imports are followed in the code, so that what is imported only under a condition counts. All else
is seen by watching each stage of a small pipeline: what it opens, from any language, and which
parameters it takes.
"""

import ast
import sys
from pathlib import Path

import pytest
import yaml

from tests.declarations import DOCSTRINGS, declarations, undeclared, unread, watch_stages
from tests.project import ROOT, Project, make_project
from tests.watched_stage import OBSERVERS

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
ASSETS = {"reid/assets/data_docs"}
"""Declared beside code, but no code."""

USERS_OWN = {
    ".keras/keras.json": "read by Keras itself, and overruled in reid/backend.py",
    ".cache/matplotlib": "a list of the fonts, in a library that others import",
}
"""Files in the home folder that libraries read, and why that is left alone."""

EACH_MODEL = ("baseline", "triplet")
NOT_READ = {
    "split: build/validation.json": "it has to be there: no split of data that failed",
    "train_baseline: pretrained": "read where model.weights is a file, which it isn't here",
    **dict.fromkeys(
        [
            f"{stage}: requirements.txt"
            for stage in (
                *(f"train_{model}" for model in EACH_MODEL),
                *(f"{stage}@{model}" for stage in ("extract", "evaluate") for model in EACH_MODEL),
                "compare",
            )
        ],
        "it stands for the libraries",
    ),
    **dict.fromkeys(
        [
            f"train_triplet: {what}"
            for what in (
                *("pretrained", "build/labels.json"),
                *(f"parameter model.{key}" for key in ("alpha", "backbone", "last_stride")),
                *(f"parameter model.{key}" for key in ("neck", "pooling", "weights")),
            )
        ],
        "read where triplet.start is pretrained; else the baseline brings its own network",
    ),
    **dict.fromkeys(
        [
            f"evaluate@{model}: parameter evaluate.reranking.{key}"
            for model in EACH_MODEL
            for key in ("k1", "k2", "original_weight")
        ],
        "read where evaluate.reranking.use is true",
    ),
}
"""What is declared and not read by the small pipeline, and why it is declared."""

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="watches through inotify")


def _file_of(module: str) -> str | None:
    for candidate in (f"{module.replace('.', '/')}.py", f"{module.replace('.', '/')}/__init__.py"):
        if (ROOT / candidate).is_file():
            return candidate
    return None


def _imported(file: str) -> set[str]:
    """Project files that a file imports, inside functions too."""
    files = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        files |= {found for name in names if (found := _file_of(name))}
    return files - DOCSTRINGS


def _needed(file: str) -> set[str]:
    todo, seen = [file], set()
    while todo:
        current = todo.pop()
        if current not in seen | OBSERVERS:
            seen.add(current)
            todo += _imported(current)
    return seen


@pytest.mark.parametrize("stage", [name for name in STAGES if name != "track"])
def test_code_of_a_stage_is_declared(stage: str) -> None:
    declared = {dep for dep in STAGES[stage]["deps"] if dep.startswith(("stages/", "reid/"))}
    folders = {dep for dep in declared if (ROOT / dep).is_dir()}
    needed = {
        next((folder for folder in folders if file.startswith(f"{folder}/")), file)
        for file in _needed(f"stages/{stage}.py")
    }
    assert needed == declared - ASSETS


@linux_only
def test_stages_read_what_they_declare_and_nothing_else(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    project.set_params({"triplet": {"epochs": 2}})  # The first only warms up.
    (tmp_path / "seen").mkdir()
    seen = watch_stages(project, tmp_path / "seen")
    declared = declarations(project.root)
    assert set(declared) == set(seen)
    known = [str(Path.home() / place) for place in USERS_OWN]
    found = undeclared(declared, seen)
    assert [line for line in found if not any(place in line for place in known)] == []
    assert [line for line in unread(declared, seen) if line not in NOT_READ] == []


PROBES = {
    "python": "open('secret.txt').read()",
    "cpp": "import pyarrow\npyarrow.memory_map('secret.txt').read()",
    "child": "import subprocess\nsubprocess.run(['cat', 'secret.txt'], check=True)",
    "home": "from pathlib import Path\n(Path.home() / 'secret.txt').read_text()",
    "code": "import secret",
    "param": "import dvc.api\ndvc.api.params_show()['hidden']['depth']",
    "settings": (
        "from reid.settings import Settings\nfrom stages.shell import declared\n"
        "class Hidden(Settings):\n    depth: int\n"
        "class Params(Settings):\n    lr: float\n    hidden: Hidden\n"
        "declared('other', Params).hidden.depth"
    ),
    "yaml": "import yaml\nyaml.safe_load(open('params.yaml'))",
    "own_output": "open('made', 'w').write('1')\nopen('made').read()",
    "declared": (
        "import dvc.api\nopen('known.txt').read()\ndvc.api.params_show(stages='declared')['lr']"
    ),
}


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str]]:
    """Stages that read what they declare and what they don't: what is said of them."""
    folder = tmp_path_factory.mktemp("probes")
    project = Project(folder / "project")
    project.root.mkdir()
    stages: dict[str, dict[str, object]] = {}
    for name, code in PROBES.items():
        (project.root / f"probe_{name}.py").write_text(f"{code}\n")
        stages[name] = {"cmd": f"python -m probe_{name}", "deps": [f"probe_{name}.py"]}
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
    project.must("dvc", "init", "--quiet")
    (folder / "seen").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for variable, place in (("HOME", folder / "home"), ("TMPDIR", folder / "tmp")):
            place.mkdir()
            patch.setenv(variable, str(place))
        (folder / "home" / "secret.txt").write_text("content")
        seen = watch_stages(project, folder / "seen")
    declared = declarations(project.root)
    return undeclared(declared, seen), unread(declared, seen)


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
        ("yaml", ["yaml reads params.yaml by itself"]),
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


@linux_only
def test_what_is_read_outside_the_project_is_named(probed: tuple[list[str], list[str]]) -> None:
    found, _ = probed
    (line,) = [line for line in found if line.startswith("home:")]
    assert line.endswith("/home/secret.txt")


@linux_only
def test_what_is_declared_and_not_read_is_named(probed: tuple[list[str], list[str]]) -> None:
    _, idle = probed
    assert [line for line in idle if not line.startswith("other: ")] == [
        *("declared: parameter spare", "declared: unused", "settings: parameter lr")
    ]
