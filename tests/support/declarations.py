"""What ``dvc.yaml`` declares of each stage, beside what the stage is seen to read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from dvc.dependency import ParamsDependency
from dvc.repo import Repo

from runs.params import flatten
from tests.support.imports import DOCSTRINGS, OBSERVERS, is_within
from tests.support.places import ROOT
from tests.support.project import Project
from tests.support.watched_stage import DESCRIPTION, Seen

BOOKKEEPING = {*DESCRIPTION, ".dvcignore", ".gitignore", "mlflow.db", ".mlflow.db.lock"}
"""Of DVC, git and MLflow. What is read of ``params.yaml`` is compared value by value."""


@dataclass(frozen=True)
class Declared:
    """Of one stage."""

    files: set[str]
    """Dependencies and outputs: files, and folders with all that is in them."""
    deps: set[str]
    params: set[str]
    """Dotted names of all values below what is declared."""
    is_observer: bool
    """It runs at every ``dvc repro`` and determines nothing of a result: only what stages make,
    which has to be there before it, needs a declaration."""


def declarations(root: Path) -> dict[str, Declared]:
    """What a project declares, by the stage's name."""
    declared = {}
    with Repo(root) as repo:
        for stage in repo.index.stages:
            if not stage.cmd:
                continue
            paths = [dep for dep in stage.deps if not isinstance(dep, ParamsDependency)]
            deps, outs = ({x.def_path for x in some} for some in (paths, stage.outs))
            values = [d.read_params() for d in stage.deps if isinstance(d, ParamsDependency)]
            params = {key for value in values for key in flatten(value)}
            declared[stage.name] = Declared(deps | outs, deps, params, stage.always_changed)
    return declared


def watch_stages(project: Project, reports: Path, cold: str = "") -> dict[str, Seen]:
    """Run a project's pipeline by ``dvc repro``, each stage watched; its ``dvc.yaml`` is edited.

    Args:
        project: not run yet.
        reports: a folder for what is seen.
        cold: the stage that imports the libraries itself, so that what these open is seen, too.
    """
    file = project.root / "dvc.yaml"
    pipeline = yaml.safe_load(file.read_text())
    for name, stage in pipeline["stages"].items():
        python, _, module = stage["cmd"].partition(" -m ")
        assert python == "python", f"{name} can be watched only as `python -m MODULE`"
        report = f"{name}@${{item.model}}" if "matrix" in stage else name
        start = "env START_COLD=yes " if name == cold else ""
        watched = f"tests.support.watched_stage {reports / report} {module}"
        stage["cmd"] = f"{start}python -m {watched}"
    file.write_text(yaml.safe_dump(pipeline, sort_keys=False))
    # Python opens what is compiled, DVC's hashing the sources: with both done, sources stay shut.
    project.must("python", "-m", "compileall", "-q", ".")
    path = {"PYTHONPATH": str(ROOT)}
    project.must("python", "-m", "tests.support.print_fingerprint", **path)
    project.must("dvc", "repro", **path)
    return {report.name: Seen.read(report) for report in reports.iterdir()}


def undeclared(declared: Mapping[str, Declared], seen: Mapping[str, Seen]) -> list[str]:
    """A line for each file and parameter that a stage reads and does not declare."""
    made = set().union(*(stage.files - stage.deps for stage in declared.values()))
    lines = []
    for name, stage in declared.items():
        files = {
            file
            for file in seen[name].files - BOOKKEEPING - DOCSTRINGS
            if not is_within(file, {*stage.files, OBSERVERS}) and not file.endswith(".dvc")
        }
        if stage.is_observer:
            files = {file for file in files if is_within(file, made)}
        else:
            lines += [f"{name} reads {file} by itself" for file in seen[name].description]
            lines += [f"{name}: parameter {key}" for key in seen[name].params - stage.params]
        lines += [f"{name}: {file}" for file in files | seen[name].outside]
    return sorted(lines)


def unread(declared: Mapping[str, Declared], seen: Mapping[str, Seen]) -> list[str]:
    """A line for each file and parameter that a stage declares and does not read.

    Code is left out: what is imported only under a condition is declared too.
    """
    lines = []
    for name, stage in declared.items():
        lines += [
            f"{name}: {dep}"
            for dep in stage.deps
            if not dep.endswith(".py") and not any(is_within(f, {dep}) for f in seen[name].files)
        ]
        lines += [f"{name}: parameter {key}" for key in stage.params - seen[name].params]
    return sorted(lines)
