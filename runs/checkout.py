"""The state that a result came from, restored in a new folder."""

import logging
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from dvc.logger import set_loggers_level
from dvc.repo import Repo

from reid.common.errors import UserError, first_line
from reid.data.paths import PIPELINE
from runs.dvc_errors import explained
from runs.git import git
from runs.worktree import CHANGES

DVC = (sys.executable, "-m", "dvc")
CACHE = "cache-of-the-project"
"""The name of the original project's cache as a remote of the new one."""


def require_commit(root: Path, commit: str) -> None:
    """Raise UserError if a run names no commit, or the project's git does not have it any more."""
    if not commit:
        raise UserError("the run names no git commit: nothing was committed when it was made.")
    try:
        git("cat-file", "-e", f"{commit}^{{commit}}", folder=root)
    except UserError as e:
        raise UserError(
            f"git commit {commit} is not in {root} any more. `git fetch` it from a copy that "
            "may still have it."
        ) from e


def restore(root: Path, commit: str, kept: Path, folder: Path) -> Path:
    """Make a folder with a commit and the uncommitted changes that a run carries.

    Data and weights come from the project's cache, or else from its remote.

    Args:
        root: the project, which stays as it is.
        commit: the commit that the run was started from.
        kept: the files that the run carries, as ``runs.worktree.WorkTree`` writes them.
        folder: the new folder; it must not exist.

    Returns:
        The project in the new folder. It lies below the folder if ``root`` lies below the top of
        its repository.

    Raises:
        UserError: a part of the state is missing. The folder is removed then.
    """
    if not (kept / PIPELINE).is_file():
        raise UserError("the run is too old to carry its state, which can't be restored.")
    try:
        repository = Path(git("rev-parse", "--show-toplevel", folder=root).decode().rstrip("\n"))
        git("clone", "--quiet", "--no-checkout", str(repository), str(folder.resolve()))
        git("checkout", "--quiet", "--detach", commit, folder=folder)
        project = folder / root.resolve().relative_to(repository)
        patch = kept / CHANGES
        if patch.exists() and patch.stat().st_size:
            git("apply", "--whitespace=nowarn", str(patch.resolve()), folder=project)
        shutil.copytree(kept, project, dirs_exist_ok=True, ignore=shutil.ignore_patterns(CHANGES))
        with explained():
            _bring_data(root, project)
        return project
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _bring_data(root: Path, folder: Path) -> None:
    """Fetch the data of the project in ``folder`` from the storage of the project in ``root``.

    The storage is not written to a configuration file: a remote's password may be in it, and DVC
    can't write a path with umlauts.

    Raises:
        UserError: the storage lacks some of the data.
    """
    with Repo(str(root)) as original:
        remotes = {name: dict(remote) for name, remote in original.config["remote"].items()}
        core = {k: v for k, v in original.config["core"].items() if k == "remote"}
        cache = original.cache.local_cache_dir
    storage = {"remote": {**remotes, CACHE: {"url": cache}}, "core": core}
    # DVC would warn of what one remote lacks, though the next may have it.
    with set_loggers_level(logging.CRITICAL), Repo(str(folder), config=storage) as repo:
        for stage in repo.index.stages:
            if stage.is_data_source:
                _pull(repo, stage.path_in_repo, (CACHE, core.get("remote")))


def _pull(repo: Repo, source: str, remotes: Iterable[str | None]) -> None:
    """Pull what a ``.dvc`` file tracks from the first of some remotes that has it."""
    reason = "the project has no remote"
    for remote in filter(None, remotes):
        try:
            repo.pull(str(Path(repo.root_dir) / source), remote=remote)
        # Each kind of remote raises errors of its own.
        except Exception as e:
            reason = first_line(e)
        else:
            return
    raise UserError(
        f"the files of {source} are neither in the project's cache nor in its remote: {reason}"
    )
