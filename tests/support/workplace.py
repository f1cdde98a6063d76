"""An empty project to run stages in, in the process of a test."""

import shutil
from pathlib import Path
from typing import Any

import yaml
from dvc.repo import Repo

from reid.data import paths
from tests.support.places import ROOT
from tests.support.project import QUICK, with_changes


def make_workplace(folder: Path, changes: dict[str, Any] | None = None) -> None:
    """Write ``dvc.yaml`` and quick parameters, with changes nested as in ``params.yaml``."""
    Repo.init(str(folder), no_scm=True).close()
    shutil.copy(ROOT / paths.PIPELINE, folder)
    params = yaml.safe_load((ROOT / paths.PARAMS).read_text(encoding="utf-8"))
    text = yaml.safe_dump(with_changes(with_changes(params, QUICK), changes or {}))
    (folder / paths.PARAMS).write_text(text, encoding="utf-8")
