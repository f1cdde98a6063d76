"""``dvc.yaml`` declares the code that each stage runs."""

import ast
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]

# They watch a result come about and determine nothing of it.
OBSERVERS = {"stages/lineage.py", "stages/live.py", "reid/tracking.py", "reid/run_identity.py"}


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
    return files - {"reid/__init__.py", "stages/__init__.py"}


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
    assert needed == declared - {"reid/assets/data_docs"}
