"""Which files of the project a file imports, and what ``dvc.yaml`` makes of that."""

import ast
from pathlib import Path
from typing import Any

import yaml

OBSERVERS = "runs"
"""The package that watches a result come about and determines nothing of it."""
DOCSTRINGS = {"reid/__init__.py", "stages/__init__.py"}
CHOSEN_BY_NAME = "reid/model/backbones"
"""Its files are imported by the name that ``params.yaml`` gives."""


def is_within(file: str, paths: set[str]) -> bool:
    """Say whether a file is one of some paths, or lies in a folder among them."""
    return any(f"{file}/".startswith(f"{path}/") for path in paths)


def needed(root: Path, file: str) -> set[str]:
    """List the project files that a file needs to run: itself, its imports, and theirs."""
    todo, seen = [file], set[str]()
    while todo:
        current = todo.pop()
        if current not in seen and not is_within(current, {OBSERVERS}):
            seen.add(current)
            todo += _imported(root, current)
    return seen


def declared_code(root: Path, stage: str) -> set[str]:
    """List the files and folders of code that ``dvc.yaml`` declares for a stage."""
    stages: dict[str, Any] = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    return {dep for dep in stages[stage]["deps"] if dep.startswith(("stages/", "reid/"))}


def imported_undeclared(root: Path, stage: str) -> list[str]:
    """List the files that a stage imports and does not declare."""
    declared = declared_code(root, stage)
    return sorted(
        file for file in needed(root, f"stages/{stage}.py") if not is_within(file, declared)
    )


def declared_unused(root: Path, stage: str) -> list[str]:
    """List the files and folders of code that a stage declares and imports nothing of."""
    files = needed(root, f"stages/{stage}.py")
    return sorted(
        dep
        for dep in declared_code(root, stage)
        if not any(is_within(file, {dep}) for file in files)
    )


def declared_never_imported(root: Path, stage: str) -> list[str]:
    """List the library files that a stage declares, alone or in a folder, and never imports."""
    files = needed(root, f"stages/{stage}.py")
    return sorted(
        name
        for dep in declared_code(root, stage)
        for path in (root / dep).rglob("*.py")
        if path.name != "__init__.py"
        and (name := path.relative_to(root).as_posix()) not in files
        and not is_within(name, {CHOSEN_BY_NAME})
    )


def _file_of(root: Path, module: str) -> str | None:
    path = module.replace(".", "/")
    found = (name for name in (f"{path}.py", f"{path}/__init__.py") if (root / name).is_file())
    return next(found, None)


def _imported(root: Path, file: str) -> set[str]:
    """List the project files that a file imports itself, inside functions too."""
    files = set()
    for node in ast.walk(ast.parse((root / file).read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        files |= {found for name in names if (found := _file_of(root, name))}
    return files - DOCSTRINGS
