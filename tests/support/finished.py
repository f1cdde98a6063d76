"""Projects that tests share: made once in a session, and copied for each test that needs one."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from reid.data.paths import MODELS, PIPELINE, TRIPLET
from tests.support.places import ROOT
from tests.support.project import Project, make_project
from tests.support.quick_models import use_quick_models

WITHOUT_KERAS = {"quick": MODELS, "resumable": (TRIPLET,), "trained": ()}
"""The kinds of finished projects, and the models that are trained without Keras."""


def unfinished_project(folder: Path) -> Project:
    """Return a project that has run up to ``split``; ``folder`` is shared by all workers."""

    def make(root: Path) -> None:
        project = make_project(root)
        project.must("dvc", "repro", "split")
        project.commit()

    return _made_once(folder / "unfinished", make)


def finished_project(folder: Path, kind: str) -> Project:
    """Return a project whose pipeline has run and is committed; ``kind`` is of WITHOUT_KERAS."""

    def make(root: Path) -> None:
        is_trained = kind == "trained"
        begun = finished_project(folder, "resumable") if is_trained else unfinished_project(folder)
        project = copied(begun, root)
        # The run of the project that this one begins with is not its own.
        (root / "mlflow.db").unlink(missing_ok=True)
        shutil.rmtree(root / "mlartifacts", ignore_errors=True)
        shutil.copyfile(ROOT / PIPELINE, root / PIPELINE)
        if not is_trained:
            use_quick_models(root, WITHOUT_KERAS[kind])
        project.commit()
        project.must("dvc", "repro")
        project.commit()

    return _made_once(folder / kind, make)


def copied(project: Project, root: Path) -> Project:
    """Copy a project with its DVC cache and its MLflow store, and return the copy."""
    shutil.copytree(project.root, root, symlinks=True)
    shutil.rmtree(root / ".dvc" / "tmp", ignore_errors=True)
    if (root / "mlflow.db").exists():
        for old, new in ((project.root.as_uri(), root.as_uri()), (str(project.root), str(root))):
            _move_store(root / "mlflow.db", old, new)
    copy = Project(root)
    # Git knows files by their time and place on disk, and would read all of them again and again.
    copy.must("git", "update-index", "-q", "--refresh")
    return copy


def _made_once(root: Path, make: Callable[[Path], object]) -> Project:
    done = root.with_suffix(".done")
    with FileLock(root.with_suffix(".lock")):
        if not done.exists():
            shutil.rmtree(root, ignore_errors=True)
            make(root)
            done.touch()
    return Project(root)


def _move_store(database: Path, old: str, new: str) -> None:
    """Replace a project's path in every text of its tracking store, which holds full paths."""
    with sqlite3.connect(database) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for _, column, kind, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
                if kind.startswith(("VARCHAR", "TEXT")):
                    connection.execute(
                        f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
                        f" WHERE instr({column}, ?)",
                        (old, new, old),
                    )
    connection.close()
