"""Git's command line, for what its library can't do: patches of a working tree."""

import os
import subprocess
from pathlib import Path

from reid.common.errors import UserError

PATCH = (
    *("--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames"),
    *("--no-relative", "--src-prefix=a/", "--dst-prefix=b/"),
)
"""Options of ``git diff``: its patch suits ``git apply``, whatever the user has configured."""


def git(
    *arguments: str, folder: Path = Path(), accepted: tuple[int, ...] = (0,), given: bytes = b""
) -> bytes:
    """Run a git command and return its output.

    Args:
        *arguments: of git.
        folder: to run it in.
        accepted: exit statuses that are no failure.
        given: the command's input.

    Raises:
        UserError: the command fails; the message has git's own words.
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
    """Return the file names in an output that git wrote with ``-z``."""
    return [name for name in output.decode().split("\0") if name]
