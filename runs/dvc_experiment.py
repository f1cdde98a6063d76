"""Which DVC experiment a result belongs to."""

import os
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

import dvc.api
from dvc.repo import Repo

from reid.common.errors import UserError
from runs.worktree import has_result, with_this_lock


def own_experiment() -> str:
    """Return the name of the experiment that this process runs in; empty if it runs in none.

    DVC keeps the experiment only if it runs to its end.
    """
    return os.environ.get("DVC_EXP_NAME", "")


def kept_experiment(root: Path, said: str) -> str:
    """Return the name of a kept experiment whose result lies in the working folder; empty if none.

    Args:
        root: the project's folder, also if this process runs in the temporary folder of an
            experiment.
        said: the name that the run gives; it is preferred if several experiments have the result.
    """
    kept = {rev: name for name, rev in kept_experiments(root) if rev}
    try:
        same = with_this_lock(list(kept), root)
        named = [rev for rev, name in kept.items() if name == said]
        # Within an experiment, the lock that is here is not yet the one that DVC will keep.
        found = [rev for rev in named if rev in same or has_result(rev, root)] or same
    except (UserError, OSError):  # There is no git program; DVC works without one.
        return ""
    return kept[found[0]] if found else ""


def kept_experiments(root: Path) -> list[tuple[str, str | None]]:
    """Return the name and the commit of each experiment that DVC has kept in a project."""
    with Repo(str(root)) as repo:
        kept = repo.experiments.ls(all_commits=True).values()
        return [experiment for experiments in kept for experiment in experiments]


def file_of_experiment(name: str, path: Path) -> bytes:
    """Return a file of the current folder's project as an experiment has it, in git or DVC."""
    return dvc.api.read(path.as_posix(), rev=name, mode="rb")


def require_path_for_temporary_folders(root: Path) -> None:
    """Raise UserError if DVC can't run experiments in temporary folders of a project.

    DVC hands the code to such a folder, and takes the result back, with git and an address in which
    it escapes nothing; it writes the path of its cache in ASCII. With a ``%``, the pipeline runs
    and its result is lost.
    """
    path = str(root.resolve())
    if not path.isascii() or set(path) & set("#?%"):
        raise UserError(
            f"DVC can't run experiments in temporary folders of {path}, because this path has a "
            "#, ?, % or a letter that is not ASCII. Move the project, or use `dvc exp run` without "
            "--temp and --queue"
        )


class _LeftBehind(MetaPathFinder):
    """Names the modules of a project that an experiment in another folder lacks."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find_spec(self, name: str, *_: object) -> None:
        """Raise UserError if the project has a module that was not found here."""
        module = Path(*name.split("."))
        for file in (module.with_suffix(".py"), module / "__init__.py"):
            if (self._root / file).is_file():
                raise UserError(
                    f"{file} lies in {self._root}, but an experiment in a temporary folder or in "
                    f"the queue has only the files that git knows. Run `git add {file}` and start "
                    "the experiment again."
                )


def require_result_is_kept() -> None:
    """Raise UserError if this process runs in an experiment whose result DVC would lose.

    In an experiment that runs in a temporary folder, imports of modules that git doesn't know will
    raise UserError, too.
    """
    root = os.environ.get("DVC_ROOT")
    if root and not Path.cwd().samefile(root):
        require_path_for_temporary_folders(Path(root))
        sys.meta_path.append(_LeftBehind(Path(root)))
