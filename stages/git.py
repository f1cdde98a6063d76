"""Git's command line, where its library has no answer: patches of a working tree."""

import os
import subprocess
from pathlib import Path

from reid.errors import UserError

PATCH = ("--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames")
"""Of ``git diff``: what ``git apply`` takes, whatever the user's configuration says."""


def git(*arguments: str, folder: Path = Path(), accepted: tuple[int, ...] = (0,)) -> bytes:
    """What a git command prints. Raises UserError with git's own words where it fails."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
        capture_output=True,
        check=False,
    )
    if done.returncode not in accepted:
        said = done.stderr.decode(errors="replace").strip()
        raise UserError(f"git {arguments[0]} failed in {folder.resolve()}: {said}")
    return done.stdout


def names(output: bytes) -> list[str]:
    """File names that git wrote with ``-z``."""
    return [name for name in output.decode().split("\0") if name]
