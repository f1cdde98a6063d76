"""Git's command line, where its library has no answer: patches of a working tree."""

import os
import subprocess
from pathlib import Path

from reid.common.errors import UserError

PATCH = (
    *("--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames"),
    *("--no-relative", "--src-prefix=a/", "--dst-prefix=b/"),
)
"""Of ``git diff``: what ``git apply`` takes, whatever the user's configuration says."""


def git(
    *arguments: str, folder: Path = Path(), accepted: tuple[int, ...] = (0,), given: bytes = b""
) -> bytes:
    """What a git command prints, ``given`` its input.

    Raises UserError with git's own words where it fails.
    """
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
        input=given,
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
