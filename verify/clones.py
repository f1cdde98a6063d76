"""The pipeline, run to its end in a fresh clone."""

import os
import subprocess
import sys
from pathlib import Path

from reid.common.errors import UserError


def environment() -> dict[str, str]:
    """For commands in a clone: they know no run, store or experiment of this process."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_"))}
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return own | {"PATH": programs, "MLFLOW_DISABLE_TELEMETRY": "true"}


def run_in_fresh_clone(project: Path, clone: Path) -> None:
    """Clone the last commit and run the pipeline there, with this Python's packages.

    The clone has DVC caches and an MLflow store of its own, all empty, whatever the user's
    configuration shares.

    Raises:
        UserError: a command failed; what it said is on the terminal.
    """
    own_cache = {"DVC_SITE_CACHE_DIR": str(clone.with_name(f"{clone.name}.site-cache"))}

    def run(*command: str) -> None:
        if subprocess.run(
            command, cwd=clone, env=environment() | own_cache, check=False
        ).returncode:
            raise UserError(f"`{' '.join(command)}` failed in {clone}, which is still there.")

    clone.mkdir(parents=True)
    run("git", "clone", "--quiet", str(project), ".")
    run("dvc", "config", "--quiet", "--local", "cache.dir", "cache")
    run("dvc", "pull", "--quiet", *sorted(path.name for path in clone.glob("?*.dvc")))
    run("dvc", "repro")
