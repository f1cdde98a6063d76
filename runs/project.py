"""Where the project is."""

import os
from pathlib import Path

from reid.common.errors import UserError

DVC_FOLDER = ".dvc"


def project_root() -> Path:
    """Return the project's folder.

    In a temporary or queued experiment, it is the folder that the experiment was started from.

    Raises:
        UserError: the current folder is in no project.
    """
    if root := os.environ.get("DVC_ROOT"):
        return Path(root)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / DVC_FOLDER).is_dir():
            return folder
    raise UserError(f"{here} is not in a project. Go to the project's folder.")
