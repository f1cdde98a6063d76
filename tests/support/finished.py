"""Finished projects: made once in a session of tests, and copied for each test that needs one."""

import shutil
import sqlite3
from pathlib import Path

from filelock import FileLock

from tests.support.project import Project, make_project


def finished_project(folder: Path, name: str, quick: bool) -> Project:
    """Return a project whose pipeline has run and is committed; make it if it is not there.

    Args:
        folder: shared by all workers of the session.
        name: of the project's folder.
        quick: whether models are made without Keras, as ``quick_models`` does.
    """
    project, done = Project(folder / name), folder / f"{name}.done"
    with FileLock(folder / f"{name}.lock"):
        if not done.exists():
            make_project(project.root, quick)
            project.must("dvc", "repro")
            project.commit()
            done.touch()
    return project


def copied(project: Project, root: Path) -> Project:
    """Copy a project with its DVC cache and its MLflow store, and return the copy."""
    shutil.copytree(project.root, root, symlinks=True)
    shutil.rmtree(root / ".dvc" / "tmp", ignore_errors=True)
    _move_store(root / "mlflow.db", str(project.root), str(root))
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
