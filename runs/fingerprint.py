"""What a result comes from: hashes of everything that ``dvc.yaml`` declares."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvc.dependency import ParamsDependency
from dvc.exceptions import NotDvcRepoError
from dvc.repo import Repo
from dvc.scm import SCMError

from reid.common.errors import UserError
from reid.data.paths import DATA, PARAMS, PIPELINE
from runs.dvc_experiment import own_experiment
from runs.params import nested
from runs.run_identity import RunIdentity, nameless
from runs.worktree import Declarations, WorkTree, compared_with

if TYPE_CHECKING:
    from dvc.stage import Stage

    from reid.training.checkpoint import Checkpoint


logger = logging.getLogger(__name__)


def project_root() -> Path:
    """Return the project's folder.

    In a temporary or queued experiment, it is the folder that the experiment was started from.

    Raises:
        UserError: the current folder is in no project.
    """
    try:
        return Path(os.environ.get("DVC_ROOT") or Repo.find_root())
    except NotDvcRepoError as e:
        raise UserError(f"{Path.cwd()} is not in a project. Go to the project's folder.") from e


def _stages() -> "list[Stage]":
    return _stages_in(Path.cwd())


@cache
def _stages_in(folder: Path) -> "list[Stage]":
    with Repo(str(folder)) as repo:
        return _stages_of(repo)


def _stages_of(repo: Repo) -> "list[Stage]":
    # The files of a run include a dvc.yaml too, and may lie in a folder of the project.
    return [s for s in repo.index.stages if s.is_data_source or s.path_in_repo == PIPELINE]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(_as_compared(value), sort_keys=True).encode()).hexdigest()


def _as_compared(value: Any) -> Any:
    """Return a value as DVC compares it: 10 and 10.0 are the same value of a parameter."""
    if isinstance(value, Mapping):
        return {key: _as_compared(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_compared(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _content(
    stage: "Stage", stages: "list[Stage]", only_leaves: bool, recorded: bool = False
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
    content: dict[str, Any] = {}
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency):
            values = dep.hash_info.value if recorded else dep.read_params()
            content |= {f"{PARAMS}:{k}": v for k, v in (values or {}).items()}
            continue
        path = str(dep)
        if only_leaves and any(path == out or path.startswith(out + os.sep) for out in made):
            continue
        if recorded or path in added:
            content[path] = (dep if recorded else added[path]).hash_info.value
        else:
            content[path] = dep.get_hash().value
    return content


@cache
def fingerprint() -> str:
    """Return the hash of everything that determines the pipeline's result, 64 hex digits.

    It is known before the pipeline runs.

    The hash covers the values of the parameters and the content of each declared file that no
    stage makes: the photos, the pretrained weights, the code. Stages that run every time, such as
    ``track``, determine nothing.
    """
    return _fingerprint(_stages(), recorded=False)


def fingerprint_now() -> str:
    """Compute the fingerprint anew, for a process that lives on while files are edited."""
    with Repo() as repo:
        return _fingerprint(_stages_of(repo), recorded=False)


def is_up_to_date() -> bool:
    """Return whether ``dvc.lock`` records the result of what is declared now.

    It does not if something was edited after a stage ran and the pipeline continued.
    """
    return _fingerprint(_stages(), recorded=True) == fingerprint()


def recorded_fingerprint(repo: Repo) -> str:
    """Return the fingerprint of the result that a repository's ``dvc.lock`` records.

    After ``repo.switch``, it is that of a commit or an experiment. The fingerprint is empty if not
    all stages have run with the same parameters and files, as after `dvc exp run -S lr=0.02
    train_baseline`: the figures then belong to earlier ones.
    """
    stages = _stages_of(repo)
    return _fingerprint(stages, recorded=True) if _is_one_result(stages) else ""


def _is_one_result(stages: "list[Stage]") -> bool:
    """Return whether all stages recorded the same values of what several of them read or make."""
    known: dict[str, Any] = {}
    for stage in stages:
        if not stage.cmd or stage.always_changed:
            continue
        read = _content(stage, stages, only_leaves=False, recorded=True)
        made = {str(out): out.hash_info.value for out in stage.outs}
        for name, value in (read | made).items():
            compared = _as_compared(value)
            if known.setdefault(name, compared) != compared:
                return False
    return True


def _fingerprint(stages: "list[Stage]", recorded: bool) -> str:
    return _digest(
        {
            # A stage's address in another commit would contain the path to the working folder.
            stage.name: [stage.cmd, _content(stage, stages, only_leaves=True, recorded=recorded)]
            for stage in stages
            if stage.cmd and not stage.always_changed
        }
    )


def run_identity() -> RunIdentity:
    """Return which MLflow run belongs to the pipeline as it is declared now."""
    experiment = own_experiment()
    commit = _commit()
    key = fingerprint()
    tags = {
        "git_commit": commit,
        "dvc_exp": experiment,
        "data_md5": tracked_md5(str(DATA)),
        # MLflow's pages show the tags with these names.
        "mlflow.source.git.commit": commit,
        "mlflow.source.name": "dvc exp run" if experiment else "dvc repro",
    }
    return RunIdentity(
        project_root(),
        key,
        experiment or nameless(key),
        {name: value for name, value in tags.items() if value},
        lambda: worktree().tags(),
    )


@cache
def worktree() -> WorkTree:
    """Return how the working tree differs from the commit that it is based on."""
    stages = _stages()
    outputs = {str(out) for stage in stages for out in stage.outs}
    made = [out for stage in stages if not stage.is_data_source for out in stage.outs]
    inputs = {
        str(dep)
        for stage in stages
        for dep in stage.deps
        if not isinstance(dep, ParamsDependency) and str(dep) not in outputs
    }
    declared = Declarations(
        data=tuple(stage.relpath for stage in stages if stage.is_data_source),
        inputs=tuple(sorted(inputs)),
        outputs=tuple(str(out) for out in made),
        figures=tuple(str(out) for out in made if not out.use_cache),
    )
    try:
        return compared_with(_commit(), declared)
    except (UserError, OSError) as e:
        # DVC needs no git program, and a result is worth more than its origin.
        logger.warning("the run will not say how the files differ from git's commit: %s", e)
        return compared_with("", declared)


def _commit() -> str:
    """Return the commit that the pipeline started from; empty if nothing was committed yet."""
    if "DVC_EXP_BASELINE_REV" in os.environ:
        return os.environ["DVC_EXP_BASELINE_REV"]
    with Repo() as repo:
        try:
            return repo.scm.get_rev()
        except SCMError:
            return ""


def tracked_md5(path: str) -> str:
    """Return the md5 that a ``.dvc`` file records for a tracked path.

    Raises:
        UserError: DVC doesn't track it.
    """
    tracked = {str(out): out for stage in _stages() if stage.is_data_source for out in stage.outs}
    if path not in tracked:
        raise UserError(f"{path} is not tracked. Run `dvc add {path}`.")
    return tracked[path].hash_info.value


def inputs_hash(stage_name: str) -> str:
    """Return the hash of the parameters and files that a stage declares to read, 64 hex digits."""
    return _inputs_hash(stage_name, _stages())


def declared_params(stage_name: str) -> dict[str, Any]:
    """Return the values of the parameters that a stage declares, nested as in ``params.yaml``."""
    deps = _stage(stage_name, _stages()).deps
    params = [dep.read_params() for dep in deps if isinstance(dep, ParamsDependency)]
    return nested({name: value for values in params for name, value in values.items()})


def require_unedited(stage_name: str, before: str) -> None:
    """Raise UserError if the inputs of a stage were edited while it ran.

    DVC hashes the inputs after the stage has run, so a result computed from the old inputs would
    be recorded under the new ones.

    Args:
        stage_name: of the stage that has run.
        before: its ``inputs_hash`` before it ran.
    """
    with Repo() as repo:
        now = _inputs_hash(stage_name, _stages_of(repo))
    if now != before:
        raise UserError(
            f"parameters, code or data that {stage_name} declares were edited while it ran, so "
            "a result computed from the old inputs would be recorded under the new ones. Run "
            "`dvc repro` again. If you undo the edit first, a training is finished at once."
        )


def is_saved(stage_name: str) -> bool:
    """Return whether DVC has the outputs of a stage for its present inputs, in lock and cache."""
    stage = _stage(stage_name, _stages())
    is_recorded = _inputs_hash(stage_name, _stages(), recorded=True) == inputs_hash(stage_name)
    return is_recorded and not any(out.changed_cache() for out in stage.outs)


def _stage(name: str, stages: "list[Stage]") -> "Stage":
    return next(stage for stage in stages if stage.addressing == name)


def _inputs_hash(stage_name: str, stages: "list[Stage]", recorded: bool = False) -> str:
    stage = _stage(stage_name, stages)
    return _digest([stage_name, _content(stage, stages, only_leaves=False, recorded=recorded)])


def checkpoint(key: str) -> "Checkpoint":
    """Return the checkpoint of a training stage, given the stage's ``inputs_hash``.

    Its folder lies in the project's own folder, also for temporary and queued experiments. So a
    training that was killed in one of them resumes in the next.
    """
    from reid.training.checkpoint import Checkpoint  # noqa: PLC0415

    folder = project_root() / ".dvc" / "tmp" / "checkpoints"
    return Checkpoint(folder / key[:16])
