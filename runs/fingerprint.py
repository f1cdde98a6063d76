"""What a result comes from: hashes over everything that ``dvc.yaml`` declares."""

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
from runs.run_identity import RunIdentity, nameless
from runs.worktree import Declarations, State, state_since

if TYPE_CHECKING:
    from dvc.stage import Stage

    from reid.training.checkpoint import Checkpoint


logger = logging.getLogger(__name__)


def project_root() -> Path:
    """The project's folder; in a temporary or queued experiment, the one it was started from."""
    try:
        return Path(os.environ.get("DVC_ROOT") or Repo.find_root())
    except NotDvcRepoError as e:
        raise UserError(f"{Path.cwd()} is not in a project. Go to the project's folder.") from e


@cache
def _stages() -> "list[Stage]":
    with Repo() as repo:
        return _stages_of(repo)


def _stages_of(repo: Repo) -> "list[Stage]":
    # A run's files hold a dvc.yaml, too, and may lie in some folder of the project.
    return [s for s in repo.index.stages if s.is_data_source or s.path_in_repo == PIPELINE]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(_as_compared(value), sort_keys=True).encode()).hexdigest()


def _as_compared(value: Any) -> Any:
    """To DVC, 10 and 10.0 are the same value of a parameter, and the stage didn't change."""
    if isinstance(value, Mapping):
        return {key: _as_compared(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_compared(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _content(
    stage: "Stage", stages: "list[Stage]", only_leaves: bool, recorded: bool = False
) -> dict[str, Any]:
    """Values of the parameters and hashes of the files that a stage declares.

    Those of now, or those that ``dvc.lock`` recorded.
    """
    # What a stage with a command makes is determined by that stage's own leaves.
    made = {str(out) for s in stages if not s.is_data_source for out in s.outs}
    # What `dvc add` tracks has its hash in its .dvc file, whether or not the files are here.
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
    """Hash of everything that determines the pipeline's result, known before it runs.

    The parameters' values, and the content of each declared file that no stage makes: the
    photos, the pretrained weights, the code. Stages that run every time, such as ``track``,
    determine nothing.
    """
    return _fingerprint(_stages(), recorded=False)


def fingerprint_now() -> str:
    """Compute the fingerprint anew, for a process that lives on while files are edited."""
    with Repo() as repo:
        return _fingerprint(_stages_of(repo), recorded=False)


def is_up_to_date() -> bool:
    """Whether ``dvc.lock`` records the result of what is declared now.

    It does not where something was edited since a stage ran, the pipeline going on after it.
    """
    return _fingerprint(_stages(), recorded=True) == fingerprint()


def recorded_fingerprint(repo: Repo) -> str:
    """The fingerprint of the result that ``dvc.lock`` records in the repository's present state.

    ``repo.switch`` gives that of a commit or an experiment. Where stages were never run, it is
    the fingerprint of no run.
    """
    return _fingerprint(_stages_of(repo), recorded=True)


def _fingerprint(stages: "list[Stage]", recorded: bool) -> str:
    return _digest(
        {
            # In another commit, a stage's address tells the way from the working folder, too.
            stage.name: [stage.cmd, _content(stage, stages, only_leaves=True, recorded=recorded)]
            for stage in stages
            if stage.cmd and not stage.always_changed
        }
    )


def run_identity() -> RunIdentity:
    """The MLflow run of the pipeline as it is declared now."""
    own = own_experiment()
    experiment = own.name if own else ""
    commit = _commit()
    key = fingerprint()
    tags = {
        "git_commit": commit,
        "dvc_exp": experiment,
        "data_md5": tracked_md5(str(DATA)),
        # The names that MLflow's pages know.
        "mlflow.source.git.commit": commit,
        "mlflow.source.name": "dvc exp run" if experiment else "dvc repro",
    }
    return RunIdentity(
        project_root(),
        key,
        experiment or nameless(key),
        {name: value for name, value in tags.items() if value},
        lambda: state().tags(),
    )


@cache
def state() -> State:
    """How the working tree differs from the commit that it stands on."""
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
        return state_since(_commit(), declared)
    except (UserError, OSError) as e:
        # DVC needs no git program, and a result is worth more than where it is from.
        logger.warning("the run will not say how the files differ from git's commit: %s", e)
        return state_since("", declared)


def _commit() -> str:
    """The commit that the pipeline started from; empty where nothing was committed yet."""
    if "DVC_EXP_BASELINE_REV" in os.environ:
        return os.environ["DVC_EXP_BASELINE_REV"]
    with Repo() as repo:
        try:
            return repo.scm.get_rev()
        except SCMError:
            return ""


def tracked_md5(path: str) -> str:
    """The md5 that a ``.dvc`` file records for what it tracks."""
    tracked = {str(out): out for stage in _stages() if stage.is_data_source for out in stage.outs}
    if path not in tracked:
        raise UserError(f"{path} is not tracked. Run `dvc add {path}`.")
    return tracked[path].hash_info.value


def inputs(stage_name: str) -> str:
    """Hash of the parameters and the content of the files that a stage declares to read."""
    return _inputs(stage_name, _stages())


def require_unedited(stage_name: str, before: str) -> None:
    """Raise UserError where ``inputs`` of a stage are not what they were before it ran.

    DVC hashes them after the stage has run, and would record as the result of the edited ones
    what the stage made of the former.
    """
    with Repo() as repo:
        now = _inputs(stage_name, _stages_of(repo))
    if now != before:
        raise UserError(
            f"parameters, code or data that {stage_name} declares were edited while it ran, so "
            "its result would be recorded as that of the edit. Run `dvc repro` again; a training "
            "whose edit you take back first is finished at once."
        )


def is_saved(stage_name: str) -> bool:
    """Whether DVC has, in ``dvc.lock`` and its cache, what a stage makes of its inputs of now."""
    stage = _stage(stage_name, _stages())
    is_recorded = _inputs(stage_name, _stages(), recorded=True) == inputs(stage_name)
    return is_recorded and not any(out.changed_cache() for out in stage.outs)


def _stage(name: str, stages: "list[Stage]") -> "Stage":
    return next(stage for stage in stages if stage.addressing == name)


def _inputs(stage_name: str, stages: "list[Stage]", recorded: bool = False) -> str:
    stage = _stage(stage_name, stages)
    return _digest([stage_name, _content(stage, stages, only_leaves=False, recorded=recorded)])


def checkpoint(key: str) -> "Checkpoint":
    """Where a training stage keeps its state: a folder for its ``inputs`` alone.

    It lies in the project's own folder in temporary and queued experiments too, so a training
    that was killed there goes on in the next one.
    """
    from reid.training.checkpoint import Checkpoint  # noqa: PLC0415

    folder = project_root() / ".dvc" / "tmp" / "checkpoints"
    return Checkpoint(folder / key[:16])
