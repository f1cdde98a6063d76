"""What ``dvc.yaml`` and the ``.dvc`` files declare, as DVC reads them."""

import os
from functools import cache
from pathlib import Path
from typing import Any

from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from dvc.stage import Stage
from dvc.utils.serialize import load_yaml

from reid.common.errors import UserError
from reid.data.paths import PARAMS, PIPELINE
from runs.params import nested


def declared_stages() -> list[Stage]:
    """Return the stages and ``.dvc`` files of the project in the current folder, read once."""
    return _stages_in(Path.cwd())


@cache
def _stages_in(folder: Path) -> list[Stage]:
    with Repo(str(folder)) as repo:
        return stages_of(repo)


def stages_of(repo: Repo) -> list[Stage]:
    """Return the stages and ``.dvc`` files of a repository as it is now."""
    # The files of a run include a dvc.yaml too, and may lie in a folder of the project.
    return [s for s in repo.index.stages if s.is_data_source or s.path_in_repo == PIPELINE]


def stage_named(name: str, stages: list[Stage]) -> Stage:
    """Return the stage with a name, such as ``extract@triplet``."""
    return next(stage for stage in stages if stage.addressing == name)


def content(
    stage: Stage, stages: list[Stage], only_leaves: bool, recorded: bool = False
) -> dict[str, Any]:
    """Return the values of the parameters and the hashes of the files that a stage declares.

    Args:
        stage: that declares them.
        stages: all stages of the pipeline.
        only_leaves: leave out files that a stage makes.
        recorded: return what ``dvc.lock`` recorded instead of what is here now.
    """
    # What a stage with a command makes is determined by that stage's own leaves.
    made = {str(out) for s in stages if not s.is_data_source for out in s.outs}
    # The .dvc file has the hash of what `dvc add` tracks, whether or not the files are here.
    added = {str(out): out for s in stages if s.is_data_source for out in s.outs}
    found: dict[str, Any] = {}
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency):
            values = dep.hash_info.value if recorded else dep.read_params()
            found |= {f"{PARAMS}:{k}": v for k, v in (values or {}).items()}
            continue
        path = str(dep)
        if only_leaves and any(path == out or path.startswith(out + os.sep) for out in made):
            continue
        if recorded or path in added:
            found[path] = (dep if recorded else added[path]).hash_info.value
        else:
            found[path] = dep.get_hash().value
    return found


def declared_params(stage_name: str) -> dict[str, Any]:
    """Return the values of the parameters that a stage declares, nested as in ``params.yaml``."""
    # All stages and .dvc files of the project take three times as long to read as one stage.
    with Repo() as repo:
        deps = repo.stage.load_one(PIPELINE, stage_name).deps
        params = [dep.read_params() for dep in deps if isinstance(dep, ParamsDependency)]
    return nested({name: value for values in params for name, value in values.items()})


def all_params() -> dict[str, Any]:
    """Return ``params.yaml`` as DVC reads it."""
    return load_yaml(PARAMS)


def tracked_md5(path: str) -> str:
    """Return the md5 that a ``.dvc`` file records for a tracked path.

    Raises:
        UserError: DVC doesn't track it.
    """
    sources = [stage for stage in declared_stages() if stage.is_data_source]
    tracked = {str(out): out for stage in sources for out in stage.outs}
    if path not in tracked:
        raise UserError(f"{path} is not tracked. Run `dvc add {path}`.")
    return tracked[path].hash_info.value
