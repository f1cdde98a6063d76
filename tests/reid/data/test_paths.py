"""The name of each of the pipeline's files stands once in the code and once in ``dvc.yaml``."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from reid.data import paths
from tests.support.places import ROOT

FOLDERS = ("reid", "runs", "stages", "experiments", "verify", "benchmarks")
HOME = Path(paths.__file__)


def declared_outputs() -> set[Path]:
    """Return the outputs and metrics of all stages in ``dvc.yaml``."""
    stages = yaml.safe_load((ROOT / paths.PIPELINE).read_text(encoding="utf-8"))["stages"]
    found = set()
    for stage in stages.values():
        models = stage.get("matrix", {}).get("model", [""])
        for output in [*stage.get("outs", []), *stage.get("metrics", [])]:
            name = output if isinstance(output, str) else next(iter(output))
            found |= {Path(name.replace("${item.model}", model)) for model in models}
    return found


def test_declared_outputs_are_the_paths_of_the_module() -> None:
    per_model = (
        paths.model_folder,
        paths.exported_folder,
        paths.features_folder,
        paths.ranking_file,
        paths.metrics_file,
        paths.plots_folder,
    )
    assert declared_outputs() == {
        paths.DATASET,
        paths.VALIDATION,
        paths.DATA_DOCS,
        paths.SPLIT,
        *(path(model) for path in per_model for model in paths.MODELS),
        paths.metrics_file(paths.COMPARISON),
        paths.plots_folder(paths.COMPARISON),
    }


def docstrings(tree: ast.AST) -> set[ast.expr]:
    """Return the strings that stand alone as a statement."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def as_text(node: ast.AST) -> str | None:
    """Return a string literal, or an f-string with ``{}`` for each value; None for other nodes."""
    if isinstance(node, ast.JoinedStr):
        return "".join(as_text(part) or "{}" for part in node.values)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def literals(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Yield the strings of a module with their text. Parts of f-strings are left out."""
    parts = {
        part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
    }
    for node in set(ast.walk(tree)) - docstrings(tree) - parts:
        text = as_text(node)
        if text is not None:
            yield node, text


def joined(tree: ast.AST) -> set[ast.AST]:
    """Return what is joined to a path, as in ``folder / "plots"`` and ``Path("plots")``."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            found |= {node.left, node.right}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found |= set(node.args) if node.func.id == "Path" else set()
    return found


@cache
def names() -> tuple[set[str], set[str]]:
    """Return the paths and file names in the module, and the first folders of all paths."""
    module = ast.parse(HOME.read_text(encoding="utf-8"))
    files = {text for _, text in literals(module) if "." in text or "/" in text}
    folders = {path.parts[0] for path in (*declared_outputs(), paths.DATA, paths.PRETRAINED)}
    return files, folders


def repeated(tree: ast.AST) -> list[str]:
    """List the literals in a module that repeat a path, or the name of a file, of the pipeline.

    A text with a space is a message for people, which may mention a file. A folder whose name is a
    common word counts only if the word is joined to a path, or if a path begins with the word.
    """
    files, folders = names()
    parts = joined(tree)
    return [
        text
        for node, text in literals(tree)
        if " " not in text
        and (
            text in files
            or any(file in text for file in files if not file.startswith("{}"))
            or any(text.startswith(f"{folder}/") for folder in folders)
            or (text in folders and node in parts)
        )
    ]


@pytest.mark.parametrize(
    "code",
    [
        'read("build/dataset")',
        'Path("build/dataset/train.parquet")',
        'folder / "history.csv"',
        'folder / f"{subset}.parquet"',
        'root / "plots"',
        'open("models/baseline")',
    ],
)
def test_repeated_name_is_found(code: str) -> None:
    assert repeated(ast.parse(code))


@pytest.mark.parametrize(
    "code",
    ['"""Write ``build/dataset``."""', 'stage["plots"]', 'raise E("edit params.yaml, please")'],
)
def test_text_that_only_mentions_a_name_is_not_a_repetition(code: str) -> None:
    assert not repeated(ast.parse(code))


def test_no_other_module_repeats_a_name() -> None:
    modules = {
        file.relative_to(ROOT): ast.parse(file.read_text(encoding="utf-8"))
        for folder in FOLDERS
        for file in sorted((ROOT / folder).rglob("*.py"))
        if file != HOME
    }
    found = {str(file): repeated(tree) for file, tree in modules.items()}
    assert {file: texts for file, texts in found.items() if texts} == {}
