"""The state that a result came from, restored in a new folder."""

import shutil
import subprocess
import sys
from pathlib import Path

from dvc.config import Config
from dvc.repo import Repo

from experiments.dvc_errors import explained
from reid.common.errors import UserError
from reid.data.paths import PIPELINE
from runs.git import git
from runs.worktree import CHANGES
from verify.clones import environment

DVC = (sys.executable, "-m", "dvc")
CACHE = "cache-of-the-project"
"""The name of a DVC remote in the new folder: the cache of the original project."""


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
            _use_storage_of(root, project)
            _bring_data(project)
        return project
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _use_storage_of(root: Path, folder: Path) -> None:
    with Repo(str(root)) as repo:
        remotes = {name: dict(remote) for name, remote in repo.config["remote"].items()}
        default = repo.config["core"].get("remote")
        cache = repo.cache.local_cache_dir
    with Config(str(folder / ".dvc")).edit("local") as local:
        local["remote"] = {**remotes, CACHE: {"url": cache}}
        if default:
            local["core"] = {"remote": default}


def _bring_data(folder: Path) -> None:
    with Repo(str(folder)) as repo:
        sources = [stage.path_in_repo for stage in repo.index.stages if stage.is_data_source]
    for source in sources:
        for remote in (("--remote", CACHE), ()):
            done = subprocess.run(
                [*DVC, "pull", "--quiet", *remote, source],
                cwd=folder,
                env=environment(),
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                break
        else:
            raise UserError(
                f"the files of {source} are neither in the project's cache nor in its remote: "
                f"{done.stderr.strip()}"
            )
