"""The whole pipeline in a fresh clone."""

import os
import subprocess
import sys
from pathlib import Path

from reid.common.errors import UserError


def environment() -> dict[str, str]:
    """Return an environment without the run, store and experiment of this process."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_"))}
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return own | {"PATH": programs, "MLFLOW_DISABLE_TELEMETRY": "true"}


def run_in_fresh_clone(project: Path, clone: Path) -> None:
    """Clone the last commit and run the pipeline there, with this Python's packages.

    The clone has empty DVC caches and an empty MLflow store of its own, even if the user's
    configuration shares a cache between projects.

    Raises:
        UserError: a command failed; its output is on the terminal.
    """
    own_cache = {"DVC_SITE_CACHE_DIR": str(clone.with_name(f"{clone.name}.site-cache"))}

    def run(*command: str) -> None:
        if subprocess.run(
            command, cwd=clone, env=environment() | own_cache, check=False
        ).returncode:
            raise UserError(f"`{' '.join(command)}` failed in {clone}. The clone is kept.")

    clone.mkdir(parents=True)
    run("git", "clone", "--quiet", str(project), ".")
    run("dvc", "config", "--quiet", "--local", "cache.dir", "cache")
    run("dvc", "pull", "--quiet", *sorted(path.name for path in clone.glob("?*.dvc")))
    run("dvc", "repro")
